"""`forget`: a canary is forgotten, then everything that the program keeps is searched for it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import zlib
from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from picture_captioner.journal.writing import Journal
from picture_captioner.writeback.undo import UndoFile
from tests.journal.support import failure, photo
from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import caption, draw, library, open_database, records, report

CANARY = "000/canary of 2024.jpg"
SAID = "A canary in a cage"


@pytest.fixture
def kept(tmp_path):
    """A library with a canary, its journal with odd ends, its log, its library.db, its report."""
    photos = library(tmp_path / "photos", 5)
    content = hashlib.sha256(draw(photos / CANARY, seed=77).read_bytes()).hexdigest()
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    size = (photos / CANARY).stat().st_size
    with Journal(tmp_path / "captions.jsonl") as journal:
        journal.append(
            photo(CANARY, SAID, content_sha256=content, size=size, cost_usd=0.25, requests=2,
                  extra={"title": "Canary title"}),
            failure(CANARY, cost_usd=0.5, requests=1, content_sha256=content),
            photo("000/00001.jpg", "Another.", copied_from=CANARY, content_sha256="b" * 64),
        )  # fmt: skip
    beside = tmp_path / "captions.jsonl.broken"
    beside.write_bytes(b'{"rel_path":"000/canary of 20\n' + photo("x.jpg").to_line())
    with (tmp_path / "caption.log").open("a") as log:
        log.write(json.dumps({"message": "photo failed", "rel_path": CANARY}) + "\n")
    assert report("--photos-dir=photos", "--embedder=pixels", cwd=tmp_path).returncode == 0
    assert caption("search", "canary", cwd=tmp_path).stdout.startswith(CANARY)
    return tmp_path, content


def traces_in(folder: Path, content: str) -> list[str]:
    """Where a name, the hash or the caption still is, also in free pages and in packed bytes."""
    needles = [b"canary", b"Canary", content.encode(), bytes.fromhex(content)]
    found = []
    for file in folder.rglob("*"):
        if file.is_file() and folder / "photos" not in file.parents:
            data = file.read_bytes() + _unpacked(file)
            found += [f"{file.name}: {n[:20]!r}" for n in needles if n and n in data]
    return found


def _unpacked(file: Path) -> bytes:
    """What a report's page holds compressed."""
    if file.suffix != ".html":
        return b""
    packed = b""
    for piece in file.read_text("utf-8").split('"'):
        if len(piece) > 200:
            try:
                packed += zlib.decompress(b64decode(piece), wbits=47)
            except (ValueError, zlib.error):
                continue
    return packed


def thumbnails_of(folder: Path) -> set[bytes]:
    with open_database(folder / "library.db") as db:
        return {row[0] for row in db.execute("SELECT webp FROM thumbnails")}


def test_the_canary_is_nowhere_after_it_was_forgotten(kept):
    folder, content = kept
    assert traces_in(folder, content), "the search finds what is there"
    before = records(folder / "captions.jsonl")
    looked = caption("forget", CANARY, "--dry-run", cwd=folder)
    assert (looked.returncode, looked.stdout) == (0, CANARY + "\n")
    assert records(folder / "captions.jsonl") == before
    had = thumbnails_of(folder)
    done = caption("forget", CANARY, cwd=folder)
    assert done.returncode == 0, done.stderr
    would = re.findall("^(.*) would be deleted: it is about them$", looked.stderr, re.M)
    assert "report_out/cluster_report.html" in would
    assert would == re.findall("^Deleted (.*): it is about them$", done.stderr, re.M)
    assert "3 lines of the journal" in done.stderr
    assert "3 requests, 0.7500 USD" in done.stderr
    assert traces_in(folder, content) == []
    (lost,) = had - thumbnails_of(folder)
    everything = b"".join(f.read_bytes() for f in folder.rglob("*") if f.is_file())
    assert lost not in everything
    after = records(folder / "captions.jsonl")
    assert [r["rel_path"] for r in after] == [
        r["rel_path"] for r in before if r["rel_path"] != CANARY
    ]
    assert "copied_from" not in after[-1]
    assert (folder / "captions.jsonl.broken").read_bytes() == photo("x.jpg").to_line()
    assert os.stat(folder / "captions.jsonl").st_mode & 0o777 == 0o600
    again = caption("forget", CANARY, cwd=folder)
    assert (again.returncode, again.stdout) == (64, "")
    assert f"nothing is known of {CANARY}" in again.stderr
    made = report("--photos-dir=photos", "--embedder=pixels", cwd=folder)
    assert made.returncode == 0, made.stderr


