"""Pictures for provider tests, and what a provider could find in the bytes it received."""

from __future__ import annotations

import base64
import io
import zlib

from PIL import Image

CANARY = "CANARY-52N13E-grandma"


def picture(size: tuple[int, int] = (64, 48), shade: int = 90) -> Image.Image:
    """A small picture, as the image loader hands it to a backend."""
    image = Image.new("RGB", size, (shade, 120, 200))
    image.info = {"full_size": (4032, 3024)}
    return image


def talkative(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture whose `info` holds what Pillow would write into a JPEG by itself."""
    image = picture(size)
    canary = CANARY.encode()
    image.info |= {
        "comment": canary,
        "exif": b"Exif\x00\x00" + canary,
        "xmp": canary,
        "icc_profile": canary,
        "photoshop": {0x0404: canary},
    }
    return image


def holds(data: bytes, needle: str) -> bool:
    """Whether bytes contain a text: as they are, in base64, or in a zlib stream."""
    wanted = needle.encode()
    if wanted in data:
        return True
    # The middle of the text, in each of the three ways base64 can be aligned.
    if any(base64.b64encode(wanted[i:])[4:-4] in data for i in range(3)):
        return True
    starts = (i for i in range(len(data) - 1) if data[i] == 0x78 and data[i + 1] in b"\x01\x9c\xda")
    return any(wanted in _inflated(data[i:]) for i in starts)


def markers(jpeg: bytes) -> set[int]:
    """The second bytes of the marker segments before the pixels of a JPEG."""
    found, position = set(), 2
    while jpeg[position + 1] != 0xDA:
        found.add(jpeg[position + 1])
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return found


def metadata_of(jpeg: bytes) -> dict[str, object]:
    """What Pillow finds in a JPEG besides pixels and the JFIF header."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return {k: v for k, v in image.info.items() if not k.startswith("jfif")}


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data)
    except zlib.error:
        return b""
