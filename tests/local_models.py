"""Tiny vision models with random weights: the real classes, processors and files, in a second.

Their captions are words at random, but they depend on the picture, end by themselves and are the
same in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WORDS = (
    *("amber", "boat", "cabin", "dog", "early", "field", "grey", "hill", "island", "jetty", "kite"),
    *(
        "lake",
        "moss",
        "night",
        "olive",
        "pine",
        "quiet",
        "river",
        "snow",
        "tree",
        "under",
        "valley",
    ),
    *("water", "yellow", "apple", "birch", "child", "door", "evening", "fence", "garden", "house"),
)
SEED = 7
NEW_TOKENS = 12

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(family: str, folder: Path, **generation: Any) -> Path:
    """Save a tiny model of this family; `generation` goes into its generation_config.json."""
    import torch

    torch.manual_seed(SEED)
    model, processor = _MAKERS[family]()
    _scale_up(model)
    tokenizer = processor.tokenizer
    config = model.generation_config
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    words = set(tokenizer.convert_tokens_to_ids([f"Ġ{word}" for word in WORDS]))
    config.suppress_tokens = [i for i in range(len(tokenizer)) if i not in words | {end}]
    config.eos_token_id = config.forced_eos_token_id = end
    config.bos_token_id = tokenizer.convert_tokens_to_ids("<|im_start|>")
    for name, value in generation.items():
        setattr(config, name, value)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def out_of_memory_above(most: int) -> Callable[[int, int], None]:
    """A hook for prompts of (photos, tokens): memory for only so many photos at a time."""
    import torch

    def hook(photos: int, _tokens: int) -> None:
        if photos > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return hook


def _scale_up(model: Any) -> None:
    """Weights of a trained size: freshly drawn ones are so small that no picture shows through."""
    import torch

    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            scale = 0.05 if "embed_tokens" in name else 1.5
            torch.nn.init.normal_(parameter, std=scale * parameter.shape[-1] ** -0.5)


def _tokenizer(*special: str, words: Sequence[str] = (), **named: Any) -> Any:
    """Bytes, a few words, and the special tokens that the family needs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    entries = sorted(pre_tokenizers.ByteLevel.alphabet()) + [f"Ġ{word}" for word in WORDS]
    entries = list(dict.fromkeys([*entries, *words]))
    vocabulary = {entry: i for i, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[], ignore_merges=bool(words)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|pad|>", "<|im_start|>", "<|im_end|>", *special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", **named
    )


_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
_QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    ids = tokenizer.convert_tokens_to_ids(list(_QWEN))
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, ids, strict=True))


def qwen_processor() -> tuple[Any, dict[str, int]]:
    """A processor of Qwen2.5-VL with the small tokenizer, and the ids for a configuration."""
    import transformers as t

    tokenizer = _tokenizer(*_QWEN)
    images, videos = t.Qwen2VLImageProcessor(), t.Qwen2VLVideoProcessor()
    processor = t.Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=_QWEN_TEMPLATE)
    return processor, _qwen_ids(tokenizer)


def wide_processor(family: str, entries: int) -> tuple[Any, dict[str, int]]:
    """The same with so many entries, as many as a trained model has; words of the prompt are some.

    Without the others, a model of the true shape would say numbers that are no words.
    """
    import transformers as t

    from picture_captioner.backends.base import DEFAULT_PROMPT

    asked = dict.fromkeys(word.strip(".,;:") for word in DEFAULT_PROMPT.split())
    known = [form for word in asked for form in (word, f"Ġ{word}") if len(form) > 1]
    base = len(_tokenizer(*_QWEN, words=known))
    more = [f"Ġword{number}" for number in range(entries - base)]
    tokenizer = _tokenizer(*_QWEN, words=[*known, *more])
    if len(tokenizer) != entries:
        raise ValueError(f"{len(tokenizer)} entries in place of {entries}")
    if family == "qwen3_vl":
        images = t.Qwen2VLImageProcessor(patch_size=16, merge_size=2)
        kind, videos = t.Qwen3VLProcessor, t.Qwen3VLVideoProcessor()
    else:
        images = t.Qwen2VLImageProcessor()
        kind, videos = t.Qwen2_5_VLProcessor, t.Qwen2VLVideoProcessor()
    processor = kind(images, tokenizer, videos, chat_template=_QWEN_TEMPLATE)
    return processor, _qwen_ids(tokenizer)


def vision_config_of(family: str) -> Any:
    """The class of a family's configuration."""
    import transformers as t

    return {"qwen2_5_vl": t.Qwen2_5_VLConfig, "qwen3_vl": t.Qwen3VLConfig}[family]


def _qwen2_5_vl() -> tuple[Any, Any]:
    import transformers as t

    processor, ids = qwen_processor()
    text = {k: v for k, v in _TEXT.items() if k != "head_dim"} | {
        "vocab_size": len(processor.tokenizer),
        "bos_token_id": None,
        "eos_token_id": None,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [2, 3, 3],
        },
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_heads": 4,
        "out_hidden_size": 64,
        "fullatt_block_indexes": [1],
    }
    config = t.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    return t.Qwen2_5_VLForConditionalGeneration(config), processor