def test_what_was_deleted_is_in_no_new_report_and_gone_forgets_it(kept):
    folder, content = kept
    (folder / "photos" / CANARY).unlink()
    made = report("--photos-dir=photos", "--embedder=pixels", "--out=new", cwd=folder)
    assert "1 photo of the journal not there any more: left out" in made.stderr
    assert traces_in(folder / "new", content) == []
    shutil.rmtree(folder / "new")
    done = caption("forget", "--gone", "--photos-dir=photos", cwd=folder)
    assert "still lie" not in done.stderr
    assert (done.returncode, done.stdout) == (0, CANARY + "\n")
    assert traces_in(folder, content) == []
    assert {r["rel_path"] for r in records(folder / "captions.jsonl")} == {
        f"000/{n:05d}.jpg" for n in range(5)
    }


def test_a_run_without_anything_to_do_says_what_of_the_journal_is_not_here(tmp_path):
    """A disk that is mounted below the photos is off: 'every photo is done' was all it said."""
    photos, shelf = library(tmp_path / "photos", 3), tmp_path / "shelf"
    for seed in (11, 12):
        draw(photos / "disk" / f"{seed}.jpg", seed=seed)
    run = ("run", "--photos-dir=photos")

    def said(*named):
        done = caption(*run, *named, cwd=tmp_path)
        assert done.returncode == 0
        return "".join(line for line in done.stderr.splitlines(True) if "not here" in line)

    assert said() == said() == ""
    (photos / "disk").rename(shelf)
    assert said().startswith("2 photos of the journal are not here (disk/11.jpg, ...): is a disk")
    (photos / "disk").mkdir()
    (words,) = re.findall("To see which: (.*)", said())
    which = caption(*shlex.split(words)[2:], cwd=tmp_path)
    assert "2 photos not forgotten: nothing can be seen in their folder (disk)" in which.stderr
    (photos / "disk").rmdir()
    shelf.rename(photos / "elsewhere")
    assert said() == said() == "", "they were moved"
    (photos / "elsewhere" / "11.jpg").unlink()
    assert said().startswith("1 photo of the journal is not here (elsewhere/11.jpg): is a disk")
    assert said("photos/elsewhere/12.jpg") == said("photos/000") == "", "asked about these alone"


def test_what_was_moved_is_not_gone(tmp_path):
    """Its caption was paid for, and the next run takes it along."""
    photos = library(tmp_path / "photos", 5)
    captioned(tmp_path, photos)
    (photos / "000/00004.jpg").unlink()
    (photos / "000").rename(photos / "renamed")
    done = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "000/00004.jpg\n"), done.stderr
    assert "4 photos lie elsewhere now and are not forgotten: " in done.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 4
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    gone = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert gone.stdout.splitlines() == [f"000/{n:05d}.jpg" for n in range(4)]


