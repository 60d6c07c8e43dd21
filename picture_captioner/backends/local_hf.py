"""A vision model on this machine's graphics card or CPU: no server, no network.

The model is one of transformers' own classes, quantised by bitsandbytes where memory asks for it.
Photos are captioned in batches from two threads: while one batch is on the device, the next is
resized and tokenised (`local_engine`), and the decoders work ahead of both.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import math
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from picture_captioner.backends.base import (
    BackendOptions,
    BackendSettings,
    Caption,
    CaptionBackend,
    Fault,
)
from picture_captioner.backends.local_batching import BatchSize
from picture_captioner.backends.local_families import FAMILIES, Family, same_length
from picture_captioner.backends.prompt import question
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.errors import (
    BackendUnavailableError,
    DeviceLostError,
    ModelError,
    PhotoError,
    TransientError,
    Usage,
    UsageError,
    count,
)
from picture_captioner.hub.catalogue import full_name, source_and_name

for _package in ("torch", "transformers", "accelerate", "bitsandbytes", "torchvision", "psutil"):
    if importlib.util.find_spec(_package) is None:  # without the seconds that importing them takes
        raise ModuleNotFoundError(f"No module named {_package!r}", name=_package)

if TYPE_CHECKING:
    from PIL.Image import Image

    from picture_captioner.backends.local_engine import Answer, Engine
    from picture_captioner.backends.local_loading import Plan

MAX_AUTO_BATCH = {"cuda": 64, "mps": 8, "cpu": 4}
"""Where `--batch-size auto` stops looking. Main memory ends in the kernel's killer and not in an
error, so on a CPU little is tried."""

SAME_SIZE = 1.1
"""A photo larger by so much than one that fitted is no larger: the rest is what others took."""

DEFAULT_MAX_PIXELS = 512 * 28 * 28
"""512 visual tokens of Qwen2.5-VL, 392 of Qwen3-VL: a picture of 730x550. A choice, not a
measurement: visual tokens are the cost, and the models' own default goes up to 16,384 a photo."""


class LocalOptions(BackendOptions):
    """What `--option NAME=VALUE`, or the flag of the same name, may set.

    `memory_gb` leaves the rest of a GPU to others; `temperature` is 0 for the likeliest words.
    """

    quantization: Literal["auto", "int4", "int8", "none"] = "auto"
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    max_pixels: int = Field(default=DEFAULT_MAX_PIXELS, ge=16 * 32 * 32, le=16_384 * 32 * 32)
    max_new_tokens: int | None = Field(default=None, ge=1)
    revision: str | None = None
    temperature: float = Field(default=0.0, ge=0, le=2)
    memory_gb: float | None = Field(default=None, gt=0)

    @field_validator("batch_size", mode="before")
    @classmethod
    def _auto_or_some(cls, value: int | str) -> int | str:
        if value == "auto":
            return value
        with contextlib.suppress(ValueError):
            if 1 <= int(value) <= 1024:
                return int(value)
        raise ValueError("expected 'auto' or a number from 1 to 1024")


