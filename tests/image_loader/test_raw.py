"""RAW through LibRaw: a DNG written on the spot, with and without a preview."""

import subprocess
import sys

import pytest

from picture_captioner.errors import CorruptImageError, FormatUnavailableError, TruncatedImageError
from picture_captioner.image_loader import load_image, read_header
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
        "from pathlib import Path; from picture_captioner.image_loader import load_image\n"
        "from picture_captioner import errors\n"
        "try: load_image(Path(sys.argv[1]), 100)\n"
        "except errors.FormatUnavailableError as error: sys.stdout.write(str(error))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, photo(preview=None)], capture_output=True, text=True
    )
    assert "uv sync --inexact --extra raw" in answer.stdout, answer.stderr
    assert FormatUnavailableError.code == "extra_missing"
