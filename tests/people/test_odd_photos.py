"""Crowds, posters, statues, profiles, faces at the border, none at all, and hardly any photos."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageOps

from picture_captioner.cli.caption_app import execute
from picture_captioner.people.clustering import SAME_PERSON, cluster
from picture_captioner.people.decisions import Decisions
from picture_captioner.people.grouping import find_people
from tests.people.labelled import PROFILE, needs_faces, needs_profile, portraits, upright
from tests.people.test_clustering import crowd as made_up

TILE, EACH, CROWD = 96, 4, 40


class Found(NamedTuple):
    persons: list
    free: list

    def faces(self, photo):
        """(person or None, face) of each face in a photo."""
        owned = [(p["id"], f) for p in self.persons for f in p["faces"]]
        everyone = owned + [(None, f) for f in self.free]
        return [(who, face) for who, face in everyone if face["rel_path"] == photo]


def command(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert execute(["people", *arguments]) == 0
    return out.getvalue()


def listed():
    told = json.loads(command("list", "--json"))
    return Found(told["persons"], told["unassigned"])


@pytest.fixture
def scan(tmp_path, monkeypatch, people_models):
    """Find and group the faces of the photos that were put into "photos"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()

    def scan():
        command("scan", "--photos-dir=photos", f"--models-dir={people_models}")
        command("cluster")

    return scan


