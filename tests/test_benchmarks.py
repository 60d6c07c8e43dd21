"""Every benchmark runs at a small size and agrees with its contenders; nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks import run
from benchmarks.contest import contest, rows
from benchmarks.page import performance_page
from benchmarks.read_text import wrong
from benchmarks.run import BenchmarkError, names, run_one
from benchmarks.slow_disk import slow_syncs
from tests.needs import need
from tests.support import ROOT, environment

KEYS = {"benchmark", "stage", "contender", "aim", "reached", "met", "limit", "rows", "skipped"}


def quick(name):
    """What a benchmark's last line says."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", "--quick"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    found = json.loads(last)
    assert set(found) == KEYS
    assert found["benchmark"] == name
    assert len(table) == 1 + len(found["rows"])
    return found


def test_api_fanout():
    need("aiohttp")
    found = quick("api_fanout")
    assert [row["contender"] for row in found["rows"]] == [
        *("this program", "openai SDK in threads", "aiohttp, bodies ready")
    ]
    assert all(row["captions/s"] > 0 for row in found["rows"])


def test_rate_limited():
    found = quick("rate_limited")
    assert len(found["rows"]) == 4
    captions = {row["contender"]: row["captions"] for row in found["rows"]}
    assert captions.pop("8 plain threads") == 40
    assert set(captions.values()) == {100}
    assert all(0 <= row["refused, all"] < 1 for row in found["rows"])


def test_several_hosts():
    found = quick("several_hosts")
    assert [row["servers"] for row in found["rows"]] == ["three", "two, one died"]
    assert all(row["captions/s"] > 0 for row in found["rows"])


def test_refusals():
    (row,) = quick("refusals")["rows"]
    assert row["missed"] < 280, "of 552"
    assert row["wrong"] < 100, "of 799"


def test_near_duplicates():
    found = {row["pairs"]: (row["of"], row["found"]) for row in quick("near_duplicates")["rows"]}
    apart = [found.pop("different photos"), found.pop("letters")]
    assert [taken for _, taken in apart] == [0, 0]
    whole = [seen for name, seen in found.items() if "3 %" not in name]
    assert all(of == taken == 12 for of, taken in whole)


def test_claims():
    need("psycopg")
    found = quick("claims")
    assert [row["claimed"] for row in found["rows"]] == [200, 200]


def test_killed_workers():
    need("psycopg")
    found = quick("killed_workers")
    assert found["met"], found
    (row,) = found["rows"]
    assert (row["started"], row["photos done"], row["claims done"]) == (5, 60, 60)


def test_two_homes():
    need("psycopg")
    found = quick("two_homes")
    assert found["met"], found["rows"]
    assert {row["same"] for row in found["rows"]} == {"yes"}


def test_ray_models():
    need("ray")
    found = quick("ray_models")
    assert [row["copies"] for row in found["rows"]] == [1, 2]
    assert all(row["captions/s"] > 0 for row in found["rows"])


def test_read_text():
    need("rapidocr")
    (row,) = quick("read_text")["rows"]
    assert row.pop("text") == "English"
    assert row.pop("CPU s each") > 0
    assert max(row.values()) < 0.05, row


@pytest.mark.parametrize(
    ("read", "written", "share"),
    [("same", "same", 0), ("sane", "same", 0.25), ("", "same", 1), ("sames", "same", 0.25)],
)
def test_wrong_characters_are_counted(read, written, share):
    assert wrong(read, written) == share


