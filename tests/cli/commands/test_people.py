"""The people commands on a library of made-up faces: what a human said outlives everything."""

from __future__ import annotations

import json
import re

import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.journal.record import Record, Status
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.people_file import PeopleFile
from tests.cli.commands.made_up_people import (
    FACES,
    PEOPLE,
    WHO,
    content_of,
    faces_of,
    fill,
    largest,
    listed,
    maintain,
)
from tests.support import caption


def test_nothing_is_there_yet(tmp_path):
    done = caption("people", "list", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"persons": [], "unassigned": []})
    assert "people scan" in done.stderr
    assert list(tmp_path.iterdir()) == []
    for command in (["cluster"], ["review"], ["show", "x"], ["name", "x", "Anna"], ["export", "x"]):
        done = caption("people", *command, cwd=tmp_path)
        assert done.returncode in {0, 64, 78}, done.stderr
        assert "Traceback" not in done.stderr


def test_who_has_scanned_is_not_told_to_scan(at_home, capsys):
    with Library.open(at_home, pytest.fail) as library:
        library.facts.save_file("fir.jpg", 1, 1, content_of(0))
        library.ledger.note(content_of(0), "faces", "1")
    for command in ("list", "cluster", "review"):
        assert execute(["people", command]) == 0
        assert "No faces in the 1 photo that" in capsys.readouterr().err


def test_a_list_has_the_promised_form(people):
    found = listed(people)
    assert set(found) == {"persons", "unassigned"}
    assert len(found["persons"]) == PEOPLE
    for person in found["persons"]:
        assert set(person) == {"id", "name", "faces"}
        for face in person["faces"]:
            assert set(face) == {"rel_path", "box", "score"}
            assert face["box"][2:] == [50, 50]
    everything = [f for p in found["persons"] for f in p["faces"]] + found["unassigned"]
    assert len(everything) == FACES


