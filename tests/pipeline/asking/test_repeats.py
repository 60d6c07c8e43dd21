"""One text for photos that differ: when it is a model that sees nothing, and when it is not."""

import random

import pytest
from PIL import Image

from picture_captioner.backends.base import BackendSettings, Caption
from picture_captioner.backends.mock import MockBackend
from picture_captioner.errors import BackendUnavailableError
from picture_captioner.image_loader.images import perceptual_hash
from picture_captioner.pipeline.asking.circuit_breaker import RepeatWatch

SAME = Caption("A lovely photo of a beautiful scene.")


class Real(MockBackend):
    """Any backend that is no placeholder."""

    placeholder = False


def watch(prompt=None, backend=Real):
    settings = {} if prompt is None else {"prompt": prompt}
    return RepeatWatch(backend(BackendSettings(model="m", options=backend.Options(), **settings)))


def photo(seed):
    """Blocks of gray in random order: any two differ in about half of their hash."""
    rng = random.Random(seed)
    image = Image.new("L", (9, 8))
    image.putdata([rng.randrange(256) for _ in range(72)])
    return image.resize((360, 320), Image.Resampling.NEAREST).convert("RGB")


def test_the_eighth_photo_that_differs_ends_the_run_and_so_does_each_after_it():
    repeats = watch()
    for seed in range(7):
        repeats.see(SAME, photo(seed))
    for seed in (7, 8):
        with pytest.raises(BackendUnavailableError, match=r"8 photos in a row .*A lovely photo"):
            repeats.see(SAME, photo(seed))


def test_a_burst_may_share_a_caption_and_does_not_break_the_row_of_others():
    repeats = watch()
    scene = photo(0)
    for shift in range(30):
        near = scene.copy()
        near.putpixel((shift, 5), (255, 0, 0))
        assert (perceptual_hash(near) ^ perceptual_hash(scene)).bit_count() <= 12
        repeats.see(SAME, near)
    for seed in range(1, 7):
        repeats.see(SAME, photo(seed))
        repeats.see(SAME, scene)
    with pytest.raises(BackendUnavailableError):
        repeats.see(SAME, photo(7))


def test_another_text_in_between_starts_the_row_again():
    repeats = watch()
    for seed in range(40):
        repeats.see(SAME if seed % 7 else Caption("Something else."), photo(seed))


def test_case_is_no_difference():
    repeats = watch()
    with pytest.raises(BackendUnavailableError):
        for seed in range(8):
            repeats.see(Caption(SAME.text.upper() if seed % 2 else SAME.text), photo(seed))


@pytest.mark.parametrize(
    ("repeats", "text"),
    [
        (watch(backend=MockBackend), SAME.text),
        (watch(prompt="Indoors or outdoors? One word."), "Outdoors."),
        (watch(), None),
    ],
)
def test_placeholders_words_of_choice_and_fields_alone_may_repeat(repeats, text):
    for seed in range(20):
        repeats.see(Caption(text, fields={"tags": ["a"]}), photo(seed))


def test_a_prompt_of_ones_own_does_not_excuse_a_sentence():
    repeats = watch(prompt="Describe the photo in German.")
    with pytest.raises(BackendUnavailableError):
        for seed in range(8):
            repeats.see(SAME, photo(seed))


def test_whoever_is_first_among_threads_eight_are_enough(in_threads):
    repeats, stopped = watch(), []

    def see(worker):
        for seed in range(worker * 10, worker * 10 + 10):
            try:
                repeats.see(SAME, photo(seed))
            except BackendUnavailableError:
                stopped.append(seed)

    in_threads(*(lambda w=w: see(w) for w in range(6)))
    assert len(stopped) == 60 - 7
