"""Broken files are verdicts with the right code, unreadable ones none, odd metadata are fine."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from picture_captioner.errors import (
    CorruptImageError,
    EmptyFileError,
    ImageTooLargeError,
    TruncatedImageError,
    UnknownFormatError,
    UnreadableFileError,
)
from picture_captioner.image_loader.decode_errors import MAX_DECODE_BYTES
from picture_captioner.image_loader.loading import load_image, read_header
from picture_captioner.image_loader.reading import MAX_FILE_BYTES
from picture_captioner.pipeline.decoding.decoder import Decoder
from tests.images import encoded, exif, gradient, noise, png, png_chunk, write
from tests.torture.heif_boxes import heic_grid

LAYOUTS = {
    "JPEG": {},
    "JPEG progressive": {"progressive": True},
    "PNG": {},
    "WEBP": {},
    "WEBP lossless": {"lossless": True},
    "TIFF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "GIF": {},
    "BMP": {},
    "HEIF": {},
    "AVIF": {},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_anywhere_is_an_error_or_the_whole_picture(tmp_path, layout, capfd):
    data = encoded(noise(48, 40), layout.split()[0], **LAYOUTS[layout])
    path = tmp_path / "photo"
    path.write_bytes(data)
    whole = load_image(path, 48).image
    verdicts = set()
    for length in range(1, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        try:
            image = load_image(path, 48).image
        except CorruptImageError as error:
            verdicts.add(error.code)
            assert str(path) not in str(error)
            assert "0x" not in str(error)
        else:
            assert ImageChops.difference(image, whole).getbbox() is None, length
    assert verdicts - {"unknown_format"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "GIF", "BMP"])
def test_a_picture_cut_in_the_middle_is_called_truncated(tmp_path, image_format):
    data = encoded(noise(200, 150), image_format)
    (tmp_path / "photo").write_bytes(data[: len(data) // 2])
    with pytest.raises(TruncatedImageError) as caught:
        load_image(tmp_path / "photo", 100)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("data", [b"<html>404</html>" * 20, bytes(5000), os.urandom(5000)])
@pytest.mark.parametrize("name", ["photo.jpg", "photo.nef"])
def test_what_is_no_picture_is_of_unknown_format(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    for read in (lambda: load_image(path, 100), lambda: read_header(path)):
        with pytest.raises(UnknownFormatError) as caught:
            read()
        assert caught.value.code == "unknown_format"


@pytest.mark.parametrize("image_format", ["PPM", "EPS", "TGA", "PCX", "ICO"])
def test_formats_outside_the_list_are_unknown(tmp_path, image_format):
    with pytest.raises(UnknownFormatError):
        load_image(write(tmp_path / "photo.png", gradient(), image_format), 100)


def test_an_empty_file(tmp_path):
    (tmp_path / "photo.jpg").touch()
    for read in (
        lambda: load_image(tmp_path / "photo.jpg", 100),
        lambda: read_header(tmp_path / "photo.jpg"),
    ):
        with pytest.raises(EmptyFileError):
            read()


def png_of(width, height):
    """A PNG whose header promises a size that its data do not have."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    chunks += png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("size", [(60_000, 60_000), (MAX_DECODE_BYTES // 4000 + 1, 1000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "photo.png"
    path.write_bytes(png_of(*size))
    for read in (lambda: load_image(path, 100), lambda: read_header(path)):
        with pytest.raises(ImageTooLargeError) as caught:
            read()
        assert caught.value.code == "too_large"
        assert "GB of memory" in str(caught.value)