class LocalBackend(CaptionBackend):
    """Captions by a model of the hub or of a folder."""

    name = "local"
    summary = "a vision model on this machine, on your GPU (8 GB will do) or CPU; free"
    extra = "local"
    writes_fields = True
    default_model = "Qwen/Qwen2.5-VL-3B-Instruct"
    default_workers = 1
    max_workers = 1
    batch_threads = 2
    own_process = True
    largest_edge = 8192
    Options = LocalOptions

    def __init__(self, settings: BackendSettings) -> None:
        """`settings.model` is a folder, a name of the hub, or one of `models list`."""
        self._source, name = source_and_name(settings.model)
        super().__init__(replace(settings, model=name))
        own = settings.options
        self._options = own if isinstance(own, LocalOptions) else LocalOptions()
        self._batch = BatchSize(1, 64)
        if isinstance(self._options.batch_size, int):
            self._batch = BatchSize(self._options.batch_size, self._options.batch_size)
        self._engine: Engine | None = None
        self._version: str | None = None
        self._family: Family | None = None
        self._turn = threading.Lock()
        self._largest_done = 0
        self._lost: str | None = None
        self._free = 0.0
        self._started = self._busy = self._preparing = 0.0

    @property
    def batch_now(self) -> int:
        """How many photos to hand over next: it grows and shrinks during a run."""
        return self._batch.size

    @property
    def batch_limit(self) -> int:
        """How many photos it may ever want at a time."""
        return self._batch.limit

    def batch_kind(self, size: tuple[int, int]) -> Hashable:
        """As many tokens: nothing is padded then, and no mask has a card copy its cache."""
        return self._family and same_length(self._family, size, self._options.max_pixels)

    @property
    def edge(self) -> int:
        """As long as the longer side of a picture of `max_pixels` at a format of 2:1."""
        return math.isqrt(2 * self._options.max_pixels)

    @property
    def new_tokens(self) -> int:
        """The longest answer, in tokens."""
        return self._options.max_new_tokens or self.settings.max_tokens

    def facts(self) -> Mapping[str, Any]:
        """What was free before the model was loaded, for the process that replaces this one."""
        return {"free": self._free}

    def find_files(self) -> None:
        """Find the model's folder, and what family it says that it is of.

        Raises:
            FatalError: it is not on this machine.
        """
        config = self._folder() / "config.json"
        with suppress(ValueError, KeyError, TypeError, OSError):  # told by whoever loads it
            self._family = FAMILIES.get(json.loads(config.read_bytes())["model_type"])

    def _folder(self) -> Path:
        from picture_captioner.hub.repositories import find_repository, is_snapshot, local_folder

        folder = local_folder(self._source)
        if folder is None:
            revision, models_dir = self._options.revision, self.settings.models_dir
            folder = find_repository(self._source, revision, models_dir=models_dir)
            self._version = folder.name[:12] if is_snapshot(folder) else None
        return folder

    def check(self) -> None:
        """Find the model, say what it takes, and load it.

        Raises:
            BackendUnavailableError: it does not fit, does not load, or cannot be downloaded.
            ConfigurationError: no such model, family, device or quantisation.
        """
        if self._engine is not None:
            return
        from picture_captioner.backends.local_loading import plain_about_the_device

        with plain_about_the_device():
            self._load()

    def _load(self) -> None:
        from picture_captioner.backends.local_engine import Engine
        from picture_captioner.backends.local_loading import plan
        from picture_captioner.backends.local_memory import wait_for_memory
        from picture_captioner.workers.device_errors import cap_memory

        options = self._options
        folder = self._folder()
        wait_for_memory(self.before.get("free"), options.device, self.settings.notice)
        chosen = plan(
            folder,
            options.device,
            options.quantization,
            options.max_pixels,
            self.new_tokens,
            options.memory_gb,
        )
        if chosen.family.task is not None and self.settings.asked:
            raise UsageError(
                f"--fields: {chosen.family.title} writes captions only; choose another --model"
            )
        self._tell(chosen)
        chosen.check_that_it_fits(self.settings.model)
        if chosen.device == "cuda":
            cap_memory(chosen.free)
        self._free, self._family = chosen.free, chosen.family
        if options.batch_size == "auto":
            self._batch = BatchSize(1, MAX_AUTO_BATCH[chosen.device])
        if died_with := int(self.before.get("batch_that_was_killed", 0)):
            most = max(1, min(self._batch.limit, died_with // 2))
            self._batch = BatchSize(min(self._batch.size, most), most)
        self._engine = Engine(chosen, options.max_pixels, self.new_tokens, options.temperature)

    def close(self) -> None:
        """Take the model out of memory."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.unload()
            gc.collect()
            engine.free_cache()

    def _tell(self, chosen: Plan) -> None:
        notice = self.settings.notice
        if not chosen.known_family:
            notice(
                f"Models of type {chosen.family.title} were never tried here: look at the first "
                "captions before you let it run, and mind that --max-pixels does nothing"
            )
        if chosen.family.task is not None:
            notice(f"{chosen.family.title} knows tasks, not questions: asking {chosen.family.task}")
        notice(chosen.sentence(self.settings.model))
        others = [name for name in chosen.presets() if full_name(name) != self._source]
        if others and self._source == self.default_model:
            notice(f"Others that fit this card: --model {' or --model '.join(others)}")

    def caption(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> Caption | str:
        """As in the base class: the fault is named, and a longer answer allowed where it helps."""
        asked = question(self.settings, hints, fault)
        (answer,) = self._answers([image], [asked], fault.more_tokens if fault else 1)
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def caption_batch(
        self, images: Sequence[Image], hints: Sequence[Sequence[str]]
    ) -> list[Caption | str | PhotoError]:
        """Caption photos of any sizes at once; a batch that does not fit is halved until it does.

        Raises:
            DeviceLostError: the device is gone.
            TransientError: memory ran out where it sufficed before: another program took it.
        """
        questions = [question(self.settings, hint) for hint in hints]
        return self._answers(list(images), questions)

    def _answers(
        self, images: list[Image], questions: list[str], more_tokens: int = 1
    ) -> list[Caption | str | PhotoError]:
        try:
            answers = self._try(images, questions, more_tokens)
        except FloatingPointError as error:
            if len(images) == 1:
                return [ModelError(f"{error}; lower --max-pixels", code="not_finite")]
            return self._in_halves(images, questions, more_tokens)
        if answers is not None:
            self._batch.fitted(len(images))
            return [self._judge(answer) for answer in answers]
        if self._batch.failed(len(images)):
            self.settings.notice(
                f"{len(images)} photos at a time do not fit into the memory of the device; going "
                f"on with {self._batch.size}"
            )
        if len(images) == 1:
            return [self._too_large(images[0])]
        return self._in_halves(images, questions, more_tokens)

    def _in_halves(
        self, images: list[Image], questions: list[str], more_tokens: int
    ) -> list[Caption | str | PhotoError]:
        half = len(images) // 2
        first = self._answers(images[:half], questions[:half], more_tokens)
        return first + self._answers(images[half:], questions[half:], more_tokens)

    def _try(
        self, images: list[Image], questions: list[str], more_tokens: int
    ) -> list[Answer] | None:
        """The answers, or None if memory ran out."""
        engine = self._loaded()
        started = time.monotonic()
        prepared = engine.prepare(images, questions)
        spent = time.monotonic() - started
        with self._turn:
            self._preparing += spent
            if self._lost is not None:
                raise DeviceLostError(self._lost)
            self.on_device()
            started = time.monotonic()
            self._started = self._started or started
            try:
                answers = engine.generate(prepared, self.new_tokens * more_tokens)
            except (RuntimeError, MemoryError) as error:
                self._refuse_all_but_out_of_memory(error, alone=len(images) == 1)
            else:
                self._busy += time.monotonic() - started
                self._largest_done = max(self._largest_done, *map(self._area, images))
                return answers
            # Here the exception is gone, and with its traceback the tensors that it kept alive.
            gc.collect()
            engine.free_cache()
            return None

    def _refuse_all_but_out_of_memory(
        self, error: RuntimeError | MemoryError, *, alone: bool
    ) -> None:
        """Raise what a failure on the device means, unless memory ran out.

        Raises:
            DeviceLostError: the device is gone, and stays so until the process ends.
            RuntimeError: the error itself, if it says nothing about the device.
        """
        from picture_captioner.workers.device_errors import DeviceFailure, failure_of, first_line

        failure = failure_of(error)
        if failure is None:
            raise error
        perhaps = failure is DeviceFailure.PERHAPS_MEMORY
        if failure is DeviceFailure.DEVICE_LOST or (perhaps and alone):
            self._lost = (
                f"the device failed and can no longer be used by this process: {first_line(error)}."
                " Nothing was recorded for the photos under way; run the same command again, and "
                "if it comes back, look at the driver (dmesg, nvidia-smi)"
            )
            raise DeviceLostError(self._lost) from error

    def _loaded(self) -> Engine:
        if self._engine is None:
            self.check()
        if self._engine is None:
            raise BackendUnavailableError("the model is not loaded")
        return self._engine

    def _too_large(self, image: Image) -> ModelError:
        """The verdict on a photo that does not fit even alone.

        Raises:
            TransientError: one at least as large did fit, so it is not this photo's fault.
        """
        if self._area(image) <= self._largest_done * SAME_SIZE:
            raise TransientError(
                "the memory of the device ran out for a photo where it sufficed before: another "
                "program seems to have taken it",
                code="out_of_memory",
            )
        return ModelError(
            "the photo does not fit into the memory of the device, even alone; lower --max-pixels "
            "or --max-new-tokens",
            code="out_of_memory",
        )

    def _area(self, image: Image) -> int:
        """In pixels, as the model sees it."""
        return min(image.width * image.height, self._options.max_pixels)

    def _judge(self, answer: Answer) -> Caption | PhotoError:
        used = Usage(input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)
        text = without_reasoning(answer.text)
        if not answer.ended:
            return ModelError(
                f"the answer was cut off after {count(answer.output_tokens, 'token')}; raise "
                "--max-new-tokens",
                code="truncated",
                usage=used,
            )
        return Caption(text, model_version=self._version, **used)

    def status(self) -> str:
        """Memory, how busy the device is, and how many photos at a time, for the progress bar."""
        engine = self._engine
        if engine is None or not self._started:
            return ""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        parts = [f"busy {min(self._busy / elapsed, 1):.0%}", f"batch {self._batch.size}"]
        held = engine.memory()
        return ", ".join([f"{held / 1e9:.1f} GB", *parts] if held is not None else parts)

    def seconds(self) -> dict[str, float]:
        """Where the time went: `prepare` on the CPU (overlapped), `generate` on the device."""
        return {"prepare": self._preparing, "generate": self._busy}