@pytest.fixture
def home(tmp_path, scan):
    """Four photos of each of five people, and the odd ones; scanned and clustered."""
    photos = tmp_path / "photos"
    people = list(portraits())
    seen = Counter()
    for who, photo in people:
        seen[who] += 1
        if seen[who] <= EACH:
            photo.save(photos / f"{who}_{seen[who]}.jpg")
    mine = [photo for who, photo in people if who == "person_a"]
    rows(people, CROWD).save(photos / "crowd.jpg")
    with_poster(mine[EACH], mine[EACH + 1]).save(photos / "poster.jpg")
    ImageOps.grayscale(mine[EACH + 2]).save(photos / "statue.jpg")
    middle = mine[0].width // 2
    mine[0].crop((middle - 15, 0, *mine[0].size)).save(photos / "cut left.jpg")
    mine[0].crop((0, 0, mine[0].width, mine[0].height // 2)).save(photos / "cut below.jpg")
    Image.new("RGB", (640, 480), "gray").save(photos / "none.jpg")
    Image.new("RGB", (3, 2), "gray").save(photos / "tiny.png")
    scan()
    return tmp_path


def rows(people, faces):
    """A photo of so many faces in rows, the same few people again and again."""
    across = round(faces**0.5 * 1.2)
    picture = Image.new("RGB", (across * TILE, -(-faces // across) * TILE))
    tiles = [photo.resize((TILE, TILE)) for _, photo in people]
    for i, tile in enumerate(islice(cycle(tiles), faces)):
        picture.paste(tile, (i % across * TILE, i // across * TILE))
    return picture


def with_poster(somebody, of_them):
    poster = Image.new("RGB", (320, 160), "white")
    poster.paste(somebody.resize((160, 160)), (0, 0))
    poster.paste(of_them.resize((120, 120)), (190, 20))
    return poster


@needs_faces
def test_odd_photos_are_told_as_they_are(home):
    """One scan for all of them: it is what takes the time."""
    found = listed()
    for person in found.persons:
        assert max(Counter(face["rel_path"] for face in person["faces"]).values()) == 1
    own = [
        {face["rel_path"][:8] for face in person["faces"] if face["rel_path"].startswith("person")}
        for person in found.persons
    ]
    assert sorted(len(who) for who in own) == [1] * 5, "each is one person, and alone"
    assert len(found.faces("crowd.jpg")) >= 0.9 * CROWD
    (somebody, _), (on_the_poster, _) = found.faces("poster.jpg")
    assert somebody != on_the_poster, "a poster of somebody beside them is not them again"
    for photo in ("cut left.jpg", "cut below.jpg"):
        with Image.open(home / "photos" / photo) as image:
            for _, face in found.faces(photo):
                x, y, width, height = face["box"]
                assert min(x, y) >= 0
                assert x + width <= image.width + 1
                assert y + height <= image.height + 1
    assert found.faces("none.jpg") == found.faces("tiny.png") == []
    assert len(found.faces("statue.jpg")) == 1, "it is a face until somebody says that it is none"
    command("not-a-face", "statue.jpg#0")
    command("cluster", "--rebuild")
    assert listed().faces("statue.jpg") == []


@needs_faces
@pytest.mark.torture
def test_five_hundred_faces_in_one_photo_are_found(detect):
    assert len(detect(rows(list(portraits()), 500))) >= 0.7 * 500


def test_five_hundred_faces_in_one_photo_are_five_hundred_people():
    """They look like 40 people of whom there are photos: each gets one face of the crowd."""
    who, vectors = made_up(40, 700)
    alone = np.random.default_rng(1).permutation(700)[:200]
    photos = ["crowd"] * 700
    for i in alone:
        photos[i] = f"{i}"
    keys = [f"{photo}:{i * 60},0,50,50" for i, photo in enumerate(photos)]
    people = find_people(keys, photos, vectors, cluster(vectors).labels, Decisions())
    for person in people.persons.values():
        assert sum(photos[face] == "crowd" for face in person.faces) <= 1
        assert len({who[face] for face in person.faces}) == 1
    assert sum(people.of_face[i] is not None for i in alone) >= 190


@needs_faces
def test_of_a_face_that_is_cut_off_at_the_border_part_is_enough(detect, recognise):
    """A share of its width is outside of the photo; who is found is the same person."""
    photos = [photo for _, photo in islice(portraits(), 0, None, 9)]
    same = Counter()
    for photo in photos:
        [whole, *_] = detect(photo)
        vector = recognise(photo, [whole])[0]
        for cut in (0.25, 0.5):
            edge = round(whole.box.x + whole.box.width * cut)
            part = photo.crop((edge, 0, *photo.size))
            if faces := detect(part)[:1]:
                same[cut] += bool(recognise(part, faces)[0] @ vector > SAME_PERSON)
    assert same[0.25] >= 0.9 * len(photos)
    assert same[0.5] >= 0.5 * len(photos)


@needs_profile
def test_a_profile_is_a_face_and_the_same_person_from_the_other_side(tmp_path, scan):
    photo = upright(PROFILE)
    photo.save(tmp_path / "photos" / "one.jpg")
    ImageOps.mirror(photo).save(tmp_path / "photos" / "other side.jpg")
    photo.resize((420, 350)).save(tmp_path / "photos" / "small.jpg")
    scan()
    found = listed()
    assert found.free == []
    assert len(found.persons) == 2
    for person in found.persons:
        assert sorted(face["rel_path"] for face in person["faces"]) == [
            "one.jpg",
            "other side.jpg",
            "small.jpg",
        ]


@needs_profile
def test_the_profile_is_one(detect):
    """Else the test above says nothing of profiles."""
    eyes = {
        round(face.box.x): abs(float(face.landmarks[0, 0] - face.landmarks[1, 0])) / face.box.width
        for face in detect(upright(PROFILE))
    }
    assert len(eyes) == 2
    assert eyes[min(eyes)] > 0.4, "she looks at us"
    assert eyes[max(eyes)] < 0.2, "of his eyes one is seen"


@needs_faces
@pytest.mark.parametrize("count", [1, 2])
def test_a_library_of_hardly_any_photos(count, tmp_path, scan, capsys):
    for number, (_, photo) in enumerate(islice(portraits(), count)):
        photo.save(tmp_path / "photos" / f"{number}.jpg")
    scan()
    maintained(count)
    found = listed()
    assert len(found.free) == count % 2, "one face is nobody's, two of one person are somebody"
    assert [len(person["faces"]) for person in found.persons] == [2] * (count // 2)
    command("name", found.persons[0]["id"] if found.persons else "0.jpg#0", "Anna")
    scan()
    maintained(count)
    [anna] = listed().persons
    assert (anna["name"], len(anna["faces"])) == ("Anna", count)
    assert "Contradiction" not in capsys.readouterr().err


@needs_faces
def test_who_is_on_two_photos_is_somebody_and_a_copy_of_a_photo_makes_nobody(tmp_path, scan):
    seen = Counter()
    for who, photo in portraits():
        seen[who] += 1
        if seen[who] <= 2 and who != "person_e":
            photo.save(tmp_path / "photos" / f"{who} {seen[who]}.jpg")
        elif seen[who] == 1:
            photo.save(tmp_path / "photos" / "once.jpg")
            photo.save(tmp_path / "photos" / "once, a copy.png")
    scan()
    found = listed()
    who = [{face["rel_path"][:8] for face in person["faces"]} for person in found.persons]
    assert sorted(map(list, who)) == [[f"person_{letter}"] for letter in "abcd"]
    assert [len(person["faces"]) for person in found.persons] == [2] * 4
    assert sorted(face["rel_path"] for face in found.free) == ["once, a copy.png", "once.jpg"]


@needs_faces
def test_photos_that_were_moved_and_written_into_are_where_they_are_now(tmp_path, scan, capsys):
    photos = tmp_path / "photos"
    for number, (_, photo) in enumerate(islice(portraits(), 4)):
        photo.save(photos / f"{number}.jpg")
    scan()
    [anna] = listed().persons
    command("name", anna["id"], "Anna")
    command("confirm", "Anna", "0.jpg#0")
    command("not-this-person", "1.jpg#0", "Anna")
    (photos / "album").mkdir()
    for number in (0, 1):
        data = (photos / f"{number}.jpg").read_bytes()
        (photos / "album" / f"{number}.jpg").write_bytes(data[:2] + b"\xff\xfe\0\4hi" + data[2:])
        (photos / f"{number}.jpg").unlink()
    (photos / "2.jpg").rename(photos / "album" / "2.jpg")
    (photos / "3.jpg").rename(tmp_path / "3.jpg")  # its disk is off
    capsys.readouterr()
    scan()
    told = capsys.readouterr().err
    assert "1 photo looked at before is not in photos; of those that were deleted" in told
    assert "forget --photos-dir=photos --gone" in told
    found = listed()
    everywhere = [f["rel_path"] for p in found.persons for f in p["faces"]]
    everywhere += [f["rel_path"] for f in found.free]
    assert sorted(everywhere) == ["3.jpg", *(f"album/{number}.jpg" for number in range(3))]
    shown = json.loads(command("show", "Anna", "--json"))["faces"]
    assert {face["rel_path"]: face["status"] for face in shown} == {
        "3.jpg": "auto",
        "album/0.jpg": "confirmed",
        "album/2.jpg": "auto",
    }


def maintained(faces):
    """After all that is done day by day and week by week, with nothing to decide."""
    command("review")
    for what in ("daily", "weekly", "check-staleness"):
        assert execute(["maintain", what]) == 0
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert execute(["maintain", "health"]) == 0
    health = json.loads(out.getvalue())
    assert (health["total_faces"], health["total_clusters"]) == (faces, faces - 1)
