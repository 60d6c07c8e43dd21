"""The template backend says what is to be seen, on both sides of every threshold."""

import time
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.color_names import COLORS, color_name
from picture_captioner.backends.registry import backend_class
from picture_captioner.backends.template import EDGE, TemplateBackend, describe, measure

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
pillow_heif.register_heif_opener()


def caption(image):
    backend = TemplateBackend(BackendSettings(model="template-1"))
    return backend.caption(image, ())


def plain(color, size=(320, 240)):
    return Image.new("RGB", size, color)


def halves(first, second, size=(320, 240), beside=False):
    image = plain(second, size)
    box = (0, 0, size[0] // 2, size[1]) if beside else (0, 0, size[0], size[1] // 2)
    image.paste(first, box)
    return image


def ramp(low, high, size=(320, 240)):
    """Greys from `low` to `high`, left to right, without an edge."""
    scale = Image.linear_gradient("L").rotate(90).resize(size)
    return scale.point(lambda v: low + v * (high - low) // 255).convert("RGB")


def checks(low, high, cell=8, size=(320, 240)):
    image = plain((low,) * 3, size)
    pen = ImageDraw.Draw(image)
    for y in range(0, size[1], cell):
        for x in range(y // cell % 2 * cell, size[0], 2 * cell):
            pen.rectangle((x, y, x + cell - 1, y + cell - 1), fill=(high,) * 3)
    return image


def page(ink_lines=10, paper=(240, 238, 232), size=(240, 320)):
    """Words of small strokes on paper that has a little grain."""
    image = plain(paper, size)
    pen = ImageDraw.Draw(image)
    for line in range(ink_lines):
        for x in range(20, 220, 5):
            if x % 35:
                pen.line(
                    [(x, 20 + line * 28), (x + x % 3, 30 + line * 28)], fill=(30, 30, 40), width=2
                )
    return Image.blend(image, Image.effect_noise(size, 60).convert("RGB"), 0.05)


def example(name):
    with Image.open(PHOTOS / name) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((EDGE, EDGE))
    return image


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((320, 240), "landscape-format"),
        ((240, 320), "portrait-format"),
        ((320, 320), "square"),
        ((320, 305), "square"),
        ((320, 303), "landscape-format"),
        ((319, 160), "landscape-format"),
        ((320, 160), "panoramic"),
        ((160, 319), "portrait-format"),
        ((160, 320), "tall, narrow"),
    ],
)
def test_format(size, words):
    assert f"{words} picture" in caption(plain((120, 60, 200), size))


@pytest.mark.parametrize(
    ("level", "word"), [(75, "dark"), (76, None), (169, None), (170, "bright")]
)
def test_light(level, word):
    text = caption(plain((level,) * 3)).lower()
    assert [w for w in ("a dark", "a bright") if w in text] == ([f"a {word}"] if word else [])


@pytest.mark.parametrize(
    ("low", "high", "phrase"),
    [(0, 179, None), (0, 180, "strong contrast"), (100, 161, None), (100, 160, "little contrast")],
)
def test_contrast(low, high, phrase):
    text = caption(checks(low, high))
    assert [p for p in ("strong contrast", "little contrast") if p in text] == (
        [phrase] if phrase else []
    )


@pytest.mark.parametrize(
    ("blur", "phrase"), [(0, "crisp edges"), (1.4, None), (2.5, "blurred"), (4, "blurred")]
)
def test_sharpness(blur, phrase):
    image = checks(20, 220, cell=40).filter(ImageFilter.GaussianBlur(blur))
    text = caption(image)
    assert [p for p in ("crisp edges", "blurred") if p in text] == ([phrase] if phrase else [])


@pytest.mark.parametrize("image", [plain((90, 90, 90)), ramp(100, 120)])
def test_without_contrast_nothing_is_said_about_sharpness(image):
    assert "blurred" not in caption(image)
    assert "crisp" not in caption(image)


@pytest.mark.parametrize(("blue", "words"), [(120, True), (130, True), (131, False), (170, False)])
def test_black_and_white_allows_for_what_jpeg_leaves_in_greys(blue, words):
    image = halves((60, 60, 60), (120, 120, blue))
    assert ("black-and-white" in caption(image)) is words


@pytest.mark.parametrize("name", ["pizza.jpg", "mountain_lake.jpg", "flowers.heic", "family.jpg"])
def test_sepia_is_one_hue_and_colour_is_not(name):
    image = example(f"2024-07-lake/{name}")
    toned = ImageOps.colorize(ImageOps.grayscale(image), (40, 26, 13), (250, 232, 200))
    blue = ImageOps.colorize(ImageOps.grayscale(image), (13, 26, 40), (200, 232, 250))
    assert "sepia-toned" in caption(toned)
    assert "sepia" not in caption(image)
    assert "sepia" not in caption(blue)


@pytest.mark.parametrize("name", sorted(COLORS))
def test_every_colour_is_called_by_its_name(name):
    close = min(
        (
            (r, g, b)
            for r in range(8, 256, 16)
            for g in range(8, 256, 16)
            for b in range(8, 256, 16)
        ),
        key=lambda rgb: (color_name(*rgb) != name, 0),
    )
    assert color_name(*close) == name
    assert f"all {name}" in caption(plain(close)).lower()


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((255, 0, 0), "red"),
        ((0, 0, 128), "deep blue"),
        ((0, 0, 255), "blue"),
        ((0, 255, 0), "light green"),
        ((255, 255, 0), "yellow"),
        ((135, 206, 235), "sky blue"),
        ((255, 165, 0), "orange"),
        ((139, 69, 19), "brown"),
        ((0, 100, 0), "green"),
        ((128, 128, 128), "grey"),
        ((245, 245, 220), "cream"),
        ((255, 192, 203), "pale pink"),
    ],
)
def test_colours_have_the_names_people_use(rgb, name):
    assert color_name(*rgb) == name