STAGES = {
    "decode_jpeg": ["Pillow", "this program", "floor: libjpeg-turbo alone"],
    "decode_pool": ["one thread", "one process", "two processes"],
    "decode_heic": ["pillow-heif", "this program", "its copy"],
    "dry_run": ["plain loop", "this program", "floor: decoding alone"],
    "start_up": ["python -c pass", "--help", "stats"],
}
SAID = {"benchmark", "stage", "contender", "aim", "reached", "met", "limit", "rows", "skipped"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_around_photos(name):
    found = quick(name)  # fails where the contenders' results do not agree
    assert set(found) == SAID
    assert found["benchmark"] == name
    assert isinstance(found["met"], bool)
    assert [row["contender"] for row in found["rows"]] == STAGES[name]
    assert all(row["median s"] > 0 and row["peak MB"] > 0 for row in found["rows"])


def test_pictures_that_differ_are_not_taken_for_the_same():
    from PIL import Image

    from benchmarks.clean_images import psnr
    from tests.images import noise

    picture = noise(40, 30)
    assert psnr(picture, picture) == 99
    assert 40 < psnr(picture, picture.point(lambda value: min(value + 1, 255))) < 60
    with pytest.raises(RuntimeError, match="agree by"):
        psnr(picture, noise(40, 30))
    with pytest.raises(RuntimeError, match="pixels"):
        psnr(picture, picture.resize((30, 40), Image.Resampling.BOX))


def test_batch_jobs():
    found = quick("batch_jobs")
    assert [row["jobs"] for row in found["rows"]] == [4] * 5
    assert all(row["disk MB"] <= row["job MB"] for row in found["rows"])


APART = ("api_fanout", "batch_jobs", "rate_limited", "several_hosts")


@pytest.mark.parametrize("name", [*APART, *STAGES])
def test_benchmarks_stay_outside_the_wheel(name):
    import tomllib

    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert tool["packages"]["find"]["include"] == ["picture_captioner*"]
    assert (ROOT / "benchmarks" / f"{name}.py").is_file()


@pytest.mark.torture
def test_local_gpu():
    need("torch")
    small = ("--tiny", "--device=cpu", "--photos=6", "--loop-photos=3", "--megapixels=0.5")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.local_gpu", *small],
        cwd=ROOT,
        env=environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    found = json.loads(last)["rows"]
    assert len(table) == 1 + len(found) == 5
    assert [row["photos"] for row in found] == [3, 6, 3, 6], "all of them were captioned"
    assert all(row["photos per second"] > 0 for row in found)


def test_report_clusters():
    found = quick("report_clusters")
    assert [row["contender"] for row in found["rows"]] == ["direct", "report"]
    assert all(row["ami"] > 0.6 and row["peak_mb"] > 0 for row in found["rows"])


def test_starting():
    found = quick("starting")
    assert [row["contender"].split(":")[0] for row in found["rows"]] == [
        *("walk", "walk", "walk", "journal", "journal", "walk, journal and selection")
    ]


def test_journal_writes():
    found = quick("journal_writes")
    ours = [row for row in found["rows"] if row["contender"] == "this program"]
    assert [(row["sync +ms"], row["threads"]) for row in ours] == [
        *((0.0, 8), (0.0, 32), (2.0, 8), (2.0, 32))
    ]
    assert all(row["per sync"] > 1 for row in ours), "no two records shared a sync"


def test_orchestration():
    found = quick("orchestration")
    contenders = [row["contender"] for row in found["rows"]]
    ours = ["this program", "plain loop"]
    assert contenders == [*ours, "floor: decoding alone", *ours]
    assert all(row["photos/s"] > 0 for row in found["rows"])


@pytest.mark.torture
def test_growth():
    assert [row["what"] for row in quick("growth")["rows"]] == [
        *("10 photos", "30 photos", "60 photos", "first caption, 2,000 done")
    ]


def test_library_store():
    assert [row["what"] for row in quick("library_store")["rows"]] == [
        *("write", "open and check", "load all", "nearest 20")
    ]


def test_searching():
    rows = quick("searching")["rows"]
    assert len(rows) == 8
    # Of 300 photos perhaps none fits a query of many conditions.
    answered = {row["query"] for row in rows if row["shown"]}
    assert answered >= {"dogs", "-dogs", "from:2010", "quaint"}


def test_a_contest_alternates_in_processes_of_their_own():
    def contender(name):
        return lambda: lambda: (name, os.getpid())

    found = contest({"a": contender("a"), "b": contender("b")}, rounds=2, warm_ups=1)
    assert {name: [s.result[0] for s in goes] for name, goes in found.items()} == {
        "a": ["a", "a"],
        "b": ["b", "b"],
    }
    processes = {sample.result[1] for goes in found.values() for sample in goes}
    assert len(processes | {os.getpid()}) == 5
    assert rows(found, "a")[0]["times as fast"] == 1.0


def test_a_contender_that_fails_is_named():
    def fails():
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="loser failed with exit code 3"):
        contest({"loser": fails}, rounds=1, warm_ups=0)


