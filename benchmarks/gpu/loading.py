"""A model in this process: memory against the sum, tokens a second, the plain loop, stages."""

from __future__ import annotations

import gc
import math
import resource
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.gpu.check import Given, Said
from benchmarks.gpu.models import model_folder, photos
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_engine import Engine
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.backends.local_loading import plan
from picture_captioner.backends.prompt import question

CAP_GB = 8.0
"""Of the card this program is meant for."""

BATCH = 8
SUM_TOO_SMALL = 1.1


def make_backend(
    given: Given, folder: Path, told: list[str] | None = None, **options: Any
) -> LocalBackend:
    """The backend `local` with this model, not loaded yet."""
    if given.tiny:
        options = {"max_pixels": 50_000, "max_new_tokens": 12} | options
        options.pop("memory_gb", None)
    chosen = LocalOptions.model_validate({"device": given.device} | options)
    notice = (told if told is not None else []).append
    return LocalBackend(BackendSettings(model=str(folder), options=chosen, notice=notice))


def engine_of(backend: LocalBackend) -> Engine:
    """The loaded model of a backend that was checked."""
    engine = backend._engine
    if engine is None:
        raise RuntimeError("the model is not loaded")
    return engine


def pictures(given: Given, backend: LocalBackend, count: int) -> list[Image.Image]:
    """The first photos, as the decoders would hand them over."""
    found = []
    for path in photos(given, count):
        with Image.open(path) as file:
            file.draft("RGB", (backend.edge, backend.edge))
            image = file.convert("RGB")
        image.thumbnail((backend.edge, backend.edge))
        found.append(image)
    return found


def int4(given: Given, said: Said) -> None:
    """nf4, with the memory of the card that it is meant for."""
    folder = model_folder(given)
    _whole_check(given, said, folder, quantization="int4", memory_gb=CAP_GB)


def whole(given: Given, said: Said) -> None:
    """16-bit weights, with all that is free."""
    _whole_check(given, said, model_folder(given), quantization="none")


def small_whole(given: Given, said: Said) -> None:
    """Qwen3-VL-2B in 16 bit."""
    _whole_check(given, said, model_folder(given, "qwen3-vl-2b"), quantization="none")


def large_int4(given: Given, said: Said) -> None:
    """Qwen3-VL-4B in nf4."""
    folder = model_folder(given, "qwen3-vl-4b")
    _whole_check(given, said, folder, quantization="int4", memory_gb=CAP_GB)


def _whole_check(given: Given, said: Said, folder: Path, **options: Any) -> None:
    ends = time.monotonic() + given.seconds * 0.8
    backend = _load(given, said, folder, **options)
    tokens_a_second(given, said, backend)
    _memory_of_a_photo(given, said, backend)
    plain_loop(given, said, backend, ends)


