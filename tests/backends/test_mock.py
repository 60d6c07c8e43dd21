"""The mock backend: fixed words, and failures that a rehearsal can count on."""

import time
from collections import Counter

import pytest
from PIL import Image

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.mock import MockBackend
from picture_captioner.backends.registry import backend_class, parse_options
from picture_captioner.errors import ApiError, ModelError, PhotoError, Status, UsageError


def backend(**options):
    pairs = [f"{name}={value}" for name, value in options.items()]
    return MockBackend(BackendSettings(model="mock-1", options=parse_options(MockBackend, pairs)))


def photo(number, size=(8, 6)):
    return Image.new("RGB", size, (number % 256, number // 256, 77))


def outcome(mock, image):
    try:
        return mock.caption(image, ())
    except PhotoError as error:
        return error.code


def outcomes(mock, count=400):
    return [outcome(mock, photo(n)) for n in range(count)]


def test_the_caption_gives_the_size_of_the_image():
    assert backend().caption(photo(1, (64, 48)), ()) == "a mock caption for a 64x48 photo"


def test_the_caption_gives_the_size_before_shrinking_where_it_is_known():
    image = photo(1, (64, 48))
    image.info["full_size"] = (4032, 3024)
    assert backend().caption(image, ()) == "a mock caption for a 4032x3024 photo"


def test_it_is_a_placeholder_for_eight_workers():
    assert backend_class("mock") is MockBackend
    assert MockBackend.placeholder
    assert (MockBackend.default_model, MockBackend.default_workers) == ("mock-1", 8)


def test_settings_without_options_mean_the_defaults():
    assert MockBackend(BackendSettings(model="mock-1")).caption(photo(1), ()).startswith("a mock")


@pytest.mark.parametrize(
    ("rate", "low", "high"), [(0, 0, 0), (0.1, 20, 60), (0.5, 160, 240), (1, 400, 400)]
)
def test_about_the_asked_share_fails(rate, low, high):
    failed = [o for o in outcomes(backend(error_rate=rate)) if not o.startswith("a mock")]
    assert low <= len(failed) <= high


def test_failures_are_spread_over_every_kind():
    kinds = Counter(outcomes(backend(error_rate=1)))
    assert set(kinds) == {"mock_api", "refused", "empty", "truncated"}
    assert min(kinds.values()) > 60


def test_each_kind_is_the_error_that_a_real_backend_would_raise():
    seen = {}
    for n in range(60):
        with pytest.raises(PhotoError, match="simulated") as caught:
            backend(error_rate=1).caption(photo(n), ())
        seen[caught.value.code] = (type(caught.value), caught.value.status)
    assert seen == {
        "mock_api": (ApiError, Status.ERROR_API),
        "refused": (ModelError, Status.ERROR_MODEL),
        "empty": (ModelError, Status.ERROR_MODEL),
        "truncated": (ModelError, Status.ERROR_MODEL),
    }


def test_the_same_photo_fails_the_same_way_in_every_run():
    assert outcomes(backend(error_rate=0.5)) == outcomes(backend(error_rate=0.5))


def test_another_seed_lets_other_photos_fail():
    assert outcomes(backend(error_rate=0.5)) != outcomes(backend(error_rate=0.5, seed=1))


def test_who_fails_at_a_low_rate_fails_at_a_higher_one():
    few, many = outcomes(backend(error_rate=0.2)), outcomes(backend(error_rate=0.6))
    assert all(b == a for a, b in zip(few, many, strict=True) if not a.startswith("a mock"))


def test_an_image_of_the_same_bytes_in_another_shape_is_another_photo():
    mock = backend(error_rate=0.5)
    wide = [outcome(mock, photo(n, (8, 6))).startswith("a mock") for n in range(60)]
    tall = [outcome(mock, photo(n, (6, 8))).startswith("a mock") for n in range(60)]
    assert wide != tall


def test_every_failure_is_an_error_of_its_own():
    """A shared exception object would carry the traceback of another thread."""
    mock, image = backend(error_rate=1), photo(3)
    (first,), (second,) = mock.caption_batch([image], [()]), mock.caption_batch([image], [()])
    assert isinstance(first, PhotoError)
    assert first is not second


def test_latency():
    started = time.perf_counter()
    backend(latency=0.05).caption(photo(1), ())
    assert time.perf_counter() - started >= 0.05


@pytest.mark.parametrize(
    "pair",
    [
        "error_rate=1.01",
        "error_rate=-0.1",
        "error_rate=nan",
        "latency=-1",
        "latency=inf",
        "seed=x",
        "speed=1",
    ],
)
def test_options_out_of_range_are_usage_errors(pair):
    with pytest.raises(UsageError, match=pair.split("=")[0]):
        parse_options(MockBackend, [pair])