def test_a_slowed_disk_still_syncs(tmp_path):
    def prepare():
        slow_syncs(0.05)
        stream = (tmp_path / "file").open("wb", buffering=0)

        def timed():
            stream.write(b"x")
            os.fdatasync(stream.fileno())
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fdatasync(999)

        return timed

    (sample,) = contest({"slow": prepare}, rounds=1, warm_ups=0)["slow"]
    assert sample.seconds >= 0.05


def test_every_script_is_run_and_a_failure_says_why():
    assert {"starting", "growth", "local_gpu", "api_fanout"} <= set(names())
    assert not {"run", "local_ways", "contest", "page"} & set(names())
    with pytest.raises(BenchmarkError, match=r"No module named benchmarks\.missing"):
        run_one("missing", quick=True)


PAGE = """\
# Performance

Made by `python -m benchmarks.run`; run it again instead of editing this page. Every stage
is measured beside a named contender in the same run, so take the ratios with you and leave the
seconds here. What a script does exactly is written at its top, in `benchmarks/`.

| machine |  |
| --- | --- |
| processor | a quick one, 2 cores |
| date | 2026-11-21 |

## Summary

| stage | contender | aim | reached | met |
| --- | --- | --- | --- | --- |
| walk of 3 photos | find \\| wc | twice | 1.9 times | yes |
| a model | the loop | twice |  | skipped |
| writes | a lock | 3 times | 2 times | **no** |

## Walk of 3 photos

| contender | s | MB |
| --- | --- | --- |
| ours | 0.2 | 3 |
| find | 0.1 |  |

What limits it: The disk.

`python -m benchmarks.walk`

## A model

Skipped: no CUDA GPU here (`benchmarks.gpu`)

## Writes

| s |
| --- |
| 1 |

What limits it: Syncs.

`python -m benchmarks.writes`
"""


def test_the_page_is_made_of_what_the_benchmarks_said():
    keys = ("benchmark", "stage", "contender", "aim", "reached", "met", "limit", "rows", "skipped")
    walked = [{"contender": "ours", "s": 0.2, "MB": 3}, {"contender": "find", "s": 0.1}]
    said = [
        ("walk", "walk of 3 photos", "find | wc", "twice", "1.9 times", True, "The disk.", walked),
        ("gpu", "a model", "the loop", "twice", "", False, "", [], "no CUDA GPU here"),
        ("writes", "writes", "a lock", "3 times", "2 times", False, "Syncs.", [{"s": 1}]),
    ]
    recorded = [json.loads(json.dumps(dict(zip(keys, one, strict=False)))) for one in said]
    machine = {"processor": "a quick one, 2 cores", "date": "2026-11-21"}
    assert performance_page("python -m benchmarks.run", machine, recorded) == PAGE


def test_what_was_measured_apart_stays_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FOLDER", tmp_path / "benchmarks")
    monkeypatch.setattr(run, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(run, "KEPT", tmp_path / "kept.json")
    run.PAGE.write_text(f"an older page\n{run.APART}\nby hand\n")
    run._write_page({}, keep_others=False)
    page = run.PAGE.read_text()
    assert page.startswith("# Performance")
    assert page.endswith("\n\n## Measured apart\n\nby hand\n")
    assert run.APART in (ROOT / "docs" / "performance.md").read_text("utf-8")
