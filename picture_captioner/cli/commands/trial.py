"""`estimate --trial`: photos that are captioned to see how long it takes, and forgotten."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL.Image import Image

from picture_captioner.backends.base import Caption, CaptionBackend
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import (
    BackendUnavailableError,
    CaptionerError,
    FatalError,
    ModelError,
    Usage,
    count,
)
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.recording.answers import judge_answer
from picture_captioner.pipeline.selecting.walk import Photo


class Trial(NamedTuple):
    """Photos that were captioned, and the mean seconds that one took, decoding left out.

    `usages` is what each answer has cost, the first one's, too.
    """

    photos: int
    seconds: float
    usages: list[Usage]


def try_out(
    backend: CaptionBackend,
    settings: Settings,
    photos_dir: Path,
    photos: Sequence[Photo],
    edge: int,
    prices: Prices,
) -> Trial:
    """Caption these photos and forget the captions.

    The first answer is not counted if there are others: a model is loaded for it. A model that
    works in batches gets them all at once after it, another one by one.

    Raises:
        FatalError: the backend cannot be used, or had no answer at all.
    """
    where = f" to {backend.destination}" if backend.destination else ""
    say(f"Trying {count(len(photos))}{where}: pixels and the prompt; nothing is recorded")
    with_models(backend.check, settings.models_dir)
    try:
        images = _images(photos_dir, photos, edge, follow_links=settings.follow_links)
        first, rest = images[:1], images[1:]
        usages: list[Usage] = []
        _answered(backend, first, prices, usages)
        begun = time.monotonic()
        done = _answered(backend, rest or first, prices, usages)
        seconds = time.monotonic() - begun
    finally:
        backend.close()
    if not done:
        raise BackendUnavailableError(f"{backend.name} captioned none of the photos tried")
    return Trial(done, seconds / done, usages)


def _images(
    photos_dir: Path, photos: Sequence[Photo], edge: int, *, follow_links: bool
) -> list[Image]:
    found = []
    with Decoder(within=None if follow_links else photos_dir) as decoder:
        for photo in photos:
            try:
                loaded = decoder.load(photos_dir / photo.rel_path, edge)
            except FatalError:
                raise
            except CaptionerError as error:
                say(f"{photo.rel_path} is not tried: {error}")
                continue
            if loaded.image is not None:
                loaded.image.info["full_size"] = (loaded.width, loaded.height)
                found.append(loaded.image)
    return found


def _answered(
    backend: CaptionBackend, images: Sequence[Image], prices: Prices, usages: list[Usage]
) -> int:
    """How many of them got a caption; `usages` gets what each answer has cost."""
    done = 0
    step = max(backend.batch_limit, 1)
    for start in range(0, len(images), step):
        some = images[start : start + step]
        answers = backend.caption_batch(some, [()] * len(some))
        for image, answer in zip(some, answers, strict=False):
            if isinstance(answer, Caption | ModelError):
                usages.append(prices.billed(answer.usage, 1))
            try:
                if isinstance(answer, CaptionerError):
                    raise answer
                asked = backend.settings
                judge_answer(answer, asked.asked, image=image, prompt=asked.prompt)
            except FatalError:
                raise
            except CaptionerError as error:
                say(f"no caption: {error}")
            else:
                done += 1
    return done
