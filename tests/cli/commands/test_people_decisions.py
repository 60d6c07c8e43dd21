"""What a human decides about people, and takes back."""

from __future__ import annotations

import json

from picture_captioner.errors import JournalError
from picture_captioner.pipeline.people.people_file import PeopleFile
from tests.cli.commands.made_up_people import FACES, PEOPLE, faces_of, largest, listed


def test_no_decision_is_told_that_was_not_written(people, monkeypatch):
    somebody = largest(people)["id"]

    def full(*_):
        raise JournalError("cannot write to the people file: No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(PeopleFile, "decide", full)
        code, _, told = people("name", somebody, "Anna")
    assert (code, told) == (74, "cannot write to the people file: No space left on device\n")
    code, _, told = people("name", somebody, "Anna")
    assert (code, "is Anna (" in told) == (0, True)


def test_merge_split_confirm_and_refuse(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    photos = {f["rel_path"] for p in (one, other) for f in faces_of(people, p)}
    code, _, err = people("merge", one, other)
    assert (code, "both are on" in err, "merge --force" in err) == (64, True, True)
    assert people("merge", "--force", one, other)[0] == 0
    merged = faces_of(people, one)
    assert {f["rel_path"] for f in merged} == photos
    assert len(merged) == len(photos), "nobody is twice in a photo"
    assert people("show", other)[0] == 0, "the old id means the heir"
    gone = [face["face"] for face in merged[:3]]
    assert people("split", one, *gone)[0] == 0
    assert not {f["face"] for f in faces_of(people, one)} & set(gone)
    assert people("not-this-person", faces_of(people, one)[0]["face"], one)[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    assert not {f["face"] for f in faces_of(people, one)} & set(gone)
    assert people("confirm", one, gone[0])[0] == 0
    assert gone[0] in {f["face"] for f in faces_of(people, one)}
    assert people("not-a-face", gone[1])[0] == 0
    assert people("confirm", one, gone[1])[0] == 0, "what was said in error is taken back"
    assert gone[1] in {f["face"] for f in faces_of(people, one)}
    code, _, err = people("split", one, "ffffffffff#7")
    assert (code, "no face is called" in err) == (64, True)


def test_a_merge_is_taken_back_whatever_was_said_since(people):
    one, other, third = (p["id"] for p in listed(people)["persons"][:3])
    for person, name in ((one, "Anna"), (other, "Berta")):
        people("name", person, name)
    code, _, err = people("name", other, "Anna")
    assert (code, "they are two: both are on" in err, "people merge" in err) == (0, True, False)
    people("name", other, "Berta")
    had = {person: {f["face"] for f in faces_of(people, person)} for person in (one, other)}
    code, out, _ = people("merge", "--force", "--json", one, other)
    assert [row["kind"] for row in json.loads(out)["changed"]] == ["member", "member", "merge"]
    assert people("name", one, "Clara")[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    assert people("unmerge", third)[0] == 64
    code, out, err = people("unmerge", one, "--json")
    assert (code, f"{other} is no longer part of {one}" in err) == (0, True)
    assert json.loads(out)["changed"][0] == {"kind": "unmerge", "person": other}
    names = {p["id"]: p["name"] for p in listed(people)["persons"]}
    assert (names[one], names[other]) == ("Clara", "Berta")
    for person in (one, other):
        assert {f["face"] for f in faces_of(people, person)} >= had[person]
    assert people("unmerge", other)[0] == 64, "once"


def test_merges_are_taken_back_in_any_order(people):
    one, other, third = (p["id"] for p in listed(people)["persons"][:3])
    for person, name in ((one, "Anna"), (other, "Berta"), (third, "Clara")):
        people("name", person, name)
    had = {who: {f["face"] for f in faces_of(people, who)} for who in (one, other, third)}
    people("merge", "--force", one, other)
    people("merge", "--force", one, third)
    assert people("unmerge", other)[0] == 0
    code, _, err = people("unmerge", third)
    assert (code, f"has {len(had[third])} faces of before" in err) == (0, True)
    for who, faces in had.items():
        assert {f["face"] for f in faces_of(people, who)} >= faces


def test_a_name_is_one_however_its_accents_are_typed(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    assert people("name", one, "Zoe\u0308")[0] == 0
    code, _, err = people("name", other, "zo\u00eb")
    assert (code, f"{one} is called Zo\u00eb too" in err) == (0, True)
    for name in (
        "\U0001f469\u200d\U0001f467 Zo\u00eb",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    ):
        assert people("name", one, name)[0] == 0
        assert faces_of(people, name)
    assert people("name", one, "\u200d")[0] == 64


def test_every_command_that_decides_prints_what_changed(people, tmp_path):
    anna, other = listed(people)["persons"][:2]
    faces = [f["face"] for f in faces_of(people, anna["id"])]
    for words in (
        ("name", anna["id"], "Anna"),
        ("confirm", anna["id"], faces[0]),
        ("split", anna["id"], faces[1]),
        ("not-this-person", faces[2], anna["id"]),
        ("not-a-face", faces[3]),
        ("same", faces[0], faces[4]),
        ("different", anna["id"], other["id"]),
        ("hide", other["id"]),
        ("export", tmp_path / "people.csv"),
        ("import", tmp_path / "people.csv"),
    ):
        code, out, _ = people(*words, "--json")
        answer = json.loads(out)
        assert (code, sorted(answer)) == (0, ["changed", "contradictions"]), words
        assert bool(answer["changed"]) is (words[0] != "import"), words


def test_what_is_no_face_is_in_no_list(people):
    face = faces_of(people, largest(people)["id"])[0]
    assert people("not-a-face", face["face"])[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    found = listed(people)
    everything = [f for p in found["persons"] for f in p["faces"]] + found["unassigned"]
    assert len(everything) == FACES - 1
    assert {
        "rel_path": face["rel_path"],
        "box": face["box"],
        "score": face["score"],
    } not in everything


def test_the_unnamed_are_hidden_in_one_step(people):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    assert people("hide", "--unnamed-under", 1000)[0] == 0
    _, out, err = people("list")
    assert out.split("\t")[:2] == [anna["id"], "Anna"]
    assert f"{PEOPLE - 1} hidden" in err
    assert people("list", "--all")[1].count("\thidden\n") == PEOPLE - 1
    people("cluster", "--rebuild")
    assert len(people("list")[1].splitlines()) == 1
    assert people("hide", "--unnamed-under", 1000, "--undo")[0] == 0
    assert len(people("list")[1].splitlines()) == PEOPLE


def test_two_that_are_different_are_never_joined(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    assert people("name", one, "Anna: #1")[0] == 0
    code, _, err = people("different", "Anna: #1", other)
    assert (code, err) == (0, f"Anna: #1 and {other} are never the same person\n")
    _, out, _ = people("associate", "--threshold", "0.3", "--json")
    joined = json.loads(out)["joined"]
    assert joined.get(one) != other
    assert joined.get(other) != one


def test_a_name_is_taken_off_and_comes_back_with_nothing(people, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    code, _, err = people("name", "Anna", " ")
    assert (code, "people unname Anna" in err) == (64, True)
    refused = faces_of(people, "Anna")[0]["face"]
    assert people("not-this-person", refused, "Anna")[0] == 0
    code, out, err = people("unname", "Anna", "--json")
    assert (code, f"{anna['id']} is not called Anna any more" in err) == (0, True)
    assert json.loads(out)["changed"][0] == {"kind": "name", "person": anna["id"], "name": ""}
    for arguments in ((), ("--rebuild",)):
        assert people("cluster", *arguments)[0] == 0
        [again] = [p for p in listed(people)["persons"] if p["id"] == anna["id"]]
        assert (again["name"], len(again["faces"])) == ("", len(anna["faces"]) - 1)
    assert people("unname", anna["id"])[0] == 64, "once"
