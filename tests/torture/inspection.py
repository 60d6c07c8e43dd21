"""What becomes of one odd file, seen through the isolated loader as the program uses it."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from picture_captioner.errors import CaptionerError, CorruptImageError, UnreadableFileError
from picture_captioner.image_loader.images import THUMBNAIL_EDGE, ExaminedImage, LoadedImage
from picture_captioner.pipeline.decoding.decoder import Decoder
from tests.torture.healthy import SECRET

EDGE = 64
VERDICTS = frozenset({"corrupt", "truncated", "unknown_format", "too_large", "empty_file"})
LOST_WORKER = frozenset({"decoder_crash", "decoder_timeout"})
"""Verdicts too, but each is a decoder that did not keep its own house in order: they are named."""

_JPEG_SECTIONS = {0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xDA}


@dataclass(frozen=True)
class Outcome:
    """`word` is "picture" or an error's code; `wrong` is what must not be, in words."""

    word: str
    seconds: float
    peak_bytes: int
    wrong: tuple[str, ...]


def inspect(loader: Decoder, path: Path, *, as_jpeg: bool) -> Outcome:
    """Load, examine and probe one file, and check whatever comes back."""
    _forget_peak(loader)
    started = time.monotonic()
    wrong: list[str] = []
    word = _word(lambda: wrong.extend(_of_pixels(loader, path, as_jpeg=as_jpeg)))
    if word not in LOST_WORKER:
        again = _word(lambda: wrong.extend(_of_examination(loader.examine(path, EDGE))))
        if again != word:
            wrong.append(f"loading says {word}, examining says {again}")
        wrong.extend(_of_header(loader, path, word))
    if word not in {"picture", "unreadable", "extra_missing"} | VERDICTS | LOST_WORKER:
        wrong.append(f"undocumented: {word}")
    return Outcome(word, time.monotonic() - started, _peak(loader), tuple(wrong))


def _word(action) -> str:
    try:
        action()
    except CorruptImageError as error:
        return error.code
    except CaptionerError as error:
        return str(getattr(error, "code", type(error).__name__))
    return "picture"


def _of_pixels(loader: Decoder, path: Path, *, as_jpeg: bool) -> Iterator[str]:
    loaded = loader.load(path, EDGE, jpeg_quality=80 if as_jpeg else None)
    yield from _of_loaded(loaded)
    if as_jpeg:
        jpeg = loaded.image.info.pop("jpeg")
        loaded.image.info.pop("jpeg_quality")
        yield from (f"a JPEG section {kind:#x}" for kind in jpeg_sections(jpeg) - _JPEG_SECTIONS)
        if SECRET.encode() in jpeg:
            yield "the JPEG tells the secret"
    if loaded.image.info:
        yield f"info holds {sorted(loaded.image.info)}"


def jpeg_sections(jpeg: bytes) -> set[int]:
    """The markers ahead of the coded picture."""
    kinds, at = {jpeg[1]}, 2
    while jpeg[at + 1] != 0xDA:
        kinds.add(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return kinds


def _of_loaded(loaded: LoadedImage) -> Iterator[str]:
    image = loaded.image
    if image is None or image.mode != "RGB" or not 1 <= max(image.size) <= EDGE:
        yield f"not a small RGB picture: {image}"
    if min(loaded.width, loaded.height, loaded.size, len(loaded.format)) < 1:
        yield f"no facts: {loaded}"


def _of_examination(examined: ExaminedImage) -> Iterator[str]:
    yield from _of_loaded(examined.loaded)
    traits = examined.traits
    with Image.open(io.BytesIO(traits.thumbnail), formats=["WEBP"]) as thumbnail:
        thumbnail.load()
        known = {"loop", "background", "timestamp", "duration"}
        if max(thumbnail.size) > THUMBNAIL_EDGE or set(thumbnail.info) - known:
            yield f"thumbnail: {thumbnail.size} {sorted(thumbnail.info)}"
    if SECRET.encode() in traits.thumbnail:
        yield "the thumbnail tells the secret"
    if not (0 <= traits.sharpness < math.inf and 0 <= traits.perceptual_hash < 1 << 64):
        yield f"measures: {traits.sharpness} {traits.perceptual_hash}"
    yield from _of_metadata(traits.metadata)


def _of_metadata(metadata) -> Iterator[str]:
    camera, taken = metadata.camera, metadata.taken_at
    if camera is not None and not (camera.isprintable() and 0 < len(camera) <= 100):
        yield f"camera {camera!r}"
    if taken is not None:
        aware = taken.replace(tzinfo=taken.tzinfo or UTC)
        if not taken.year >= 1826 or aware > datetime.now(UTC) + timedelta(days=2):
            yield f"taken {taken}"
    place = (metadata.latitude, metadata.longitude)
    if (place[0] is None) != (place[1] is None):
        yield f"half a place: {place}"
    if place[0] is not None and not (abs(place[0]) <= 90 and abs(place[1]) <= 180):
        yield f"place {place}"


def _of_header(loader: Decoder, path: Path, word: str) -> Iterator[str]:
    (header,) = loader.read_headers([path])
    if isinstance(header, CaptionerError):
        code = str(getattr(header, "code", ""))
        if word == "picture" or code in LOST_WORKER:
            yield f"loading says {word}, the header says {code}"
        if code == UnreadableFileError.code and code != word:
            yield "the header is called unreadable"
    elif min(header.width, header.height, header.size) < 1:
        yield f"header {header}"


def _forget_peak(loader: Decoder) -> None:
    with _status(loader) as folder:
        (folder / "clear_refs").write_text("5")


def _peak(loader: Decoder) -> int:
    """Resident bytes that the worker took at most since `_forget_peak`; 0 if it is gone."""
    peaks = [0]
    with _status(loader) as folder:
        status = (folder / "status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) << 10)
    return max(peaks)


@contextlib.contextmanager
def _status(loader: Decoder) -> Iterator[Path]:
    """The worker's folder in /proc; the block is left where there is none."""
    process = loader._process
    with contextlib.suppress(OSError, IndexError):
        yield Path(f"/proc/{process._process.pid}" if process else "/proc/none")