def test_the_log_keeps_the_lines_of_photos_whose_names_end_alike(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("b.jpg", "ab.jpg", "x b.jpg", "c/b.jpg"):
        broken = tmp_path / "photos" / name
        broken.parent.mkdir(exist_ok=True)
        broken.write_bytes(name.encode())
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    log = tmp_path / "caption.log"
    with log.open("a") as lines:
        for said in ("cannot read b.jpg: gone", "/home/me/photos/b.jpg: gone", "ab.jpg: gone"):
            lines.write(json.dumps({"message": said}) + "\n")
        for said in ({"rel_path": ["b.jpg"]}, {"photos": {"b.jpg": 1}}, {"photos": {"ab.jpg": 1}}):
            lines.write(json.dumps({"message": "foreign"} | said) + "\n")
        lines.write('{"message": "foreign", "x": ' + "[" * 480 + '"b.jpg"' + "]" * 480 + "}\n")
    assert caption("forget", "b.jpg", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    left = [json.loads(line) for line in log.read_text().splitlines()]
    named = {line["rel_path"] for line in left if "rel_path" in line}
    assert named == {"ab.jpg", "x b.jpg", "c/b.jpg"}
    assert [line["message"] for line in left if "gone" in line["message"]] == ["ab.jpg: gone"]
    assert [line["photos"] for line in left if line["message"] == "foreign"] == [{"ab.jpg": 1}]


def captioned(folder: Path, photos: Path) -> None:
    """A journal with a caption of each of the photos."""
    with Journal(folder / "captions.jsonl") as journal:
        for path in sorted(photos.rglob("*.jpg")):
            data, name = path.read_bytes(), path.relative_to(photos).as_posix()
            content = hashlib.sha256(data).hexdigest()
            journal.append(photo(name, "A dog", content_sha256=content, size=len(data)))


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def link_to_nowhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/nowhere/at all")


def closed(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look into every folder")
    folder.chmod(0o644)


@pytest.mark.parametrize("taken_away", [empty, link_to_nowhere, closed])
def test_what_lay_on_a_disk_that_is_not_mounted_is_not_gone(tmp_path, taken_away):
    """It is mounted on a folder in the library, which is empty without it."""
    photos = library(tmp_path / "photos", 4)
    draw(photos / "disk" / "2020" / "one.jpg", 50)
    draw(photos / "disk" / "two.jpg", 51)
    captioned(tmp_path, photos)
    (photos / "000/00003.jpg").unlink()
    shutil.rmtree(photos / "disk" / "2020")
    taken_away(photos / "disk")
    done = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "000/00003.jpg\n"), done.stderr
    assert "2 photos not forgotten: nothing can be seen in their folder (disk)" in done.stderr
    left = {r["rel_path"] for r in records(tmp_path / "captions.jsonl")}
    assert {"disk/2020/one.jpg", "disk/two.jpg"} < left
    typed = done.stderr.partition("If they were deleted: ")[2].splitlines()[0]
    deleted = caption(*shlex.split(typed)[2:], cwd=tmp_path)
    assert deleted.stdout.splitlines() == ["disk/2020/one.jpg", "disk/two.jpg"], deleted.stderr


def test_a_folder_that_is_empty_since_its_photos_were_moved_is_no_disk(tmp_path):
    photos = library(tmp_path / "photos", 3)
    captioned(tmp_path, photos)
    (photos / "there").mkdir()
    for path in (photos / "000").iterdir():
        path.rename(photos / "there" / path.name)
    early = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert (early.returncode, early.stdout) == (0, ""), early.stderr
    assert "3 photos lie elsewhere now and are not forgotten: " in early.stderr
    assert "nothing can be seen" not in early.stderr, "'forget 000' would delete their captions"
    (photos / "there" / "00002.jpg").rename(tmp_path / "2.jpg")
    some = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert "2 photos lie elsewhere now and are not forgotten: " in some.stderr
    assert "1 photo not forgotten: nothing can be seen in their folder (000)" in some.stderr
    assert "If they were deleted, after that run: " in some.stderr
    (tmp_path / "2.jpg").rename(photos / "there" / "00002.jpg")
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    done = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert done.stdout.splitlines() == [f"000/{n:05d}.jpg" for n in range(3)], done.stderr


def test_the_last_of_a_series_that_was_numbered_anew_is_not_gone(tmp_path):
    """The name that is free is the last one's, and its bytes have the name before it."""
    photos = library(tmp_path / "photos", 8)
    captioned(tmp_path, photos)
    (photos / "000/00005.jpg").unlink()
    for number in (6, 7):
        (photos / f"000/{number:05d}.jpg").rename(photos / f"000/{number - 1:05d}.jpg")
    before = records(tmp_path / "captions.jsonl")
    done = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "1 photo lies elsewhere now and is not forgotten: " in done.stderr
    assert records(tmp_path / "captions.jsonl") == before
    typed = done.stderr.partition("is not forgotten: ")[2].partition(" finds ")[0]
    assert caption(*shlex.split(typed)[2:], cwd=tmp_path).returncode == 0
    gone = caption("forget", "--gone", "--photos-dir=photos", cwd=tmp_path)
    assert gone.stdout == "000/00007.jpg\n", gone.stderr
    contents = {r["content_sha256"] for r in records(tmp_path / "captions.jsonl")}
    assert before[7]["content_sha256"] in contents


def test_a_report_that_does_not_show_them_stays(kept):
    """It was made before the photo was there; one that shows one goes, with what makes it again."""
    folder, _ = kept
    draw(folder / "photos" / "later.jpg", 99)
    assert caption("run", "--photos-dir=photos", cwd=folder).returncode == 0
    whole = {p: p.read_bytes() for p in (folder / "report_out").rglob("*") if p.is_file()}
    done = caption("forget", "later.jpg", "--photos-dir=photos", cwd=folder)
    assert (done.returncode, "Deleted" in done.stderr) == (0, False), done.stderr
    assert {p: p.read_bytes() for p in (folder / "report_out").rglob("*") if p.is_file()} == whole
    # The same photo under another name since: the report shows its picture.
    (folder / "photos" / "000" / "00002.jpg").rename(folder / "photos" / "moved.jpg")
    assert caption("run", "--photos-dir=photos", cwd=folder).returncode == 0
    done = caption("forget", "moved.jpg", "000/00002.jpg", "--photos-dir=photos", cwd=folder)
    assert "cluster_export.csv: it is about them" in done.stderr
    assert "cluster_report.py --photos-dir=photos --out=report_out" in done.stderr
    assert not (folder / "report_out" / "cluster_export.csv").exists()


def test_a_folder_is_forgotten_with_what_is_in_it(kept):
    folder, content = kept
    done = caption("forget", folder / "photos" / "000", "--photos-dir=photos", cwd=folder)
    assert "6 files of them still lie in photos, untouched" in done.stderr
    assert len(done.stdout.splitlines()) == 6
    assert (folder / "captions.jsonl").read_bytes() == b""
    assert traces_in(folder, content) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 64, "--gone"),
        ([CANARY, "--gone"], 64, "--gone"),
        (["."], 64, "not all"),
        (["--gone", "--photos-dir=empty"], 66, "disk mounted"),
        (["--gone"], 78, "--photos-dir"),
    ],
)
def test_what_would_forget_too_much_is_refused(kept, arguments, code, said):
    folder, _ = kept
    (folder / "empty").mkdir()
    before = (folder / "captions.jsonl").read_bytes()
    done = caption("forget", *arguments, cwd=folder)
    assert done.returncode == code
    assert said in done.stderr
    assert (folder / "captions.jsonl").read_bytes() == before


