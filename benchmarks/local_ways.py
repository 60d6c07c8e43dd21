"""The two ways that `local_gpu` compares, and what they are given: a model, photos.

In a file of its own, because decoder processes import the main module again: it must not cost them
the seconds that torch takes.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as typed_transformers
from PIL import Image

from benchmarks.gpu.models import draw_model
from picture_captioner.backends.base import BackendSettings, CaptionBackend
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.backends.prompt import question
from picture_captioner.backends.registry import backend_class
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget, Ceilings
from picture_captioner.pipeline.decoding.decoder import default_decoders
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.runner import CaptionRun, RunOptions
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.selection import Identity, SelectionRules
from picture_captioner.pipeline.selecting.walk import Photo
from tests.local_models import make_model

Result = dict[str, Any]
transformers: Any = typed_transformers  # the calls below are not typed there


class Silent:
    """A reporter that says nothing but failures."""

    def start(self, total: int) -> None:
        """Nothing."""

    def advance(self, outcome: Outcome) -> None:
        """Nothing."""

    def failed(self, failure: FailedPhoto) -> None:
        """A photo has no caption: the figures would be wrong."""
        tell(f"{failure.rel_path}: {failure.message}")

    def notice(self, text: str) -> None:
        """What the backend says."""
        tell(text)


def tell(text: str) -> None:
    """A line for the person."""
    sys.stderr.write(f"{text}\n")


def make_photos(folder: Path, count: int, megapixels: float) -> list[Path]:
    """JPEGs of 4:3 with the sizes and the entropy of a camera's, each different."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    rng, paths = random.Random(3), []  # noqa: S311 - pictures, no secrets
    for number in range(count):
        tones = [rng.randrange(256) for _ in range(3 * 48 * 36)]
        small = Image.frombytes("RGB", (48, 36), bytes(tones))
        image = small.resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
        noise = Image.effect_noise(image.size, 24).convert("RGB")
        path = folder / f"{number:04d}.jpg"
        Image.blend(image, noise, 0.2).save(path, quality=90)
        paths.append(path)
    return paths


def plain_loop(backend: LocalBackend, paths: Sequence[Path]) -> Result:
    """Open, prepare, generate: one photo after the other."""
    engine = backend._loaded()
    asked = question(backend.settings, ())
    stages = {"decode": 0.0, "prepare": 0.0, "generate": 0.0}
    started = time.perf_counter()
    for path in paths:
        marks = [time.perf_counter()]
        with Image.open(path) as file:
            image = file.convert("RGB")
        marks.append(time.perf_counter())
        prepared = engine.prepare([image], [asked])
        marks.append(time.perf_counter())
        engine.generate(prepared)
        marks.append(time.perf_counter())
        for number, stage in enumerate(stages):
            stages[stage] += marks[number + 1] - marks[number]
    return result(len(paths), time.perf_counter() - started, stages)


def whole_program(backend: CaptionBackend, paths: Sequence[Path], workers: int) -> Result:
    """The pipeline of `caption.py run`, decoders and journal included."""
    identity = Identity(backend.name, backend.settings.model, "0" * 12, placeholder=False)
    photos = [Photo(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    outcomes = Outcomes(Silent())
    decoders = min(default_decoders(), len(paths))
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal(Path(folder) / "journal") as journal,
    ):
        run = CaptionRun(
            [ChosenBackend(backend, identity, Prices(None, backend.settings.model))],
            journal,
            photos,
            {},
            SelectionRules(identity),
            RunOptions(paths[0].parent, workers, decoders, backend.edge),
            outcomes,
            Budget(Ceilings(), journal.index),
            Hints(),
        )
        started = time.perf_counter()
        run.run()
        seconds = time.perf_counter() - started
    stages = backend.seconds() if isinstance(backend, LocalBackend) else {}
    done = result(outcomes.counts[Outcome.CAPTIONED], seconds, stages)
    return done | {"batch": backend.batch_now, "decoders": decoders}


def result(photos: int, seconds: float, stages: dict[str, float]) -> Result:
    """One row: rates, memory, and where the time went."""
    found: Result = {
        "photos": photos,
        "photos_per_second": round(photos / seconds, 3),
        "seconds": round(seconds, 2),
        "stage_seconds": {stage: round(spent, 2) for stage, spent in stages.items()},
    }
    if "generate" in stages:
        found["device_busy"] = round(stages["generate"] / seconds, 3)
    if torch.cuda.is_available():
        found["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        found["peak_reserved_gb"] = round(torch.cuda.max_memory_reserved() / 1e9, 2)
    return found


def _forget_peaks() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def both_ways(
    model: Path, paths: Sequence[Path], quantization: str, settings: argparse.Namespace
) -> dict[str, Result]:
    """The plain loop, then the whole program, with the same loaded model."""
    capped = settings.memory_gb if quantization == "int4" else None
    options = LocalOptions.model_validate(
        {
            "quantization": quantization,
            "device": settings.device,
            "batch_size": settings.batch_size,
            "max_new_tokens": settings.new_tokens,
            "memory_gb": capped,
        }
    )
    backend = LocalBackend(BackendSettings(model=str(model), options=options, notice=tell))
    backend.check()
    engine = backend._loaded()
    engine.generate(engine.prepare([Image.new("RGB", (640, 480))], ["warm up"]))
    _forget_peaks()
    found = {"plain loop": plain_loop(backend, paths[: settings.loop_photos])}
    _forget_peaks()
    found["caption.py"] = whole_program(backend, paths, workers=1)
    backend.close()
    gc.collect()
    loop, program = (found[way]["photos_per_second"] for way in ("plain loop", "caption.py"))
    found["caption.py"]["times_the_loop"] = round(program / loop, 2)
    return found


def through_a_server(paths: Sequence[Path], settings: argparse.Namespace) -> Result:
    """The same photos through an OpenAI-compatible server, from 16 workers."""
    kind = backend_class("compatible")
    backend = kind(
        BackendSettings(
            model=settings.model,
            base_url=settings.server,
            allow_http=True,
            max_tokens=settings.new_tokens,
        )
    )
    backend.check()
    return whole_program(backend, paths, workers=16)


def measure(settings: argparse.Namespace, folder: Path) -> dict[str, Result]:
    """A row for each quantisation and way, and one for the server if its address was given."""
    photos = folder / "photos"
    rows: dict[str, Result] = {}
    photos.mkdir()
    paths = make_photos(photos, max(settings.photos, settings.loop_photos), settings.megapixels)
    if not settings.only_server:
        model = folder / "model"
        if settings.tiny:
            make_model("qwen2_5_vl", model, min_new_tokens=settings.new_tokens - 1)
        else:
            draw_model(model, "qwen2.5-vl-3b", settings.new_tokens)
        gc.collect()
        for quantization, title in (("int4", "int4"), ("none", "16 bit")):
            found = both_ways(model, paths[: settings.photos], quantization, settings)
            rows |= {f"{title}, {way}": row for way, row in found.items()}
    if settings.server:
        rows["server"] = through_a_server(paths[: settings.photos], settings)
    return rows


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def has_gpu() -> bool:
    """Whether torch sees a CUDA GPU."""
    return torch.cuda.is_available()
