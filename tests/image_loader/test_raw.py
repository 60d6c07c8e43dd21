"""RAW through LibRaw: a DNG written on the spot, with and without a preview."""

import struct
import subprocess
import sys

import pytest

from picture_captioner.errors import CorruptImageError, FormatUnavailableError, TruncatedImageError
from picture_captioner.image_loader.loading import load_image, read_header
from picture_captioner.image_loader.truncated import raw_damage
from tests.images import dng, dng_without_sensor_data, encoded, exif, gradient


@pytest.fixture
def photo(tmp_path):
    def write(**arguments):
        path = tmp_path / "photo.DNG"
        path.write_bytes(dng(**arguments))
        return path

    return write


def test_the_embedded_preview_is_taken(photo):
    path = photo(preview=gradient(240, 240))
    loaded = load_image(path, 200)
    assert loaded.image.size == (200, 200)
    assert loaded.image.getpixel((100, 100))[2] == pytest.approx(60, abs=6)  # the sensor is gray
    assert (loaded.width, loaded.height, loaded.format) == (256, 256, "RAW")
    assert loaded.image.info == {}
    header = read_header(path)
    assert (header.width, header.height, header.format) == (256, 256, "RAW")


def test_the_preview_is_turned_as_the_sensor_says(photo):
    upright = load_image(photo(preview=gradient(240, 160), orientation=1), 240).image
    turned = load_image(photo(preview=gradient(240, 160), orientation=6), 240).image
    assert turned.size == (160, 240)
    assert turned.getpixel((150, 10)) == pytest.approx(upright.getpixel((10, 9)), abs=8)


def test_a_preview_that_states_its_own_orientation_is_turned_by_that(photo):
    jfif = encoded(gradient(240, 160), "JPEG", exif=exif(1).tobytes())
    as_cameras_write_it = jfif[:2] + jfif[20:]  # EXIF first, no JFIF segment
    turned = load_image(photo(preview=as_cameras_write_it, orientation=6), 240)
    assert turned.image.size == (240, 160)


@pytest.mark.parametrize("preview", [None, gradient(20, 20)], ids=["none", "tiny"])
def test_without_a_useful_preview_it_is_developed(photo, preview):
    image = load_image(photo(preview=preview), 200).image
    assert image.size == (128, 128)  # half of the sensor's resolution
    red, green, blue = image.getpixel((64, 64))
    assert max(red, green, blue) - min(red, green, blue) < 12


def test_a_broken_raw_file_is_a_verdict(photo, capfd):
    path = photo(preview=None)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptImageError):
        load_image(path, 200)
    with pytest.raises(CorruptImageError):
        read_header(path)
    assert capfd.readouterr() == ("", "")


def test_sensor_data_cut_short_are_truncated(photo):
    path = photo(preview=None)
    path.write_bytes(dng_without_sensor_data())
    with pytest.raises(TruncatedImageError, match="too early"):
        load_image(path, 200)


def test_a_few_bytes_with_a_raw_name(photo):
    path = photo(preview=None)
    path.write_bytes(b"few bytes")
    with pytest.raises(CorruptImageError):
        load_image(path, 200)


def test_without_rawpy_the_extra_is_named(photo):
    script = (
        "import sys; sys.modules['rawpy'] = None\n"
        "from pathlib import Path; from picture_captioner.image_loader.loading import load_image\n"
        "from picture_captioner import errors\n"
        "try: load_image(Path(sys.argv[1]), 100)\n"
        "except errors.FormatUnavailableError as error: sys.stdout.write(str(error))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, photo(preview=None)], capture_output=True, text=True
    )
    assert "uv sync --inexact --extra raw" in answer.stdout, answer.stderr
    assert FormatUnavailableError.code == "extra_missing"


def raf(sensor=b"\7" * 9000, **changes):
    """The head of a Fujifilm file, a preview and sensor data, with nothing in them that decodes."""
    head = bytearray(b"FUJIFILMCCD-RAW 0201FF389501".ljust(160, b"\0"))
    pieces = {"preview": (84, 160, 100), "header": (92, 260, 40), "sensor": (100, 300, len(sensor))}
    for place, start, length in pieces.values():
        struct.pack_into(">II", head, place, start, length)
    return bytes(head) + b"\1" * 140 + sensor


def cr3(sensor=b"\7" * 9000):
    def box(kind, body):
        return struct.pack(">I", len(body) + 8) + kind + body

    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", b"\1" * 50) + box(b"mdat", sensor)


def rw2(sensor=b"\7" * 9143, packing=4, strip=0xFFFFFFFF):
    """100 x 80 pixels, 14 of them in 16 bytes."""
    rows = {2: 100, 3: 80, 0x2D: packing, 273: strip, 279: 16000, 280: 512}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in rows.items())
    head = b"IIU\0" + struct.pack("<I", 8) + struct.pack("<H", len(rows)) + entries + bytes(4)
    return head.ljust(512, b"\1") + sensor


def orf(sensor=b"\7" * 9000):
    rows = {256: 100, 257: 80, 273: 512, 279: len(sensor)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in rows.items())
    head = b"IIRO" + struct.pack("<I", 8) + struct.pack("<H", len(rows)) + entries + bytes(4)
    return head.ljust(512, b"\1") + sensor


MAKERS = {"RAF": raf, "CR3": cr3, "RW2": rw2, "ORF": orf}


@pytest.mark.parametrize("kind", MAKERS)
def test_sensor_data_that_are_cut_or_zeroed_are_found_in_each_family(kind):
    whole = MAKERS[kind]()
    assert raw_damage(whole) is None
    for share in (0.3, 0.6, 0.9, 0.97):
        cut = whole[: int(len(whole) * share)]
        assert isinstance(raw_damage(cut), TruncatedImageError), share
    zeroed = whole[:-4500] + bytes(4500)
    assert "run into zeros" in str(raw_damage(zeroed))


def test_a_rw2_whose_strip_is_nowhere_is_whole():
    """Some models write 0xffffffff, and for its length what it would take unpacked."""
    assert raw_damage(rw2(strip=0xFFFFFFFF)) is None
    assert raw_damage(rw2(strip=512)) is None
    assert raw_damage(rw2(packing=8, sensor=b"\7" * 6000)) is None, "packed as it comes"
