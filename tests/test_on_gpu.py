"""The check for a graphics card, as far as it goes without one: on the CPU with the tiny model."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks.gpu.check import CHECKS
from tests.needs import need
from tests.support import ROOT, environment


def run(*arguments, timeout=100, **env):
    """The script to its end, and what its last line says."""
    done = subprocess.run(
        [str(ROOT / "benchmarks" / "on_gpu.sh"), *arguments],
        cwd="/",
        env=environment(PYTHON=sys.executable, OMP_NUM_THREADS="1", **env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    *lines, last = done.stdout.splitlines()
    return done, lines, json.loads(last)


def test_a_model_is_drawn_loaded_and_measured(tmp_path):
    need("torch")
    only = ("--only=draw", "--only=int4", "--only=squeeze")
    done, lines, said = run("--tiny", *only, f"--folder={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == 3
    assert said["failed"] == {}
    assert said["checks"]["squeeze"]["skipped"] == "needs a card"
    figures = said["checks"]["int4"]["figures"]
    assert figures["said"].startswith("Loading tiny (Qwen2.5-VL) on cpu in int4")
    assert figures["prefill_tokens_a_second"] > 0
    assert figures["loop_photos"] > 0
    assert len(list((tmp_path / "photos").iterdir())) == 24


@pytest.mark.torture
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("part", [1, 2])
def test_every_check_passes_with_the_tiny_model(part):
    need("torch")
    done, _, said = run("--tiny", f"--part={part}", "--seconds=1500", timeout=1800)
    assert said["failed"] == {}, said["failed"]
    assert done.returncode == 0
    assert set(said["checks"]) == {name for name, row in CHECKS.items() if row.part in {0, part}}


FAULTY = """
import os, time

def good(given, said):
    said.note(figure=0.123456)

def raises(given, said):
    raise ValueError("the reason")

def crashes(given, said):
    os.write(2, b"last words\\n")
    os.kill(os.getpid(), 11)

def hangs(given, said):
    time.sleep(600)

def finds(given, said):
    said.must(1 == 2, "one is not two")
    said.must(2 == 3, "nor two three")
"""


@pytest.fixture
def faulty(tmp_path):
    """PYTHONPATH with which the checks are others, most of them faulty."""
    (tmp_path / "faulty_checks.py").write_text(FAULTY)
    (tmp_path / "sitecustomize.py").write_text(
        "import benchmarks.gpu\n"
        f"benchmarks.gpu.__path__.append({str(tmp_path)!r})\n"
        "from benchmarks.gpu.check import CHECKS, Check\n"
        "CHECKS.clear()\n"
        "for name in ('raises', 'crashes', 'hangs', 'finds', 'good'):\n"
        "    CHECKS[name] = Check(f'faulty_checks:{name}', 1, 2 if name == 'hangs' else 30)\n"
    )
    return os.pathsep.join([str(tmp_path), str(ROOT)])


def test_a_check_that_fails_says_why_and_the_next_goes_on(faulty):
    done, lines, said = run("--tiny", PYTHONPATH=faulty)
    assert done.returncode == 1
    assert len(lines) == 5
    assert said["failed"] == {
        "raises": ["ValueError: the reason"],
        "crashes": ["ended with -11: last words"],
        "hangs": ["not done after 2 s: "],
        "finds": ["one is not two", "nor two three"],
    }
    assert said["checks"]["good"]["figures"] == {"figure": 0.1235}


def test_on_a_slow_machine_every_check_may_be_given_more_time(faulty):
    _, _, said = run("--tiny", "--only=hangs", "--seconds=940", PYTHONPATH=faulty)
    assert said["failed"] == {"hangs": ["not done after 4 s: "]}


def test_what_there_is_no_time_for_is_said():
    done, _, said = run("--tiny", "--only=card", "--seconds=5")
    assert done.returncode == 1
    assert said["failed"] == {"card": ["no time was left for it"]}
