"""The timeline in chunks: events, the days they lie in, and the trips that the days belong to.

Events end at adaptive gaps in capture time: J. C. Platt, M. Czerwinski, B. A. Field, "PhotoTOC:
Automatic Clustering for Browsing Personal Photographs", IEEE Pacific Rim Conference on Multimedia
2003. Gap g_N begins an event if

    log g_N  >=  K + mean of log g_i over the gaps i = N-d ... N+d,  K = log 17, d = 10

with the gaps beyond either end left out of the mean. A trip is days in a row that belong together:
away from home, or busier than everyday life.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from statistics import median
from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from picture_captioner.library.facts import somebody_named
from picture_captioner.report.geometry import centroid, unit_rows
from picture_captioner.report.keywords import Said, keywords
from picture_captioner.report.model import Chunk, Indices, Level, ReportPhoto
from picture_captioner.report.places import PlaceNames, kilometres

DAY_BEGINS_AT = 4
"""Hour of the clock. A party that ends at two belongs to the day on which it began."""


class _Stretch(NamedTuple):
    """Consecutive photos of the timeline."""

    level: Level
    members: Indices


def make_chunks(
    photos: Sequence[ReportPhoto],
    said: Sequence[Said],
    vectors: NDArray[np.float32] | None,
    names: PlaceNames | None,
) -> tuple[Chunk, ...]:
    """Events, then days, then trips; ids count up from 1 over all of them.

    Photos without a capture time are in none. Within a level chunks are in order of time.
    """
    order = in_order_of_time(photos)
    if not len(order):
        return ()
    events = _events(photos, order)
    days = _days(photos, order)
    trips = _trips(photos, days)
    stretches = events + days + trips
    words = _keywords_by_level([events, days, trips], said)
    parents = _parents(events, days, trips)
    folders = _Folders(photos, order)
    return tuple(
        Chunk(
            id=number,
            level=stretch.level,
            start=_taken(photos, stretch.members[0]),
            end=_taken(photos, stretch.members[-1]),
            members=stretch.members,
            typical=_typical(stretch.members, vectors),
            keywords=words[number - 1],
            place=place,
            parents=parents[number - 1],
            hours=not any(photos[int(stretch.members[end])].day_only for end in (0, -1)),
            name=folders.name_of(stretch.members),
        )
        for number, (stretch, place) in enumerate(
            zip(stretches, _places(photos, stretches, names), strict=True), 1
        )
    )


def _taken(photos: Sequence[ReportPhoto], index: SupportsIndex) -> datetime:
    time = photos[int(index)].taken_at
    assert time is not None  # noqa: S101 - only photos with a time are on the timeline
    return time


def in_order_of_time(photos: Sequence[ReportPhoto]) -> Indices:
    """The photos that have a capture time, in its order; equal times by path."""
    dated = [i for i, photo in enumerate(photos) if photo.taken_at is not None]
    seconds = _seconds(photos, dated)
    keys = sorted(zip(seconds, (photos[i].rel_path for i in dated), dated, strict=True))
    return np.array([i for *_, i in keys], dtype=np.int64)


def _seconds(photos: Sequence[ReportPhoto], dated: Sequence[int]) -> list[float]:
    """The times on one axis: instants if every photo states its zone, else the clock on the wall.

    A camera without a zone showed the local time. Beside it a phone's local time is what compares;
    taking the camera's for UTC would tear one afternoon apart.
    """
    times = [_taken(photos, i) for i in dated]
    if all(time.tzinfo is not None for time in times):
        return [time.timestamp() for time in times]
    return [time.replace(tzinfo=UTC).timestamp() for time in times]


def _events(photos: Sequence[ReportPhoto], order: Indices) -> list[_Stretch]:
    starts = event_starts(np.array(_seconds(photos, order.tolist())))
    pieces = np.split(order, np.flatnonzero(starts)[1:])
    return [_Stretch(Level.EVENT, piece) for piece in pieces]


def _day_of(photos: Sequence[ReportPhoto], index: SupportsIndex) -> date:
    time = _taken(photos, index)
    early = time.hour < DAY_BEGINS_AT and time.date() > date.min
    return time.date() - timedelta(days=1) if early else time.date()


def _days(photos: Sequence[ReportPhoto], order: Indices) -> list[_Stretch]:
    """One stretch for each day, also where a journey west lets the clock go back across 4:00."""
    by_day: dict[date, list[np.int64]] = {}
    for index in order:
        by_day.setdefault(_day_of(photos, index), []).append(index)
    return [_Stretch(Level.DAY, np.array(by_day[day])) for day in sorted(by_day)]


def _trips(photos: Sequence[ReportPhoto], days: Sequence[_Stretch]) -> list[_Stretch]:
    described = [
        PhotoDay(
            _day_of(photos, day.members[0]),
            len(day.members),
            median_place([p for i in day.members if (p := _coordinates(photos[i]))]),
        )
        for day in days
    ]
    return [
        _Stretch(Level.TRIP, np.concatenate([day.members for day in days[first : last + 1]]))
        for first, last in find_trips(described)
    ]


def _coordinates(photo: ReportPhoto) -> tuple[float, float] | None:
    if photo.latitude is None or photo.longitude is None:
        return None
    return photo.latitude, photo.longitude


def _parents(
    events: Sequence[_Stretch], days: Sequence[_Stretch], trips: Sequence[_Stretch]
) -> list[tuple[int, ...]]:
    """For each stretch, in that order, the ids of those of the next level that share photos."""
    day_ids = _ids_by_photo(days, 1 + len(events))
    trip_ids = _ids_by_photo(trips, 1 + len(events) + len(days))
    found = [sorted({day_ids[int(i)] for i in event.members}) for event in events]
    found += [sorted({trip_ids[int(i)] for i in d.members if int(i) in trip_ids}) for d in days]
    return [*map(tuple, found), *(() for _ in trips)]


def _ids_by_photo(stretches: Sequence[_Stretch], first_id: int) -> dict[int, int]:
    return {int(i): number for number, s in enumerate(stretches, first_id) for i in s.members}


def _keywords_by_level(
    levels: Sequence[Sequence[_Stretch]], said: Sequence[Said]
) -> list[tuple[str, ...]]:
    """A word that tells one day from another may be in every event of that day."""
    found: list[tuple[str, ...]] = []
    for stretches in levels:
        found += keywords([[said[i] for i in s.members if said[i]] for s in stretches])
    return found


def _typical(members: Indices, vectors: NDArray[np.float32] | None) -> int:
    """The photo nearest the mean of the chunk; the middle one in time if there are no vectors."""
    middle = int(members[len(members) // 2])
    if vectors is None:
        return middle
    known, rows = unit_rows(vectors[members])
    if not len(rows):
        return middle
    return int(members[known][int((rows @ centroid(rows)).argmax())])


def _places(
    photos: Sequence[ReportPhoto], stretches: Sequence[_Stretch], names: PlaceNames | None
) -> list[str | None]:
    """The commonest place of each stretch."""
    if names is None:
        return [None] * len(stretches)
    coordinates = [_coordinates(photo) for photo in photos]
    located = sorted({place for place in coordinates if place is not None})
    known = dict(zip(located, names(located), strict=True))
    found = [known[place] if place is not None else None for place in coordinates]
    cities = [place.name if place is not None else None for place in found]
    return [_commonest([cities[i] for i in s.members]) for s in stretches]


def _commonest(names: Sequence[str | None]) -> str | None:
    counted = Counter(name for name in names if name is not None)
    return counted.most_common(1)[0][0] if counted else None


NAMING_SHARE = 2 / 3
LONGEST_OF_A_FOLDER = 31
"""Days. A folder whose photos are spread over more (a phone's, a year's) is that of no event."""

_DATE_BEFORE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}[-_. ]+")


class _Folders:
    """Which folders were made for something that happened, such as `2024/Emma's birthday`."""

    def __init__(self, photos: Sequence[ReportPhoto], order: Indices) -> None:
        self._above = {int(i): _folders_above(photos[int(i)].rel_path) for i in order}
        self._days: defaultdict[str, list[int]] = defaultdict(list)
        for i, folders in self._above.items():
            for folder in folders:
                self._days[folder].append(_taken(photos, i).toordinal())
        self._is_of_an_event = cache(self._look_whether)

    def name_of(self, members: Indices) -> str | None:
        """Of the innermost folder of most of them that was made for what happened."""
        counted = Counter(folder for i in members for folder in self._above[int(i)])
        for folder in sorted(counted, key=len, reverse=True):
            name = _DATE_BEFORE.sub("", folder.rpartition("/")[2], count=1)
            if (
                counted[folder] >= NAMING_SHARE * len(members)
                and somebody_named(name)
                and self._is_of_an_event(folder)
            ):
                return name
        return None

    def _look_whether(self, folder: str) -> bool:
        """Whether nine tenths of its photos were taken within a month."""
        first, last = np.percentile(self._days[folder], (5, 95))
        return bool(last - first <= LONGEST_OF_A_FOLDER)


def _folders_above(rel_path: str) -> list[str]:
    """`a/b` and `a` for `a/b/c.jpg`."""
    folders = []
    while folder := rel_path.rpartition("/")[0]:
        folders.append(folder)
        rel_path = folder
    return folders


THRESHOLD = math.log(17)
WINDOW = 10

SHORTEST_GAP = 60.0
"""Seconds; smaller gaps count as this one. The paper's rule alone would end an event 17 s after a
burst of one photo per second; so nothing under 17 minutes ends one."""

LONGEST_GAP = 12 * 3600.0
"""Seconds; larger ones count as this one and always begin an event. The paper's rule alone finds
no events at all in a library with a photo a month."""


def event_starts(seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of n times in ascending order, which are the first of an event; the first one is."""
    starts = np.zeros(len(seconds), dtype=np.bool_)
    starts[:1] = True
    gaps = np.diff(seconds)
    if len(gaps):
        logs = np.log(np.clip(gaps, SHORTEST_GAP, LONGEST_GAP))
        starts[1:] = (logs >= THRESHOLD + _local_mean(logs)) | (gaps >= LONGEST_GAP)
    return starts


