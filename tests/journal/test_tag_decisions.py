"""What a human decided about tags, folded."""

from __future__ import annotations

import itertools

import pytest

from picture_captioner.errors import Status
from picture_captioner.journal.record import Record
from picture_captioner.journal.rows import TagDecisions, TagsFile, tag_key

RENAME, MERGE = {"kind": "rename", "tag": "Bike", "to": "bicycle"}, "merge"


@pytest.mark.parametrize(
    ("rows", "tags", "now"),
    [
        ([], ["bike", "dog"], ["bike", "dog"]),
        ([RENAME], ["BIKE", "dog", "bicycle"], ["bicycle", "dog"]),
        ([RENAME, {"kind": "rename", "tag": "bicycle", "to": "cycle"}], ["bike"], ["cycle"]),
        ([RENAME, {"kind": "rename", "tag": "bicycle", "to": "bike"}],
         ["bike", "bicycle"], ["bike"]),
        ([RENAME, {"kind": "restore", "tags": ["bike"]}], ["bike", "bicycle"], ["bike", "bicycle"]),
        ([RENAME, {"kind": "delete", "tags": ["bicycle"]}], ["bike", "bicycle", "x"], ["x"]),
        ([{"kind": "delete", "tags": ["a"]}, {"kind": "rename", "tag": "b", "to": "a"}],
         ["a", "b"], ["a"]),
        ([{"kind": MERGE, "tags": ["a", "b"], "into": "c"}], ["b", "d", "a"], ["c", "d"]),
        ([{"kind": "rename", "tag": "dog", "to": "Dog"}], ["dog", "DOG"], ["Dog"]),
        ([{"kind": "later"}, {"no": 1}, {"kind": "rename", "tag": 7, "to": "x"}, RENAME],
         ["bike"], ["bicycle"]),
    ],
)  # fmt: skip
def test_what_tags_are_called_now(rows, tags, now):
    assert TagDecisions.fold(rows).names(tags) == now


def test_a_name_is_called_itself_whatever_was_decided():
    names = ("a", "b", "c")
    rows = [{"kind": "rename", "tag": x, "to": y} for x in names for y in names]
    rows += [{"kind": "delete", "tags": [x]} for x in names]
    for some in itertools.product(rows, repeat=3):
        said = TagDecisions.fold(some)
        for name in filter(None, map(said.name, names)):
            assert said.name(name) == name, some


def test_decisions_are_read_beside_the_journal_and_change_no_record(tmp_path):
    with TagsFile(tmp_path / "tags.jsonl") as file:
        file.decide("rename", tag="bike", to="bicycle")
    said = TagDecisions.beside(tmp_path / "captions.jsonl")
    record = Record(
        rel_path="a.jpg", caption="x", status=Status.SUCCESS, extra={"tags": ["bike", 7, "sea"]}
    )
    assert said.applied(record).extra["tags"] == ["bicycle", "sea"]
    assert record.extra["tags"] == ["bike", 7, "sea"]
    assert said.digest
    assert said.digest != TagDecisions().digest == ""
    assert tag_key(" New\u00a0 YORK ") == "new york"
