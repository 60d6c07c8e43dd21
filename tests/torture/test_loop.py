"""What must end the overnight loop: flags that redo what is done, an installation that broke.

`--force` over restarts, a missing caption.py and a missing uv are in tests/test_run_loop.py.
"""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.loop_harness import SCRIPT, Loop
from tests.support import ROOT, records


@pytest.fixture
def loop(tmp_path):
    loop = Loop(tmp_path / "loop").drive_the_real_program(7)
    loop.seconds = 200
    return loop


@pytest.mark.torture
def test_failures_that_are_retried_are_retried_once_and_the_loop_ends(loop, tried):
    fails = ("--photos-dir", "my photos", "--option=fail=refused", "--option=fail_first=3")
    assert loop.run("service", *fails).returncode == 0
    assert [r["status"] for r in records(loop.journal)].count("error_model") == 3
    again = ("--photos-dir", "my photos", "--option=fail=refused", "--retry-status", "error_model")
    first_batch_works = "--option=fail_red=999"
    done = loop.run("--batch", "1", "service", *again, first_batch_works)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("exit code 2") == 2
    assert [r["status"] for r in records(loop.journal)].count("success") == 7
    tried("photos retried by the loop, in batches of 1", 3)


@pytest.mark.torture
def test_failures_that_fail_again_are_not_retried_for_ever(loop, tried):
    fails = ("--photos-dir", "my photos", "--option=fail=refused", "--option=fail_first=3")
    assert loop.run("service", *fails).returncode == 0
    once_more = ("--retry-status", "error_model", "--option=fail_red=-1")
    done = loop.run("--batch", "2", "service", *fails[:3], *once_more)
    assert done.returncode == 0, done.stderr
    assert len(records(loop.journal)) == 7 + 3
    tried("photos retried by the loop that fail again", 3)


def test_an_extra_that_is_not_installed_stops_it(loop, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    reason = "raise ModuleNotFoundError(\"No module named 'openai'\", name='openai')\n"
    (blocked / "openai.py").write_text(reason)
    flags = ("openai", "--photos-dir", "my photos")
    done = loop.run(*flags, PYTHONPATH=str(blocked), OPENAI_API_KEY="sk-none")
    assert done.returncode == 78, done.stderr
    assert "--extra api" in done.stderr
    assert "restarting" not in done.stderr
    assert not loop.journal.exists()


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on PATH")
@pytest.mark.parametrize("broken", ["pyproject.toml", "caption.py"])
def test_a_checkout_that_is_broken_stops_it_under_the_real_uv(tmp_path, broken):
    loop = Loop(tmp_path / "checkout")
    loop.script = shutil.copy(SCRIPT, loop.folder / "run_loop.sh")
    project = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (loop.folder / "pyproject.toml").write_text(project)
    if broken == "pyproject.toml":
        (loop.folder / broken).write_text("[project\n")
    else:
        (loop.folder / broken).unlink()
    env = {"PATH": os.environ["PATH"], "UV_PYTHON": sys.executable, "UV_OFFLINE": "1"}
    loop.env = env | {"CAPTION": f"uv run --project {loop.folder} {loop.folder}/caption.py"}
    done = loop.run("mock", "--photos-dir", str(ROOT / "examples" / "photos"))
    assert done.returncode == 2, done.stderr
    assert "restarting" not in done.stderr
    assert broken in done.stderr
