"""Days in a row that belong together: away from home, or busier than everyday life."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

AWAY_KM = 50.0
BUSY_PHOTOS = 20
LONGEST_DAYS = 30
"""Without places, a longer run of busy days is a way of life and no trip."""

_HOME_CELL_DEGREES = 0.5
_EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True)
class PhotoDay:
    """A day with photos: how many, and the median of their coordinates in degrees."""

    day: date
    photos: int
    place: tuple[float, float] | None


def median_place(places: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The middle of some coordinates; one wrong position does not move it."""
    if not places:
        return None
    east = [longitude for _, longitude in places]
    if max(east) - min(east) > 180:  # on both sides of the date line, as in Fiji
        east = [longitude % 360 for longitude in east]
    return median(p[0] for p in places), (median(east) + 180) % 360 - 180


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The distance of two places given as latitude and longitude in degrees (haversine)."""
    (lat_a, lon_a), (lat_b, lon_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, h)))


def find_trips(days: Sequence[PhotoDay]) -> list[tuple[int, int]]:
    """Runs [first, last] of two days or more, as indices of `days`, which are in order.

    When most days have a place: days over `AWAY_KM` from home, home being where most days are; a
    day without a place or photos in between does not end the trip. Else: calendar days in a row
    with `BUSY_PHOTOS` each, up to `LONGEST_DAYS`.
    """
    if sum(day.place is not None for day in days) * 2 > len(days):
        away = _away(days)
        return _runs(days, away, holes=1)
    busy = [day.photos >= BUSY_PHOTOS for day in days]
    runs = _runs(days, busy, holes=0)
    return [(a, b) for a, b in runs if (days[b].day - days[a].day).days < LONGEST_DAYS]


def _away(days: Sequence[PhotoDay]) -> list[bool]:
    places = [day.place for day in days if day.place is not None]
    cells = Counter(
        (round(lat / _HOME_CELL_DEGREES), round(lon / _HOME_CELL_DEGREES)) for lat, lon in places
    )
    cell = cells.most_common(1)[0][0]
    home = (cell[0] * _HOME_CELL_DEGREES, cell[1] * _HOME_CELL_DEGREES)
    return [day.place is not None and kilometres(day.place, home) > AWAY_KM for day in days]


def _runs(days: Sequence[PhotoDay], wanted: Sequence[bool], holes: int) -> list[tuple[int, int]]:
    """Maximal runs of wanted days, with up to `holes` calendar days missing between two."""
    runs: list[tuple[int, int]] = []
    for i in (i for i, is_wanted in enumerate(wanted) if is_wanted):
        if runs and (days[i].day - days[runs[-1][1]].day).days <= holes + 1:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return [(first, last) for first, last in runs if last > first]