_QWEN_TEMPLATE = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")


def _qwen3_vl() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer(*_QWEN)
    text = _TEXT | {
        "vocab_size": len(tokenizer),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
        },
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_heads": 4,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    config = t.Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_ids(tokenizer))
    processor = t.Qwen3VLProcessor(
        t.Qwen2VLImageProcessor(patch_size=16, merge_size=2),
        tokenizer,
        t.Qwen3VLVideoProcessor(),
        chat_template=_QWEN_TEMPLATE,
    )
    return t.Qwen3VLForConditionalGeneration(config), processor


def _qwen3_5() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer(*_QWEN)
    text = _TEXT | {
        "vocab_size": len(tokenizer),
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
            "partial_rotary_factor": 1.0,
        },
    }
    vision = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_heads": 4,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
    }
    config = t.Qwen3_5Config(text_config=text, vision_config=vision, **_qwen_ids(tokenizer))
    processor = t.Qwen3VLProcessor(
        t.Qwen2VLImageProcessor(patch_size=16, merge_size=2),
        tokenizer,
        t.Qwen3VLVideoProcessor(),
        chat_template=_QWEN_TEMPLATE,
    )
    return t.Qwen3_5ForConditionalGeneration(config), processor


def _smolvlm() -> tuple[Any, Any]:
    import transformers as t

    marks = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    marks += [f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5)]
    tokenizer = _tokenizer(*marks)
    text = _TEXT | {"model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 0}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    config = t.SmolVLMConfig(
        text_config=text,
        vision_config=vision,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    images = t.SmolVLMImageProcessor(
        size={"longest_edge": 256}, max_image_size={"longest_edge": 64}
    )
    processor = t.SmolVLMProcessor(
        images,
        tokenizer,
        t.SmolVLMVideoProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 64}),
        image_seq_len=4,
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )
    return t.SmolVLMForConditionalGeneration(config), processor


def _gemma3() -> tuple[Any, Any]:
    import transformers as t

    marks = {
        "boi_token": "<start_of_image>",
        "image_token": "<image_soft_token>",
        "eoi_token": "<end_of_image>",
    }
    tokenizer = _tokenizer(*marks.values(), extra_special_tokens=marks)
    text = _TEXT | {"vocab_size": len(tokenizer), "sliding_window": 64, "query_pre_attn_scalar": 16}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
    }
    ids = tokenizer.convert_tokens_to_ids(list(marks.values()))
    config = t.Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=ids[0],
        image_token_index=ids[1],
        eoi_token_index=ids[2],
    )
    processor = t.Gemma3Processor(
        t.Gemma3ImageProcessor(size={"height": 64, "width": 64}),
        tokenizer,
        chat_template=TEMPLATE.replace("IMAGE", "<start_of_image>"),
        image_seq_length=4,
    )
    return t.Gemma3ForConditionalGeneration(config), processor


def _internvl() -> tuple[Any, Any]:
    import transformers as t

    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = _tokenizer(*marks.values(), extra_special_tokens=marks)
    text = {k: v for k, v in _TEXT.items() if k != "head_dim"}
    text |= {"model_type": "qwen2", "vocab_size": len(tokenizer)}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [448, 448],
        "patch_size": [56, 56],
    }
    config = t.InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=16,
    )
    processor = t.InternVLProcessor(
        t.GotOcr2ImageProcessor(size={"height": 448, "width": 448}, crop_to_patches=True),
        tokenizer,
        t.InternVLVideoProcessor(),
        image_seq_length=16,
        chat_template=TEMPLATE.replace("IMAGE", "<IMG_CONTEXT>"),
    )
    return t.InternVLForConditionalGeneration(config), processor


def _florence2() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer(
        "<image>", bos_token="<|im_start|>", extra_special_tokens={"image_token": "<image>"}
    )
    text = {
        "model_type": "bart",
        "vocab_size": len(tokenizer),
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 96,
        "decoder_ffn_dim": 96,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.eos_token_id,
        "forced_eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        "depths": [1, 1],
        "patch_size": [7, 3],
        "patch_stride": [16, 4],
        "patch_padding": [3, 1],
        "patch_prenorm": [False, True],
        "embed_dim": [16, 32],
        "num_heads": [2, 2],
        "num_groups": [2, 2],
        "projection_dim": 64,
    }
    config = t.Florence2Config(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.image_token_id,
    )
    images = t.CLIPImageProcessor(
        size={"height": 768, "width": 768}, crop_size={"height": 768, "width": 768}
    )
    images.image_seq_length = 145  # 12x12 patches and their mean
    processor = t.Florence2Processor(images, tokenizer, num_additional_image_tokens=1)
    return t.Florence2ForConditionalGeneration(config), processor


_MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "qwen3_5": _qwen3_5,
    "smolvlm": _smolvlm,
    "gemma3": _gemma3,
    "internvl": _internvl,
    "florence2": _florence2,
}
FAMILIES = tuple(_MAKERS)