def test_large_pictures_within_the_limit_raise_no_warning(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(png_of(MAX_DECODE_BYTES // 4000, 1000))
    assert read_header(path).width == MAX_DECODE_BYTES // 4000


def test_photos_of_200_megapixels_are_pictures(tmp_path):
    path = write(tmp_path / "photo.jpg", Image.new("L", (16320, 12240), 90), "JPEG")
    with Decoder() as decoder:
        assert decoder.load(path, 512).image.size == (512, 384)
        tile = encoded(gradient(510, 510), "HEIF", quality=50)
        (tmp_path / "photo.heic").write_bytes(heic_grid(tile, 510, 32, 24))
        found = decoder.load(tmp_path / "photo.heic", 512)
    assert (found.width, found.height, found.image.size) == (16320, 12240, (512, 384))


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "photo.tif"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ImageTooLargeError, match="limit is 1 GiB"):
        load_image(path, 100)


def no_such_file(tmp_path):
    return tmp_path / "missing.jpg"


def a_directory(tmp_path):
    return tmp_path


def a_fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    return tmp_path / "fifo.jpg"


def a_symlink_to_itself(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    return tmp_path / "loop.jpg"


def a_name_too_long(tmp_path):
    return tmp_path / ("x" * 300 + ".jpg")


def below_a_file(tmp_path):
    (tmp_path / "file").touch()
    return tmp_path / "file" / "photo.jpg"


def a_device(tmp_path):
    return Path(os.devnull)


@pytest.mark.parametrize(
    "kind",
    [
        no_such_file,
        a_directory,
        a_fifo,
        a_symlink_to_itself,
        a_name_too_long,
        below_a_file,
        a_device,
    ],
)
def test_what_cannot_be_read_is_no_verdict(tmp_path, kind):
    path = kind(tmp_path)
    for read in (lambda: load_image(path, 100), lambda: read_header(path)):
        with pytest.raises(UnreadableFileError) as caught:
            read()
        assert str(tmp_path) not in str(caught.value)


def test_a_forbidden_file_is_no_verdict(tmp_path):
    path = write(tmp_path / "photo.jpg", gradient(), "JPEG")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(UnreadableFileError, match="denied"):
            load_image(path, 100)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    "metadata",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40,
        b"Exif\0\0" + exif(3).tobytes()[6:20],
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\2\0\3\0\0\0six\0\0\0\0\0",
    ],
    ids=["text", "offset", "entries", "cut", "orientation is text"],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_fails_no_picture(tmp_path, image_format, metadata, capfd):
    path = write(tmp_path / "photo", gradient(), image_format, exif=metadata)
    assert load_image(path, 120).image.size == (120, 80)
    assert read_header(path).width == 120
    assert capfd.readouterr() == ("", "")


def test_an_orientation_out_of_range_is_ignored(tmp_path):
    path = write(tmp_path / "photo.jpg", gradient(), "JPEG", exif=exif(77))
    assert load_image(path, 120).image.size == (120, 80)


def test_a_file_that_grows_while_it_is_read_is_left_for_later(tmp_path, monkeypatch):
    path = write(tmp_path / "photo.bmp", gradient(), "BMP")
    real = os.fstat

    def fstat_then_append(descriptor):
        status = real(descriptor)
        with path.open("ab") as file:
            file.write(b"more")
        return status

    monkeypatch.setattr("picture_captioner.image_loader.reading.os.fstat", fstat_then_append)
    with pytest.raises(UnreadableFileError, match="changed while"):
        load_image(path, 100)


def test_a_picture_without_pixels_is_corrupt(tmp_path):
    (tmp_path / "photo.png").write_bytes(png_of(0, 10))
    with pytest.raises(CorruptImageError):
        load_image(tmp_path / "photo.png", 100)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_png_with_megabytes_of_metadata_is_a_picture(tmp_path, kind):
    path = tmp_path / "photo.png"
    body = b"name\0\0" + zlib.compress(bytes(20 << 20))
    path.write_bytes(png((2, 2), bytes(14), extra=png_chunk(kind, body)))
    assert load_image(path, 100).image.size == (2, 2)


def test_warnings_of_the_decoders_stay_inside(tmp_path, recwarn):
    image = Image.new("P", (8, 8))
    path = write(tmp_path / "photo.png", image, "PNG", transparency=bytes(range(200)))
    load_image(path, 100)
    assert not recwarn.list


@pytest.mark.parametrize("part", [0.05, 0.5, 0.95, 0.99])
@pytest.mark.parametrize("zeros", [False, True], ids=["cut", "zeros"])
@pytest.mark.parametrize("image_format", ["JXL", "JPEG2000"])
def test_a_jpeg_xl_or_2000_whose_rest_is_missing_never_passes(tmp_path, image_format, zeros, part):
    whole = encoded(noise(160, 120), image_format)
    kept = whole[: int(len(whole) * part)]
    path = tmp_path / "photo.bin"
    path.write_bytes(kept + bytes(len(whole) - len(kept)) if zeros else kept)
    with pytest.raises(CorruptImageError):
        load_image(path, 64)
    with pytest.raises(CorruptImageError):
        load_image(path, 160)
