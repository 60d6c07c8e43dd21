"""A photo that is black, white or of one colour: who says so captions it; else nobody saw it."""

import random

import pytest
from PIL import Image, ImageFilter

from picture_captioner.errors import ModelError
from picture_captioner.pipeline.recording.answers import fault_in, judge_answer
from picture_captioner.pipeline.recording.blank import is_blank

POCKET = "The image is completely black."


def noise(least, most, size=(400, 300)):
    """Sensor noise between two levels."""
    rng = random.Random(1)
    image = Image.new("RGB", size)
    image.putdata([(rng.randint(least, most),) * 3 for _ in range(size[0] * size[1])])
    return image


def glow():
    image = noise(0, 20)
    image.paste((90, 60, 20), (0, 0, 12, 12))
    return image.filter(ImageFilter.GaussianBlur(20))


def photo():
    return Image.linear_gradient("L").resize((400, 300))


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (40, 30)),
        Image.new("RGB", (40, 30), "white"),
        Image.new("RGB", (1, 1), "red"),
        noise(0, 30),
        noise(110, 140),
        noise(228, 255),
        glow(),
    ],
)
def test_a_blank_photo_may_be_called_blank(image):
    assert is_blank(image)
    answer = judge_answer(POCKET, image=image)
    assert (answer.text, answer.fields) == (POCKET, {"blank": True})
    assert fault_in(answer.text, answer.fields) is None, "nor is it withdrawn later"


@pytest.mark.parametrize("image", [photo(), noise(0, 255, (20, 20)), None])
def test_of_another_photo_it_means_that_nobody_saw_it(image):
    assert image is None or not is_blank(image)
    with pytest.raises(ModelError) as verdict:
        judge_answer(POCKET, image=image)
    assert verdict.value.code == "no_image"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("I don't see an image attached.", "no_image"),
        ("The image is completely black. Please upload it again.", "no_image"),
        ("I'm sorry, but I can't help with that.", "refused"),
        ("Das Bild ist schwarz. Bitte laden Sie es noch einmal hoch.", "no_image"),
    ],
)
def test_what_is_no_word_about_the_photo_stays_none_of_a_black_one(answer, code):
    with pytest.raises(ModelError) as verdict:
        judge_answer(answer, image=Image.new("RGB", (40, 30)))
    assert verdict.value.code == code


@pytest.mark.parametrize(
    "caption",
    [
        "Dunkles Bild.",
        "Foto completamente negra.",
        "全黑的照片。",
        "Nobody is there.",
        "Completely dark image with no discernible details.",
        "A blurred, dark picture with one bright spot.",
        "Une photo presque noire avec un point lumineux.",
        "Une image floue où l'on ne distingue rien.",
        "Unscharfe Aufnahme eines dunklen Zimmers.",
        "真っ黒な画像。",
        "Почти чёрный кадр.",
        "In der Halle ist niemand.",
    ],
)
def test_a_phrase_for_a_dark_or_empty_picture_is_a_caption_of_any_photo(caption):
    assert judge_answer(caption).text == caption


@pytest.mark.parametrize(
    "said",
    [
        "The photo is entirely black.",
        "Das Bild ist komplett schwarz.",
        "L'image est entièrement noire.",
        "La imagen es completamente negra.",
        "L'immagine è totalmente nera.",
        "A imagem é totalmente preta.",
        "照片全是黑的。",
        "画像は真っ暗です。",
        "Изображение чёрное.",
        "The image appears to be blank.",
    ],
)
def test_sentences_about_a_black_photo_in_ten_languages(said):
    assert judge_answer(said, image=noise(0, 20)).text == said
