from __future__ import annotations

import numpy as np

from picture_captioner.report.page.palette import (
    NOISE_LAB,
    SIZE,
    colours,
    hex_colours,
    linear_rgb,
    oklab_palette,
)

NEAREST = 0.06
"""Distance in OKLab; 0.02 is about the least that an eye sees side by side."""


def test_no_two_colours_of_the_palette_are_close():
    palette = np.vstack([oklab_palette(), [NOISE_LAB]])
    apart = np.linalg.norm(palette[:, None] - palette[None, :], axis=2)
    assert apart[~np.eye(len(palette), dtype=bool)].min() > NEAREST


def test_every_colour_shows_on_white_and_on_black():
    luminance = linear_rgb(oklab_palette()) @ [0.2126, 0.7152, 0.0722]
    assert luminance.min() > 0.05
    assert luminance.max() < 0.75


def test_oklab_becomes_srgb():
    known = np.array([[1.0, 0, 0], [0, 0, 0], [0.6279554, 0.2248631, 0.1258463]])
    assert hex_colours(known) == ["#ffffff", "#000000", "#ff0000"]


def test_sixty_clusters_have_sixty_colours():
    assert len(set(colours(range(60)).values())) == 60
    assert len(set(colours(range(0, 60 * 7, 7)).values())) == 60
    assert len(colours(range(3 * SIZE))) == 3 * SIZE


def test_a_cluster_keeps_its_colour_when_others_come_and_go():
    before, after = colours([0, 3, 4, 9]), colours([0, 4, 9, 10, 30])
    assert all(before[cluster] == after[cluster] for cluster in (0, 4, 9))
