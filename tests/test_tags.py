"""`tags`: decisions seen by search, report and exports; the journal stays as it is."""

from __future__ import annotations

import csv
import json
import re
import shlex

import pytest

from tests.support import caption, draw, report

TAGS = {"a.jpg": ["bike", "snow"], "b.jpg": ["bicycle"], "c.jpg": ["Animal > Dog", "blurry"]}


@pytest.fixture
def library(tmp_path):
    lines = []
    for seed, (name, tags) in enumerate(TAGS.items()):
        draw(tmp_path / "photos" / name, seed=seed)
        record = {"rel_path": name, "caption": f"Photo {name}.", "status": "success", "tags": tags}
        lines.append(json.dumps({**record, "backend": "openai", "model": "m"}) + "\n")
    (tmp_path / "captions.jsonl").write_text("".join(lines))
    return tmp_path


def run(library, *arguments):
    done = caption(*arguments, cwd=library)
    assert done.returncode == 0, done.stderr
    return done


def listed(library):
    return {
        row["tag"]: row["photos"]
        for row in json.loads(run(library, "tags", "list", "--json").stdout)
    }


def found(library, *words):
    return {hit["rel_path"] for hit in json.loads(run(library, "search", "--json", *words).stdout)}


def test_decisions_hold_in_search_report_and_exports(library):
    journal = (library / "captions.jsonl").read_bytes()
    assert listed(library) == {"Animal > Dog": 1, "bicycle": 1, "bike": 1, "blurry": 1, "snow": 1}
    assert found(library, "tag:dog") == found(library, "tag:animal") == {"c.jpg"}
    said = run(library, "tags", "merge", "cycle", "bike", "bicycle").stderr
    assert "bike: called cycle from now on (1 photo with it)" in said
    said = run(library, "tags", "delete", "blurry").stderr
    assert "blurry: left out everywhere from now on (1 photo with it)" in said
    assert listed(library) == {"cycle": 2, "Animal > Dog": 1, "snow": 1}
    assert found(library, "tag:cycle") == found(library, "cycle") == {"a.jpg", "b.jpg"}
    assert not found(library, "tag:bike")
    assert not found(library, "blurry")
    rows = [json.loads(line) for line in run(library, "export").stdout.splitlines()]
    assert [row["tags"] for row in rows] == [["cycle", "snow"], ["cycle"], ["Animal > Dog"]]
    run(library, "write", "--photos-dir=photos")
    sidecar = (library / "photos" / "a.jpg.xmp").read_text()
    assert "cycle" in sidecar
    assert "bike" not in sidecar
    assert (library / "captions.jsonl").read_bytes() == journal


def test_who_searches_a_tag_by_its_old_name_is_told_the_new_one(library):
    run(library, "tags", "rename", "snow", "deep winter")
    run(library, "tags", "delete", "bicycle")
    done = run(library, "search", "tag:Snow", "photo")
    assert "The tag Snow is called deep winter now: " in done.stderr
    [command] = re.findall("now: (.*)$", done.stderr, re.M)
    again = caption(*shlex.split(command)[2:], cwd=library)
    assert (again.returncode, again.stdout.split("\t")[0]) == (0, "a.jpg")
    said = run(library, "search", "tag:bicycle").stderr
    assert "The tag bicycle was deleted" in said
    assert "tags restore bicycle" in said


@pytest.mark.parametrize(
    "arguments",
    [("delete", "snow", "Bicylce"), ("rename", "Bicylce", "x"), ("merge", "x", "Bicylce")],
)
def test_a_misspelt_tag_is_refused_and_nothing_is_decided(library, arguments):
    done = caption("tags", *arguments, cwd=library)
    assert (done.returncode, done.stdout) == (64, "")
    assert "no photo has the tag Bicylce; did you mean 'bicycle'? Nothing is" in done.stderr
    assert not (library / "tags.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tags", "rename", "snow", "snow"), "snow is called so already"),
        (("tags", "merge", "snow", "Snow"), "snow is one tag"),
        (("search", "--from=2021", "--to=2020"), "2021-01-01..2020-12-31 ends before it begins"),
        (("search", "from:2021-03", "--to=2021-02"), "2021-03-01..2021-02-28 ends before it"),
        (("search", "snow", "--paths0", "--json"), "--paths0 and --json are two forms"),
    ],
)
def test_what_contradicts_itself_is_refused(library, arguments, said):
    done = caption(*arguments, cwd=library)
    assert (done.returncode, done.stdout) == (64, "")
    assert said in done.stderr
    assert not (library / "tags.jsonl").exists()


