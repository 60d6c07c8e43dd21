"""The photos change, or go away, while a run is under way: each costs itself at most, none is
called broken for it, and a library that is not there is never "all done"."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.needs import need
from tests.preloaded import wait_for
from tests.support import command, effective, environment, library, records
from tests.torture.test_run_signals import STAGES

MOMENTS = {
    moment: STAGES[moment]
    for moment in ("selecting", "looking for copies", "checking the service", "announcing",
                   "starting decoders", "decoding", "asking", "writing")
}  # fmt: skip
"""It happens when this function is entered for the first time: after the walk, all of them."""

CHANGES = {
    "deleted": set(), "directory": set(), "FIFO": set(), "symlink loop": set(),
    "dangling symlink": set(), "device": set(), "socket": set(), "empty file": {"error_corrupt"},
    "truncated": {"error_corrupt"}, "text": {"error_corrupt"}, "another photo": {"success"},
}  # fmt: skip
"""Statuses that a photo may get that became this; those without one stay pending."""


def service(folder: Path, *more: str) -> list[str]:
    log = f"--option=log={folder / 'requests.txt'}"
    return ["run", "--backend=service", "--photos-dir=photos", log, *more]


# --- one photo -----------------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_a_photo_that_becomes_something_else_costs_itself_at_most(
    tmp_path, plugin, preloaded, share, tried
):
    """Every kind of change in each run, to other photos each time."""
    rng, wrong = random.Random(1), []
    chosen = share(["announcing", "asking"], list(MOMENTS) * 6)
    for number, moment in enumerate(chosen):
        folder = tmp_path / str(number)
        photos = library(folder / "photos", 40)
        names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.jpg"))
        # Those that are decoded ahead before anything is answered do not notice: the last ones do.
        changed = dict(zip(rng.sample(names[25:], len(CHANGES)), CHANGES, strict=True))
        changes = {str(photos / name): kind for name, kind in changed.items()}
        flags = service(folder, "--decode-workers=1", "--max-workers=1")
        fault = ("at", MOMENTS[moment], "change_all", changes)
        run = preloaded.run(*flags, cwd=folder, PYTHONPATH=plugin, faults=[fault])
        found = effective(folder / "captions.jsonl")
        wrong += [f"{moment}: {run.returncode}: {run.said}"] if run.returncode else []
        wrong += [f"{moment}: {run.said}"] if "Traceback" in run.said else []
        unread = f"{list(CHANGES.values()).count(set())} could not be read"
        wrong += [] if unread in run.said else [f"{moment}: not {unread}: {run.said}"]
        wrong += [f"{moment}: {what}" for what in _blamed(photos, changed, found)]
        wrong += _not_done_then(preloaded, folder, changed, plugin)
        shutil.rmtree(folder)
    tried("a photo that changes during the run", len(chosen) * len(CHANGES), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def _blamed(photos: Path, changed: dict[str, str], found: dict[str, dict]) -> list[str]:
    """What is wrong with the records of a run during which these photos changed."""
    names = {str(path.relative_to(photos)) for path in photos.rglob("*.jpg")} | {*changed}
    wrong = []
    for name in names:
        kind, record = changed.get(name), found.get(name)
        allowed = {"success"} if kind is None else CHANGES[kind]
        if (record is None) != (not allowed) or (record and record["status"] not in allowed):
            wrong.append(f"{name} ({kind}): {record}")
        elif record and record["status"] == "success":
            digest = hashlib.sha256((photos / name).read_bytes()).hexdigest()
            wrong += [f"{name}: of other bytes"] if record["content_sha256"] != digest else []
    return wrong


def _not_done_then(preloaded, folder: Path, changed: dict[str, str], plugin: str) -> list[str]:
    """Once they are photos again, the next run takes those that stayed pending, and only those."""
    pending = [name for name, kind in changed.items() if not CHANGES[kind]]
    for number, name in enumerate(pending):
        path = folder / "photos" / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        shutil.copy(library(folder / f"new{number}", 1) / "000/00000.jpg", path)
        path.write_bytes(path.read_bytes() + bytes([number]))  # other bytes than the other photos
    run = preloaded.run(*service(folder), cwd=folder, PYTHONPATH=plugin)
    lines = records(folder / "captions.jsonl")
    fresh = {record["rel_path"] for record in lines[40 - len(pending) :]}
    good = run.returncode == 0 and len(lines) == 40 and fresh == set(pending)
    return [] if good else [f"then: {run.returncode}, {len(lines)} records: {run.said}"]


# --- all of them ---------------------------------------------------------------------------------

ABSENCES = ("renamed", "an empty directory", "other photos", "a file", "a link to nowhere")


@pytest.mark.timeout(900)
def test_a_library_that_goes_away_is_66_at_any_moment(tmp_path, plugin, preloaded, share, tried):
    every = list(itertools.product(MOMENTS, ABSENCES))
    quick = [("checking the service", "renamed"), ("selecting", "other photos"),
             ("asking", "an empty directory"), ("writing", "a file")]  # fmt: skip
    chosen, wrong = share(quick, every), []
    photos = library(tmp_path / "library", 60)
    for number, (moment, kind) in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copytree(photos, folder / "photos")
        fault = ("at", MOMENTS[moment], "take_away", str(folder / "photos"), kind)
        flags = service(folder, "--decode-workers=1", "--max-workers=1")
        run = preloaded.run(*flags, cwd=folder, PYTHONPATH=plugin, faults=[fault])
        what = f"{kind} while {moment}: {run.returncode}: {run.said[-400:]}"
        wrong += [what] if run.returncode != 66 or "Traceback" in run.said else []
        wrong += [f"done? {what}"] if "Nothing to do" in run.said else []
        kept = records(folder / "captions.jsonl")
        blamed = [record for record in kept if record["status"] != "success"]
        wrong += [f"blamed: {blamed}"] if blamed else []
        wrong += _back_again(preloaded, folder, plugin, kept)
        shutil.rmtree(folder)
    tried("a library that goes away during the run", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def _back_again(preloaded, folder: Path, plugin: str, kept: list[dict]) -> list[str]:
    there = folder / "photos"
    if there.is_dir():
        shutil.rmtree(there)
    else:
        there.unlink(missing_ok=True)
    (folder / "elsewhere").rename(there)
    run = preloaded.run(*service(folder), cwd=folder, PYTHONPATH=plugin)
    found = records(folder / "captions.jsonl")
    good = run.returncode == 0 and found[: len(kept)] == kept and len(found) == 60
    return [] if good else [f"then: {run.returncode}: {len(found)} records: {run.said[-300:]}"]


def test_a_library_that_is_done_and_went_away_is_not_done(tmp_path, plugin, preloaded, tried):
    photos = library(tmp_path / "photos", 5)
    assert preloaded.run(*service(tmp_path), cwd=tmp_path, PYTHONPATH=plugin).returncode == 0
    photos.rename(tmp_path / "elsewhere")
    wrong = []
    for what, code in (("missing", 78), ("empty", 66)):
        run = preloaded.run(*service(tmp_path), cwd=tmp_path, PYTHONPATH=plugin)
        good = run.returncode == code and "Nothing to do" not in run.said
        wrong += [] if good else [f"{what}: {run.returncode}: {run.said}"]
        photos.mkdir(exist_ok=True)
    assert "mounted" in run.said
    tried("a library that is done and went away", 2, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


# --- permissions ---------------------------------------------------------------------------------


def without_privileges(*line: str) -> list[str]:
    """As somebody to whom permissions apply: root, less what lets root read everything."""
    if os.geteuid():
        return [*line]
    return [need("setpriv"), "--bounding-set=-dac_override,-dac_read_search", *line]


def end(folder: Path, line: list[str], plugin: str = "") -> tuple[int, str]:
    done = subprocess.run(
        line, cwd=folder, env=environment(PYTHONPATH=plugin), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("closed", [pytest.param("photos", marks=pytest.mark.torture), "some"])
def test_photos_that_may_not_be_read_stay_pending(tmp_path, plugin, closed, tried):
    photos = library(tmp_path / "photos", 30)
    paths = sorted(photos.rglob("*.jpg"))
    shut = paths if closed == "photos" else paths[4:9]
    for path in shut:
        path.chmod(0)
    status, said = end(tmp_path, without_privileges(*command(*service(tmp_path))), plugin)
    found = records(tmp_path / "captions.jsonl")
    tried(f"photos without permission ({closed})", len(shut), lost=len(found) - 30 + len(shut))
    assert {record["status"] for record in found} <= {"success"}
    assert len(found) == 30 - len(shut)
    assert (status, "check the disk and its permissions" in said) == (
        (66, True) if closed == "photos" else (0, False)
    ), said
    assert "Permission denied" in said


@pytest.mark.torture
@pytest.mark.parametrize("where", ["photos", "photos/000"])
def test_permissions_taken_away_during_the_run_are_66(tmp_path, plugin, where, tried):
    library(tmp_path / "photos", 100)
    line = command(*service(tmp_path, "--option=delay=0.1", "--max-workers=1"))
    run = subprocess.Popen(
        without_privileges(*line), cwd=tmp_path, env=environment(PYTHONPATH=plugin),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for((tmp_path / "requests.txt").exists)
    (tmp_path / where).chmod(0)
    try:
        said = run.communicate(timeout=60)[1]
    finally:
        (tmp_path / where).chmod(0o700)
    assert run.returncode == 66, said
    assert "Permission denied" in said
    found = records(tmp_path / "captions.jsonl")
    assert {record["status"] for record in found} == {"success"}
    assert len(found) == len((tmp_path / "requests.txt").read_text().splitlines()) < 100
    tried(f"permissions taken away during the run ({where})", 1)
