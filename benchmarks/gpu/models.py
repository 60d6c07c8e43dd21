"""Models of the true shapes with weights at random, and photos: nothing is downloaded.

Weights are drawn on the CPU, tensor by tensor, and written in pieces: the card stays empty, and
main memory holds two gigabytes of them at most.
"""

from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.check import Given, Said
from benchmarks.photos import photo_like

if TYPE_CHECKING:
    import torch

_ROPE: dict[str, Any] = {"rope_type": "default", "mrope_section": [16, 24, 24]}
_QWEN3_VISION: dict[str, Any] = {
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_heads": 16,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17],
}
_QWEN3_TEXT: dict[str, Any] = {
    "vocab_size": 151_936,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262_144,
    "tie_word_embeddings": True,
    "rope_parameters": _ROPE
    | {"rope_theta": 5_000_000.0, "mrope_section": [24, 20, 20], "mrope_interleaved": True},
}

SHAPES: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "qwen2.5-vl-3b": (
        "qwen2_5_vl",
        {
            "vocab_size": 151_936,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128_000,
            "tie_word_embeddings": True,
            "rope_parameters": _ROPE | {"rope_theta": 1_000_000.0},
        },
        {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 2048,
        },
    ),
    "qwen3-vl-2b": (
        "qwen3_vl",
        _QWEN3_TEXT
        | {
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
        },
        _QWEN3_VISION | {"out_hidden_size": 2048},
    ),
    "qwen3-vl-4b": (
        "qwen3_vl",
        _QWEN3_TEXT
        | {
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
        },
        _QWEN3_VISION | {"out_hidden_size": 2560},
    ),
}
"""As the config.json of each says, with the tests' small tokenizer made as large."""

NEW_TOKENS = 64
"""Of every answer: a caption has about as many."""

_PIECE_BYTES = 2e9
_POOL = 33_554_393
"""Normal numbers that are drawn once and read from other places for each tensor. A prime, so that
no two rows of a matrix are alike."""

DISTINCT = 24


def draw_model(folder: Path, shape: str, new_tokens: int = NEW_TOKENS) -> Path:
    """Save a model of this shape in bfloat16; every answer has the same number of tokens."""
    import torch
    import transformers

    from tests.local_models import vision_config_of, wide_processor

    kind, text, vision = SHAPES[shape]
    processor, ids = wide_processor(kind, text["vocab_size"])
    config = vision_config_of(kind)(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **ids
    )
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        skeleton: Any = transformers.AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    config.architectures = [type(skeleton).__name__]
    folder.mkdir(parents=True, exist_ok=True)
    save_in_pieces(folder, skeleton.state_dict())
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    end = processor.tokenizer.eos_token_id
    generation = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=end,
        forced_eos_token_id=end,
        pad_token_id=processor.tokenizer.pad_token_id,
        min_new_tokens=new_tokens - 1,
    )
    generation.save_pretrained(folder)
    return folder


def save_in_pieces(folder: Path, shapes: Mapping[str, torch.Tensor]) -> None:
    """Draw a tensor of each of these shapes, and write them as safetensors with their index."""
    from safetensors.torch import save_file

    places: dict[str, str] = {}
    piece: dict[str, torch.Tensor] = {}
    held, number = 0, 1

    def write() -> None:
        nonlocal piece, held, number
        file = f"model-{number:05d}.safetensors"
        save_file(piece, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(piece, file))
        piece, held, number = {}, 0, number + 1

    for name, tensor in drawn(shapes):
        piece[name] = tensor
        held += tensor.numel() * tensor.itemsize
        if held >= _PIECE_BYTES:
            write()
    if piece:
        write()
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def drawn(shapes: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights as large as trained ones: with smaller ones no picture would show in the answer."""
    import torch

    generator = torch.Generator().manual_seed(7)
    pool = torch.randn(_POOL, generator=generator).to(torch.bfloat16)
    start = 0
    for name, shape in shapes.items():
        if name == "lm_head.weight":  # tied to the embeddings
            continue
        count = shape.numel()
        if shape.dim() < 2:
            yield name, torch.full(shape.shape, float("norm" in name), dtype=torch.bfloat16)
            continue
        scale = 0.05 if "embed_tokens" in name else 1.5
        numbers = torch.cat([pool[start:], *[pool] * math.ceil(count / _POOL)])[:count]
        yield name, numbers.reshape(shape.shape) * (scale * shape.shape[-1] ** -0.5)
        start = (start + count) % _POOL


def model_folder(given: Given, shape: str = "qwen2.5-vl-3b") -> Path:
    """Where a model lies; in a tiny check the tiny one stands for all."""
    return given.folder / ("tiny" if given.tiny else shape)


def photos(given: Given, count: int) -> list[Path]:
    """The first so many photos, as they were drawn."""
    return sorted((given.folder / "photos").iterdir())[:count]


def photos_for_a_run(given: Given, count: int, name: str) -> Path:
    """A directory with so many photos, hard links."""
    folder = given.folder / name / "photos"
    folder.mkdir(parents=True)
    for path in photos(given, count):
        os.link(path, folder / path.name)
    return folder


def draw(given: Given, said: Said) -> None:
    """The model and the photos for all checks of the first part."""
    count, megapixels, distinct = (24, 0.5, 6) if given.tiny else (200, 12.0, DISTINCT)
    draw_photos(given.folder / "photos", count, megapixels, distinct)
    if given.tiny:
        from tests.local_models import make_model

        make_model("qwen2_5_vl", given.folder / "tiny", min_new_tokens=11)
    else:
        draw_model(model_folder(given), "qwen2.5-vl-3b")
    said.note(photos=count, megapixels=megapixels)
    said.note(peak_rss_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def draw_others(given: Given, said: Said) -> None:
    """What the second part needs; a folder that has the first part's models keeps them."""
    if not (given.folder / "photos").exists():
        draw(given, said)
    for shape in () if given.tiny else ("qwen3-vl-2b", "qwen3-vl-4b"):
        draw_model(model_folder(given, shape), shape)


def draw_photos(folder: Path, count: int, megapixels: float, distinct: int) -> None:
    """JPEGs of 4:3, one in four upright; each differs from all others in its bytes.

    Only `distinct` pictures are drawn, on all processors: drawing takes longer than captioning.
    """
    folder.mkdir(parents=True)
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    sizes = [(width, width * 3 // 4), (width * 3 // 4, width)]
    chosen = [sizes[number % 4 == 3] for number in range(distinct)]
    with ProcessPoolExecutor() as pool:
        files = list(pool.map(_jpeg, chosen, range(distinct)))
    for number in range(count):
        data = files[number % distinct]
        comment = b"\xff\xfe\x00\x06" + number.to_bytes(4, "big")
        (folder / f"{number:04d}.jpg").write_bytes(data[:2] + comment + data[2:])


def _jpeg(size: tuple[int, int], seed: int) -> bytes:
    import io

    file = io.BytesIO()
    photo_like(size, seed).save(file, "JPEG", quality=90)
    return file.getvalue()
