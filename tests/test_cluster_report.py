"""`cluster_report.py` from end to end: the real program on small real libraries."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from picture_captioner.errors import ExitCode, Status
from picture_captioner.journal.record import Record, RecordError
from tests.support import ROOT, caption, draw, effective, environment, library, report

FILES = {"cluster_export.csv", "cluster_report.md", "cluster_report.html", "cluster_state.npz"}


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "cluster_export.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_journal(path: Path, *records: Record) -> None:
    path.write_bytes(b"".join(record.to_line() for record in records))


def error(rel_path: str) -> Record:
    return Record(
        rel_path=rel_path,
        caption=None,
        status=Status.ERROR_API,
        error=RecordError("timeout", "no answer"),
    )


def test_the_report_opens_no_photo_that_the_run_has_read(tmp_path):
    photos = library(tmp_path / "photos", 4)
    assert caption("run", f"--photos-dir={photos}", cwd=tmp_path).returncode == 0
    for path in photos.rglob("*.jpg"):  # other bytes under the same size and time
        status = path.stat()
        path.write_bytes(b"?" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = report(
        f"--photos-dir={photos}", "--embedder=pixels", "--out=seen", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["captioned"], "4/4 photos" in done.stderr) == (4, True)
    assert "broken" not in done.stderr


def test_photos_and_captions_become_a_report(tmp_path):
    photos = library(tmp_path / "photos", 6)
    assert caption("run", f"--photos-dir={photos}", "--limit=4", cwd=tmp_path).returncode == 0
    flags = [f"--photos-dir={photos}", "--embedder=pixels", "--out=seen", "--json"]
    done = report(*flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["photos"], summary["captioned"], summary["without_record"]) == (6, 4, 2)
    assert summary["embedder"].startswith("pixels:")
    assert "4 captioned, 0 errors, 0 vocabulary fallbacks" in done.stderr
    assert set(os.listdir(tmp_path / "seen")) >= FILES
    assert [row["path"] for row in rows(tmp_path / "seen")] == sorted(
        str(p.relative_to(photos)) for p in photos.rglob("*.jpg")
    )
    state = tmp_path / "seen" / "cluster_state.npz"
    state.write_bytes(state.read_bytes()[:100])
    again = report(*flags, cwd=tmp_path)
    assert "clusters get new ids" in again.stderr, "a broken state costs the ids, nothing else"
    assert json.loads(again.stdout)["largest_clusters"] == summary["largest_clusters"]
    assigned = report(*flags, "--assign", cwd=tmp_path)
    assert assigned.returncode == 0, assigned.stderr
    assert "0 new photos" in assigned.stderr


def test_a_journal_alone_without_vectors_still_has_its_photos(tmp_path):
    write_journal(
        tmp_path / "captions.jsonl",
        error("../../etc/passwd"),
        error("/dev/zero"),
        error("=cmd|'/C calc'!A0\nx.jpg"),
    )
    done = report("--no-photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 captioned, 1 error," in done.stderr
    assert "line 1 (byte 0) is not a record: rel_path '../../etc/passwd'" in done.stderr
    assert "journal alone" in done.stderr
    assert {row["path"][0] for row in rows(tmp_path / "report_out")} == {"'"}


def test_a_journal_alone_has_what_is_known_of_its_photos(tmp_path):
    """Times, sizes and hashes: thumbnails and places were there, and no events and no copies."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in (1, 2):
        cells = Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768))
        picture = cells.resize((640, 480), Image.Resampling.BICUBIC)
        picture.save(photos / f"IMG_20240713_10150{seed}.jpg")
    picture.reduce(2).save(photos / "IMG-20240713-WA0001.jpg")
    assert caption("run", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    known = ("path", "chunk", "duplicate_group", "keeper", "taken_at")
    seen = {}
    for flag in ("--photos-dir=photos", "--no-photos"):
        assert report(flag, f"--out={flag[2:5]}", cwd=tmp_path).returncode == 0
        seen[flag] = [[row[column] for column in known] for row in rows(tmp_path / flag[2:5])]
    assert seen["--no-photos"] == seen["--photos-dir=photos"]
    assert [row[2] for row in seen["--no-photos"]] == ["1", "", "1"]


def test_a_file_that_cannot_be_written_is_named_and_no_matter_of_settings(tmp_path):
    write_journal(tmp_path / "captions.jsonl", error("a.jpg"))
    (tmp_path / "report_out" / "cluster_report.md").mkdir(parents=True)
    done = report("--no-photos", cwd=tmp_path)
    assert done.returncode == 74, done.stderr
    assert "cluster_report.md: Is a directory; mend that or name another --out" in done.stderr


def test_a_renamed_folder_is_shown_once_with_its_captions(tmp_path):
    draw(tmp_path / "photos" / "old" / "a.jpg", seed=1)
    draw(tmp_path / "photos" / "old" / "b.jpg", seed=2)
    flags = ("--photos-dir=photos",)
    assert caption("run", *flags, cwd=tmp_path).returncode == 0
    (tmp_path / "photos" / "old").rename(tmp_path / "photos" / "new")
    made = report(*flags, "--out=seen", "--embedder=pixels", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    found = rows(tmp_path / "seen")
    assert [row["path"] for row in found] == ["new/a.jpg", "new/b.jpg"]
    assert all("landscape-format picture" in row["label"] for row in found)
    assert "2 photos moved since captioned" in made.stderr
    assert caption("run", *flags, cwd=tmp_path).returncode == 0
    draw(tmp_path / "photos" / "new" / "b.jpg", seed=3)
    made = report(*flags, "--out=seen", "--embedder=pixels", cwd=tmp_path)
    gone = "2 photos of the journal not there any more: left out "
    assert gone + "(of 2 the same content lies under another path)" in made.stderr


def test_photos_that_took_each_others_names_are_shown_with_their_own_captions(tmp_path):
    photos = tmp_path / "photos"
    for seed in range(6):
        draw(photos / f"{seed}.jpg", seed=seed, size=(60 + 4 * seed, 45))
    flags = ("--photos-dir=photos",)
    assert caption("run", *flags, cwd=tmp_path).returncode == 0
    said = effective(tmp_path / "captions.jsonl")
    for old, new in (("0", "x"), ("1", "0"), ("x", "1")):
        (photos / f"{old}.jpg").rename(photos / f"{new}.jpg")
    made = report(*flags, "--out=seen", "--embedder=pixels", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    labels = {row["path"]: row["label"] for row in rows(tmp_path / "seen")}
    assert labels["0.jpg"] == said["1.jpg"]["caption"]
    assert labels["1.jpg"] == said["0.jpg"]["caption"]
    assert "2 photos under another's name now" in made.stderr
    assert "--stale=content' records it" in made.stderr


def test_a_photo_that_was_replaced_has_not_the_caption_of_what_lay_there_before(tmp_path):
    """Nor is it found by it; one that only got other metadata keeps its own."""
    photos = tmp_path / "photos"
    for seed in range(4):
        draw(photos / f"{seed}.jpg", seed=seed, size=(64, 48))
    flags = ("--photos-dir=photos",)
    assert caption("run", *flags, cwd=tmp_path).returncode == 0
    said = effective(tmp_path / "captions.jsonl")
    draw(photos / "1.jpg", seed=77, size=(64, 48))
    with Image.open(photos / "2.jpg") as image:
        image.save(photos / "2.jpg", quality="keep", comment=b"rated")
    made = report(*flags, "--embedder=pixels", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    shown = {row["path"]: row for row in rows(tmp_path / "report_out")}
    labels = {path: row["label"] for path, row in shown.items() if row["label_source"] == "caption"}
    assert labels == {f"{n}.jpg": said[f"{n}.jpg"]["caption"] for n in (0, 2, 3)}
    assert "1 photo replaced since captioned: without a caption here" in made.stderr
    found = caption("search", "landscape-format", "--all", "--paths0", *flags, cwd=tmp_path)
    assert [Path(path).name for path in found.stdout.split("\0")[:-1]] == [
        "0.jpg",
        "2.jpg",
        "3.jpg",
    ]
    assert "1 photo replaced since captioned left out: " in found.stderr
    named = caption("search", "status:success", "--all", "--json", *flags, cwd=tmp_path)
    told = {hit["rel_path"]: hit["caption"] for hit in json.loads(named.stdout)}
    assert told["1.jpg"] is None
    assert told["2.jpg"] == said["2.jpg"]["caption"]
    typed = found.stderr.partition("left out: ")[2].partition(" captions what")[0]
    assert caption(*shlex.split(typed)[2:], cwd=tmp_path).returncode == 0
    again = caption("search", "landscape-format", "--all", *flags, cwd=tmp_path)
    assert len(again.stdout.splitlines()) == 4
    assert "replaced" not in again.stderr


def test_captions_of_another_library_are_not_shown_on_these_photos(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        draw(tmp_path / "photos" / name, seed=ord(name[0]))
    known = [Record(rel_path=name, caption="A dog.", status=Status.SUCCESS, size=12345)
             for name in ("a.jpg", "b.jpg")]  # fmt: skip
    write_journal(tmp_path / "captions.jsonl", *known)
    done = report("--photos-dir=photos", "--embedder=pixels", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "another library's and is left out: of 2 photos that it has a caption of, 2" in done.stderr
    )
    assert not any("dog" in cell for row in rows(tmp_path / "report_out") for cell in row.values())


def test_an_empty_folder_is_an_empty_report(tmp_path):
    (tmp_path / "photos").mkdir()
    done = report("--photos-dir=photos", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["photos"] == 0
    assert rows(tmp_path / "report_out") == []


def test_nothing_at_all_is_a_sentence(tmp_path):
    done = report(cwd=tmp_path)
    assert done.returncode == ExitCode.CONFIGURATION
    assert "nothing to report on" in done.stderr
    assert done.stdout == ""


MISTAKES = [
    (["--engine=evok"], ExitCode.USAGE, "no such engine"),
    (["--embedder=pixel"], ExitCode.USAGE, "did you mean 'pixels'"),
    (["--min-cluster-size=1"], ExitCode.USAGE, "min-cluster-size"),
    (["--nope"], ExitCode.USAGE, "--help"),
    (["--photos-dir=none"], ExitCode.CONFIGURATION, "no photos directory at none"),
    (["--out=file/x"], ExitCode.CONFIGURATION, "--out file/x: cannot make this folder"),
    (["--assign", "--embedder=pixels"], ExitCode.USAGE, "no earlier report"),
    (["--embedder=pixels", "--vocabulary=terms"], ExitCode.USAGE, "--embedder siglip2 or clip"),
    (["--no-photos", "--embedder=pixels"], ExitCode.USAGE, "there are none"),
]

ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from picture_captioner.cli import report_app as cluster_report
for flags in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = cluster_report.execute(flags)
    print(json.dumps([int(code), said.getvalue()]))
"""


def test_what_cannot_be_done_says_what_to_do(tmp_path):
    library(tmp_path / "photos", 1)
    write_journal(tmp_path / "captions.jsonl", error("a.jpg"))
    (tmp_path / "file").write_text("")
    (tmp_path / "terms").write_text("beach\n")
    commands = [["--photos-dir=photos", *flags] for flags, _, _ in MISTAKES]
    done = subprocess.run(  # in one process: importing takes longer than any of them
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=120,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(MISTAKES), done.stderr
    for (flags, code, said), (found, stderr) in zip(MISTAKES, answers, strict=True):
        assert (found, said in stderr) == (code, True), (flags, stderr)
        assert "internal error" not in stderr


def test_a_wrong_flag_names_the_help_of_this_program(tmp_path):
    done = report("--out-dir=seen", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    (suggested,) = re.findall(r"see '(.+)'", done.stderr)
    helped = subprocess.run(shlex.split(suggested), capture_output=True, text=True, check=True)
    assert "--out" in helped.stdout


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys; from picture_captioner.cli import report_app\n"
        "status = report_app.execute([sys.argv[1]])\n"
        "print(' '.join(sys.modules), file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    for argument in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", code, argument], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        loaded = {name.split(".")[0] for name in done.stderr.split()}
        assert "picture_captioner" in loaded
        assert not loaded & {"numpy", "sklearn", "umap", "numba", "hdbscan", "PIL", "torch"}