def test_where_colours_lie():
    sky, sand, red = (116, 174, 224), (192, 154, 106), (204, 42, 38)
    assert "mostly sky blue above sandy brown" in caption(halves(sky, sand)).lower()
    assert "mostly sandy brown above sky blue" in caption(halves(sand, sky)).lower()
    beside = caption(halves(sky, sand, beside=True)).lower()
    assert "mostly sky blue to the left of sandy brown" in beside
    framed = plain(sky)
    framed.paste(red, (80, 60, 240, 180))
    assert "mostly red surrounded by sky blue" in caption(framed).lower()


def test_mixed_colours_are_listed_without_a_place():
    image = plain((46, 104, 200))
    for x in range(0, 320, 80):
        image.paste((204, 42, 38), (x, 0, x + 40, 240))
    text = caption(image).lower()
    assert "in blue and red" in text or "in red and blue" in text
    assert "above" not in text
    assert "surrounded" not in text


@pytest.mark.parametrize(("share", "named"), [(0.01, False), (0.06, True)])
def test_accent(share, named):
    image = plain((133, 133, 133))
    side = round((320 * 240 * share) ** 0.5)
    image.paste((204, 42, 38), (10, 10, 10 + side, 10 + side))
    assert ("with touches of red" in caption(image)) is named


def test_an_accent_is_neither_dull_nor_close_to_the_main_colour():
    for close in ((125, 82, 47), (72, 72, 72)):
        image = plain((133, 133, 133))
        image.paste(close, (10, 10, 80, 80))
        assert "touches" not in caption(image)
    image = plain((46, 104, 200))
    image.paste((28, 47, 110), (10, 10, 80, 80))
    assert "touches" not in caption(image)


@pytest.mark.parametrize(
    ("color", "phrase"),
    [
        ((180, 106, 106), None),
        ((180, 105, 105), "vivid colours"),
        ((150, 110, 110), "muted colours"),
    ],
)
def test_strength_of_colours(color, phrase):
    text = caption(plain(color))
    assert [p for p in ("vivid colours", "muted colours") if p in text] == (
        [phrase] if phrase else []
    )


