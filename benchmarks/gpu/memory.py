"""Part 2: running out of memory, and what torch reserves over 500 batches."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from PIL.Image import Image

from benchmarks.gpu.check import Given, Said
from benchmarks.gpu.loading import engine_of, make_backend, pictures
from benchmarks.gpu.models import model_folder
from picture_captioner.backends.base import Caption
from picture_captioner.backends.local_hf import LocalBackend

LITTLE_GB = 6.5
BATCHES = 500
MAY_GROW = 1.15
"""Of what is reserved after the first tenth of the batches."""


def reserved(given: Given, said: Said) -> None:
    """6.5 GB and a batch that finds its own size: what is reserved stays within it."""
    ends = time.monotonic() + given.seconds * 0.8
    backend = make_backend(
        given, model_folder(given), quantization="int4", memory_gb=LITTLE_GB, max_new_tokens=8
    )
    backend.check()
    images = pictures(given, backend, 24)
    seen: list[int] = []
    largest = 0
    for number in range(20 if given.tiny else BATCHES):
        size = max(1, min(backend.batch_now, len(images)))
        start = number % (len(images) - size + 1)
        answers = backend.caption_batch(images[start : start + size], [()] * size)
        said.must(all(isinstance(a, Caption) for a in answers), f"batch {number}: {answers[0]}")
        largest = max(largest, size)
        seen.append(engine_of(backend).memory() or 0)
        if said.failed or time.monotonic() > ends:
            break
    early = max(seen[: max(len(seen) // 10, 1)])
    said.note(batches=len(seen), largest_batch=largest, reserved_gb=max(seen) / 1e9)
    said.must(max(seen) <= LITTLE_GB * 1e9, "more than was allowed is reserved")
    said.must(
        given.tiny or seen[-1] <= max(early * MAY_GROW, LITTLE_GB * 1e9 * 0.95),
        f"from {early / 1e9:.2f} to {seen[-1] / 1e9:.2f} GB",
    )


def out_of_memory(given: Given, said: Said) -> None:
    """Answers before, during and after a shortage are the same."""
    backend = make_backend(given, model_folder(given), quantization="none", batch_size=8)
    backend.check()
    images = pictures(given, backend, 8)
    before = texts(backend, images)
    if given.tiny:
        during = before
    else:
        photo = engine_of(backend)._plan.footprint.photo
        engine_of(backend).free_cache()
        taken = torch.empty(
            max(int(torch.cuda.mem_get_info()[0] - 3 * photo), 1), dtype=torch.uint8, device="cuda"
        )
        during = texts(backend, images)
        del taken
        said.must(backend.batch_now < 8, "the shortage was not felt")
    after = texts(backend, images)
    said.note(same_during=sum(map(str.__eq__, before, during)))
    said.note(same_after=sum(map(str.__eq__, before, after)))
    said.must(after == before, "answers differ after running out of memory")


def texts(backend: LocalBackend, images: Sequence[Image]) -> list[str]:
    """The captions of one batch; what is none as its words."""
    answers = backend.caption_batch(images, [()] * len(images))
    return [a.text or "" if isinstance(a, Caption) else str(a) for a in answers]