def _local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each value's neighbourhood of `WINDOW` to both sides, cut at the ends."""
    summed = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    low = np.maximum(index - WINDOW, 0)
    high = np.minimum(index + WINDOW + 1, len(values))
    return np.asarray((summed[high] - summed[low]) / (high - low), dtype=np.float64)


AWAY_KM = 50.0
BUSY_PHOTOS = 20
LONGEST_DAYS = 30
"""Without places, a longer run of busy days is a way of life and no trip."""

_HOME_CELL_DEGREES = 0.5


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


def find_trips(days: Sequence[PhotoDay]) -> list[tuple[int, int]]:
    """Runs [first, last] of two days or more, as indices of `days`, which are in order.

    Days over `AWAY_KM` from home, home being where most days are; a day without a place or photos
    in between does not end the trip. Where most days have no place (years of an older camera),
    also other calendar days in a row with `BUSY_PHOTOS` each, up to `LONGEST_DAYS`.
    """
    trips = _runs(days, _away(days), holes=1)
    if sum(day.place is not None for day in days) * 2 > len(days):
        return trips
    away = {i for first, last in trips for i in range(first, last + 1)}
    busy = [day.photos >= BUSY_PHOTOS and i not in away for i, day in enumerate(days)]
    runs = _runs(days, busy, holes=0)
    return sorted(
        trips + [(a, b) for a, b in runs if (days[b].day - days[a].day).days < LONGEST_DAYS]
    )


def _away(days: Sequence[PhotoDay]) -> list[bool]:
    places = [day.place for day in days if day.place is not None]
    cells = Counter(
        (round(lat / _HOME_CELL_DEGREES), round(lon / _HOME_CELL_DEGREES)) for lat, lon in places
    )
    cell = max(cells, key=lambda c: cells[c], default=(0, 0))  # without places nobody is away
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
