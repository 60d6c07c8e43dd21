"""Every mode, depth, orientation and colour space comes out upright, sRGB, on white, small."""

import io
from hashlib import sha256

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from picture_captioner.image_loader.loading import load_image, read_header
from tests.images import exif, gradient, gray_profile, noise, p3_profile, srgb_profile, write

TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture lies in a file that states that orientation."""

EVERY_FORMAT = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF", "JXL", "JPEG2000")


def difference(left, right):
    """Mean absolute difference per channel, 0 to 255; the sizes must agree."""
    assert left.size == right.size
    return max(ImageStat.Stat(ImageChops.difference(left, right)).mean)


def one_pixel(path, edge=64):
    image = load_image(path, edge).image
    return image.getpixel((image.width // 2, image.height // 2))


@pytest.mark.parametrize("image_format", EVERY_FORMAT)
def test_every_format_is_decoded_and_its_header_agrees(tmp_path, image_format):
    path = write(tmp_path / "photo.bin", gradient(), image_format)
    loaded = load_image(path, 60)
    assert loaded.image.mode == "RGB"
    assert loaded.image.size == (60, 40)
    assert (loaded.width, loaded.height, loaded.format) == (120, 80, image_format)
    assert difference(loaded.image, gradient().resize((60, 40), Image.Resampling.LANCZOS)) < 6
    header = read_header(path)
    assert (header.width, header.height, header.format) == (120, 80, image_format)
    assert header.size == loaded.size == path.stat().st_size
    assert loaded.mtime_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_orientation_is_undone(tmp_path, image_format, orientation):
    turn = TURNED[orientation]
    lying = gradient() if turn is None else gradient().transpose(turn)
    path = write(tmp_path / "photo.bin", lying, image_format, exif=exif(orientation).tobytes())
    loaded = load_image(path, 120)
    assert difference(loaded.image, gradient()) < 6
    assert (loaded.width, loaded.height) == (120, 80)
    header = read_header(path)
    assert (header.width, header.height) == (120, 80)


@pytest.mark.parametrize("edge", [1, 7, 100, 250, 333, 999, 1000, 5000])
def test_the_longer_side_is_the_edge_and_nothing_grows(tmp_path, edge):
    path = write(tmp_path / "photo.jpg", gradient(1000, 333), "JPEG")
    image = load_image(path, edge).image
    assert image.width == min(edge, 1000)
    assert image.height == max(1, round(333 * image.width / 1000))


@pytest.mark.parametrize("size", [(1001, 667), (641, 997), (3000, 2000)])
def test_a_jpeg_decoded_at_a_smaller_scale_looks_like_one_decoded_fully(tmp_path, size):
    path = write(tmp_path / "photo.jpg", gradient(*size), "JPEG", quality=95)
    image = load_image(path, 200).image
    with Image.open(path) as full:
        assert difference(image, full.resize(image.size, Image.Resampling.LANCZOS)) < 1.5


def test_a_panorama_keeps_at_least_one_pixel_of_height(tmp_path):
    path = write(tmp_path / "photo.png", gradient(4000, 2), "PNG")
    assert load_image(path, 100).image.size == (100, 1)


def test_the_edge_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="at least 1 pixel"):
        load_image(write(tmp_path / "photo.png", gradient(), "PNG"), 0)


def test_known_content_is_not_decoded(tmp_path):
    path = write(tmp_path / "photo.png", gradient(), "PNG")
    path.write_bytes(path.read_bytes()[:100])  # decoding it would fail
    loaded = load_image(path, 60, {sha256(path.read_bytes()).hexdigest()})
    assert (loaded.image, loaded.width, loaded.height, loaded.size) == (None, 0, 0, 100)


def test_display_p3_becomes_srgb(tmp_path):
    profile = p3_profile()
    red = write(
        tmp_path / "red.png", Image.new("RGB", (8, 8), (255, 0, 0)), "PNG", icc_profile=profile
    )
    assert one_pixel(red) == (255, 0, 0)
    # P3 is wider: the same numbers mean a redder colour there.
    dull = Image.new("RGB", (64, 64), (128, 100, 90))
    expected = ImageCms.profileToProfile(
        dull,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
    ).getpixel((0, 0))
    assert expected[0] > 130
    for image_format, options in {
        "PNG": {},
        "JPEG": {"quality": 100},
        "HEIF": {"quality": 100},
    }.items():
        path = write(tmp_path / "dull", dull, image_format, icc_profile=profile, **options)
        assert one_pixel(path) == pytest.approx(expected, abs=3)


def test_gray_profile(tmp_path):
    linear = write(
        tmp_path / "a.png", Image.new("L", (8, 8), 128), "PNG", icc_profile=gray_profile(1.0)
    )
    assert one_pixel(linear) == pytest.approx((188, 188, 188), abs=1)


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", p3_profile()[:200], gray_profile(1.0), b"\0" * 128],
    ids=["text", "cut", "of another space", "zeros"],
)
def test_an_unusable_profile_is_ignored(tmp_path, profile):
    path = write(
        tmp_path / "a.png", Image.new("RGB", (8, 8), (9, 99, 199)), "PNG", icc_profile=profile
    )
    assert one_pixel(path) == (9, 99, 199)


def test_srgb_profile_changes_nothing(tmp_path):
    path = write(tmp_path / "a.png", gradient(), "PNG", icc_profile=srgb_profile())
    assert difference(load_image(path, 120).image, gradient()) < 1


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile(tmp_path, image_format):
    path = write(tmp_path / "a", gradient().convert("CMYK"), image_format)
    assert difference(load_image(path, 120).image, gradient()) < 6


def test_a_profile_for_rgb_in_a_cmyk_file_is_ignored(tmp_path):
    path = write(tmp_path / "a.tif", gradient().convert("CMYK"), "TIFF", icc_profile=p3_profile())
    assert difference(load_image(path, 120).image, gradient()) < 2


def test_lab(tmp_path):
    path = write(tmp_path / "a.tif", Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF")
    assert one_pixel(path) == pytest.approx((255, 255, 255), abs=4)


@pytest.mark.parametrize(
    ("image", "image_format", "expected"),
    [
        (Image.new("1", (8, 8), 1), "PNG", 255),
        (Image.new("1", (8, 8), 0), "TIFF", 0),
        (Image.new("L", (8, 8), 77), "JPEG", 77),
        (Image.new("I;16", (8, 8), 32768), "PNG", 128),
        (Image.new("I;16", (8, 8), 65535), "TIFF", 255),
        (Image.new("I;16", (8, 8), 2048), "TIFF", 128),  # 12 bits
        (Image.new("I", (8, 8), 200), "TIFF", 200),
        (Image.new("I", (8, 8), 32768), "TIFF", 128),
        (Image.new("F", (8, 8), 0.5), "TIFF", 128),
        (Image.new("F", (8, 8), 100.0), "TIFF", 100),
        (Image.new("F", (8, 8), float("nan")), "TIFF", 0),
    ],
    ids=lambda value: getattr(value, "mode", None) and f"{value.mode}-{value.getpixel((0, 0))}",
)
def test_gray_of_every_depth(tmp_path, image, image_format, expected):
    path = write(tmp_path / "a", image, image_format)
    assert one_pixel(path, 4) == pytest.approx((expected,) * 3, abs=1)


@pytest.mark.parametrize("low", [-1000.0, 100_000.0])
def test_gray_of_an_unusual_range_is_stretched(tmp_path, low):
    image = Image.linear_gradient("L").convert("F").point(lambda value: value * 500 + low)
    loaded = load_image(write(tmp_path / "a.tif", image, "TIFF"), 256).image
    assert difference(loaded, Image.linear_gradient("L").convert("RGB")) < 2


def half_transparent(mode):
    """Left half opaque, right half see-through; the colour below is black."""
    alpha = Image.new("L", (64, 64), 255)
    alpha.paste(0, (32, 0, 64, 64))
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.putalpha(alpha)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "image_format", "options"),
    [
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("RGBA", "TIFF", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("RGBA", "HEIF", {}),
        ("RGBA", "AVIF", {}),
        ("RGBA", "GIF", {}),
        ("P", "PNG", {}),
    ],
)
def test_transparency_is_shown_on_white(tmp_path, mode, image_format, options):
    path = write(tmp_path / "a", half_transparent(mode), image_format, **options)
    image = load_image(path, 64).image
    assert image.getpixel((5, 32)) == pytest.approx((0, 0, 0), abs=3)
    assert image.getpixel((60, 32)) == pytest.approx((255, 255, 255), abs=3)


@pytest.mark.parametrize(("mode", "clear"), [("RGB", (0, 0, 0)), ("L", 0)])
def test_a_colour_declared_transparent(tmp_path, mode, clear):
    image = Image.new(mode, (8, 8), clear)
    assert one_pixel(write(tmp_path / "a.png", image, "PNG", transparency=clear)) == (255, 255, 255)


def test_palette(tmp_path):
    path = write(tmp_path / "a.png", gradient().quantize(256), "PNG")
    assert difference(load_image(path, 120).image, gradient()) < 12


@pytest.mark.parametrize("image_format", ["GIF", "MPO", "TIFF", "PNG", "WEBP", "AVIF"])
def test_the_first_frame_is_taken(tmp_path, image_format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("blue", "red")]
    path = write(tmp_path / "a", frames[0], image_format, save_all=True, append_images=frames[1:])
    assert one_pixel(path) == pytest.approx((0, 0, 255), abs=4)


def test_mpo_is_decoded_at_a_smaller_scale_too(tmp_path):
    frames = [gradient(1000, 600), noise(1000, 600)]
    path = write(tmp_path / "a.mpo", frames[0], "MPO", save_all=True, append_images=frames[1:])
    loaded = load_image(path, 100)
    assert (loaded.width, loaded.height, loaded.format) == (1000, 600, "MPO")
    assert difference(loaded.image, gradient(100, 60)) < 6


@pytest.mark.parametrize("name", ["photo.jpg", "photo.cr2", "photo", "photo.heic"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_the_content_decides_and_not_the_name(tmp_path, name, image_format):
    path = write(tmp_path / name, gradient(), image_format)
    assert load_image(path, 120).format == image_format
    assert read_header(path).format == image_format


def test_a_header_read_does_not_decode(tmp_path):
    path = write(tmp_path / "a.png", noise(600, 400), "PNG")
    path.write_bytes(path.read_bytes()[:4000])
    assert (read_header(path).width, read_header(path).height) == (600, 400)


def test_a_heif_header_beyond_the_first_block_is_found(tmp_path):
    data = write(tmp_path / "a.heic", gradient(), "HEIF").read_bytes()
    type_box = int.from_bytes(data[:4], "big")
    padding = (1 << 19).to_bytes(4, "big") + b"free" + bytes((1 << 19) - 8)
    path = tmp_path / "b.heic"
    path.write_bytes(data[:type_box] + padding + data[type_box:])
    assert (read_header(path).width, read_header(path).height) == (120, 80)
