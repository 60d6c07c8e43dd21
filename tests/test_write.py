"""`write` and `undo` as a person uses them: sidecars come and go, nothing of theirs is lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from picture_captioner.metadata.xmp_packet import XmpPacket
from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import caption, command, draw, environment
from tests.torture.mounts import in_own_mounts
from tests.writeback.support import HERE, contents, facts_of, journal, numbered_anew, three_photos


@pytest.fixture
def here(tmp_path):
    return three_photos(tmp_path)


def test_written_seen_repeated_and_undone(here):
    before = contents(here)
    dry = caption("write", *HERE, "--dry-run", cwd=here)
    assert (dry.returncode, contents(here)) == (0, before)
    assert '+++ a.jpg.xmp\n  + dc:description: A "dog" & <b>\n' in dry.stdout
    done = caption("write", *HERE, "--json", cwd=here)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"written": 3, "kept": 1, "gone": 1})
    after = contents(here)
    assert set(after) - set(before) == {"photos/a.jpg.xmp", "photos/sub/c.jpg.xmp"}
    assert all(after[name] == data for name, data in before.items() if name.endswith(".jpg"))
    assert b"Grandma in Rome" in after["photos/b.jpg.xmp"]
    again = caption("write", *HERE, "--json", cwd=here)
    assert (json.loads(again.stdout), contents(here)) == ({"unchanged": 3, "gone": 1}, after)
    assert "--run=" in done.stderr
    undone = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (undone.returncode, contents(here)) == (0, before)
    assert json.loads(undone.stdout) == {"restored byte for byte": 3}
    assert json.loads(caption("undo", *HERE, "--all", "--json", cwd=here).stdout) == {}


def test_only_captions_younger_than_a_time_that_they_name(here):
    said = {"a.jpg": "2026-01-31T10:00:00Z", "b.jpg": "2026-02-01T10:00:00", "sub/c.jpg": "now"}
    journal(here, {p: {"caption": "A cat", "created_at": when} for p, when in said.items()})
    done = caption("write", *HERE, "--since=2026-02-01", "--json", cwd=here)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"written": 1, "kept": 1})
    assert b"A cat" in (here / "photos" / "b.jpg.xmp").read_bytes()


def test_words_of_a_shared_sidecar_go_along_with_ours(tmp_path):
    """Beside IMG_1.jpg.xmp some programs look into IMG_1.xmp no more."""
    draw(tmp_path / "photos" / "IMG_1.jpg", 1)
    draw(tmp_path / "photos" / "IMG_1.png", 2)
    (tmp_path / "photos" / "IMG_1.xmp").write_bytes(FOREIGN)
    journal(tmp_path, {"IMG_1.jpg": {"caption": "A square", "tags": ["square"]}})
    before = contents(tmp_path)
    done = caption("write", *HERE, cwd=tmp_path)
    assert done.returncode == 0
    assert "1 photo with an IMG.xmp beside IMG.jpg.xmp: digiKam" in done.stderr
    after = contents(tmp_path)
    new = XmpPacket(after.pop("photos/IMG_1.jpg.xmp"))
    assert after == before
    assert new.text("dc:description") == "Grandma in Rome"
    assert {"square", "People/grandma"} <= set(new.items("digiKam:TagsList"))
    again = caption("write", *HERE, "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == {"unchanged": 1}
    assert caption("undo", *HERE, "--all", cwd=tmp_path).returncode == 0
    assert contents(tmp_path) == before


def test_words_select_photos_as_a_search_does(here):
    done = caption("write", *HERE, "--json", "--", "square", "-tag:dog", cwd=here)
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, 1), done.stderr
    assert not (here / "photos" / "a.jpg.xmp").exists()
    assert b"Square" in (here / "photos" / "b.jpg.xmp").read_bytes()
    done = caption("write", "person:Nobody", *HERE, cwd=here)
    assert (done.returncode, "nobody is called that" in done.stderr) == (64, True)


def test_no_photo_gets_the_caption_of_one_that_it_replaced(tmp_path):
    """Whose bytes the journal knows gets its own; what only got other metadata keeps it."""
    photos = tmp_path / "photos"
    for number in range(1, 6):
        draw(photos / f"{number}.jpg", number)
    draw(photos / "rated.jpg", 7)
    said = {f.name: {"caption": f"Picture {f.stem}", **facts_of(f)} for f in photos.iterdir()}
    journal(tmp_path, said)
    assert caption("process", *HERE, "--stage=normalize", cwd=tmp_path).returncode == 0
    numbered_anew(photos)
    draw(photos / "3.jpg", 30)
    draw(photos / "rated.jpg", 7, xmp=XmpPacket().to_bytes())
    done = caption("write", *HERE, "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"written": 4, "changed": 1, "gone": 1}, done.stderr
    assert "run --photos-dir=photos --captions-jsonl=c.jsonl --stale=content" in done.stderr
    written = {name: XmpPacket(data) for name, data in contents(tmp_path).items() if ".xmp" in name}
    assert {name: packet.text("dc:description") for name, packet in written.items()} == {
        "photos/1.jpg.xmp": "Picture 2",
        "photos/2.jpg.xmp": "Picture 3",
        "photos/4.jpg.xmp": "Picture 5",
        "photos/rated.jpg.xmp": "Picture rated",
    }


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--include=nothing.jpg"], "Nothing to write"),
        (["--", "-square", "-cat", "-dog", "-deleted"], "Nothing to write"),
        (["--captions-jsonl=empty.jsonl"], "No captions to write"),
    ],
)
def test_nothing_to_write_is_said(here, flags, told):
    (here / "empty.jsonl").touch()
    done = caption("write", *HERE, *flags, cwd=here)
    assert (done.returncode, told in done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["write", *HERE, "--fields=caption"], 64, "expected description, title"),
        (["write", *HERE, "--for=picasa"], 64, "expected immich"),
        (["write", *HERE, "--conflict=win"], 64, "expected keep"),
        (["write", "--captions-jsonl=c.jsonl"], 78, "which photos?"),
        (["write", "--photos-dir=photos", "--captions-jsonl=other.jsonl"], 74, "no journal"),
        (["undo", *HERE], 64, "c.undo.jsonl: nothing was written with this journal, or that file"),
        (
            ["undo", *HERE, "--run=x"],
            64,
            "c.undo.jsonl: nothing was written with this journal, or that file",
        ),
    ],
)
def test_what_cannot_be_done_is_said(here, flags, code, told):
    done = caption(*flags, cwd=here)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_a_file_that_is_no_sidecar_is_left_alone_and_the_others_go_on(here):
    (here / "photos" / "a.jpg.xmp").write_text("a shopping list")
    (here / "photos" / "sub" / "c.jpg.xmp").symlink_to("/etc/passwd")
    done = caption("write", *HERE, cwd=here)
    assert done.returncode == 0, "what was to be done is done"
    assert "a.jpg: there is no XMP in it; left alone" in done.stderr
    assert "c.jpg.xmp is a link or no plain file; left alone" in done.stderr
    assert "2 photos left alone: see above" in done.stderr
    assert (here / "photos" / "a.jpg.xmp").read_text() == "a shopping list"
    assert b"A square" in (here / "photos" / "b.jpg.xmp").read_bytes()


def test_a_name_that_leaves_no_room_for_a_sidecar_is_left_alone_and_nothing_else_is(here):
    """The undo line of one that could not be written ended all later writes and undos."""
    for name in ("a" * 251, "b" * 246):
        draw(here / "photos" / f"{name}.jpg", 9)
    named = {f"{n}.jpg": {"caption": "A square"} for n in ("a" * 251, "b" * 246, "a")}
    journal(here, named)
    before = contents(here)
    for expected in ({"left alone": 2, "written": 1}, {"left alone": 2, "unchanged": 1}):
        done = caption("write", *HERE, "--json", cwd=here)
        assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr
        assert f"{'b' * 246}.jpg: File name too long; left alone" in done.stderr
    assert caption("undo", *HERE, "--all", cwd=here).returncode == 0
    assert contents(here) == before


def test_a_place_where_no_new_file_can_be_is_no_internal_error(here):
    """A folder that became a file, with a write that may have been killed in it."""
    assert caption("write", *HERE, cwd=here).returncode == 0
    shutil.move(here / "photos" / "sub", here / "moved")
    (here / "photos" / "sub").write_text("a file by now")
    again = caption("write", *HERE, "--json", cwd=here)
    assert (again.returncode, json.loads(again.stdout)) == (0, {"unchanged": 2, "gone": 2})
    undone = caption("undo", *HERE, "--all", cwd=here)
    assert (undone.returncode, "1 sidecar not there now" in undone.stderr) == (66, True)


def test_a_full_disk_is_told_once_and_written_on_when_there_is_room(tmp_path):
    """Each photo would fail like the first: 40,000 lines."""
    names = [f"{number:02d}.jpg" for number in range(12)]
    for number, name in enumerate(names):
        draw(tmp_path / "photos" / name, number)
    journal(tmp_path, {name: {"caption": f"{name} shows a dog. " * 300} for name in names})
    where = ("--photos-dir=disk", "--captions-jsonl=c.jsonl")
    write = shlex.join(command("write", "--only-new", *where))
    script = (
        "mkdir disk && mount -t tmpfs -o size=160k tmpfs disk && cp photos/* disk && "
        f"{write}; echo $?; mount -o remount,size=4m disk; {write}; ls disk; "
        + shlex.join(command("undo", "--all", *where))
    )
    done = subprocess.run(
        in_own_mounts(script),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    first, _, then = done.stderr.partition("run the same command again, which goes on\n")
    assert first.count("No space left on device") == 1
    assert "To take it back: " in first
    assert int(re.search(r"(\d+) photos written", first)[1]) + 1 < 12
    assert done.stdout.startswith("74\n"), done.stderr
    assert "photos written" in then
    assert sum(name.endswith(".xmp") for name in done.stdout.split()) == 12
    assert "12 sidecars restored byte for byte" in then


@pytest.mark.parametrize("root", ["", "Fotos.photoslibrary/", "x/Old.Photolibrary/Masters"])
def test_a_library_of_apple_photos_is_left_alone(tmp_path, root):
    inside = [
        "F.photoslibrary/originals/0/a.jpg",
        "Old.PhotoLibrary/Masters/b.jpg",
        "g.aplibrary/c.jpg",
    ]
    photos = tmp_path / "photos" / root
    for number, name in enumerate([*inside, "aplibrary/d.jpg"]):
        draw(photos / name, number)
    journal(tmp_path, {name: {"caption": "A cat"} for name in [*inside, "aplibrary/d.jpg"]})
    before = set(contents(tmp_path))
    flags = (f"--photos-dir=photos/{root}", HERE[1])
    done = caption("write", *flags, cwd=tmp_path)
    assert done.returncode == 0
    assert f"{4 if root else 3} photos in a library of Apple Photos" in done.stderr
    assert set(contents(tmp_path)) - before == (set() if root else {"photos/aplibrary/d.jpg.xmp"})


def test_nothing_outside_of_the_photos_directory_is_written(here):
    """Whatever a line from elsewhere says, and wherever a folder leads by now."""
    other = here / "other"
    for number, name in enumerate(("1.jpg", "2.jpg", "3.jpg", "linked/4.jpg")):
        draw(other / name, number)
    (other / "2.jpg.xmp").write_bytes(FOREIGN)

    def outside():
        return {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}

    before = outside()
    (here / "photos" / "link").symlink_to(other / "linked")
    paths = ("../other/1.jpg", "../other/2.jpg", str(other / "3.jpg"), "link/4.jpg", "a.jpg")
    journal(here, {path: {"caption": f"A square {path}"} for path in paths})
    for to in ("sidecar", *(("embedded",) if shutil.which("exiftool") else ())):
        for more in ("--dry-run", "--json"):
            done = caption("write", *HERE, f"--to={to}", more, cwd=here)
            assert done.returncode == 0, done.stderr
            assert "rel_path '../other/1.jpg' is no path below" in done.stderr
            assert "link/4.jpg: a link leads out of photos here" in done.stderr
            assert outside() == before
        assert json.loads(done.stdout) == {"written": 1, "left alone": 1}
    found = caption("search", *HERE, "square", "--paths0", "--captions-only", cwd=here)
    assert {os.path.basename(path) for path in found.stdout.split("\0")} == {"a.jpg", "4.jpg", ""}

    assert caption("write", *HERE, "--follow-links", cwd=here).returncode == 0
    assert (other / "linked" / "4.jpg.xmp").exists(), "asked for"
    refused = caption("undo", *HERE, "--all", cwd=here)
    assert refused.returncode == 74
    assert "link/4.jpg.xmp: a link leads out of photos here" in refused.stderr
    assert (other / "linked" / "4.jpg.xmp").exists()
    assert not (here / "photos" / "a.jpg.xmp").exists()
    assert caption("undo", *HERE, "--all", "--follow-links", cwd=here).returncode == 0
    assert outside() == before
