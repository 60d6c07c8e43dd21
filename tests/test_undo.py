"""`undo`: what `write` put there goes, whatever happened to the photos since."""

from __future__ import annotations

import json
import os
import shlex
import time

import pytest

from tests.support import caption, draw, records
from tests.writeback.support import HERE, contents, journal, numbered_anew, sha, three_photos


@pytest.fixture
def here(tmp_path):
    return three_photos(tmp_path)


def test_what_somebody_changed_since_stays(here):
    caption("write", *HERE, cwd=here)
    path = here / "photos" / "b.jpg.xmp"
    path.write_bytes(path.read_bytes().replace(b'z:Attribute="kept"', b'z:Attribute="changed"'))
    done = caption("undo", *HERE, "--all", cwd=here)
    assert done.returncode == 0
    assert "b.jpg.xmp was changed by somebody since" in done.stderr
    left = path.read_bytes()
    assert b'z:Attribute="changed"' in left
    assert b"Square" not in left
    assert b"Grandma in Rome" in left


def test_the_way_back_that_is_shown_and_the_short_one_work(here):
    before = contents(here)
    written = caption("write", *HERE, cwd=here)
    shown = next(line for line in written.stderr.splitlines() if "To take it back" in line)
    words = shlex.split(shown.partition(" undo ")[2])
    assert words[:2] == list(HERE)
    assert caption("undo", *words, cwd=here).returncode == 0
    assert contents(here) == before
    caption("write", *HERE, cwd=here)
    undone = caption("undo", "--all", HERE[1], cwd=here)  # where the photos are was noted
    assert (undone.returncode, contents(here)) == (0, before)


def test_one_run_of_two_is_undone(here):
    caption("write", *HERE, "--include=a.jpg", cwd=here)
    time.sleep(1.1)
    caption("write", *HERE, cwd=here)
    runs = caption("undo", *HERE, "--list", cwd=here).stdout.splitlines()
    assert [line.split("\t")[1] for line in runs] == ["1 sidecar", "2 sidecars"]
    caption("undo", *HERE, f"--run={runs[1].split()[0]}", cwd=here)
    assert (here / "photos" / "a.jpg.xmp").exists()
    assert not (here / "photos" / "sub" / "c.jpg.xmp").exists()


def test_what_is_not_there_can_still_be_taken_back(here):
    before = contents(here)
    caption("write", *HERE, cwd=here)
    photos, away = here / "photos", here / "away"
    photos.rename(away)
    for _ in range(2):  # the disk is not mounted: no folder, then an empty one
        done = caption("undo", "--all", HERE[1], cwd=here)
        assert (done.returncode, "is its disk mounted?" in done.stderr) == (66, True), done.stderr
        photos.mkdir(exist_ok=True)
    photos.rmdir()
    away.rename(photos)
    (photos / "sub").rename(here / "sub")
    (photos / "b.jpg.xmp").rename(here / "b.jpg.xmp")
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert done.returncode == 66
    assert json.loads(done.stdout) == {
        "restored byte for byte": 1, "not there now: can still be taken back": 2,
    }  # fmt: skip
    assert "2 sidecars not there now" in done.stderr
    (here / "sub").rename(photos / "sub")
    (here / "b.jpg.xmp").rename(photos / "b.jpg.xmp")
    assert caption("undo", *HERE, "--all", cwd=here).returncode == 0
    assert contents(here) == before


def test_what_was_moved_is_found_by_what_library_db_knows(here):
    """The hash of its bytes, which stands in the journal of each run."""
    said = {line["rel_path"]: line for line in records(here / "c.jsonl")}
    for path in set(said) - {"gone.jpg"}:
        said[path]["content_sha256"] = sha(here / "photos" / path)
    journal(here, said)
    before = contents(here)
    caption("write", *HERE, cwd=here)
    (here / "photos" / "sub").rename(here / "photos" / "new")
    (here / "photos" / "a.jpg").rename(here / "photos" / "z.jpg")
    (here / "photos" / "a.jpg.xmp").rename(here / "photos" / "z.jpg.xmp")
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (done.returncode, "that were moved are found after" in done.stderr) == (66, True)
    stages = ("--stage=normalize", "--stage=metadata")
    assert caption("process", *HERE, *stages, cwd=here).returncode == 0
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"restored byte for byte": 2})
    assert "sub/c.jpg.xmp was moved: new/c.jpg.xmp" in done.stderr
    after = contents(here)
    assert set(after) == {
        name.replace("/a.jpg", "/z.jpg").replace("/sub/", "/new/") for name in before
    }
    assert sorted(after.values()) == sorted(before.values())