def _load(given: Given, said: Said, folder: Path, **options: Any) -> LocalBackend:
    """Load it, and hold what it took against the sentence that was printed before."""
    told: list[str] = []
    backend = make_backend(given, folder, told, **options)
    started = time.monotonic()
    backend.check()
    said.note(load_seconds=time.monotonic() - started, said=told[-1] if told else "")
    said.note(rss_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
    if not given.tiny:
        chosen = engine_of(backend)._plan
        took = torch.cuda.memory_allocated()
        weights = chosen.footprint.weights(chosen.quantization)
        peak = torch.cuda.max_memory_allocated()
        said.note(weights_gb=took / 1e9, weights_by_the_sum_gb=weights / 1e9)
        said.note(peak_while_loading_gb=peak / 1e9)
        apart = took / weights
        said.must(0.9 < apart < SUM_TOO_SMALL, f"the weights are {apart:.2f} times the sum")
        said.must(
            peak < chosen.footprint.total(chosen.quantization) * SUM_TOO_SMALL,
            "loading takes more than the sum that is compared with what is free",
        )
    return backend


def tokens_a_second(given: Given, said: Said, backend: LocalBackend) -> None:
    """Prefill (picture and prompt) and decode, for a batch of eight."""
    engine, asked = engine_of(backend), question(backend.settings, ())
    images = pictures(given, backend, BATCH)
    prepared = engine.prepare(images, [asked] * BATCH)
    engine.generate(prepared, 1)  # kernels are chosen and compiled
    least = [math.inf, math.inf]
    for _ in range(2):
        for place, tokens in enumerate((1, backend.new_tokens)):
            started = time.monotonic()
            answers = engine.generate(prepared, tokens)
            least[place] = min(least[place], time.monotonic() - started)
    written = sum(answer.output_tokens for answer in answers) - BATCH
    said.note(prefill_tokens_a_second=sum(prepared.tokens) / least[0])
    if least[1] > least[0]:
        said.note(decode_tokens_a_second=written / (least[1] - least[0]))
    said.note(seconds_for_8=least[1], tokens_of_a_prompt=max(prepared.tokens))


def _memory_of_a_photo(given: Given, said: Said, backend: LocalBackend) -> None:
    if given.tiny:
        return
    engine = engine_of(backend)
    images = pictures(given, backend, BATCH)
    prepared = engine.prepare(images, [question(backend.settings, ())] * BATCH)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    engine.generate(prepared)
    photo = (torch.cuda.max_memory_allocated() - before) / BATCH
    summed = engine._plan.footprint.photo
    said.note(photo_gb=photo / 1e9, photo_by_the_sum_gb=summed / 1e9)
    said.note(reserved_gb=torch.cuda.max_memory_reserved() / 1e9)
    said.must(photo < summed * SUM_TOO_SMALL, f"a photo takes {photo / summed:.2f} times the sum")


def plain_loop(given: Given, said: Said, backend: LocalBackend, ends: float) -> None:
    """Open, prepare, generate: what people write; it stops when its time is over."""
    engine, asked = engine_of(backend), question(backend.settings, ())
    spent, done, started = [0.0, 0.0, 0.0], 0, time.monotonic()
    for path in photos(given, 10 if given.tiny else 32):
        marks = [time.monotonic()]
        with Image.open(path) as file:
            image = file.convert("RGB")
        marks.append(time.monotonic())
        prepared = engine.prepare([image], [asked])
        marks.append(time.monotonic())
        engine.generate(prepared)
        marks.append(time.monotonic())
        spent = [s + marks[i + 1] - marks[i] for i, s in enumerate(spent)]
        done += 1
        if time.monotonic() > ends:
            break
    names = ("loop_open_seconds", "loop_prepare_seconds", "loop_generate_seconds")
    said.note(loop_photos=done, loop_photos_a_second=done / (time.monotonic() - started))
    said.note(**dict(zip(names, spent, strict=True)))


def stages(given: Given, said: Said) -> None:
    """Preparing, prefill and the whole answer, for batches from 1 to 24."""
    backend = make_backend(given, model_folder(given), quantization="int4", memory_gb=CAP_GB)
    backend.check()
    engine, asked = engine_of(backend), question(backend.settings, ())
    for batch in (1, 2, 4, 8, 16, 24):
        images = pictures(given, backend, batch)
        marks = [time.monotonic()]
        prepared = engine.prepare(images, [asked] * batch)
        marks.append(time.monotonic())
        try:
            engine.generate(prepared, 1)
            marks.append(time.monotonic())
            engine.generate(prepared)
            marks.append(time.monotonic())
        except torch.OutOfMemoryError:
            said.note(**{f"{batch} at a time": "no room"})
            break
        took = [f"{marks[i + 1] - marks[i]:.3f}" for i in range(3)]
        said.note(**{f"{batch} at a time": f"prepare {took[0]}, first {took[1]}, all {took[2]}"})
        gc.collect()


def plan_of(given: Given, **changes: Any) -> Any:
    """The plan for the first model, for checks that change it before loading."""
    pixels, tokens = (50_000, 12) if given.tiny else (401_408, 64)
    return plan(model_folder(given), given.device, "none", pixels, tokens, **changes)
