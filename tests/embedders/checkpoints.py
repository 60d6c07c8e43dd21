"""Tiny models of the real architectures, with random weights, as the hub would hand them out."""

from __future__ import annotations

import json
from pathlib import Path

from tests.needs import need

SIDE = 32
WORDS = ["a", "photo", "of", "the", "dog", "beach", "snow", "city", "at", "night", ",", "."]


def word_tokenizer(folder: Path, pad: str, end: str, length: int) -> None:
    """A real fast tokenizer that knows a few words."""
    need("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys([pad, end, "<unk>", *WORDS])
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        eos_token=end,
        unk_token="<unk>",
        model_max_length=length,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def siglip(folder: Path) -> Path:
    """Siglip as google/siglip2-base-patch16-224 is: `model_type` siglip, fixed resolution."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    common = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = common | {"vocab_size": 64, "max_position_embeddings": 64, "projection_size": 32}
    vision = common | {"image_size": SIDE, "patch_size": 8}
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    SiglipImageProcessorPil(size=size, resample=2).save_pretrained(folder)
    word_tokenizer(folder, "<pad>", "<eos>", 64)
    return folder


def clip(folder: Path) -> Path:
    """CLIP with a projection of its own width."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    common = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = common | {"vocab_size": 64, "max_position_embeddings": 16, "eos_token_id": 1}
    vision = common | {"image_size": SIDE, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    word_tokenizer(folder, "<|endoftext|>", "<eos>", 16)
    return folder


def bert(folder: Path) -> Path:
    """A sentence encoder of two layers."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=64,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    word_tokenizer(folder, "[PAD]", "[SEP]", 32)
    return folder


def onnx_encoder(
    folder: Path, *, batch: int | str = "n", turns: int = 0, texts: bool = False
) -> Path:
    """An image encoder in ONNX: the colours of 4 x 4 fields; `turns` of a loop make it slow."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(_image_graph(batch, turns))
    config = {
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.5, 0.6, 0.7],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    if texts:
        (folder / "text_model.onnx").write_bytes(_text_graph())
        (folder / "config.json").write_text('{"model_type": "siglip"}')
        word_tokenizer(folder, "<pad>", "<eos>", 64)
        (folder / "config.json").write_text('{"model_type": "siglip"}')
    return folder


def _image_graph(batch: int | str, turns: int) -> bytes:
    from onnx import TensorProto as T
    from onnx import helper as h

    pool = h.make_node(
        "AveragePool", ["pixel_values"], ["fields"], kernel_shape=[8, 8], strides=[8, 8]
    )
    flat = h.make_node("Flatten", ["fields"], ["vector"])
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Identity", ["x"], ["y"])],
        "turn",
        [
            h.make_tensor_value_info("i", T.INT64, []),
            h.make_tensor_value_info("go", T.BOOL, []),
            h.make_tensor_value_info("x", T.FLOAT, [batch, 48]),
        ],
        [
            h.make_tensor_value_info("go_on", T.BOOL, []),
            h.make_tensor_value_info("y", T.FLOAT, [batch, 48]),
        ],
    )
    loop = h.make_node("Loop", ["turns", "yes", "vector"], ["image_embeds"], body=body)
    return _model(
        [pool, flat, loop],
        h.make_tensor_value_info("pixel_values", T.FLOAT, [batch, 3, SIDE, SIDE]),
        h.make_tensor_value_info("image_embeds", T.FLOAT, [batch, 48]),
        [
            h.make_tensor("turns", T.INT64, [], [turns]),
            h.make_tensor("yes", T.BOOL, [], [True]),
        ],
    )


def _text_graph() -> bytes:
    import numpy as np
    from onnx import TensorProto as T
    from onnx import helper as h
    from onnx import numpy_helper

    table = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)
    look_up = h.make_node("Gather", ["table", "input_ids"], ["tokens"])
    mean = h.make_node("ReduceMean", ["tokens", "axes"], ["text_embeds"], keepdims=0)
    return _model(
        [look_up, mean],
        h.make_tensor_value_info("input_ids", T.INT64, ["n", "length"]),
        h.make_tensor_value_info("text_embeds", T.FLOAT, ["n", 48]),
        [numpy_helper.from_array(table, "table"), h.make_tensor("axes", T.INT64, [1], [1])],
    )


def _model(nodes, given, out, constants) -> bytes:
    import onnx
    from onnx import helper as h

    graph = h.make_graph(nodes, "encoder", [given], [out], constants)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
