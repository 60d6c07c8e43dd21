"""Takeout's files find their photos by whatever name, and no other; what they say comes out."""

import random

import pytest

from picture_captioner.metadata.beside import Folder, Part
from picture_captioner.metadata.claims import TakenFrom
from picture_captioner.metadata.takeout import album_of, from_takeout, pairs
from picture_captioner.metadata.told import Kind
from tests.metadata.takeout_trees import ALBUMS, about, album, as_bytes, folder

LONG = "Weekend trip to the mountains with the family, part one.jpg"


@pytest.mark.parametrize(
    ("photo", "name", "title"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-met.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json", ""),
        ("IMG_1.jpg", "IMG_1.jpg..json", ""),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json", "IMG_1.jpg"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json", "IMG_1.jpg"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json", "IMG_1(2).jpg"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1-bearbeitet(1).jpg", "IMG_1.jpg(1).json", "IMG_1.jpg"),
        ("IMG_1-編集済み.jpg", "IMG_1.jpg.suppl.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.json", "IMG_1"),
        ("A_B.jpg", "A_B.jpg.json", "A&B.jpg"),
        (f"{LONG[:47]}.jpg", f"{LONG[:46]}.json", LONG),
        (f"{LONG[:47]}(1).jpg", f"{LONG[:46]}(1).json", LONG),
        (f"{'1' * 40}_DSCN009.JPG", f"{'1' * 40}_DSCN009.JP.s.json", ""),
        ("e\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg.json", "\u00e9t\u00e9.jpg"),
    ],
)
def test_every_way_of_naming(photo, name, title):
    assert pairs([photo], {name: title}) == {photo: name}


@pytest.mark.parametrize(
    ("photo", "name", "title"),
    [
        ("IMG_10.jpg", "IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.jpg(1).json", "IMG_1.jpg"),
        ("IMG_1(1).jpg", "IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1.png", "IMG_1.jpg.json", "IMG_1.jpg"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", "IMG_2.jpg"),
        (f"{LONG[:47]}.jpg", f"{LONG[:46]}.json", LONG[:46] + "t is another one.jpg"),
        ("unedited.jpg", "un.jpg.json", "un.jpg"),
    ],
)
def test_what_is_no_pair(photo, name, title):
    assert pairs([photo], {name: title}) == {}


def test_where_two_may_be_meant_there_is_no_pair():
    assert pairs(["IMG_1.jpg", "IMG_1.png"], {"IMG_1.json": "IMG_1"}) == {}


def test_made_up_trees_with_every_way_of_naming():
    right = wrong = missing = 0
    for seed in range(40):
        photos, files = folder(random.Random(seed))
        found = pairs(photos, {name: value["title"] for name, value in files.items()})
        for photo, name in photos.items():
            right += found.get(photo) == name and name is not None
            wrong += photo in found and found[photo] != name
            missing += name is not None and photo not in found
    assert wrong == 0
    assert right / (right + missing) >= 0.99, (right, missing)
    assert right > 3000


def test_made_up_trees_that_takeout_packed_into_three_parts():
    right = wrong = missing = 0
    for seed in range(10):
        rng = random.Random(seed)
        photos, files = folder(rng)
        said = {n: as_bytes({**value, "description": f"of {n}"}) for n, value in files.items()}
        where = {name: rng.randrange(3) for name in (*photos, *files)}
        parts = [
            Part([p for p in photos if where[p] == i], [f for f in files if where[f] == i],
                 said.__getitem__)
            for i in range(3)
        ]  # fmt: skip
        for part in parts:
            others = [other for other in parts if other is not part]
            sizes = dict.fromkeys(part.photos, 1)
            found = Folder(sizes, part.beside, part.read, parts=others).facts()
            for photo in part.photos:
                told = {f.value for f in found[photo].facts} if photo in found else set()
                right += photos[photo] is not None and f"of {photos[photo]}" in told
                wrong += bool(told - {f"of {photos[photo]}"})
                missing += photos[photo] is not None and not told
    assert wrong == 0
    assert right / (right + missing) >= 0.99, (right, missing)
    assert right > 700


def test_what_a_file_says():
    said = from_takeout(
        about(
            "IMG_1.jpg",
            description="Grandma in Rome",
            people=[{"name": "Anna"}, {"name": ""}, "odd"],
            favorited=True,
            geoData={"latitude": 41.9, "longitude": 12.5, "altitude": 20.5},
        )
    )
    assert [(f.kind, f.value, f.source) for f in said.facts] == [
        (Kind.DESCRIPTION, "Grandma in Rome", "takeout"),
        (Kind.PERSON, "Anna", "takeout"),
        (Kind.FAVOURITE, "yes", "takeout"),
    ]
    assert (said.latitude, said.longitude, said.altitude) == (41.9, 12.5, 20.5)
    (time,) = said.times
    assert (time.at, time.source) == ("2019-02-25T19:41:24+00:00", TakenFrom.TAKEOUT)


def test_zero_is_no_place_and_the_cameras_place_counts_then():
    assert from_takeout(about("a.jpg")).latitude is None
    there = {"latitude": 1.5, "longitude": 2.5, "altitude": 0.0}
    assert from_takeout(about("a.jpg", geoDataExif=there)).longitude == 2.5


@pytest.mark.parametrize(
    "value",
    [
        {"photoTakenTime": {"timestamp": "x"}},
        {"photoTakenTime": "now", "people": 3, "geoData": [1], "description": 5},
        {"photoTakenTime": {"timestamp": "9" * 400}},
        {"photoTakenTime": {"timestamp": "1"}, "geoData": {"latitude": 1e300, "longitude": True}},
    ],
)
def test_nonsense_says_nothing(value):
    said = from_takeout(value)
    assert (said.facts, said.latitude) == ((), None)


def test_albums_in_any_language():
    for name, title in ALBUMS.items():
        files = {name: as_bytes(album(title))}
        (said,) = Folder({"a.jpg": 1}, files, files.get).facts()["a.jpg"].facts
        assert (said.kind, said.value) == (Kind.ALBUM, title)


@pytest.mark.parametrize("title", ["Photos from 2019", "Fotos von 2019", "2019", "2019年の写真"])
def test_the_folder_of_a_year_is_no_album(title):
    assert album_of(album(title)) == ""
    assert album_of({"albumData": album("Urlaub 2019")}) == "Urlaub 2019"


def test_names_that_differ_only_behind_the_cut_are_told_apart_by_their_titles():
    one, other = ("x" * 46 + end + ".jpg" for end in ("a", "b"))
    files = {f"{'x' * 46}.json": one, f"{'x' * 46}(1).json": other}
    assert pairs([one, other], files) == {one: f"{'x' * 46}.json", other: f"{'x' * 46}(1).json"}
    assert pairs([one, other], dict.fromkeys(files, "")) == {}
