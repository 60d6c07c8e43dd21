"""A reduced copy inside a HEIF file stands for the photo only where it may, and only if it does.

And what else the boxes say: how large a picture is, and what of it is to be shown.
"""

import struct
import subprocess

import pytest
from PIL import Image, ImageChops, ImageStat

from picture_captioner.errors import CorruptImageError, ImageTooLargeError
from picture_captioner.image_loader.colour import PQ, to_sdr
from picture_captioner.image_loader.loading import examine_image, load_image, read_header
from picture_captioner.metadata.boxes import is_whole
from tests.images import encoded, exif, gradient

EDGE = 256


def heic(orientation=1, **options):
    """A photo of 640 x 480 as it lies, with a reduced copy of `EDGE` pixels inside."""
    options = {"quality": 90, "thumbnails": [EDGE]} | options
    return encoded(gradient(640, 480), "HEIF", exif=exif(orientation).tobytes(), **options)


def without_the_photo(data):
    """Its own pixels are overwritten where they begin; the copy behind them stays."""
    start = data.index(b"mdat") + 4
    return data[:start] + b"\xff" * 100 + data[start + 100 :]


def with_the_photo_last(data):
    """The same pictures, but the photo's pixels lie behind those of the copy."""
    start = data.index(b"mdat") - 4
    pixels, index = data[start + 8 :], bytearray(data[:start])
    offset = index.index((start + 8).to_bytes(4))
    index[offset : offset + 4] = len(data).to_bytes(4)
    return bytes(index) + (8 + 2 * len(pixels)).to_bytes(4) + b"mdat" + pixels + pixels


@pytest.fixture
def load(tmp_path):
    def load(data, edge=EDGE, **options):
        path = tmp_path / "photo.heic"
        path.write_bytes(data)
        return load_image(path, edge, **options)

    return load


def difference(left, right):
    return max(ImageStat.Stat(ImageChops.difference(left, right)).mean)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_copy_shows_the_photo_upright(load, orientation):
    data = heic(orientation)
    copy = load(without_the_photo(data), allow_reduced=True)
    photo = load(data)
    assert (copy.width, copy.height) == (photo.width, photo.height)
    assert copy.image.size == photo.image.size
    assert difference(copy.image, photo.image) < 2
    assert copy.image.info == {}


def test_the_photo_itself_is_decoded_unless_a_copy_is_allowed(load, tmp_path):
    data = without_the_photo(heic())
    with pytest.raises(CorruptImageError):
        load(data)
    with pytest.raises(CorruptImageError):
        examine_image(tmp_path / "photo.heic", 224)


def test_a_copy_that_is_too_small_is_not_enlarged(load):
    with pytest.raises(CorruptImageError):
        load(without_the_photo(heic()), EDGE + 1, allow_reduced=True)
    assert load(heic(), EDGE + 1, allow_reduced=True).image.size == (257, 193)


def test_a_cut_off_file_is_an_error_although_its_copy_is_whole(load):
    data = with_the_photo_last(heic())
    assert difference(load(data).image, load(data, allow_reduced=True).image) < 2
    with pytest.raises(CorruptImageError):
        load(data[:-50_000], allow_reduced=True)


def test_whole_means_that_the_boxes_end_with_the_file():
    data = heic()
    assert is_whole(data)
    assert not any(is_whole(data[:cut]) for cut in range(1, len(data), 97) if cut != 28)
    assert not is_whole(data + b"\0")
    assert not is_whole(data + bytes(8)), "a box of size 0 lasts to the end, wherever that is"


def test_boxes_may_state_their_size_in_eight_bytes():
    long_box = b"\0\0\0\1mdat" + (24).to_bytes(8) + b"12345678"
    assert is_whole(long_box)
    assert not is_whole(long_box[:-1])
    assert not is_whole(b"\0\0\0\1mdat" + (8).to_bytes(8)), "smaller than its own header"


def test_other_formats_are_never_taken_for_a_copy(load):
    image = gradient(640, 480)
    for image_format in ("JPEG", "AVIF", "TIFF"):
        data = encoded(image, image_format)
        expected = image.resize((256, 192), Image.Resampling.LANCZOS)
        assert difference(load(data, allow_reduced=True).image, expected) < 6


