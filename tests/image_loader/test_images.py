"""Facts, thumbnail and pixels from one decode, and two measures that compare between photos."""

import io
import random
from itertools import combinations

import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from picture_captioner.image_loader.images import THUMBNAIL_EDGE, perceptual_hash, sharpness
from picture_captioner.image_loader.loading import examine_image, load_image
from tests.images import encoded, exif, gradient, noise, write


def scene(seed: int, size=(1200, 800)) -> Image.Image:
    """A picture with shapes, different for every seed."""
    rng = random.Random(seed)
    image = gradient(*size).point(lambda v: v // 2 + 40)
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        width, height = rng.randrange(40, 400), rng.randrange(40, 300)
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.ellipse((x, y, x + width, y + height), fill=colour, outline="white", width=3)
    return image


def distance(a: Image.Image, b: Image.Image) -> int:
    return (perceptual_hash(a) ^ perceptual_hash(b)).bit_count()


def recompressed(image: Image.Image, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, **options))).convert("RGB")


CHANGED = {
    "half the size": lambda i: i.resize((600, 400)),
    "a tenth of the size": lambda i: i.resize((120, 80)),
    "JPEG at 40": lambda i: recompressed(i, image_format="JPEG", quality=40),
    "WebP at 30": lambda i: recompressed(i, image_format="WEBP", quality=30),
    "brighter": lambda i: ImageEnhance.Brightness(i).enhance(1.15),
    "a little blurred": lambda i: i.filter(ImageFilter.GaussianBlur(2)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_the_hash_survives_scaling_and_compression(name):
    for seed in range(5):
        assert distance(scene(seed), CHANGED[name](scene(seed))) <= 5


def test_different_pictures_have_distant_hashes():
    scenes = [scene(seed) for seed in range(8)]
    assert min(distance(a, b) for a, b in combinations(scenes, 2)) >= 12


def test_a_plain_picture_has_a_stable_hash():
    plain = Image.new("RGB", (640, 480), (120, 130, 140))
    grainy = Image.blend(plain, noise(640, 480), 0.05)
    assert distance(plain, recompressed(grainy, image_format="JPEG", quality=60)) == 0


def test_sharpness_falls_with_blur_and_compares_between_sizes():
    image = scene(1)
    values = [sharpness(image.filter(ImageFilter.GaussianBlur(r))) for r in (0, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 4 * values[2] > 0
    smaller = sharpness(image.resize((600, 400), Image.Resampling.LANCZOS))
    assert 0.7 < smaller / values[0] < 1.4
    assert sharpness(image.resize((60, 40))) < values[0] / 2, "an enlarged photo is not sharp"
    assert sharpness(Image.new("RGB", (1, 900), "red")) == 0


def test_everything_from_one_examination(tmp_path):
    path = write(tmp_path / "photo.jpg", scene(2), "JPEG", quality=90, exif=exif(6))
    examined = examine_image(path, 200)
    expected = load_image(path, 200)
    loaded, traits = examined.loaded, examined.traits
    assert loaded.image.size == expected.image.size == (133, 200)
    assert (loaded.width, loaded.height) == (800, 1200)
    assert loaded.content_sha256 == expected.content_sha256
    assert loaded.image.info == {}
    upright = scene(2).transpose(Image.Transpose.ROTATE_270)
    assert (traits.perceptual_hash ^ perceptual_hash(upright)).bit_count() <= 6
    with Image.open(io.BytesIO(traits.thumbnail)) as thumbnail:
        assert (thumbnail.format, max(thumbnail.size)) == ("WEBP", THUMBNAIL_EDGE)
        assert not thumbnail.info.get("exif")


def test_the_measures_do_not_depend_on_what_the_embedder_wants(tmp_path):
    path = write(tmp_path / "photo.jpg", scene(3, (3000, 2000)), "JPEG", quality=90)
    small, large = (examine_image(path, edge).traits for edge in (224, 1600))
    assert (small.perceptual_hash ^ large.perceptual_hash).bit_count() <= 1
    assert 0.8 < small.sharpness / large.sharpness < 1.25


def test_no_pixels_and_nothing_at_all(tmp_path):
    path = write(tmp_path / "photo.png", gradient(), "PNG")
    examined = examine_image(path, None)
    assert examined.loaded.image is None
    assert examined.traits.thumbnail
    known = examine_image(path, 100, {examined.loaded.content_sha256})
    assert (known.traits, known.loaded.image, known.loaded.width) == (None, None, 0)
