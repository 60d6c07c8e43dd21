"""Boundaries of events on timelines whose events are known."""

from __future__ import annotations

import numpy as np
import pytest

from picture_captioner.report.chunks import event_starts

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def timeline(seed: int, events: int = 60):
    """Times of photos, and which of them begin an event.

    Events of 4 to 80 photos, from seconds to minutes apart, each at a pace of its own; 3 hours to
    3 weeks between them.
    """
    random = np.random.default_rng(seed)
    times, starts, now = [], [], 0.0
    for _ in range(events):
        now += np.exp(random.uniform(np.log(3 * HOUR), np.log(21 * DAY)))
        pace = np.exp(random.uniform(np.log(15), np.log(4 * MINUTE)))
        for i in range(random.integers(4, 80)):
            now += min(random.lognormal(np.log(pace), 0.9), 40 * MINUTE) if i else 0
            times.append(now)
            starts.append(i == 0)
    return np.array(times), np.array(starts)


def f1(found: np.ndarray, true: np.ndarray) -> float:
    hits = np.count_nonzero(found & true)
    return 2 * hits / (np.count_nonzero(found) + np.count_nonzero(true))


@pytest.mark.parametrize("seed", range(5))
def test_events_of_a_made_timeline_are_found(seed):
    times, starts = timeline(seed)
    assert f1(event_starts(times)[1:], starts[1:]) >= 0.95


def starts_of(*gaps: float) -> list[int]:
    return np.flatnonzero(event_starts(np.cumsum([0.0, *gaps]))).tolist()


def test_the_first_photo_begins_the_first_event():
    assert event_starts(np.array([])).tolist() == []
    assert starts_of() == [0]


def test_a_pause_after_a_burst_is_no_new_event():
    assert starts_of(*[1] * 15, 10 * MINUTE, *[1] * 15) == [0]


def test_a_photo_a_month_is_an_event_each():
    assert starts_of(*[30 * DAY] * 5) == [0, 1, 2, 3, 4, 5]


def test_a_night_ends_an_event_among_slow_photos():
    assert starts_of(*[2 * HOUR] * 4, 13 * HOUR, *[2 * HOUR] * 4) == [0, 5]


def test_photos_of_one_second_are_one_event():
    assert starts_of(0, 0, 0) == [0]