def test_what_was_taken_from_a_copy_has_no_facts_and_other_photos_have(load, tmp_path):
    small = EDGE // 2  # facts are measured on more pixels than the backend wants
    path = tmp_path / "photo.heic"
    path.write_bytes(heic())
    found = examine_image(path, EDGE, allow_reduced=True)
    assert (found.loaded.reduced, found.traits, found.loaded.image.size) == (True, None, (256, 192))
    taken = load(heic(), small, allow_reduced=True)
    assert examine_image(path, small, allow_reduced=True).loaded.image.tobytes() == (
        taken.image.tobytes()
    )
    assert examine_image(path, EDGE).traits is not None
    path.write_bytes(encoded(gradient(640, 480), "JPEG"))
    found = examine_image(path, small, allow_reduced=True)
    assert found.loaded.image.size == (128, 96)
    assert found.traits is not None


def test_an_avif_larger_than_its_decoder_takes_is_too_large_and_not_damaged(tmp_path):
    data = bytearray(encoded(gradient(), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 17_000, 17_000)
    path = tmp_path / "photo.avif"
    path.write_bytes(data)
    with pytest.raises(ImageTooLargeError, match="17000x17000"):
        load_image(path, 64)
    with pytest.raises(ImageTooLargeError, match="17000x17000"):
        read_header(path)


@pytest.mark.needs("avifenc")
def test_what_was_cropped_away_of_an_avif_is_not_shown(tmp_path):
    source, path = tmp_path / "photo.png", tmp_path / "photo.avif"
    gradient().save(source)
    subprocess.run(["avifenc", "--crop", "20,10,60,40", source, path], check=True, timeout=60)
    loaded = load_image(path, 120)
    assert (loaded.width, loaded.height, loaded.image.size) == (60, 40, (60, 40))
    wanted = gradient().crop((20, 10, 80, 50))
    assert max(ImageStat.Stat(ImageChops.difference(loaded.image, wanted)).mean) < 6


def in_hdr(image, image_format, transfer, primaries=1):
    """The picture with the colour codes of its file changed: primaries and transfer curve."""
    options = {"quality": 95} | ({} if image_format == "AVIF" else {"chroma": 444})
    data = encoded(image, image_format, **options)
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
@pytest.mark.parametrize(
    ("transfer", "grey", "paper"), [(16, 107, 148), (18, 111, 191)], ids=["PQ", "HLG"]
)
def test_high_dynamic_range_is_shown_as_a_screen_shows_it(
    tmp_path, image_format, transfer, grey, paper
):
    """18 % grey (37 nits) and white paper (203 nits): too dark if taken for sRGB."""
    path = tmp_path / f"a.{image_format.lower()}"
    for code, wanted in ((grey, 118), (paper, 244), (255, 255), (0, 0)):
        path.write_bytes(in_hdr(Image.new("RGB", (64, 64), (code,) * 3), image_format, transfer))
        shown = load_image(path, 64).image
        assert shown.getpixel((32, 32)) == pytest.approx((wanted,) * 3, abs=8), code
    path.write_bytes(in_hdr(Image.new("RGB", (64, 64), (grey,) * 3), image_format, 13))
    assert load_image(path, 64).image.getpixel((32, 32)) == pytest.approx((grey,) * 3, abs=3)


def test_wide_colours_of_a_hdr_picture_are_brought_to_srgb():
    red = Image.new("RGB", (8, 8), (140, 60, 60))
    wide, narrow = (to_sdr(red, PQ, primaries).getpixel((4, 4)) for primaries in (9, 1))
    assert wide[0] > narrow[0] + 20
    assert wide[1] < narrow[1]
    grey = to_sdr(Image.new("RGBA", (8, 8), (107, 107, 107, 7)), PQ, 9).getpixel((4, 4))
    # Code 107 is 40.3 nits (ST 2084), of a white of 203 nits: 0.198, which sRGB writes as 123.
    assert grey == pytest.approx((123, 123, 123, 7), abs=1)
