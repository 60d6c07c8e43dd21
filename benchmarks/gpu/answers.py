"""Part 2: whether answers stay what they are in batches, in other numbers, on another device."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL.Image import Image
from transformers.utils.import_utils import is_flash_attn_2_available

from benchmarks.gpu.check import Given, Said
from benchmarks.gpu.loading import engine_of, make_backend, pictures, plan_of
from benchmarks.gpu.memory import texts
from benchmarks.gpu.models import model_folder
from picture_captioner.backends.local_devices import runs_flash_attention
from picture_captioner.backends.local_engine import Engine
from picture_captioner.backends.local_windows import pack_windows
from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.registry import embedder_class
from picture_captioner.pipeline.work_queue import BatchBuffer

SAME_DIRECTION = 0.999
"""Cosine between the vectors of a picture in 16 and in 32 bit."""


def alone_and_together(given: Given, said: Said) -> None:
    """100 photos in batches of eight, twice, and one by one.

    The same batch must give the same captions. A photo alone may differ on a card: kernels add up
    in another order for other shapes, and weights at random are often undecided.
    """
    backend = make_backend(given, model_folder(given), quantization="none", batch_size=8)
    backend.check()
    images = pictures(given, backend, 24)
    images = images if given.tiny else (images * 5)[:100]
    goes = [
        [text for i in range(0, len(images), 8) for text in texts(backend, images[i : i + 8])]
        for _ in range(2)
    ]
    alone = [texts(backend, [image])[0] for image in images]
    said.note(photos=len(images), same_twice=sum(map(str.__eq__, *goes)))
    said.note(same_alone=sum(map(str.__eq__, goes[0], alone)))
    said.must(goes[0] == goes[1], "the same batches gave other captions")
    said.must(not given.tiny or alone == goes[0], "in 32 bit a photo alone says something else")


FORMATS = ((1.0, 1.0), (0.75, 1.0), (1.0, 0.667), (1.0, 0.4))
"""What is left of a picture's width and height: the formats of a mixed library."""


def lengths(given: Given, said: Said) -> None:
    """Photos of many formats in batches of eight: as they come, and by their number of tokens.

    Both are done twice, in turn; the least time counts.
    """
    backend = make_backend(given, model_folder(given), quantization="none", batch_size=8)
    backend.check()
    engine = engine_of(backend)
    images = [
        image.crop((0, 0, round(image.width * wide), round(image.height * high)))
        for image in pictures(given, backend, 16)
        for wide, high in FORMATS
    ]
    random.Random(7).shuffle(images)  # noqa: S311 - the same in every run
    kinds = {"as_they_come": lambda _: None, "by_length": lambda i: backend.batch_kind(i[1].size)}
    told: dict[str, dict[int, str]] = {}
    least: dict[str, list[float]] = {}
    for name in list(kinds) * 2:
        batches = _batches(images, kinds[name])
        marks = time.monotonic(), time.process_time()
        answers = [texts(backend, [image for _, image in batch]) for batch in batches]
        spent = [time.monotonic() - marks[0], time.process_time() - marks[1]]
        least[name] = [min(pair) for pair in zip(spent, least.get(name, spent), strict=True)]
        numbers = [number for batch in batches for number, _ in batch]
        told[name] = dict(zip(numbers, itertools.chain(*answers), strict=True))
        tokens = [engine.prepare([i for _, i in b], ["x"] * len(b)).tokens for b in batches]
        padding = sum(max(batch) * len(batch) - sum(batch) for batch in tokens)
        said.note(**{f"{name}_padding": padding, f"{name}_batches": len(batches)})
    for name, (seconds, busy) in least.items():
        said.note(**{f"{name}_seconds": seconds, f"{name}_cpu_seconds": busy})
    same = sum(told["by_length"][i] == text for i, text in told["as_they_come"].items())
    said.note(tokens=sum(map(sum, tokens)), same=same)
    said.must(not given.tiny or same == len(images), "in 32 bit other neighbours change an answer")


def _batches(
    images: Sequence[Image], kind: Callable[[tuple[int, Image]], Hashable]
) -> list[list[tuple[int, Image]]]:
    """All of them, numbered, as a run would hand them over."""
    buffer = BatchBuffer(len(images), kind)
    for numbered in enumerate(images):
        buffer.put(numbered)
    buffer.close()
    return list(iter(lambda: buffer.take(8), []))


def windows(given: Given, said: Said) -> None:
    """The vision tower with a call a window, a call a layer, and FlashAttention, for 8 photos."""
    backend = make_backend(given, model_folder(given), quantization="none")
    backend.check()
    engine = engine_of(backend)
    inputs = engine.prepare(pictures(given, backend, 8), ["x"] * 8).inputs.to(given.device)
    tower = engine.model.model.visual
    given_pictures = inputs["pixel_values"].to(tower.dtype), inputs["image_grid_thw"]
    found: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def measure(name: str) -> None:
        least = math.inf
        for _ in range(3):
            started = time.monotonic()
            found[name] = tower(*given_pictures).pooler_output.float().cpu()
            least = min(least, time.monotonic() - started)
        said.note(**{f"{name}_seconds": least})

    tower.config._attn_implementation = "sdpa"
    measure("single")
    pack_windows(tower)
    measure("packed")
    if not given.tiny and is_flash_attn_2_available() and runs_flash_attention():
        tower.set_attn_implementation("flash_attention_2")
        measure("flash")
    largest = float(found["single"].abs().max())
    for name in set(found) - {"single"}:
        apart = float((found[name] - found["single"]).abs().max()) / largest
        said.note(**{f"{name}_apart": apart})
        said.must(apart < (1e-5 if given.tiny else 0.05), f"{name} differs by {apart:.2g}")


def float16(given: Given, said: Said) -> None:
    """As on a card without bfloat16: the tower in 32 bit, and no answer from infinite numbers."""
    chosen = plan_of(given)
    chosen = replace(chosen, dtype=torch.float16, widened=chosen.family.overflows)
    engine = Engine(chosen, 50_000 if given.tiny else 401_408, 12, 0.0)
    backend = make_backend(given, model_folder(given), quantization="none")
    backend._engine = engine
    answers = texts(backend, pictures(given, backend, 4))
    said.note(answers=len(answers), overflows=sum("overflows" in a for a in answers))
    tower = engine.model.model.visual
    said.must(tower.dtype is torch.float32, f"the tower computes in {tower.dtype}")
    said.must(not any("!!!!" in a for a in answers), "an answer from numbers that are none")


def embedders(given: Given, said: Said) -> None:
    """SigLIP and CLIP: vectors in 16 bit on the card beside those in 32 bit on the CPU."""
    from tests.embedders.checkpoints import clip, siglip

    backend = make_backend(given, model_folder(given))
    images = pictures(given, backend, 8)
    for name, make in (("siglip2", siglip), ("clip", clip)):
        folder = make(given.folder / f"embedder-{name}")
        vectors = []
        for device in ("cpu", given.device):
            settings = EmbedderSettings(model=str(folder), device=device, notice=print)
            embedder = embedder_class(name)(settings)
            vectors.append(embedder.embed_images(images))
            embedder.close()
        cosine = float(np.min(np.sum(vectors[0] * vectors[1], axis=1)))
        said.note(**{f"{name}_least_cosine": cosine})
        said.must(cosine > SAME_DIRECTION, f"{name}: a cosine of {cosine:.4f}")
