"""run_loop.sh as its user runs it: when it restarts, what it passes on, how it finds the program.

A program that follows a plan stands in for caption.py (loop_program.py), because no real run dies
of a segmentation fault on demand; the last tests drive the real one. Signals have a file of their
own.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from picture_captioner.errors import ExitCode
from picture_captioner.journal.record import parse_time
from tests.loop_harness import SCRIPT, Loop
from tests.support import records

TOOLS = ["bash", "cat", "date", "dirname", "mktemp", "readlink", "rm", "sleep"]


@pytest.fixture
def loop(tmp_path):
    return Loop(tmp_path)


@pytest.fixture
def loop_beside(tmp_path):
    """The script in a folder with spaces and without CAPTION: it has to find caption.py itself."""
    loop = Loop(tmp_path / "my programs")
    loop.script = shutil.copy(SCRIPT, loop.folder / "run_loop.sh")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    loop.env = {"PATH": str(tools)}
    return loop


def put_tool(loop, name, text):
    tool = Path(loop.env["PATH"]) / name
    tool.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    tool.chmod(0o755)


def test_it_has_eighty_lines():
    assert len(SCRIPT.read_text().splitlines()) <= 80


# --- restarts ---------------------------------------------------------------------------


def test_restarts_until_everything_is_done(loop):
    done = loop.plan([2, 10], [2, 7], [0, 5]).run()
    assert done.returncode == 0, done.stderr
    assert len(loop.batches()) == 3
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    datetime.strptime(lines[1][:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert lines[0].endswith("exit code 2, 10 new records; restarting")
    assert lines[1].endswith("exit code 2, 7 new records; restarting")
    assert "exit code 0, 5 new records; stopping: all that was asked for is done" in lines[2]


def test_a_full_night_in_batches_of_five(loop):
    done = loop.plan(*[[2, 5]] * 40, [0, 3]).run("--batch", "5", "mock")
    assert done.returncode == 0, done.stderr
    assert len(loop.batches()) == 41


@pytest.mark.parametrize("told", [0, None, "", "many", "-3"])
def test_two_without_a_new_record_stops(loop, told):
    done = loop.plan([2, 10], [2, told]).run()
    assert done.returncode == 2
    assert len(loop.batches()) == 2
    assert "nothing new was recorded" in done.stderr


STOPPING = [*(set(ExitCode) - {ExitCode.DONE, ExitCode.MORE_TO_DO}), 1, 126, 127, 129, 130, 143, 99]


@pytest.mark.parametrize("code", sorted(map(int, STOPPING)))
def test_other_codes_stop_even_if_there_are_new_records(loop, code):
    done = loop.plan([code, 10], [0, 10]).run()
    assert done.returncode == code
    assert len(loop.batches()) == 1
    assert f"exit code {code}, 10 new records; stopping" in done.stderr


def test_documented_restarts_are_those_tested_here():
    rows = (Path(SCRIPT).parent / "docs" / "exit-codes.md").read_text("utf-8")
    restarting = re.findall(r"^\| ([\d, ]+) \|.*\| restarts", rows, re.MULTILINE)
    assert restarting == ["2", "134, 135, 137, 139"]


# --- crashes ----------------------------------------------------------------------------


CRASHES = [("SIGABRT", 134), ("SIGBUS", 135), ("SIGKILL", 137), ("SIGSEGV", 139)]


@pytest.mark.parametrize(("name", "code"), CRASHES)
def test_a_process_that_dies_is_restarted_three_times(loop, name, code):
    done = loop.plan(*[[name, 0]] * 9).run()
    assert done.returncode == code
    assert len(loop.batches()) == 4
    assert "time and again without progress" in done.stderr
    assert "line " not in done.stderr, "bash's own report of a killed job"


def test_progress_resets_the_count_of_crashes(loop):
    crashes = [["SIGKILL", 0]] * 3
    done = loop.plan(*crashes, ["SIGKILL", 5], *crashes[:2], [2, 5], *crashes, [0, 5]).run()
    assert done.returncode == 0, done.stderr
    assert len(loop.batches()) == 11


def test_the_limit_holds_after_progress_too(loop):
    done = loop.plan(["SIGKILL", 5], *[["SIGKILL", 0]] * 9).run()
    assert done.returncode == 137
    assert len(loop.batches()) == 4


def test_a_pause_comes_before_the_restart_of_a_crash(loop):
    started = time.monotonic()
    done = loop.plan(["SIGKILL", 1], [0, 1]).run(CRASH_PAUSE="0.7")
    assert done.returncode == 0
    assert time.monotonic() - started > 0.7


# --- the command line -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], ["--restart-every", "5000"]),
        (["--batch", "7"], ["--restart-every", "7"]),
        (["--batch=7", "mock"], ["--restart-every", "7", "--backend", "mock"]),
        (["mock", "--batch=7"], ["--restart-every", "7", "--backend", "mock"]),
        (["mock", "m-2"], ["--restart-every", "5000", "--backend", "mock", "--model", "m-2"]),
        (["--backend", "mock"], ["--restart-every", "5000", "--backend", "mock"]),
        (
            ["--photos-dir", "X", "--x", "3"],
            ["--restart-every", "5000", "--photos-dir", "X", "--x", "3"],
        ),
        (
            ["mock", "--", "--batch", "--help"],
            ["--restart-every", "5000", "--backend", "mock", "--batch", "--help"],
        ),
        (
            ["mock", "--prompt", "  a *\n'b' \"c\" $HOME ", "--include", ""],
            [
                *("--restart-every", "5000", "--backend", "mock"),
                *("--prompt", "  a *\n'b' \"c\" $HOME ", "--include", ""),
            ],
        ),
    ],
    ids=lambda words: " ".join(words)[:40] or "nothing",
)
def test_arguments(loop, given, passed):
    done = loop.plan([0, 1]).run(*given)
    assert done.returncode == 0, done.stderr
    (batch,) = loop.batches()
    at = batch.index("--since")
    assert batch[:at] + batch[at + 2 :] == passed


def test_batch_comes_from_the_environment_too(loop):
    loop.plan([0, 1], [0, 1])
    assert loop.run(BATCH="12").returncode == 0
    assert loop.run("--batch", "13", BATCH="12").returncode == 0
    assert [batch[batch.index("--restart-every") + 1] for batch in loop.batches()] == ["12", "13"]


@pytest.mark.parametrize(
    "given", [["--batch", "0"], ["--batch", "many"], ["--batch=-3"], ["--batch"]]
)
def test_usage_errors_start_nothing(loop, given):
    done = loop.plan([0, 1]).run(*given)
    assert done.returncode == 64
    assert "expected a number, at least 1; see --help" in done.stderr
    assert loop.notes("calls") == []


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_how_to_run_overnight(loop, flag):
    done = loop.plan().run("mock", flag)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in (
        "nohup",
        "systemd-run",
        "OOMPolicy=continue",
        "tmux",
        "--batch",
        "CAPTION",
        "CRASH_PAUSE",
    ):
        assert word in done.stdout
    assert loop.notes("calls") == []


def test_since_is_the_start_of_the_loop_in_every_batch(loop):
    before = datetime.now(UTC) - timedelta(seconds=1)
    loop.plan([2, 1], ["SIGKILL", 1], [0, 1]).run(CRASH_PAUSE="1.1")
    times = {batch[batch.index("--since") + 1] for batch in loop.batches()}
    assert len(times) == 1
    (since,) = times
    assert since.endswith("Z")
    assert before <= datetime.fromisoformat(since) <= datetime.now(UTC)


@pytest.mark.parametrize("given", [["--since", "2026-01-02T03:04:05+01:00"], ["--since=2026"]])
def test_a_since_of_the_person_is_left_alone(loop, given):
    loop.plan([2, 1], [0, 1]).run("mock", *given)
    expected = ["--restart-every", "5000", "--backend", "mock", *given]
    assert loop.batches() == [expected, expected]


def test_it_works_where_the_person_is_and_leaves_nothing_behind(loop, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = loop.plan([0, 1]).run(TMPDIR=str(scratch))
    assert done.returncode == 0
    assert {call["cwd"] for call in loop.notes("calls")} == {str(loop.cwd)}
    assert list(scratch.iterdir()) == []


# --- finding the program ----------------------------------------------------------------


def test_a_uv_that_fails_with_2_does_not_loop(loop):
    uv = loop.folder / "uv"
    uv.write_text("#!/bin/sh\necho 'error: no such extra' >&2; exit 2\n")
    uv.chmod(0o755)
    done = loop.plan([0, 1]).run(CAPTION=f"{uv} run caption.py")
    assert done.returncode == 2
    assert "error: no such extra" in done.stderr
    assert "restarting" not in done.stderr


def test_a_uv_on_path_installs_nothing(loop_beside):
    put_tool(loop_beside, "uv", "echo called >&2; exit 2")
    put_tool(loop_beside, "python3", f'exec {sys.executable} -S "$@"')
    done = loop_beside.plan([0, 1]).run("mock")
    assert done.returncode == 0, done.stderr
    assert "called" not in done.stderr


def test_the_active_virtualenv_is_taken(loop_beside, tmp_path):
    python = tmp_path / "an env" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    loop_beside.env["VIRTUAL_ENV"] = str(python.parent.parent)
    assert loop_beside.plan([0, 1]).run("mock").returncode == 0
    assert {call["python"] for call in loop_beside.notes("calls")} == {str(python)}


def test_then_the_virtualenv_beside_the_script(loop_beside):
    python = loop_beside.folder / ".venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert loop_beside.plan([0, 1]).run("mock").returncode == 0
    assert {call["python"] for call in loop_beside.notes("calls")} == {str(python)}


def test_then_python3_and_the_script_may_be_a_link(loop_beside, tmp_path):
    put_tool(loop_beside, "python3", f'exec {sys.executable} -S "$@"')
    link = tmp_path / "link"
    link.symlink_to(Path("my programs") / "run_loop.sh")
    loop_beside.script = tmp_path / "link to link"
    loop_beside.script.symlink_to(link)
    done = loop_beside.plan([0, 1]).run("mock")
    assert done.returncode == 0, done.stderr
    assert len(loop_beside.batches()) == 1


def test_no_caption_py(loop_beside):
    put_tool(loop_beside, "python3", f'exec {sys.executable} "$@"')
    Path(loop_beside.program).unlink()
    done = loop_beside.run()
    assert done.returncode == 2, "what python says of a missing script"
    assert "caption.py" in done.stderr
    assert "nothing new was recorded" in done.stderr


def test_no_python(loop_beside):
    done = loop_beside.plan().run()
    assert done.returncode == 64
    assert "there is no python3" in done.stderr


# --- the real program -------------------------------------------------------------------


@pytest.fixture
def real(loop, tmp_path):
    return loop.drive_the_real_program(photos=7)


def test_real_force_does_each_photo_once_over_all_restarts(real):
    done = real.run("--batch", "4", "service", "--photos-dir", "my photos", "--force")
    assert done.returncode == 0, done.stderr
    assert len(records(real.journal)) == 7
    assert len({record["rel_path"] for record in records(real.journal)}) == 7
    assert "exit code 2, 4 new records; restarting" in done.stderr
    assert "exit code 0, 3 new records; stopping" in done.stderr


def test_real_a_clock_that_was_set_back_does_not_make_the_loop_endless(real):
    """The loop began when the clock was an hour ahead: what is recorded now counts as done."""
    began = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds")
    loop = ("--batch", "4", "service", "--photos-dir", "my photos", "--force")
    done = real.run(*loop, "--since", began)
    assert done.returncode == 0, done.stderr
    assert len(records(real.journal)) == 7
    assert {parse_time(r["created_at"]) for r in records(real.journal)} == {parse_time(began)}


@pytest.mark.parametrize("leaves", ["mv -- captions.jsonl away", ": > captions.jsonl"])
def test_real_a_journal_that_went_away_between_two_batches_is_not_begun_anew(real, leaves):
    program = real.folder / "then_it_goes"
    program.write_text(f'#!/bin/sh\n{real.env["CAPTION"]} "$@"; code=$?; {leaves}; exit $code\n')
    program.chmod(0o755)
    done = real.run("--batch", "4", "service", "--photos-dir", "my photos", CAPTION=str(program))
    assert done.returncode == 74, done.stderr
    assert f"the journal {real.journal} is gone or empty" in done.stderr
    assert "Beginning a new journal" not in done.stderr.partition("; restarting")[2]
    assert not real.journal.exists() or not records(real.journal)
    again = real.run("service", "--photos-dir", "my photos")  # who starts it afresh means it
    assert (again.returncode, len(records(real.journal))) == (0, 7), again.stderr


def test_real_the_backend_of_config_env_is_the_loops(real):
    (real.cwd / "config.env").write_text("BACKEND=service\n")
    done = real.run("--photos-dir", "my photos")
    assert done.returncode == 0, done.stderr
    assert {record["backend"] for record in records(real.journal)} == {"service"}


def test_real_without_any_backend_it_is_the_model_and_nothing_is_installed(real):
    done = real.run("--photos-dir", "my photos", HF_HOME=str(real.folder / "hub"))
    assert done.returncode == 78, done.stderr
    assert "template" not in done.stderr
    assert not real.journal.exists() or records(real.journal) == []


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        (["service", "--fotos-dir", "my photos"], 64, "--photos-dir"),
        (["service"], 78, "PHOTOS_DIR="),
    ],
)
def test_real_errors_stop_the_loop(real, given, code, sentence):
    done = real.run(*given)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
