"""Disks that go away or turn read-only while a run is under way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import command, environment, library, records
from tests.torture.mounts import in_own_mounts

MOUNT = "mount -t tmpfs tmpfs photos && cp -r library/. photos/"


def service(folder: Path, *more: str) -> list[str]:
    log = f"--option=log={folder / 'requests.txt'}"
    return ["run", "--backend=service", "--photos-dir=photos", log, *more]


def end(folder: Path, script: str, plugin: str) -> tuple[int, str]:
    (folder / "photos").mkdir(exist_ok=True)
    done = subprocess.run(
        in_own_mounts(script), cwd=folder, env=environment(PYTHONPATH=plugin), timeout=60,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.torture
def test_a_disk_that_is_unmounted_during_the_run_is_66(tmp_path, plugin, tried):
    photos = library(tmp_path / "library", 60)
    wrong = []
    for after in (1, 5, 20):
        folder = tmp_path / str(after)
        folder.mkdir()
        (folder / "library").symlink_to(photos)
        program = " ".join(command(*service(folder, "--option=delay=0.05", "--max-workers=1")))
        asked = f'[ "$(cat requests.txt 2>/dev/null | wc -l)" -ge {after} ]'
        waiting = f"until {asked}; do sleep 0.02; done"
        status, said = end(
            folder, f"{MOUNT} && {{ {program} & {waiting}; umount -l photos; wait $!; }}", plugin
        )
        wrong += [f"{after}: {status}: {said}"] if status != 66 or "mounted" not in said else []
        wrong += [f"{after}: {said}"] if "Traceback" in said or "Nothing to do" in said else []
        kept = records(folder / "captions.jsonl")
        wrong += [f"{after}: blamed"] if {r["status"] for r in kept} != {"success"} else []
        status, said = end(folder, " ".join(command(*service(folder))), plugin)
        wrong += [f"then: {status}: {said}"] if status != 66 or "mounted" not in said else []
        status, said = end(folder, f"{MOUNT} && {' '.join(command(*service(folder)))}", plugin)
        found = records(folder / "captions.jsonl")
        good = status == 0 and len(found) == 60 and found[: len(kept)] == kept
        wrong += [] if good else [f"at last: {status}: {said}"]
    tried("a disk that is unmounted during the run", 3, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_the_last_room_on_a_disk_is_left_to_the_journal(tmp_path, plugin):
    library(tmp_path / "photos", 6)
    (tmp_path / "small").mkdir()
    mounted = "mount -t tmpfs -o size=90m tmpfs small && cd small"
    program = " ".join(command(*service(tmp_path, "--photos-dir=../photos")))
    script = f"{mounted} && {program} && cp captions.jsonl .."
    status, said = end(tmp_path, script, plugin)
    assert status == 0, said
    assert said.count("nearly full: what is left is for the journal. Captioning goes on") == 1
    found = records(tmp_path / "captions.jsonl")
    assert [record["status"] for record in found] == ["success"] * 6


@pytest.mark.torture
def test_photos_on_a_read_only_disk_are_captioned(tmp_path, plugin, tried):
    library(tmp_path / "photos", 6)
    bound = "mount --bind photos photos && mount -o remount,ro,bind photos"
    read_only = "! touch photos/new 2>/dev/null"
    program = " ".join(command(*service(tmp_path)))
    status, said = end(tmp_path, f"{bound} && {read_only} && {program}", plugin)
    found = records(tmp_path / "captions.jsonl")
    tried("photos on a read-only disk", 6, lost=6 - len(found))
    assert status == 0, said
    assert [record["status"] for record in found] == ["success"] * 6


@pytest.mark.timeout(600)
def test_a_journals_disk_that_turns_read_only_is_74(tmp_path, plugin, preloaded, share, tried):
    """At each of the first writes to it: notes of what the backend has, and records.

    30 photos, since a busy machine writes the records of several at once.
    """
    photos = library(tmp_path / "photos", 30)
    chosen, wrong = share((1, 8), range(20)), []
    for after in chosen:
        folder = tmp_path / str(after)
        (folder / "disk").mkdir(parents=True)
        (folder / "photos").symlink_to(photos)
        journal = folder / "disk" / "captions.jsonl"
        flags = service(folder, f"--captions-jsonl={journal}", "--max-workers=2")
        fault = ("disk_turns_read_only", str(folder / "disk"), after)
        run = preloaded.run(*flags, cwd=folder, PYTHONPATH=plugin, faults=[fault])
        what = f"{after}: {run.returncode}: {run.said}"
        wrong += [what] if run.returncode != 74 or "Read-only file system" not in run.said else []
        wrong += [what] if "Traceback" in run.said else []
        kept = records(journal)
        told = f"{len(kept)} of 30 photos worked through" in run.said
        wrong += [] if told else [f"{len(kept)} records: {what}"]
        run = preloaded.run(*flags, cwd=folder, PYTHONPATH=plugin)
        found = records(journal)
        good = run.returncode == 0 and len(found) == 30 and found[: len(kept)] == kept
        wrong += [] if good else [f"then: {run.returncode}: {run.said}"]
        asked = len((folder / "requests.txt").read_text().splitlines())
        wrong += [f"{asked} requests: {what}"] if asked > 30 + 2 else []
        shutil.rmtree(folder)
    tried("a journal's disk that turns read-only", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)