def test_no_decision_is_told_that_was_not_written(library):
    (library / "tags.jsonl").mkdir()
    for words in (("rename", "snow", "ice"), ("merge", "ice", "snow"), ("delete", "snow")):
        done = caption("tags", *words, cwd=library)
        assert done.returncode == 74, done.stderr
        assert "from now on" not in done.stderr
    (library / "tags.jsonl").rmdir()
    assert "two are one" in run(library, "tags", "rename", "bike", "bicycle").stderr
    assert "two are one" not in run(library, "tags", "rename", "bike", "bicycle").stderr


def test_what_was_decided_can_be_decided_again_though_no_photo_shows_it(library):
    run(library, "tags", "delete", "snow")
    run(library, "tags", "rename", "snow", "winter")
    assert listed(library)["winter"] == 1


def test_the_report_calls_tags_as_they_are_called_now(library):
    run(library, "tags", "rename", "snow", "winter")
    done = report("--photos-dir=photos", "--embedder=pixels", cwd=library)
    assert done.returncode == 0, done.stderr
    table = library / "report_out" / "cluster_export.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row["tags"] for row in csv.DictReader(file)}
    assert rows["a.jpg"] == "bike; winter"


def test_a_spreadsheet_that_nobody_changed_changes_nothing(library):
    run(library, "tags", "rename", "snow", "winter")
    run(library, "export", "--format=csv", "--out=all.csv")
    assert "0 captions changed, 3 as before" in run(library, "import", "all.csv").stderr
    table = (library / "all.csv").read_text().replace("bike; winter", "bike; winter; sun")
    (library / "all.csv").write_text(table)
    assert "1 caption changed" in run(library, "import", "all.csv").stderr
    assert listed(library)["sun"] == listed(library)["winter"] == 1


def test_a_word_is_taken_back_and_nonsense_refused(library):
    run(library, "tags", "delete", "snow")
    assert "snow" not in listed(library)
    run(library, "tags", "restore", "SNOW")
    assert listed(library)["snow"] == 1
    for arguments, told in (
        (("restore", "snow"), "nothing was decided about the tag snow"),
        (("rename", "snow", " "), "a tag has 1 to 100 printable characters"),
        (("delete", "a\x1b[2J"), "printable"),
    ):
        done = caption("tags", *arguments, cwd=library)
        assert (done.returncode, done.stdout) == (64, "")
        assert told in done.stderr
    with (library / "tags.jsonl").open("a") as file:
        file.write("{broken\n")
    assert listed(library)["snow"] == 1


def test_what_was_renamed_and_then_deleted_comes_back_under_either_name(library):
    run(library, "tags", "merge", "cycle", "bike", "bicycle")
    refused = caption("tags", "restore", "cycle", cwd=library)
    assert refused.returncode == 64
    assert "cycle is what others are called now" in refused.stderr
    assert "tags restore bike bicycle" in refused.stderr
    run(library, "tags", "delete", "cycle")
    assert not found(library, "tag:cycle")
    again = re.search(r"takes it back: (.+)", run(library, "search", "tag:cycle").stderr)
    assert again is not None
    assert shlex.split(again[1])[-3:] == ["tags", "restore", "cycle"]
    said = run(library, "tags", "restore", "cycle").stderr
    assert "bike is called cycle again" in said
    assert found(library, "tag:cycle") == {"a.jpg", "b.jpg"}
    run(library, "tags", "delete", "cycle")
    run(library, "tags", "restore", "bike")
    assert (found(library, "tag:bike"), found(library, "tag:cycle")) == ({"a.jpg"}, set())
    run(library, "tags", "restore", "cycle")
    assert found(library, "tag:cycle") == {"b.jpg"}
