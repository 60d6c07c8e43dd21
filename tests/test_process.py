"""`process` and `status`: every stage once for every photo, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from tests.images import encoded, gradient
from tests.support import (
    caption,
    command,
    draw,
    environment,
    library,
    open_database,
    report,
    spoil,
)

STAGES = ("normalize", "metadata", "embed")


def process(cwd, *arguments):
    return caption("process", *arguments, cwd=cwd, HF_HOME=str(cwd / "hub"))


def status(cwd, photos):
    done = caption("status", photos, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def made(library_db):
    """Whether it has its tables: a process may be killed before."""
    if not library_db.exists():
        return False
    with contextlib.closing(sqlite3.connect(library_db)) as connection:
        find = "SELECT count(*) FROM sqlite_schema WHERE name = 'stages'"
        return connection.execute(find).fetchone() == (1,)


def rows(cwd):
    connection = sqlite3.connect(cwd / "library.db")
    found = connection.execute(
        "SELECT hex(content), stage, status, attempts, error, took FROM stages"
    ).fetchall()
    connection.close()
    return found


def test_everything_is_computed_once_and_status_says_so(tmp_path, photos):
    (photos / "broken.jpg").write_bytes(encoded(gradient(), "JPEG")[:900])
    before = status(tmp_path, photos)
    assert before["stages"]["metadata"] == {"done": 0, "failed": 0, "stale": 0, "pending": 7}
    assert not (tmp_path / "library.db").exists(), "asking makes no file"
    done = process(tmp_path, photos)
    assert done.returncode == 0, done.stderr
    assert "6 photos processed (normalize, metadata, embed), 1 failed" in done.stderr
    after = status(tmp_path, photos)
    assert after["photos"] == 7
    for name in STAGES:
        assert after["stages"][name] == {"done": 6, "failed": 1, "stale": 0, "pending": 0}
    assert after["stages"]["caption"]["pending"] == 7
    assert after["seconds_left"] == 0
    assert all(took is not None for *_, state, _, _, took in rows(tmp_path) if state == "done")
    spoil(photos)
    again = process(tmp_path, photos)
    assert (
        "0 photos processed (normalize, metadata, embed), 1 failed, 6 done before" in again.stderr
    )


def test_a_photo_that_fails_is_tried_three_times_and_then_only_if_forced(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "broken.jpg").write_bytes(encoded(gradient(), "JPEG")[:900])
    for _ in range(3):
        assert "1 failed" in process(tmp_path, photos).stderr
    assert "Nothing to do" in process(tmp_path, photos).stderr
    assert {(state, attempts) for *_, state, attempts, _, _ in rows(tmp_path)} == {("failed", 3)}
    draw(photos / "broken.jpg", seed=1)
    assert "1 photo processed" in process(tmp_path, "--force", photos).stderr


def test_the_stages_that_are_named_come_with_those_they_need(tmp_path, photos):
    assert process(tmp_path, "--stage=metadata", photos).returncode == 0
    states = status(tmp_path, photos)["stages"]
    assert [states[name]["done"] for name in STAGES] == [0, 6, 0]
    assert process(tmp_path, "--stage=embed", photos).returncode == 0
    states = status(tmp_path, photos)["stages"]
    assert [states[name]["done"] for name in STAGES] == [6, 6, 6]


def test_a_limit_a_folder_one_photo_and_a_dry_run(tmp_path):
    photos = library(tmp_path / "photos", 4)
    draw(photos / "other" / "x.jpg", seed=99)
    dry = process(tmp_path, "--dry-run", photos)
    assert "normalize: 5 photos to do" in dry.stderr
    assert status(tmp_path, photos)["stages"]["normalize"]["done"] == 0
    where = f"--photos-dir={photos}"
    assert "4 photos left by --limit" in process(tmp_path, where, "--limit=1").stderr
    inside = process(tmp_path, where, photos / "other")
    assert "1 photo processed" in inside.stderr, inside.stderr
    one = process(tmp_path, where, photos / "000" / "00003.jpg")
    assert "1 photo processed" in one.stderr, one.stderr
    assert status(tmp_path, photos)["stages"]["embed"]["done"] == 3
    gone = process(tmp_path, where, photos / "none")
    assert (gone.returncode, "none" in gone.stderr) == (66, True)


def test_copies_in_another_folder_take_no_place_from_the_photos(tmp_path):
    """A PATH outside of the photos directory says nothing of what lies in that."""
    photos = library(tmp_path / "photos", 2)
    stages, where = ("--stage=normalize", "--stage=metadata"), f"--photos-dir={photos}"
    assert process(tmp_path, where, *stages).returncode == 0
    shutil.copytree(photos / "000", tmp_path / "stick")
    assert process(tmp_path, where, *stages, tmp_path / "stick").returncode == 0
    again = process(tmp_path, where, *stages)
    assert "Nothing to do: 2 photos done before" in again.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [("caption", "caption.py run"), ("tag", "there is no stage 'tag'")],
)
def test_what_is_no_stage_here(tmp_path, photos, name, told):
    done = process(tmp_path, f"--stage={name}", photos)
    assert (done.returncode, told in done.stderr) == (64, True)


def test_another_version_makes_a_stage_stale_and_is_done_again(tmp_path, photos):
    process(tmp_path, photos)
    with open_database(tmp_path / "library.db") as connection:
        connection.execute("UPDATE stages SET version = '0' WHERE stage = 'metadata'")
    connection.close()
    assert status(tmp_path, photos)["stages"]["metadata"]["stale"] == 6
    process(tmp_path, photos)
    assert status(tmp_path, photos)["stages"]["metadata"]["done"] == 6


def test_the_report_finds_all_of_it_done(tmp_path, photos):
    process(tmp_path, photos)
    spoil(photos)
    made = report(f"--photos-dir={photos}", "--embedder=pixels", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "cannot be decoded" not in made.stderr
    assert (tmp_path / "report_out" / "cluster_report.html").exists()


def kill_until_done(cwd, photos, kills, seed=0):
    rng = random.Random(seed)
    words = command("process", photos, "--decode-workers=2")
    committed: set[tuple] = set()
    for _ in range(kills):
        run = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(HF_HOME=str(cwd / "hub")),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(0.3, 2.5))
        run.send_signal(signal.SIGKILL)
        run.wait()
        now = {row[:4] for row in rows(cwd)} if made(cwd / "library.db") else set()
        assert committed <= now, "what was committed is not lost, nor done again"
        committed = now
    assert process(cwd, photos).returncode == 0
    found = rows(cwd)
    assert {(state, attempts) for _, _, state, attempts, _, _ in found} == {("done", 1)}
    total = len(list(photos.rglob("*.jpg")))
    assert len(found) == 3 * total
    states = status(cwd, photos)["stages"]
    assert [states[name]["done"] for name in STAGES] == [total] * 3


def test_kills_at_random_neither_lose_nor_repeat_what_was_committed(tmp_path):
    kill_until_done(tmp_path, library(tmp_path / "photos", 200), kills=3)


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_a_thousand_kills_neither_lose_nor_repeat_what_was_committed(tmp_path):
    for turn in range(100):
        folder = tmp_path / str(turn)
        kill_until_done(folder, library(folder / "photos", 200), kills=10, seed=turn)
        shutil.rmtree(folder)


def test_an_empty_file_fails_three_times_and_is_not_pending_for_ever(tmp_path, photos):
    (photos / "empty.jpg").touch()
    for failed in (1, 1, 1, 0):
        done = process(tmp_path, photos)
        assert done.returncode == 0, done.stderr
        assert ("1 failed" in done.stderr) == bool(failed)
        standing = status(tmp_path, photos)["stages"]
        assert all(standing[name]["failed"] == 1 for name in STAGES), standing
        assert all(standing[name]["pending"] == 0 for name in STAGES), standing


def test_a_stage_that_cannot_run_opens_no_photo(tmp_path, photos):
    """Its cure is the only answer: nothing was done before, and nothing failed."""
    library(photos, 3)
    hidden = tmp_path / "without"
    for name in ("rapidocr", "onnxruntime"):
        (hidden / name).mkdir(parents=True)
        (hidden / name / "__init__.py").write_text(
            f"raise ModuleNotFoundError({name!r}, name={name!r})"
        )
    for words, extra in (
        ("read", "ocr"),
        ("people scan", "people"),
        ("process --stage=text", "ocr"),
    ):
        done = caption(*words.split(), photos, cwd=tmp_path, PYTHONPATH=str(hidden))
        assert done.returncode == 78
        (line,) = done.stderr.splitlines()
        assert line.endswith(f"--extra {extra}")