def test_a_photo_is_named_by_its_path_from_here_too(kept):
    folder, content = kept
    named = ("--photos-dir=photos", "photos/nowhere.jpg")
    done = caption("forget", f"photos/{CANARY}", *named, cwd=folder)
    assert (done.returncode, done.stdout) == (64, CANARY + "\n")
    assert "nothing is known of photos/nowhere.jpg: " in done.stderr
    assert traces_in(folder, content) == [], "what is known is forgotten all the same"
    inside = folder / "photos" / "000"
    flags = ("--photos-dir=..", "--captions-jsonl=../../captions.jsonl", "--dry-run")
    assert caption("forget", "00002.jpg", *flags, cwd=inside).stdout == "000/00002.jpg\n"


def test_a_path_that_means_two_photos_is_refused(kept):
    folder, _ = kept
    with Journal(folder / "captions.jsonl") as journal:
        journal.append(photo("photos/000/00001.jpg"))
    name, flags = "photos/000/00001.jpg", ("--photos-dir=photos", "--dry-run")
    done = caption("forget", name, *flags, cwd=folder)
    assert (done.returncode, done.stdout) == (64, "")
    for meant in ("000/00001.jpg", "photos/000/00001.jpg"):
        path = folder / "photos" / meant
        assert str(path) in done.stderr
        assert caption("forget", path, *flags, cwd=folder).stdout == f"{meant}\n"