def test_a_page_is_likened_to_a_page_and_an_empty_sheet_is_not():
    assert "printed or written page" in caption(page())
    assert "page" not in caption(page(ink_lines=0))
    assert "page" not in caption(page(paper=(90, 120, 160)))


def test_a_screen_is_likened_to_a_screenshot_and_the_same_with_noise_is_not():
    window = plain((250, 250, 252))
    pen = ImageDraw.Draw(window)
    pen.rectangle((0, 0, 80, 240), fill=(40, 44, 60))
    for y in range(20, 230, 14):
        pen.text((100, y), "settings, values and labels", fill=(20, 20, 30))
    assert "like a screenshot" in caption(window)
    noisy = Image.blend(window, Image.effect_noise(window.size, 60).convert("RGB"), 0.1)
    assert "screenshot" not in caption(noisy)


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        (
            "2024-07-lake/mountain_lake.jpg",
            ["landscape-format", "sky blue above", "strong contrast"],
        ),
        ("2024-07-lake/pizza.jpg", ["square", "brown", "vivid"]),
        ("2024-07-lake/flowers.heic", ["portrait-format", "green", "with touches of pink"]),
        ("2024-12-winter/city.jpg", ["dark", "portrait-format", "blue"]),
        ("2024-12-winter/foggy_street.jpg", ["black-and-white", "light grey above dark grey"]),
        ("2024-12-winter/lights.webp", ["dark", "blurred"]),
        ("2024-12-winter/snowy_cabin.jpg", ["bright", "pale blue"]),
        ("2024-12-winter/cat.jpg", ["bright", "with touches of orange"]),
        ("2024-12-winter/receipt.jpg", ["cream surrounded by dark brown", "page"]),
        ("screenshots/settings.png", ["bright", "mostly white", "screenshot"]),
    ],
)
def test_examples(name, phrases):
    text = caption(example(name))
    assert [p for p in phrases if p not in text.lower()] == []
    assert text.endswith(".")
    assert text[0].isupper()


def test_only_the_page_and_the_screen_are_likened_to_one():
    names = [p.relative_to(PHOTOS) for p in PHOTOS.rglob("*.*") if p.suffix != ".txt"]
    whole = [name for name in names if "truncated" not in name.name]
    alike = {
        name.stem
        for name in whole
        if "Its even" in (t := caption(example(name))) or "as a printed" in t
    }
    assert alike == {"receipt", "settings"}


def test_the_same_pixels_always_give_the_same_words():
    image = example("2024-07-lake/pizza.jpg")
    assert len({caption(image.copy()) for _ in range(3)}) == 1
    again = measure(image)
    assert describe(again) == caption(image)


def test_the_image_is_left_as_it_was():
    image = example("2024-12-winter/cat.jpg").resize((900, 700))
    before = image.tobytes()
    caption(image)
    assert (image.size, image.tobytes()) == ((900, 700), before)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3), (7, 7), (6000, 300)])
@pytest.mark.parametrize("color", ["black", "white", "red"])
def test_extreme_sizes_and_plain_colours(size, color):
    text = caption(plain(color, size))
    assert f"all {color}" in text.lower()
    assert "black-and-white" not in text


def test_wording_varies_between_pictures():
    openings = {caption(halves((n, 40, 90), (200, n, 30)))[:10] for n in range(0, 250, 10)}
    assert len(openings) > 1


def test_it_is_the_embedded_default():
    assert backend_class("template") is TemplateBackend
    assert TemplateBackend.placeholder
    assert (TemplateBackend.extra, TemplateBackend.key_env_var) == (None, None)
    TemplateBackend(BackendSettings(model="template-1")).check()


def test_a_caption_is_quick():
    """About 5 ms of the processor; a loop over pixels takes more than 50."""
    image = example("2024-12-winter/city.jpg")
    caption(image)
    started = time.process_time()
    for _ in range(5):
        caption(image)
    assert (time.process_time() - started) / 5 < 0.05
