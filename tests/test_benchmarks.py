"""Every benchmark runs at a small size and agrees with its contenders; nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import ROOT, environment


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
    assert len(table) == 1 + len(json.loads(last)["rows"])
    return json.loads(last)


def test_api_fanout():
    found = quick("api_fanout")
    assert [row["contender"] for row in found["rows"]] == [
        *("this program", "openai SDK in threads", "sockets alone")
    ]
    assert all(row["captions/s"] > 0 for row in found["rows"])


def test_rate_limited():
    found = quick("rate_limited")
    assert len(found["rows"]) == 4
    captions = {row["contender"]: row["captions"] for row in found["rows"]}
    assert captions.pop("8 plain threads") == 40
    assert set(captions.values()) == {100}
    assert all(0 <= row["refused, all"] < 1 for row in found["rows"])


STAGES = {
    "decode_jpeg": ["Pillow", "this program"],
    "decode_pool": ["one thread", "one process", "two processes"],
    "decode_heic": ["pillow-heif", "this program", "its copy"],
    "dry_run": ["plain loop", "this program"],
    "start_up": ["python -c pass", "--help", "stats"],
}
SAID = {"benchmark", "stage", "contender", "aim", "reached", "met", "limit", "rows"}


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


@pytest.mark.parametrize("name", ["api_fanout", "rate_limited", *STAGES])
def test_benchmarks_stay_outside_the_wheel(name):
    import tomllib

    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert "benchmarks" not in tool["packages"]
    assert (ROOT / "benchmarks" / f"{name}.py").is_file()


@pytest.mark.torture
def test_local_gpu():
    pytest.importorskip("torch", reason="needs the extra 'local'")
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
    rows = json.loads(last)["rows"]
    assert len(table) == 2 + len(rows) == 6
    assert [row["photos"] for row in rows.values()] == [3, 6, 3, 6], "all of them were captioned"
    assert all(row["photos_per_second"] > 0 for row in rows.values())


def test_report_clusters():
    found = quick("report_clusters")
    assert [row["contender"] for row in found["rows"]] == ["direct", "report"]
    assert all(row["ami"] > 0.6 and row["peak_mb"] > 0 for row in found["rows"])
