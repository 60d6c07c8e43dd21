"""Faces that other programs named."""

from __future__ import annotations

import json

import pytest

from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.told import NamedFace
from tests.cli.commands.made_up_people import content_of, faces_of, fill, listed


def named_beside(home, *numbers):
    """Another program says in sidecars that Anna is the first face of these photos."""
    near = NamedFace("Anna", 0.03, 0.07, 0.08, 0.12, "sidecar")  # larger than ours
    far = NamedFace("Nobody", 0.9, 0.9, 0.05, 0.05, "sidecar")
    with Library.open(home, pytest.fail) as library:
        for number in numbers:
            facts = PhotoFacts(content_sha256=content_of(number), width=1000, height=500)
            library.facts.save(f"{number:03d}.jpg", 1, 0, facts)
        told = {f"{number:03d}.jpg": Metadata(faces=(near, far)) for number in numbers}
        library.others.save_beside("", "stamp", told)


def test_names_from_other_programs_are_confirmed_by_where_they_are_from(people, home, tmp_path):
    named_beside(home, 0)
    code, _, err = people("cluster")
    assert (code, "1 face named in other programs" in err) == (0, True)
    rows = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text().splitlines()]
    assert [(row["kind"], row.get("origin")) for row in rows] == [
        ("name", None),
        ("confirm", "sidecar"),
    ]
    [anna] = [p for p in listed(people)["persons"] if p["name"] == "Anna"]
    assert len(anna["faces"]) > 1, "the group that she is in is hers"
    assert "named in other programs" not in people("cluster")[2]
    face = next(f for f in faces_of(people, "Anna") if f["rel_path"] == "000.jpg")
    assert people("not-this-person", face["face"], "Anna")[0] == 0
    for shift in (0.0, 4.0):  # another detector's box is the same face
        fill(home, shift=shift)
        assert "named in other programs" not in people("cluster")[2], "what is decided here holds"


@pytest.mark.parametrize("merged", [False, True])
def test_a_name_given_here_outlives_more_photos_with_that_of_another_program(people, home, merged):
    named_beside(home, 0)
    assert people("cluster")[0] == 0
    if merged:
        other = next(p for p in listed(people)["persons"] if not p["name"])
        assert people("name", other["id"], "Maria")[0] == 0
        assert people("merge", "--force", "Maria", "Anna")[0] == 0
    else:
        assert people("name", "Anna", "Maria")[0] == 0
    others = (
        f for p in listed(people)["persons"] if not p["name"] for f in faces_of(people, p["id"])
    )
    face = next(f for f in others if f["face"].endswith("#0"))
    named_beside(home, 0, int(face["rel_path"][:3]))
    assert "1 face named in other programs" in people("cluster")[2]
    assert "Anna" not in people("list")[1]
    assert {p["name"] for p in listed(people)["persons"]} == {"Maria", ""}
    assert face["face"] in {f["face"] for f in faces_of(people, "Maria")}
