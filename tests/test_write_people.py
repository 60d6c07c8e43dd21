"""Names go into sidecars as areas, where readers see them on the right face, and come out again."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picture_captioner.cli.caption_app import execute
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from picture_captioner.metadata.xmp_packet import Region, XmpPacket
from tests.metadata.test_xmp_packet import FOREIGN
from tests.needs import need
from tests.support import draw

FACE = (100.0, 30.0, 60.0, 90.0)
"""In the upright photo of 400 x 300 pixels; the others are this face in another photo."""
SEEN = (130 / 400, 75 / 300, 60 / 400, 90 / 300)


def as_a_reader_turns_it(region, orientation):
    """Immich, metadata.service.ts: an area of the stored picture, as the photo is shown."""
    x, y, width, height = region[2:]
    x, y = {
        1: (x, y), 2: (1 - x, y), 3: (1 - x, 1 - y), 4: (x, 1 - y),
        5: (y, x), 6: (1 - y, x), 7: (1 - y, 1 - x), 8: (y, 1 - x),
    }[orientation]  # fmt: skip
    return (x, y, *((height, width) if orientation >= 5 else (width, height)))


def saved(path, orientation, xmp=None):
    """A photo whose upright picture is 400 x 300."""
    exif = Image.Exif()
    exif[274] = orientation
    size = (300, 400) if orientation >= 5 else (400, 300)
    return draw(path, orientation, size, exif=exif, **({"xmp": xmp} if xmp else {}))


def add_faces(folder, paths, vector):
    with Library.open(folder / "library.db", pytest.fail) as db:
        for path in paths:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            rel_path, status = path.relative_to(folder / "photos").as_posix(), path.stat()
            db.facts.save_file(rel_path, status.st_size, status.st_mtime_ns, content)
            noise = vector + np.random.default_rng(len(rel_path)).normal(0, 0.01, vector.shape)
            face = StoredFace(0, FACE, 0.9, 60.0, np.zeros((5, 2), np.float32),
                              (noise / np.linalg.norm(noise)).astype(np.float32))  # fmt: skip
            db.faces.save(content, "detector", "recogniser", [face])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Eight photos of Anna, one for each way to hold a camera, and no caption."""
    monkeypatch.chdir(tmp_path)
    paths = [saved(tmp_path / "photos" / f"{n}.jpg", n) for n in range(1, 9)]
    add_faces(tmp_path, paths, np.eye(128, dtype=np.float32)[0])
    (tmp_path / "captions.jsonl").write_text("")
    run("people", "cluster")
    name_the_only_one("Anna")
    return tmp_path


def run(*arguments):
    assert execute([*arguments]) == 0


def write(*arguments):
    run("write", "--photos-dir=photos", *arguments)


def name_the_only_one(name):
    with Library.open(Path("library.db"), pytest.fail) as db:
        (person,) = {face.person for face in db.faces.placed()}
    run("people", "name", person, name)


def regions(folder, name):
    return XmpPacket((folder / "photos" / f"{name}.xmp").read_bytes()).regions()


