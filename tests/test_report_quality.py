"""The report on a library whose themes are known: it finds them, and keeps their numbers.

12 themes of 50 rendered scenes, shuffled over file names, go through the real program: decoders,
library.db, the `pixels` embedder, clustering and CSV. Then 5 % more come in.
"""

from __future__ import annotations

import csv
import json
import random

import pytest
from sklearn.metrics import adjusted_rand_score

from tests.scenes import THEMES, scene
from tests.support import report

EACH, MORE = 50, 30


@pytest.fixture(scope="module")
def library_of_scenes(tmp_path_factory):
    """The folder, and the theme of each photo by its path."""
    folder = tmp_path_factory.mktemp("scenes")
    names = [f"IMG_{number:04}.jpg" for number in range(EACH * len(THEMES))]
    random.Random(7).shuffle(names)
    themes = {name: THEMES[place // EACH] for place, name in enumerate(names)}
    (folder / "photos").mkdir()
    for place, (name, theme) in enumerate(themes.items()):
        scene(theme, place % EACH).save(folder / "photos" / name, quality=85)
    return folder, themes


def clusters(folder, out="first"):
    """A report's clusters by path, and its summary."""
    flags = ("--photos-dir=photos", "--embedder=pixels", "--json", f"--out={out}")
    done = report(*flags, cwd=folder, timeout=240)
    assert done.returncode == 0, done.stderr
    with open(folder / out / "cluster_export.csv", encoding="utf-8", newline="") as rows:
        return {row["path"]: row["cluster"] for row in csv.DictReader(rows)}, json.loads(
            done.stdout
        )


def test_themes_are_found_and_keep_their_numbers_when_photos_are_added(library_of_scenes):
    folder, themes = library_of_scenes
    first, summary = clusters(folder)
    assert set(first) == set(themes)
    assert adjusted_rand_score([themes[path] for path in first], list(first.values())) >= 0.9
    assert summary["noise_share"] <= 0.05

    again, _ = clusters(folder, "second")
    assert again == first, "the same photos and seed: the same clusters"

    for number in range(MORE):
        theme = THEMES[number % len(THEMES)]
        scene(theme, EACH + number).save(folder / "photos" / f"NEW_{number:02}.jpg", quality=85)
    after, _ = clusters(folder)
    kept = sum(after[path] == cluster for path, cluster in first.items())
    assert kept >= 0.95 * len(first)
