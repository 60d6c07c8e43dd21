"""Many small photos that all differ, made in no time."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

from PIL import Image

PER_FOLDER = 1000
_START = b"\xff\xd8"
_COMMENT = b"\xff\xfe"


def tiny_photo(number: int, picture: bytes) -> bytes:
    """The JPEG with its number as a comment behind the first marker: other bytes, same pixels."""
    note = struct.pack(">Q", number)
    return _START + _COMMENT + struct.pack(">H", len(note) + 2) + note + picture[len(_START) :]


def draw_tiny_photos(folder: Path, count: int, first: int = 0) -> list[Path]:
    """JPEGs of 40 x 30 pixels, a thousand to a folder, numbered from `first`."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(stream, "JPEG")
    picture = stream.getvalue()
    paths: list[Path] = []
    for number in range(first, first + count):
        path = folder / tiny_name(number)
        if not paths or number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny_photo(number, picture))
        paths.append(path)
    return paths


def touch_tiny_files(folder: Path, count: int, first: int = 0) -> None:
    """The same names without content: enough to walk over, and made five times faster."""
    for start in range(first, first + count, PER_FOLDER):
        below = folder / Path(tiny_name(start)).parent
        below.mkdir(parents=True)
        descriptor = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(start, min(start + PER_FOLDER, first + count)):
            os.mknod(Path(tiny_name(number)).name, 0o600, dir_fd=descriptor)
        os.close(descriptor)


def tiny_name(number: int) -> str:
    """`2003/trip 0027/IMG_027001.jpg`, as cameras and people name them."""
    trip = number // PER_FOLDER
    return f"{2000 + trip % 24}/trip {trip:04d}/IMG_{number:06d}.jpg"
