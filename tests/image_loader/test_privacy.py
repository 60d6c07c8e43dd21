"""Nothing that a file says besides its pixels survives in what a backend receives."""

import io

import pytest
from PIL import Image, PngImagePlugin

from picture_captioner.image_loader.loading import load_image
from tests.images import encoded, exif, gradient, p3_profile

CANARY = "CANARY52n13e"
TARGETS = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "WEBP": {},
    "TIFF": {},
    "AVIF": {},
    "HEIF": {},
    "GIF": {},
}


def full_exif():
    data = exif(6, description=CANARY, copyright=CANARY)
    data.get_ifd(0x8825)[1] = "N"
    data.get_ifd(0x8825)[2] = (52.0, 13.0, 7.0)
    data.get_ifd(0x8769)[0x9286] = CANARY.encode()
    return data


def options(image_format):
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{CANARY}</x:xmpmeta>".encode()
    profile = p3_profile() + CANARY.encode()
    common = {"exif": full_exif(), "icc_profile": profile}
    if image_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", CANARY)
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        text.add_text("zipped", CANARY, zip=True)
        return common | {"pnginfo": text}
    if image_format == "TIFF":
        return {"exif": full_exif(), "icc_profile": profile, "tiffinfo": {270: CANARY, 700: xmp}}
    if image_format == "JPEG":
        return common | {"xmp": xmp, "comment": CANARY}
    if image_format == "GIF":
        return {"comment": CANARY}
    return common | {"xmp": xmp}


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "GIF"])
@pytest.mark.parametrize("edge", [60, 120], ids=["shrunk", "as it is"])
def test_no_metadata_survives(tmp_path, image_format, edge):
    path = tmp_path / f"{CANARY}.bin"
    path.write_bytes(encoded(gradient(), image_format, **options(image_format)) + CANARY.encode())
    assert path.read_bytes().count(CANARY.encode()) >= 2
    image = load_image(path, edge).image
    assert image.info == {}
    assert dict(image.getexif()) == {}
    assert not hasattr(image, "filename")
    for target, settings in TARGETS.items():
        written = encoded(image, target, **settings)
        assert CANARY.encode() not in written
        assert b"Exif" not in written or target in {"HEIF", "AVIF"}
        with Image.open(io.BytesIO(written)) as reread:
            assert 0x8825 not in reread.getexif()
            assert CANARY not in repr(reread.info)


def test_the_embedded_thumbnail_does_not_survive(tmp_path):
    thumbnail = encoded(Image.new("RGB", (16, 16), "red"), "JPEG", comment=CANARY)
    path = tmp_path / "photo.jpg"
    data = encoded(gradient(), "JPEG")
    segment = b"JFXX\0\x10" + thumbnail
    application = b"\xff\xe0" + (len(segment) + 2).to_bytes(2, "big") + segment
    path.write_bytes(data[:2] + application + data[2:])
    assert CANARY.encode() in path.read_bytes()
    for target in ("JPEG", "PNG"):
        assert CANARY.encode() not in encoded(load_image(path, 120).image, target)
