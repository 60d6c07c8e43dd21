"""What photos say of themselves: EXIF, XMP and names. What cannot be right is unknown."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from picture_captioner.image_loader.decoding import _orientation, written_in
from picture_captioner.metadata.exif import MAX_CAMERA_CHARACTERS
from picture_captioner.metadata.iptc import from_iptc
from picture_captioner.metadata.times import parse_time, time_from_name
from tests.images import exif

SPLIT = b"\n--xmp--\n"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def _block() -> bytes:
    """EXIF with a time, a camera and a place."""
    block = exif(6)
    block.update({271: "Maker", 272: "Maker M1", 306: "2024:01:31 14:22:33"})
    block.get_ifd(0x8769).update({36867: "2024:01:31 14:22:33", 36881: "+01:00", 37521: "120"})
    block.get_ifd(0x8825).update({1: "N", 2: (50.0, 30.0, 1.5), 3: "E", 4: (8.0, 0.0, 0.0)})
    return block.tobytes()


METADATA = (_block(), _block() + SPLIT + XMP, SPLIT + XMP, b"Exif\0\0MM\0*\0\0\0\x08\0\0")
METADATA_WORDS = (
    SPLIT, b"Exif\0\0", b"II*\0", b"MM\0*", b"\x87\x69", b"\x88\x25", b"\xff\xff\xff\xff",
    b"\0\0\0\0", b"2024:01:31", b'tiff:Orientation="', b"<!ENTITY x", b"N\0", b"S\0",
)  # fmt: skip
TIMES = (
    b"IMG_20240131_142233.jpg", b"PXL_20240131_132233123.jpg", b"2024:01:31 14:22:33\n+01:00\n120",
    b"Screenshot 2024-01-31 at 14.22.33", b"IMG-20240131-WA0001.jpg", b"1826:01:01 00:00:00\nZ\n",
)  # fmt: skip


def metadata(data: bytes, folder: Path) -> None:
    """A capture time that can have been, a place on Earth, a camera in one line; or nothing."""
    block, _, xmp = data.partition(SPLIT)
    image = Image.new("RGB", (2, 1))
    image.info = {"exif": block, "xmp": xmp}
    with warnings.catch_warnings():  # as the loader does while it decodes
        warnings.simplefilter("ignore")
        found = written_in(image)
        from_iptc(data)
        assert _orientation(image) in range(1, 9)
    if found.taken_at is not None:
        latest = datetime.now(UTC) + timedelta(days=1)
        assert found.taken_at.replace(tzinfo=found.taken_at.tzinfo or UTC) < latest
        assert datetime.fromisoformat(found.taken_at.isoformat()) == found.taken_at
    assert (found.latitude is None) == (found.longitude is None)
    if found.latitude is not None and found.longitude is not None:
        assert abs(found.latitude) <= 90
        assert abs(found.longitude) <= 180
    if found.camera is not None:
        assert 0 < len(found.camera) <= MAX_CAMERA_CHARACTERS
        assert found.camera.isprintable()


def times(data: bytes, folder: Path) -> None:
    """Names and EXIF texts: a time between the first photograph and tomorrow, or none."""
    parts = data.decode("utf-8", "surrogateescape").split("\n")
    text, offset, fraction = (*parts, "", "", "")[:3]
    named = time_from_name(text)
    for found in (named.taken_at if named else None, parse_time(text, offset, fraction)):
        assert found is None or 1826 <= found.year <= datetime.now(UTC).year + 1
