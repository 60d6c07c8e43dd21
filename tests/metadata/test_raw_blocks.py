"""EXIF in RAW files that are not built as TIFFs are."""

import struct

import pytest
from PIL import Image

from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.exif import from_raw
from tests.images import encoded, gradient


def exif(main=None, inner=None):
    data = Image.Exif()
    data.update(main or {})
    data.get_ifd(0x8769).update(inner or {})
    return data


CAMERA = {0x010F: "Maker", 0x0110: "Maker M1"}
CAPTURE = {0x9003: "2021:02:03 04:05:06", 0x8827: 800}
BLOCK = exif(CAMERA, CAPTURE).tobytes().removeprefix(b"Exif\0\0")


def box(kind, *bodies):
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def cr3():
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    main = exif(CAMERA).tobytes().removeprefix(b"Exif\0\0")
    capture = Image.Exif()
    capture.update(CAPTURE)
    inner = capture.tobytes().removeprefix(b"Exif\0\0")
    parts = box(b"CNCV", b"CanonCR3"), box(b"CMT1", main), box(b"CMT2", inner)
    return box(b"ftyp", b"crx \0\0\0\1") + box(b"moov", box(b"uuid", canon, *parts))


def raf():
    jpeg = encoded(gradient(), "JPEG", exif=exif(CAMERA, CAPTURE))
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">II", 148, len(jpeg))
    return head.ljust(148, b"\0") + jpeg


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(cr3(), id="CR3"),
        pytest.param(raf(), id="RAF"),
        pytest.param((b"IIU\0" if BLOCK[:1] == b"I" else b"MMOR") + BLOCK[4:], id="RW2"),
        pytest.param((b"IIRO" if BLOCK[:1] == b"I" else b"MMOR") + BLOCK[4:], id="ORF"),
        pytest.param(BLOCK, id="TIFF"),
    ],
)
def test_camera_and_time(data):
    found = from_raw(data)
    assert found.camera == "Maker M1"
    assert found.taken_at.isoformat() == "2021-02-03T04:05:06"
    assert found.iso == 800


@pytest.mark.filterwarnings("ignore:Truncated")  # as the loader does while it decodes
@pytest.mark.filterwarnings("ignore:Possibly corrupt")
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("make", [cr3, raf])
def test_cut_anywhere_they_do_not_raise(make):
    data = make()
    for end in range(0, len(data), 37):
        assert isinstance(from_raw(data[:end]), Metadata)
