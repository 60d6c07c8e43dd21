"""`write` and `undo` as a person uses them: sidecars come and go, nothing of theirs is lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from picture_captioner.metadata.xmp_packet import XmpPacket
from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import ROOT, caption, command, draw, environment, records
from tests.torture.mounts import in_own_mounts

HERE = ("--photos-dir=photos", "--captions-jsonl=c.jsonl")


def journal(folder, captions):
    lines = [
        {"rel_path": path, "status": "success", "backend": "openai", "model": "m", **fields}
        for path, fields in captions.items()
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def facts_of(path):
    status = path.stat()
    return {
        "content_sha256": sha(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns,
    }  # fmt: skip


@pytest.fixture
def here(tmp_path):
    """Three photos, one with somebody's sidecar; a fourth of which only a placeholder spoke."""
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/c.jpg", "d.jpg")):
        draw(tmp_path / "photos" / name, number)
    (tmp_path / "photos" / "b.jpg.xmp").write_bytes(FOREIGN)
    journal(
        tmp_path,
        {
            "a.jpg": {"caption": 'A "dog" & <b>', "tags": ["dog", "Animal > Dog"]},
            "b.jpg": {"caption": "A square", "title": "Square"},
            "sub/c.jpg": {"caption": "A cat"},
            "d.jpg": {"caption": "A placeholder", "placeholder": True},
            "gone.jpg": {"caption": "A photo that was deleted"},
        },
    )
    return tmp_path


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "photos").rglob("*"))
        if path.is_file()
    }


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


def numbered_anew(photos):
    """1.jpg is deleted, and what comes after it is called by the number before."""
    for file in photos.glob("1.jpg*"):
        file.unlink()
    for number in range(2, 6):
        for file in photos.glob(f"{number}.jpg*"):
            file.rename(file.with_name(file.name.replace(f"{number}.", f"{number - 1}.")))


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
        (["undo", *HERE], 64, "nothing was ever written"),
        (["undo", *HERE, "--run=x"], 64, "nothing was ever written"),
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


def damaged(folder, before):
    """Sidecars that are neither as they were nor a whole packet, and what was lost of theirs."""
    from picture_captioner.metadata.xmp_packet import XmpPacket

    wrong = []
    for name, data in contents(folder).items():
        if name.endswith(".xmp") and data != before.get(name):
            packet = XmpPacket(data)
            if name in before and packet.text("dc:description") != "Grandma in Rome":
                wrong.append(name)
    return wrong


def killed(folder, count, rng):
    before = contents(folder)
    command = [sys.executable, str(ROOT / "caption.py")]
    for kill in range(count):
        words = ("undo", "--all") if kill % 3 == 2 else ("write",)
        process = subprocess.Popen(
            [*command, *words, *HERE], cwd=folder, env=environment(), stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(rng.uniform(0.25, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert damaged(folder, before) == []
    assert caption("undo", *HERE, "--all", cwd=folder).returncode in {0, 64}
    assert contents(folder) == before


def library(folder, photos):
    draw(folder / "photos" / "p.jpg", 1)
    for number in range(photos):
        shutil.copy(folder / "photos" / "p.jpg", folder / "photos" / f"{number}.jpg")
        if number % 2:
            (folder / "photos" / f"{number}.jpg.xmp").write_bytes(FOREIGN)
    journal(folder, {f"{n}.jpg": {"caption": f"photo {n}", "tags": ["t"]} for n in range(photos)})
    caption("write", *HERE, "--dry-run", cwd=folder)  # facts are read once


def test_kills_leave_no_half_file_and_everything_can_be_undone(tmp_path):
    library(tmp_path, 60)
    killed(tmp_path, 6, random.Random(1))


@pytest.mark.torture
@pytest.mark.timeout(3000)
def test_a_thousand_kills(tmp_path):
    library(tmp_path, 400)
    killed(tmp_path, 1000, random.Random(2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount of its own")
def test_a_full_disk_damages_nothing(here):
    small = here / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small])
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        shutil.copytree(here / "photos", small / "photos")
        (small / "filler").write_bytes(b"x" * 40_000)
        before = contents(small)
        done = caption("write", "--photos-dir=small/photos", "--captions-jsonl=c.jsonl", cwd=here)
        if done.returncode:
            assert (done.returncode, "No space left" in done.stderr) == (74, True), done.stderr
        assert damaged(small, before) == []
        caption("undo", "--photos-dir=small/photos", "--captions-jsonl=c.jsonl", "--all", cwd=here)
        assert contents(small) == before
    finally:
        subprocess.run(["umount", small], check=True)
