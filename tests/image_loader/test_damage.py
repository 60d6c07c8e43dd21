"""Zeros in compressed data, and what decoders warn of, are verdicts; padding and black are not."""

import io
import struct

import pytest
from PIL import Image

from picture_captioner.errors import CorruptImageError, TruncatedImageError
from picture_captioner.image_loader.loading import load_image
from tests.images import dng, encoded, noise
from tests.needs import need

LAYOUTS = {
    "JPEG": {"quality": 90},
    "JPEG optimized": {"quality": 90, "optimize": True},
    "JPEG progressive": {"progressive": True},
    "JPEG gray": {},
    "PNG": {},
    "WEBP": {"quality": 80},
    "WEBP lossless": {"lossless": True},
    "HEIF": {"quality": 80},
    "AVIF": {"quality": 70, "speed": 10},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "TIFF deflate": {"compression": "tiff_adobe_deflate"},
    "TIFF jpeg": {"compression": "jpeg"},
}


def photo_like(layout="", size=(400, 300)):
    """Smooth and noisy parts, as photos have them."""
    image = noise(*size)
    image.paste(Image.linear_gradient("L").resize((size[0], size[1] // 3)), (0, size[1] // 3))
    return image.convert("L") if "gray" in layout else image


def file_of(layout):
    return encoded(photo_like(layout), layout.split()[0], **LAYOUTS[layout])


def loaded(tmp_path, data, **options):
    (tmp_path / "photo").write_bytes(data)
    return load_image(tmp_path / "photo", 200, **options)


@pytest.mark.parametrize("percent", [5, 8, 20, 50, 90, 98])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_that_was_interrupted_is_not_a_picture(tmp_path, layout, percent, capfd):
    data = file_of(layout)
    zeros = len(data) * percent // 100
    with pytest.raises(CorruptImageError) as caught:
        loaded(tmp_path, data[:-zeros] + bytes(zeros))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_follows_the_end_of_a_picture_is_padding(tmp_path, layout):
    data = file_of(layout)
    whole = loaded(tmp_path, data).image
    assert loaded(tmp_path, data + bytes(5000)).image.tobytes() == whole.tobytes()


@pytest.mark.parametrize("layout", ["JPEG", "JPEG optimized", "JPEG progressive", "PNG", "HEIF"])
def test_a_hole_in_the_middle(tmp_path, layout):
    data = file_of(layout)
    middle = len(data) // 2
    with pytest.raises(CorruptImageError):
        loaded(tmp_path, data[:middle] + bytes(2048) + data[middle + 2048 :])


def test_blocks_that_changed_places(tmp_path):
    data = file_of("JPEG")
    a, b, c = len(data) // 3, len(data) // 3 + 4096, len(data) // 3 + 8192
    with pytest.raises(CorruptImageError):
        loaded(tmp_path, data[:a] + data[b:c] + data[a:b] + data[c:])


@pytest.mark.parametrize("restarts", [0, 4])
def test_a_picture_that_only_lacks_its_end_mark_is_whole(tmp_path, restarts):
    data = encoded(photo_like(), "JPEG", quality=90, restart_marker_blocks=restarts)
    whole = loaded(tmp_path, data).image
    assert loaded(tmp_path, data[:-2]).image.tobytes() == whole.tobytes()
    assert loaded(tmp_path, data[:-2] + bytes(9) + data[-2:]).image.tobytes() == whole.tobytes()


@pytest.mark.parametrize("color", ["black", "white", "navy"])
@pytest.mark.parametrize(
    "layout",
    [*LAYOUTS, "JPEG small tables", "WEBP fastest", "BMP", "TIFF"],
)
def test_flat_pictures_are_no_damage(tmp_path, layout, color):
    options = LAYOUTS.get(layout, {})
    if layout == "JPEG small tables":
        options = {"optimize": True, "quality": 20}
    if layout == "WEBP fastest":
        options = {"method": 0, "quality": 100}
    image = Image.new("RGB", (900, 1200), color)
    image.paste(photo_like(size=(900, 400)), (0, 0))
    for picture in (image, Image.new("RGB", (900, 900), color)):
        data = encoded(picture, layout.split()[0], **options)
        assert loaded(tmp_path, data).image is not None


def test_what_is_left_can_be_accepted(tmp_path):
    data = file_of("JPEG")
    broken = data[: len(data) // 2] + bytes(len(data) // 2)
    found = loaded(tmp_path, broken, accept_truncated=True)
    assert found.truncated
    assert found.image.size == (200, 150)


def test_four_colours_are_still_read(tmp_path):
    data = encoded(photo_like().convert("CMYK"), "JPEG", quality=90)
    assert loaded(tmp_path, data).image.mode == "RGB"


def test_a_profile_in_the_wrong_order_is_no_damage(tmp_path):
    data = file_of("JPEG")
    lonely = b"\xff\xe2" + struct.pack(">H", 16 + 6) + b"ICC_PROFILE\0\2\5" + bytes(6)
    assert loaded(tmp_path, data[:2] + lonely + data[2:]).image.size == (200, 150)


def test_a_raw_file_whose_sensor_data_run_into_zeros(tmp_path):
    need("rawpy")
    data = dng(photo_like(), side=256)
    start = data.index(struct.pack("<4H", 20000, 20001, 20002, 20003))
    (tmp_path / "photo.dng").write_bytes(data)
    assert load_image(tmp_path / "photo.dng", 200).format == "RAW"
    half = start + 256 * 256
    (tmp_path / "photo.dng").write_bytes(data[:half] + bytes(256 * 256) + data[half + 65536 :])
    with pytest.raises(TruncatedImageError):
        load_image(tmp_path / "photo.dng", 200)


def test_a_raw_file_that_is_cut_is_not_taken_for_its_preview(tmp_path):
    need("rawpy")
    data = bytearray(dng(photo_like(), side=256))
    sensor = data.index(struct.pack("<HHI", 279, 4, 1) + struct.pack("<I", 256 * 256 * 2))
    struct.pack_into("<I", data, sensor + 8, 256 * 256 * 2000)
    (tmp_path / "photo.dng").write_bytes(bytes(data))
    with pytest.raises(TruncatedImageError):
        load_image(tmp_path / "photo.dng", 200)


def test_pixels_are_those_that_pillow_decodes(tmp_path):
    data = encoded(photo_like(size=(403, 301)), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, (200, 150))
        image.load()
        expected = image.resize((200, 149), Image.Resampling.LANCZOS, box=(0, 0, 201.5, 150.5))
    found = loaded(tmp_path, data).image
    pairs = zip(found.tobytes(), expected.tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) <= 2
