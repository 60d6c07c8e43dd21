"""The report on a library with faces: what it shows of them, and what it must not."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.cli.report_app import execute as execute_report
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from tests.metadata.takeout_trees import about, as_bytes
from tests.people.test_clustering import crowd
from tests.report.page.reports import data_of
from tests.support import caption, library

WHO, VECTORS = crowd(3, 30, seed=5)
PHOTOS = 15


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos of two faces each, those of three persons who are grouped; in the first is Anna."""
    monkeypatch.chdir(tmp_path)
    paths = sorted(library(tmp_path / "photos", PHOTOS).rglob("*.jpg"))
    order = np.argsort(np.random.default_rng(4).random(30))
    with Library.open(tmp_path / "library.db", pytest.fail) as db:
        for number, path in enumerate(paths):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            rel_path, status = str(path.relative_to(tmp_path / "photos")), path.stat()
            db.facts.save_file(rel_path, status.st_size, status.st_mtime_ns, content)
            faces = [
                StoredFace(place, (20.0 * place, 5.0, 16.0, 20.0), 0.9, 50.0,
                           np.zeros((5, 2), np.float32), VECTORS[order[2 * number + place]])
                for place in range(2)
            ]  # fmt: skip
            db.faces.save(content, "detector", "recogniser", faces)
    assert execute(["people", "cluster"]) == 0
    return tmp_path


def made(folder, *flags):
    assert execute_report(["--photos-dir", "photos", "--embedder", "pixels", *flags]) == 0
    out = folder / "report_out"
    with (out / "cluster_export.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    return data_of(out / "cluster_report.html")["people"], rows


def persons(capsys):
    capsys.readouterr()
    assert execute(["people", "list", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["persons"]


def test_people_stand_in_page_csv_and_markdown(folder, capsys):
    anna, ben, _ = persons(capsys)
    execute(["people", "name", anna["id"], "Anna; =1"])
    execute(["people", "hide", ben["id"]])
    shown, rows = made(folder)
    assert {one["name"] for one in shown["persons"]} == {"Anna; =1", ""}
    assert shown["persons"][0]["faces"] == len(anna["faces"])
    assert ben["id"] not in json.dumps(shown)
    for face in anna["faces"]:
        assert rows[face["rel_path"]]["people"].startswith("Anna; '=1")
        assert rows[face["rel_path"]]["faces"] == "2"
    assert "Anna; =1" in (folder / "report_out" / "cluster_report.md").read_text()
    for one in shown["persons"]:
        crop = one["crop"]
        path = folder / "report_out" / "cluster_report_files/thumbnails" / crop[:2] / f"{crop}.webp"
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"Exif" not in path.read_bytes()


def test_no_people_leaves_no_face_and_no_name(folder, capsys):
    anna = persons(capsys)[0]
    execute(["people", "name", anna["id"], "Annabelle"])
    assert made(folder)[0] is not None
    shown, rows = made(folder, "--no-people")
    assert shown is None
    assert {row["people"] + row["faces"] for row in rows.values()} == {""}
    for file in (folder / "report_out").rglob("*"):
        assert file.is_dir() or b"Annabelle" not in file.read_bytes(), file
    thumbnails = list((folder / "report_out").rglob("*.webp"))
    assert len(thumbnails) == PHOTOS, "thumbnails of photos, and no face"


def test_who_is_hidden_is_not_named_by_what_another_program_wrote(folder, capsys):
    anna = persons(capsys)[0]
    execute(["people", "name", anna["id"], "Annabelle"])
    path = folder / "photos" / anna["faces"][0]["rel_path"]
    said = about(path.name, people=[{"name": "annabelle"}, {"name": "Oma"}])
    path.with_name(f"{path.name}.json").write_bytes(as_bytes(said))
    execute(["process", "--photos-dir=photos", "--stage=normalize", "--stage=metadata"])
    for hidden in (False, True):
        if hidden:
            execute(["people", "hide", anna["id"]])
        made(folder)
        page = (folder / "report_out" / "cluster_report.html").read_text()
        assert "Oma" in page
        assert ("annabelle" in page.lower()) is not hidden


def test_a_face_on_a_photo_that_is_left_out_is_not_shown(folder, capsys):
    anna = persons(capsys)[0]
    there = anna["faces"][0]["rel_path"]
    shown, rows = made(folder, "--include", there)
    assert list(rows) == [there]
    assert {one["size"] for one in shown["persons"]} == {1}
    with Library.open(folder / "library.db", pytest.fail) as db, db.database.reading() as raw:
        contents = {row[0].decode() for row in raw.execute("SELECT content FROM face_crops")}
    assert contents == {hashlib.sha256((folder / "photos" / there).read_bytes()).hexdigest()}


def test_without_the_photos_directory_nothing_is_opened(folder, capsys):
    persons(capsys)
    (folder / "captions.jsonl").write_text("")
    assert execute_report(["--no-photos"]) == 0
    assert data_of(folder / "report_out" / "cluster_report.html")["people"] is None


def test_forget_takes_the_cut_out_faces_along(folder, capsys):
    made(folder)
    with Library.open(folder / "library.db", pytest.fail) as db, db.database.reading() as raw:
        (number,) = raw.execute("SELECT count(*) FROM face_crops").fetchone()
    assert number > 0
    (folder / "captions.jsonl").write_text("")
    done = caption("forget", "000", "--photos-dir=photos", cwd=folder)
    assert done.returncode == 0, done.stderr
    with Library.open(folder / "library.db", pytest.fail) as db, db.database.reading() as raw:
        assert raw.execute("SELECT count(*) FROM face_crops").fetchone() == (0,)


def test_a_photo_that_is_gone_leaves_a_person_without_a_face(folder, capsys):
    persons(capsys)
    for path in (folder / "photos").rglob("*.jpg"):
        path.write_bytes(b"no photo any more")
    shown, _ = made(folder)
    assert shown is None, "faces belong to bytes that are not there"