@pytest.mark.parametrize(
    "to", ["sidecar", pytest.param("both", marks=pytest.mark.needs("exiftool"))]
)
def test_photos_that_were_numbered_anew_are_found_by_their_content(tmp_path, to):
    photos = tmp_path / "photos"
    for number in range(1, 6):
        draw(photos / f"{number}.jpg", number)
    journal(tmp_path, {f"{n}.jpg": {"caption": f"Picture {n}"} for n in range(1, 6)})
    before = [(photos / f"{number}.jpg").read_bytes() for number in range(1, 6)]
    assert caption("write", *HERE, f"--to={to}", cwd=tmp_path).returncode == 0
    numbered_anew(photos)
    files = 1 if to == "sidecar" else 2
    undone = caption("undo", *HERE, "--all", "--json", cwd=tmp_path)
    assert json.loads(undone.stdout) == {
        "restored byte for byte": 4 * files, "not there now: can still be taken back": files,
    }, undone.stderr  # fmt: skip
    assert list(contents(tmp_path).values()) == before[1:]
    assert undone.returncode == 66, "1.jpg may come back"
    assert caption("undo", *HERE, "--all", "--give-up", cwd=tmp_path).returncode == 0


def test_what_is_gone_for_good_is_given_up(here):
    caption("write", *HERE, cwd=here)
    (here / "photos" / "b.jpg.xmp").unlink()  # somebody's own, with our words
    for flags, code in ((["--all"], 66), (["--all"], 66), (["--all", "--give-up"], 0)):
        done = caption("undo", *HERE, *flags, cwd=here)
        assert (done.returncode, "not there" in done.stderr) == (code, True), done.stderr
    assert "1 sidecar not there, and given up" in done.stderr
    done = caption("undo", *HERE, "--all", cwd=here)
    assert (done.returncode, "Nothing to take back" in done.stderr) == (0, True)
    assert not (here / "photos" / "b.jpg.xmp").exists()


def test_a_sidecar_of_ours_that_was_deleted_is_as_it_was(here):
    caption("write", *HERE, "--include=a.jpg", cwd=here)
    (here / "photos" / "a.jpg.xmp").unlink()
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"as they were already": 1})


def test_so_is_one_that_we_made_and_changed_again(here):
    caption("write", *HERE, "--include=a.jpg", "--fields=keywords", cwd=here)
    caption("write", *HERE, "--include=a.jpg", cwd=here)
    (here / "photos" / "a.jpg.xmp").unlink()
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"as they were already": 2})


def test_runs_are_listed_without_photos_and_as_json(here):
    listed = caption("undo", HERE[1], "--list", "--json", cwd=here)
    assert (listed.returncode, json.loads(listed.stdout)) == (0, {})
    caption("write", *HERE, cwd=here)
    (here / "photos").rename(here / "away")
    assert "3 sidecars" in caption("undo", HERE[1], "--list", cwd=here).stdout
    listed = caption("undo", HERE[1], "--list", "--json", cwd=here)
    assert list(json.loads(listed.stdout).values()) == [3]
    (here / "away").rename(here / "photos")
    caption("undo", *HERE, "--all", cwd=here)
    assert json.loads(caption("undo", HERE[1], "--list", "--json", cwd=here).stdout) == {}


def test_an_undo_line_leads_to_no_other_folder(here):
    assert caption("write", *HERE, cwd=here).returncode == 0
    (here / "other").mkdir()
    (here / "photos" / "a.jpg.xmp").rename(here / "other" / "a.jpg.xmp")
    lines = (here / "c.undo.jsonl").read_text()
    (here / "c.undo.jsonl").write_text(lines.replace('"a.jpg.xmp"', '"../other/a.jpg.xmp"'))
    (here / "other" / ".a.jpg.xmp.new").write_text("somebody's")
    undone = caption("undo", *HERE, "--all", cwd=here)
    assert undone.returncode == 74
    assert "'../other/a.jpg.xmp' is no path below photos" in undone.stderr
    assert sorted(os.listdir(here / "other")) == [".a.jpg.xmp.new", "a.jpg.xmp"]
