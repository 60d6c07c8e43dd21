"""The middle of places, on both sides of the date line too."""

from __future__ import annotations

import pytest

from picture_captioner.report.chunks import median_place


@pytest.mark.parametrize(
    ("east", "middle"),
    [
        ([10.0, 12.0, 11.0], 11.0),
        ([179.5, -179.5, 179.9], 179.9),
        ([179.0, -178.0, -178.5], -178.5),
        ([-0.5, 0.5], 0.0),
    ],
)
def test_the_middle_of_longitudes(east, middle):
    assert median_place([(-17.0, longitude) for longitude in east]) == pytest.approx(
        (-17.0, middle)
    )
