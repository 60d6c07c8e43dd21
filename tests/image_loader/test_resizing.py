"""Both ways to resize give the same picture; the one with vector instructions is optional."""

import subprocess
import sys

import pytest
from PIL import Image, ImageChops

from picture_captioner.image_loader import resizing
from picture_captioner.image_loader.resizing import cykooz_resizer, resize, roomy
from tests.images import noise
from tests.needs import need
from tests.support import ROOT

LEVELS = 2
"""of 255: by so much the two round differently."""


def mild(width, height):
    """Noise that overshoots neither black nor white between the two passes: where it does, each
    cuts it off in another order, and neither is nearer to the truth."""
    return noise(width, height).point(lambda value: value // 2 + 64)


def extremes(left, right):
    """The largest difference of any pixel and channel; the pictures agree in size and mode."""
    assert (left.size, left.mode) == (right.size, right.mode)
    found = ImageChops.difference(left, right).getextrema()
    return max(high for _, high in (found if isinstance(found[0], tuple) else [found]))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "LA", "YCbCr"])
@pytest.mark.parametrize("size", [(600, 450), (1, 1), (3, 70), (200, 1)])
def test_it_is_pillows_lanczos(mode, size):
    image = mild(1200, 900).convert(mode)
    expected = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    exact = image.resize(size, Image.Resampling.LANCZOS)
    found = resize(image, size)
    assert min(extremes(found, expected), extremes(found, exact)) <= LEVELS
    assert found is not image


def test_a_box_may_end_within_a_pixel():
    image, box = mild(1200, 900), (0.0, 0.0, 1199.5, 899.25)
    expected = image.resize((540, 360), Image.Resampling.LANCZOS, box=box)
    assert extremes(resize(image, (540, 360), box), expected) <= LEVELS
    assert extremes(resize(image, (540, 360)), expected) > 2 * LEVELS, "the box matters"


def test_pillow_does_it_where_vectors_are_not_to_be_had(monkeypatch):
    image = mild(1200, 900)
    with_vectors = resize(image, (600, 450))
    monkeypatch.setattr(resizing, "_VECTORS", False)
    without = resize(image, (600, 450))
    assert extremes(without, with_vectors) <= LEVELS
    if cykooz_resizer is not None:
        assert without.tobytes() != with_vectors.tobytes(), "the vectors were used"


def test_small_pictures_are_the_same_everywhere(monkeypatch):
    image = mild(380, 260)  # just below what is worth it
    with_vectors = resize(image, (320, 221))
    monkeypatch.setattr(resizing, "_VECTORS", False)
    assert extremes(resize(image, (320, 221)), with_vectors) == 0


@pytest.mark.parametrize(
    ("lie", "vectors"),
    [
        ("sys.modules['cykooz_resizer'] = None", False),
        ("PIL.__version__ = '99.0.0'", False),
        ("pass", True),
    ],
)
def test_vectors_are_used_only_where_they_were_tried(lie, vectors):
    need("cykooz_resizer")
    room = "picture_captioner.image_loader"
    code = f"import sys, PIL.Image\n{lie}\nfrom {room} import resizing\nprint(resizing._VECTORS)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(vectors)


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        ((16, 16), 1024, (28, 28)),
        ((1, 1), 1024, (28, 28)),
        ((20, 40), 1024, (28, 56)),
        ((1024, 10), 1024, (1024, 28)),
        ((10, 900), 1024, (28, 1024)),
        ((28, 28), 1024, (28, 28)),
        ((640, 480), 640, (640, 480)),
        ((5, 5), 16, (5, 5)),
    ],
)
def test_what_models_cannot_take_is_enlarged_or_padded_within_the_edge(size, edge, expected):
    assert roomy(Image.new("RGB", size, (200, 10, 10)), edge).size == expected


def test_the_padding_has_the_colour_of_the_picture():
    padded = roomy(Image.new("RGB", (1024, 10), (200, 10, 10)), 1024)
    assert padded.getcolors() == [(1024 * 28, (200, 10, 10))]