def test_a_list_shows_a_photo_of_everybody(people, home):
    anna = largest(people)
    shown = people("list")[1].splitlines()
    [line] = [line for line in shown if line.startswith(anna["id"])]
    nearest = max(faces_of(people, anna["id"]), key=lambda face: face["cosine"])
    assert line.split("\t")[4] == nearest["rel_path"]
    assert people("hide", anna["id"])[0] == 0
    assert nearest["rel_path"] + "\thidden" in people("list", "--all")[1]
    assert people("name", anna["id"], "Anna")[0] == 0
    with Library.open(home, pytest.fail) as library:
        library.drop_files(library.known_files())
    code, out, _ = people("list", "--all")
    assert (code, out.split("\t")[1:]) == (0, ["Anna", "0 faces", "0 photos", "-", "hidden\n"])


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_a_name_outlives_library_db_another_threshold_and_a_new_clustering(people, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    had = {f["rel_path"] for f in anna["faces"]}
    (tmp_path / "library.db").unlink()
    fill(tmp_path / "library.db", shift=7.0)  # another detector: the boxes moved a little
    assert people("cluster")[0] == 0
    [again] = [p for p in listed(people)["persons"] if p["name"] == "Anna"]
    assert again["id"] == anna["id"]
    assert {f["rel_path"] for f in again["faces"]} == had
    assert people("cluster", "--rebuild")[0] == 0
    assert {f["rel_path"] for f in faces_of(people, "Anna")} == had


def test_new_faces_join_without_a_new_clustering(at_home, capsys):
    fill(at_home, faces=range(0, FACES, 1 + 1))
    run = lambda *a: (execute(["people", *a]), *capsys.readouterr())  # noqa: E731
    assert run("cluster")[0] == 0
    before = json.loads(run("list", "--json")[1])
    fill(at_home)
    told = run("list", "--photos-dir=my photos")[2]
    assert "in no group yet" in told
    assert "people cluster '--photos-dir=my photos''" in told
    code, out, err = run("cluster", "--json")
    told = json.loads(out)
    assert (code, told["added"], told["anew"]) == (0, FACES // 2, "")
    assert "Stale: 100% of the faces came since" in err
    after = json.loads(run("list", "--json")[1])
    assert {p["id"] for p in before["persons"]} <= {p["id"] for p in after["persons"]}
    grouped = sum(len(p["faces"]) for p in after["persons"])
    assert grouped >= 0.8 * FACES
    assert "0 new faces" in run("cluster")[2]


def test_review_names_the_command_to_type(people, tmp_path):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    a, b = (faces_of(people, p)[0]["face"] for p in (one, other))
    people("confirm", one, a)
    people("confirm", other, b)
    assert people("same", a, b)[0] == 0
    _, out, _ = people("review")
    assert "contradiction\t" in out
    told = json.loads(people("review", "--json")[1])
    assert set(told) == {"faces", "persons", "suspicious", "violations"}
    [violation] = told["violations"]
    assert {a, b} <= {*violation.split()}, "faces are called as 'show' prints them"
    command = re.findall(r"'caption\.py people (different [^']*)'", violation)[0]
    assert people(*command.split())[0] == 0
    assert json.loads(people("review", "--json")[1])["violations"] == []


def test_a_damaged_people_file_loses_one_line_and_says_so(people, tmp_path):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    with open(tmp_path / "people.jsonl", "ab") as file:
        file.write(b'{"kind": "name", "person": 5}\n{"kind": "confirm"}\nnonsense\n{"kind": "na')
    code, out, err = people("list")
    assert (code, "Anna" in out, "line 5" in err) == (0, True, True)
    with open(tmp_path / "people.jsonl", "ab") as file:
        file.write(b"\nnonsense" * 90)
    assert (people("list")[2].count("people.jsonl: "), "more lines" in people("list")[2]) == (
        5,
        True,
    )
    assert people("name", "Anna", "Anna B.")[0] == 0
    assert "Anna B." in people("list")[1]
    assert (tmp_path / "people.jsonl").stat().st_mode & 0o777 == 0o600


def test_who_decides_is_alone(people, tmp_path):
    with PeopleFile(tmp_path / "people.jsonl"):
        assert people("hide", "--unnamed-under", 5)[0] == 75
        assert people("cluster")[0] == people("associate")[0] == 75
        assert maintain("daily") == maintain("merge-similar") == 75
        assert people("list")[0] == people("associate", "--dry-run")[0] == 0
        assert maintain("health") == 0


def test_one_photo_is_enough_to_name_somebody(at_home, capsys):
    """A face of nobody is named by itself; two like each other are somebody without that."""
    run = lambda *a: (execute(["people", *a]), *capsys.readouterr())  # noqa: E731
    anna, ben = ([i for i in range(FACES) if WHO[i] == who] for who in (1, 0))
    fill(at_home, faces=[*anna[:1], *ben[:2]])
    assert "in no group yet" in run("review")[2]
    assert run("cluster")[0] == 0
    assert "people show nobody" in run("list")[2]
    code, out, _ = run("show", "nobody")
    [first] = (line.split("\t")[0] for line in out.splitlines())
    assert (code, run("name", first, "Anna")[0]) == (0, 0)
    assert run("cluster", "--rebuild")[0] == 0
    persons = json.loads(run("list", "--json")[1])["persons"]
    assert {(person["name"], len(person["faces"])) for person in persons} == {("Anna", 1), ("", 2)}
    code, _, err = run("name", first, "Ben")
    anna = next(person["id"] for person in persons if person["name"])
    assert (code, f"people name {anna} Ben" in err) == (64, True)


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_who_searches_somebody_by_the_name_alone_is_told_how(people, tmp_path):
    anna, oma, *_ = listed(people)["persons"]
    assert people("name", anna["id"], "Anna")[0] == 0
    assert people("name", oma["id"], "Oma Käthe")[0] == 0
    record = Record(rel_path="000.jpg", caption="A picnic of friends.", status=Status.SUCCESS)
    (tmp_path / "captions.jsonl").write_bytes(record.to_line())
    for typed, search in (
        ("anna", "person:Anna"),
        ("oma käthe", "'person:\"Oma Käthe\"'"),
        ("Käthe picnic", "'person:\"Oma Käthe\" picnic'"),
    ):
        done = caption("search", typed, cwd=tmp_path)
        assert f" search {search}\n" in done.stderr
    assert "For photos of" not in caption("search", "picnic", cwd=tmp_path).stderr
    found = caption("search", "--paths0", "--all", "person:Anna", cwd=tmp_path)
    assert len(found.stdout.split("\0")) > 1
    assert people("hide", "Anna")[0] == 0
    assert "For photos of" not in caption("search", "anna", cwd=tmp_path).stderr