def test_what_write_put_beside_a_photo_is_forgotten_too(kept):
    folder, content = kept
    assert caption("write", "--photos-dir=photos", cwd=folder).returncode == 0
    assert CANARY in (folder / "captions.undo.jsonl").read_text()
    looked = caption("forget", CANARY, "--photos-dir=photos", "--dry-run", cwd=folder)
    (told,) = [line for line in looked.stderr.splitlines() if "1 file with what" in line]
    assert re.search(r" First: .* undo --photos-dir=photos --run=\S+$", told)
    done = caption("forget", CANARY, "--photos-dir=photos", cwd=folder)
    assert done.returncode == 0
    assert f"({CANARY}.xmp): left as they are, and '" in done.stderr
    assert " undo --photos-dir=photos' cannot take it out any more" in done.stderr
    left = [where for where in traces_in(folder, content) if "undo" in where]
    assert left == []


def library_rows(folder):
    with open_database(folder / "library.db") as db:
        return db.execute("SELECT * FROM files ORDER BY 1").fetchall()


def test_nothing_is_forgotten_beside_a_write_that_has_read_it_already(kept):
    folder, _ = kept
    with closing(UndoFile(folder / "captions.undo.jsonl")):
        before = (folder / "captions.jsonl").read_bytes(), library_rows(folder)
        done = caption("forget", CANARY, "--photos-dir=photos", cwd=folder)
        assert done.returncode == 75, done.stderr
        assert "captions.undo.jsonl is being written by process" in done.stderr
        assert ((folder / "captions.jsonl").read_bytes(), library_rows(folder)) == before
    assert caption("forget", CANARY, "--photos-dir=photos", cwd=folder).returncode == 0


@pytest.fixture
def shared_stems(tmp_path):
    """A RAW beside its JPEG, and a JPEG alone, each with somebody's sidecar named by the stem."""
    folder = tmp_path / "photos"
    for number, name in enumerate(("IMG_1.jpg", "IMG_1.CR2", "lone.jpg")):
        draw(folder / name, number, format="JPEG")
    for name in ("IMG_1.xmp", "lone.xmp"):
        (folder / name).write_bytes(FOREIGN)
    with Journal(tmp_path / "captions.jsonl") as journal:
        journal.append(
            photo("IMG_1.jpg", "A kestrel"), photo("IMG_1.CR2", "A buzzard"),
            photo("lone.jpg", "A heron"),
        )  # fmt: skip
    done = caption("write", "--photos-dir=photos", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["written"]) == (0, 3), done.stderr
    assert b"A buzzard" in (folder / "IMG_1.xmp").read_bytes()
    assert b"A heron" in (folder / "lone.xmp").read_bytes()
    return tmp_path


def undo_lines(folder):
    return {(row["photo"], row["path"]) for row in records(folder / "captions.undo.jsonl")}


@pytest.mark.parametrize(
    ("forgotten", "sidecar"),
    [("IMG_1.jpg", "IMG_1.jpg.xmp"), ("IMG_1.CR2", "IMG_1.xmp"), ("lone.jpg", "lone.xmp")],
)
def test_a_sidecar_is_that_of_the_photo_whose_words_are_in_it(shared_stems, forgotten, sidecar):
    before = undo_lines(shared_stems)
    looked = caption("forget", forgotten, "--photos-dir=photos", "--dry-run", cwd=shared_stems)
    assert f"write --photos-dir=photos' put there ({sidecar}): " in looked.stderr
    done = caption("forget", forgotten, "--photos-dir=photos", cwd=shared_stems)
    assert done.returncode == 0, done.stderr
    assert undo_lines(shared_stems) == before - {(forgotten, sidecar)}
    new = caption("write", "--photos-dir=photos", "--only-new", "--json", cwd=shared_stems)
    assert json.loads(new.stdout or "{}") == {}, "the others were written before"
    assert caption("undo", "--photos-dir=photos", "--all", cwd=shared_stems).returncode == 0
    left = {path.name for path in (shared_stems / "photos").glob("*.xmp")}
    assert left == {"IMG_1.xmp", "lone.xmp"} | {sidecar}
    theirs = {name for name in left if (shared_stems / "photos" / name).read_bytes() == FOREIGN}
    assert theirs == {"IMG_1.xmp", "lone.xmp"} - {sidecar}
