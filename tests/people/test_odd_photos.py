"""Crowds, posters, faces at the border and none at all, through the commands that people type."""

from __future__ import annotations

import json
from collections import Counter
from itertools import cycle, islice

import pytest
from PIL import Image

from picture_captioner.cli.caption_app import execute
from tests.people.labelled import needs_faces, portraits

TILE = 96


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four photos of each of five people, of whom groups come."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    seen = Counter()
    for who, photo in portraits():
        seen[who] += 1
        if seen[who] <= 4:
            photo.save(tmp_path / "photos" / f"{who}_{seen[who]}.jpg")
    return tmp_path


@pytest.fixture
def grouped(folder, known_models, capsys):
    """Scan and cluster; persons and faces of nobody, each as (photo, box)."""

    def run():
        scan = ["people", "scan", "--photos-dir=photos", f"--models-dir={known_models}"]
        assert execute(scan) == 0
        assert execute(["people", "cluster"]) == 0
        assert execute(["people", "review"]) == 0
        capsys.readouterr()
        assert execute(["people", "list", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return found["persons"], found["unassigned"]

    return run


def crowd(faces):
    """A photo of so many faces in rows, the same few people again and again."""
    across = round(faces**0.5 * 1.2)
    picture = Image.new("RGB", (across * TILE, -(-faces // across) * TILE))
    tiles = [photo.resize((TILE, TILE)) for _, photo in portraits()]
    for i, tile in enumerate(islice(cycle(tiles), faces)):
        picture.paste(tile, (i % across * TILE, i // across * TILE))
    return picture


def nobody_is_twice(persons):
    for person in persons:
        assert max(Counter(face["rel_path"] for face in person["faces"]).values()) == 1


@needs_faces
@pytest.mark.parametrize("faces", [40, pytest.param(500, marks=pytest.mark.torture)])
def test_nobody_is_twice_in_a_crowd(folder, grouped, faces):
    crowd(faces).save(folder / "photos" / "crowd.jpg")
    persons, free = grouped()
    nobody_is_twice(persons)
    everyone = [face for person in persons for face in person["faces"]] + free
    assert sum(face["rel_path"] == "crowd.jpg" for face in everyone) >= 0.7 * faces
    assert len(persons) >= 5


@needs_faces
def test_a_poster_of_somebody_beside_them_is_a_second_person(folder, grouped):
    [first, second] = islice((p for who, p in portraits() if who == "person_a"), 4, 6)
    poster = Image.new("RGB", (320, 160), "white")
    poster.paste(first.resize((160, 160)), (0, 0))
    poster.paste(second.resize((120, 120)), (190, 20))
    poster.save(folder / "photos" / "poster.jpg")
    persons, _ = grouped()
    nobody_is_twice(persons)


@needs_faces
def test_faces_at_the_border_stay_inside_and_photos_without_any_are_passed_over(folder, grouped):
    photo = next(portraits())[1]
    middle = photo.width // 2
    photo.crop((middle - 15, 0, *photo.size)).save(folder / "photos" / "cut left.jpg")
    photo.crop((0, 0, photo.width, photo.height // 2)).save(folder / "photos" / "cut below.jpg")
    Image.new("RGB", (640, 480), "gray").save(folder / "photos" / "none.jpg")
    Image.new("RGB", (3, 2), "gray").save(folder / "photos" / "tiny.png")
    persons, free = grouped()
    everyone = [face for person in persons for face in person["faces"]] + free
    assert not {"none.jpg", "tiny.png"} & {face["rel_path"] for face in everyone}
    for face in everyone:
        with Image.open(folder / "photos" / face["rel_path"]) as image:
            x, y, width, height = face["box"]
            assert x >= 0
            assert y >= 0
            assert x + width <= image.width + 1
            assert y + height <= image.height + 1
