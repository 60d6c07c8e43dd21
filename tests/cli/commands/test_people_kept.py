"""What was said of people when photos are forgotten, or other bytes take their place."""

from __future__ import annotations

import json

import pytest

from picture_captioner.journal.record import Record, Status
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.people_file import PeopleFile
from picture_captioner.settings import ServerAddress
from tests.cli.commands.made_up_people import (
    SIZE,
    VECTORS,
    content_of,
    faces_of,
    largest,
    listed,
    rewrite,
    sizes,
)
from tests.support import caption


def test_forget_takes_faces_and_decisions_along(people, home, tmp_path):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    face = anna["faces"][0]["rel_path"]
    content = content_of(int(face[:3]))
    served = isinstance(home, ServerAddress)
    if served:  # who only looks for people has no journal
        (tmp_path / "captions.jsonl").write_text("")
    with open(tmp_path / "people.jsonl") as file:
        assert content in file.read()
    named = ("--library", home.url, "--collection", home.collection) if served else ()
    done = caption("forget", face, *named, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "captions.jsonl").exists() == served
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert content.encode() not in data, path
        assert bytes.fromhex(content) not in data, path
    with Library.open(home, pytest.fail) as library:
        assert library.faces.of_photo(content) == []
    assert "Anna" in people("list")[1], "who is on other photos too is not forgotten"


def test_who_is_on_no_photo_any_more_is_forgotten_by_name_too(people, home, tmp_path):
    if isinstance(home, ServerAddress):
        return  # the other home is enough: people.jsonl is the same
    anna, berta = listed(people)["persons"][:2]
    people("name", anna["id"], "Anna")
    people("name", berta["id"], "Berta")
    first = content_of(int(anna["faces"][0]["rel_path"][:3]))
    rewrite(home, anna["faces"][0]["rel_path"])
    assert people("cluster")[0] == 0
    photos = {face["rel_path"] for face in anna["faces"]}
    assert not {face["rel_path"] for face in berta["faces"]} <= photos
    done = caption("forget", *photos, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "people.jsonl").read_text()
    assert ("Anna" in said, "Berta" in said, first in said) == (False, True, False)
    assert "Anna" not in people("list")[1]


@pytest.mark.parametrize("besides", [(), (((700.0, 10.0, SIZE, SIZE), -VECTORS[0]),)])
def test_what_was_said_holds_of_photos_that_another_program_wrote_into(
    people, at_home, tmp_path, besides
):
    anna, other = listed(people)["persons"][:2]
    assert people("name", anna["id"], "Anna")[0] == 0
    shown = json.loads(people("show", "Anna", "--json")[1])["faces"]
    assert people("not-this-person", shown[0]["face"], "Anna")[0] == 0
    before = sizes(people)

    for photo in {shown[0]["rel_path"], shown[1]["rel_path"], other["faces"][0]["rel_path"]}:
        rewrite(at_home, photo, besides=besides)
    code, _, err = people("cluster")

    assert (code, "0 new faces added" in err, sizes(people)) == (0, not besides, before)
    carried = [row for row in PeopleFile.read(tmp_path / "people.jsonl")[0] if "into" in row]
    assert content_of(int(shown[0]["rel_path"][:3])) in {row["content"] for row in carried}
    assert people("cluster", "--rebuild")[0] == 0
    assert sizes(people) == before


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_what_was_said_stays_when_the_place_is_forgotten_where_a_photo_lay(people, home, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    shown = faces_of(people, "Anna")[0]
    assert people("not-this-person", shown["face"], "Anna")[0] == 0
    name, before = shown["rel_path"], sizes(people)
    old = content_of(int(name[:3]))
    rewrite(home, name)
    with Library.open(home, pytest.fail) as library:
        new = library.known_files()[name]
        library.facts.save_file(f"album/{name}", 2, 2, new)
        library.drop_files([name])
    assert people("cluster")[0] == 0
    line = Record(
        rel_path=name, caption="Anna.", status=Status.SUCCESS, content_sha256=old
    ).to_line()
    (tmp_path / "captions.jsonl").write_bytes(line)
    done = caption("forget", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    assert people("cluster", "--rebuild")[0] == 0
    assert sizes(people) == before
