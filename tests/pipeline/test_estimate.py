"""Sizes from real headers, speed from the times of real records."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picture_captioner.pipeline import forecast
from picture_captioner.pipeline.forecast import photos_per_second, read_dimensions
from picture_captioner.pipeline.selecting.walk import Photo

START = datetime(2026, 11, 21, 22, tzinfo=UTC)


@pytest.fixture(scope="session")
def timed(make_entry):
    """Entries at these seconds after the start, in this order in the journal."""

    def make(seconds, **given):
        return [
            make_entry(
                f"{n}.jpg", created_at=(START + timedelta(seconds=s)).isoformat(), offset=n, **given
            )
            for n, s in enumerate(seconds)
        ]

    return make


@given(step=st.floats(0.01, 50), count=st.integers(2, 50), data=st.data())
def test_a_steady_pace_is_found_in_whatever_order_it_was_written(
    step, count, data, timed, identity
):
    times = data.draw(st.permutations([n * step for n in range(count)]))
    assert photos_per_second(timed(times), identity) == pytest.approx(1 / step, rel=1e-3)


def test_a_night_between_two_runs_is_no_work(timed, identity):
    evening = [0, 2, 4]
    morning = [30_000, 30_002, 30_004]
    assert photos_per_second(timed(evening + morning), identity) == pytest.approx(0.5)


def test_copies_and_records_of_others_say_nothing_about_the_speed(timed, identity):
    own = timed([0, 2, 4])
    others = timed([0.5, 1.5], backend="other") + timed([0.7], model="other")
    copies = timed([1.1, 1.2, 1.3], copied_from="0.jpg")
    assert photos_per_second(own + others + copies, identity) == pytest.approx(0.5)


def test_only_the_last_records_count(timed, identity, monkeypatch):
    monkeypatch.setattr(forecast, "RECENT_RECORDS", 4)
    slow_then_fast = [0, 10, 20, 30, 40, 41, 42, 43]
    assert photos_per_second(timed(slow_then_fast), identity) == pytest.approx(1.0)


@pytest.mark.parametrize("created_at", [None, "", "yesterday", "2026-13-01", "\udce9"])
def test_a_time_that_is_none_is_passed_over(timed, make_entry, identity, created_at):
    odd = make_entry("odd.jpg", created_at=created_at)
    assert photos_per_second([*timed([0, 2, 4]), odd], identity) == pytest.approx(0.5)


@pytest.mark.parametrize("seconds", [[], [0], [0, 0, 0], [0, 3600]])
def test_no_speed_is_known_without_two_records_of_one_run(timed, identity, seconds):
    assert photos_per_second(timed(seconds), identity) is None


def draw(folder, name, size):
    Image.new("RGB", size).save(folder / name)
    return Photo(name, (folder / name).stat().st_size, 1)


def test_dimensions_come_from_headers_and_broken_files_are_counted(tmp_path):
    photos = [draw(tmp_path, "a.jpg", (400, 300)), draw(tmp_path, "b.png", (1000, 600))]
    (tmp_path / "c.jpg").write_bytes(b"no photo")
    photos += [Photo("c.jpg", 8, 1), Photo("gone.jpg", 8, 1)]
    found = read_dimensions(tmp_path, photos)
    assert (found.sampled, found.unreadable) == (2, 2)
    assert sorted(found.sizes) == [(400, 300), (1000, 600)]
    assert found.megapixels == pytest.approx((0.12 + 0.6) / 2)
    assert found.widest == (1000, 600)


def test_a_large_library_is_sampled_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "MAX_HEADERS", 3)
    photos = [draw(tmp_path, f"{n}.png", (n + 1, 1)) for n in range(10)]
    assert [width for width, _ in read_dimensions(tmp_path, photos).sizes] == [1, 4, 7]


def test_nothing_pending_needs_no_headers(tmp_path):
    found = read_dimensions(tmp_path, [])
    assert (found.sampled, found.sizes, found.megapixels) == (0, [], 0.0)
