"""The JPEG that leaves the machine: pixels, and nothing else."""

import base64
import io

import msgspec
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from picture_captioner.backends.encoding import data_url, encode_jpeg, json_data_url
from picture_captioner.errors import ApiError

CANARY = b"canary-7731"


def noise(size=(320, 240)):
    return Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])


def laden_image():
    """An image as a careless loader would hand it on: metadata in every place Pillow knows."""
    exif = Image.Exif()
    exif[0x010E] = CANARY.decode()
    buffer = io.BytesIO()
    text = PngInfo()
    text.add_text("Comment", CANARY.decode())
    noise((40, 30)).save(buffer, "PNG", exif=exif, pnginfo=text, icc_profile=CANARY, dpi=(77, 77))
    image = Image.open(io.BytesIO(buffer.getvalue()))
    image.load()
    image.info |= {"comment": CANARY, "xmp": CANARY, "photoshop": {1028: CANARY}}
    assert CANARY.decode() in str(image.info)
    return image


def test_no_metadata_survives():
    jpeg = encode_jpeg(laden_image())
    assert CANARY not in jpeg
    with Image.open(io.BytesIO(jpeg)) as image:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not image.getexif()


def test_the_image_itself_is_left_alone():
    image = laden_image()
    before = dict(image.info)
    encode_jpeg(image)
    assert image.info == before


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK"])
def test_any_mode_becomes_rgb_of_the_same_size(mode):
    with Image.open(io.BytesIO(encode_jpeg(noise((33, 21)).convert(mode)))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (33, 21))


def test_quality_is_what_was_asked_for():
    assert len(encode_jpeg(noise(), quality=50)) < len(encode_jpeg(noise(), quality=85))


def test_quality_gives_way_to_the_providers_limit():
    limit = len(encode_jpeg(noise(), quality=50))
    assert len(encode_jpeg(noise(), quality=85, max_bytes=limit + 2000)) <= limit + 2000


def test_what_no_quality_makes_small_enough_is_the_photos_fault():
    with pytest.raises(ApiError, match="--max-edge") as caught:
        encode_jpeg(noise(), max_bytes=1000)
    assert caught.value.code == "too_large"


def test_a_data_url_holds_the_same_bytes():
    jpeg = encode_jpeg(noise((8, 8)))
    head, _, payload = data_url(jpeg).partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(payload, validate=True) == jpeg


def test_in_json_it_is_the_same_text():
    jpeg = encode_jpeg(noise((8, 8)))
    assert msgspec.json.decode(msgspec.json.encode([json_data_url(jpeg)])) == [data_url(jpeg)]


def test_a_clean_image_is_encoded_as_it_is_and_stays_so():
    image = noise((40, 30))
    before = image.tobytes()
    assert encode_jpeg(image) == encode_jpeg(image)
    assert (image.tobytes(), image.info) == (before, {})