def test_a_face_is_where_the_reader_shows_it_however_the_camera_was_held(here):
    write()
    for orientation in range(1, 9):
        [anna] = regions(here, f"{orientation}.jpg")
        assert anna[:2] == ("Anna", "Face")
        assert as_a_reader_turns_it(anna, orientation) == pytest.approx(SEEN, abs=1e-5)
    command = [need("exiftool"), "-j", "-struct", "photos/6.jpg.xmp"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    assert told["RegionInfo"]["AppliedToDimensions"] == {"W": 300, "H": 400, "Unit": "pixel"}
    assert told["RegionInfo"]["RegionList"][0]["Area"]["Unit"] == "normalized"


def test_a_heic_that_its_decoder_turns_is_written_as_it_is_stored(here):
    pillow_heif = need("pillow_heif")
    exif = Image.Exif()
    exif[274] = 6
    picture = Image.new("RGB", (300, 400), "gray")
    pillow_heif.from_pillow(picture).save(here / "photos" / "p.heic", exif=exif.tobytes())
    add_faces(here, [here / "photos" / "p.heic"], np.eye(128, dtype=np.float32)[0])
    run("people", "cluster")
    write("--include=p.heic")
    [anna] = regions(here, "p.heic")
    assert as_a_reader_turns_it(anna, 6) == pytest.approx(SEEN, abs=1e-5)


def test_a_second_time_adds_nothing_and_undo_takes_all_back(here, capsys):
    write()
    before = {p: p.read_bytes() for p in (here / "photos").glob("*.xmp")}
    assert len(before) == 8
    write()
    assert {p: p.read_bytes() for p in (here / "photos").glob("*.xmp")} == before
    run("undo", "--photos-dir=photos", "--all")
    assert list((here / "photos").glob("*.xmp")) == []


def test_another_name_takes_the_place_of_the_old_one(here):
    write()
    name_the_only_one("Anna B.")
    write()
    assert [r.name for r in regions(here, "1.jpg")] == ["Anna B."]
    with Library.open(Path("library.db"), pytest.fail) as db:
        (person,) = {face.person for face in db.faces.placed()}
    run("people", "hide", person)
    write()
    assert regions(here, "1.jpg") == []
    write("--fields=keywords")


def test_what_a_human_drew_stays_and_is_not_doubled(here):
    theirs = [
        Region("Grandma", "Face", 0.33, 0.26, 0.2, 0.35),
        Region("Rex", "Pet", 0.9, 0.9, 0.1, 0.1),
    ]
    packet = XmpPacket(FOREIGN)
    packet.add_regions(theirs, 400, 300)
    (here / "photos" / "1.jpg.xmp").write_bytes(packet.to_bytes())
    elsewhere = XmpPacket(FOREIGN)
    elsewhere.add_regions(theirs[1:], 400, 300)
    (here / "photos" / "2.jpg.xmp").write_bytes(elsewhere.to_bytes())
    write()
    assert regions(here, "1.jpg") == theirs
    assert [r.name for r in regions(here, "2.jpg")] == ["Rex", "Anna"]
    with open(here / "photos" / "2.jpg.xmp", "ab") as file:
        file.write(b"\n")  # somebody saved it
    run("undo", "--photos-dir=photos", "--all")
    assert regions(here, "2.jpg") == theirs[1:]


def test_what_stands_in_the_photo_itself_is_not_hidden_by_the_sidecar(here):
    own = XmpPacket()
    own.add_regions([Region("Ben", "Face", 0.8, 0.5, 0.2, 0.2)], 400, 300)
    path = saved(here / "photos" / "own.jpg", 1, own.to_bytes())
    add_faces(here, [path], np.eye(128, dtype=np.float32)[0])
    run("people", "cluster")
    write()
    write()
    assert [r.name for r in regions(here, "own.jpg")] == ["Ben", "Anna"]


@pytest.mark.parametrize("where", ["sidecar", "embedded"])
def test_a_guess_that_was_written_is_read_back_as_a_guess(here, where, capsys):
    if where == "embedded":
        need("exiftool")
    face = np.eye(128, dtype=np.float32)[0]
    add_faces(here, [draw(here / "photos" / "9.jpg", 9, (400, 300))], face)
    run("people", "cluster")
    write(f"--to={where}")
    for name in (here / "photos").parent.glob("library.db*"):
        name.unlink()
    add_faces(here, (here / "photos").glob("*.jpg"), face)
    run("process", "--photos-dir=photos", "--stage=normalize", "--stage=metadata")
    capsys.readouterr()
    run("people", "cluster")
    told = capsys.readouterr().err
    assert "confirmed" not in told
    assert re.search(r"\b1 face taken from what '[^']+ write' wrote", told), (
        "others were said before"
    )
    run("people", "cluster")
    assert "taken from" not in capsys.readouterr().err, "once"
    run("people", "show", "Anna", "--json")
    faces = json.loads(capsys.readouterr().out)["faces"]
    assert [face["status"] for face in faces] == ["auto"] * 9


def test_people_stay_out_where_they_are_not_asked_for(here):
    write("--fields=description,keywords")
    assert list((here / "photos").glob("*.xmp")) == []
