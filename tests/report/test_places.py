"""Sights, quarters and villages lie in the city that people say, and not in the one next to it."""

import csv
from pathlib import Path

import pytest

from picture_captioner.report.places import place_names

pytestmark = pytest.mark.needs("reverse_geocode")

with (Path(__file__).parent / "cities.csv").open(encoding="utf-8", newline="") as lines:
    KNOWN = list(csv.DictReader(lines))


def test_places_are_the_cities_that_people_say():
    found = place_names()([(float(k["latitude"]), float(k["longitude"])) for k in KNOWN])
    wrong = [
        (known["what"], known["city"], place)
        for known, place in zip(KNOWN, found, strict=True)
        if place is None or place.name.split(", ")[0] != known["city"]
    ]
    assert wrong == []
    assert len(KNOWN) > 100


@pytest.mark.parametrize(
    ("where", "name", "detail"),
    [
        ((38.7223, -9.1393), "Lisbon, Portugal", "Intendente"),
        ((48.8867, 2.3431), "Paris, France", "Saint-Vincent de Paul, Île-de-France"),
        ((40.7580, -73.9855), "New York City, United States", "Times Square"),
        ((43.0962, -79.0377), "Niagara Falls, United States", ""),
        ((43.8070, 11.2930), "Florence, Italy", "Fiesole, Tuscany"),
        ((69.6492, 18.9553), "Tromsø, Norway", "Troms"),
        ((52.0, 179.9999), None, None),
        ((0.0, -30.0), None, None),
    ],
)
def test_quarter_and_region_stand_beside_the_city(where, name, detail):
    (place,) = place_names()([where])
    assert (place.name, place.detail) == (name, detail) if name else place is None
