"""run_loop.sh as its user runs it: when it restarts, what it passes on, how it finds the program.

A program that follows a plan stands in for caption.py (loop_program.py), because no real run dies
of a segmentation fault on demand; the last tests drive the real one. Signals have a file of their
own.
"""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from picture_captioner.errors import EXIT_CODE_MEANINGS, ExitCode
from tests.loop_harness import SCRIPT, Loop
from tests.support import records

LOCAL = ["--backend", "local", "--model", "Qwen/Qwen2.5-VL-3B-Instruct"]
TOOLS = ["bash", "cat", "date", "dirname", "mktemp", "readlink", "rm", "sleep", "wc"]


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


# --- restarts ---------------------------------------------------------------------------


def test_restarts_until_everything_is_done(loop):
    done = loop.plan([2, 10], [2, 7], [0, 5]).run()
    assert done.returncode == 0, done.stderr
    assert len(loop.batches()) == 3
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    datetime.strptime(lines[1][:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert lines[1].endswith("batch 1: exit code 2, journal +10 bytes; restarting")
    assert lines[2].endswith("batch 2: exit code 2, journal +7 bytes; restarting")
    assert "batch 3: exit code 0, journal +5 bytes; stopping: all that was asked" in lines[3]


def test_two_without_growth_stops_and_names_the_log(loop):
    done = loop.plan([2, 10], [2, 0]).run()
    assert done.returncode == 2
    assert len(loop.batches()) == 2
    assert "nothing was written" in done.stderr
    assert "caption.log" in done.stderr


def test_two_with_a_shrunken_journal_stops(loop):
    loop.plan([2, -100]).journal.write_bytes(b"x" * 300)
    done = loop.run()
    assert done.returncode == 2
    assert "journal -100 bytes" in done.stderr


STOPPING = [*(set(ExitCode) - {ExitCode.DONE, ExitCode.MORE_TO_DO}), 1, 126, 127, 129, 130, 143, 99]


@pytest.mark.parametrize("code", sorted(map(int, STOPPING)))
def test_other_codes_stop_with_a_sentence_even_if_the_journal_grew(loop, code):
    done = loop.plan([code, 10], [0, 10]).run()
    assert done.returncode == code
    assert len(loop.batches()) == 1
    last = done.stderr.splitlines()[-1]
    assert f"exit code {code}" in last
    assert ("nobody foresaw" in last) == (code in {1, 99})


def test_documented_restarts_are_those_tested_here():
    restarting = {row.code for row in EXIT_CODE_MEANINGS if row.run_loop.startswith("restarts")}
    assert restarting == {"2", "134, 135, 137, 139"}


# --- crashes ----------------------------------------------------------------------------


CRASHES = [("SIGABRT", 134), ("SIGBUS", 135), ("SIGKILL", 137), ("SIGSEGV", 139)]


@pytest.mark.parametrize(("name", "code"), CRASHES)
def test_a_process_that_dies_is_restarted_three_times(loop, name, code):
    done = loop.plan(*[[name, 0]] * 9).run()
    assert done.returncode == code
    assert len(loop.batches()) == 4
    assert "restart 3 of 3 without progress" in done.stderr
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
        ([], [*LOCAL, "--restart-every", "5000"]),
        (["--batch", "7"], [*LOCAL, "--restart-every", "7"]),
        (["--batch=7", "mock"], ["--backend", "mock", "--restart-every", "7"]),
        (["--restart-every", "7", "mock"], ["--backend", "mock", "--restart-every", "7"]),
        (["mock", "m-2"], ["--backend", "mock", "--model", "m-2", "--restart-every", "5000"]),
        (["local"], [*LOCAL, "--restart-every", "5000"]),
        (["local", "m"], ["--backend", "local", "--model", "m", "--restart-every", "5000"]),
        (["--backend", "mock"], ["--backend", "mock", "--restart-every", "5000"]),
        (["mock", "--"], ["--backend", "mock", "--restart-every", "5000"]),
        (["--model=m"], ["--backend", "local", "--model", "m", "--restart-every", "5000"]),
        (
            ["--photos-dir", "X", "--batch", "3"],
            [*LOCAL, "--restart-every", "3", "--photos-dir", "X"],
        ),
        (
            ["mock", "--force", "--limit", "9"],
            ["--backend", "mock", "--restart-every", "5000", "--force", "--limit", "9"],
        ),
        (
            ["mock", "--", "--batch", "--help"],
            ["--backend", "mock", "--restart-every", "5000", "--batch", "--help"],
        ),
        (
            ["mock", "--prompt", "  a *\n'b' \"c\" $HOME ", "--include", ""],
            [
                *("--backend", "mock", "--restart-every", "5000"),
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
    ("given", "sentence"),
    [
        (["--batch", "0"], "'0': expected a number"),
        (["--batch", "many"], "'many': expected a number"),
        (["--batch=-3"], "'-3': expected a number"),
        (["--batch"], "--batch needs a value"),
        (["--batch="], "the value of --batch is empty"),
        ([""], "the value of --backend is empty"),
        (["mock", ""], "the value of --model is empty"),
        (["--files-from", "-"], "standard input"),
        (["--", "--files-from=-"], "standard input"),
    ],
)
def test_usage_errors_start_nothing(loop, given, sentence):
    done = loop.plan([0, 1]).run(*given)
    assert done.returncode == 64
    assert sentence in done.stderr
    assert "--help" in done.stderr
    assert loop.notes("calls") == []


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_how_to_run_overnight(loop, flag):
    done = loop.plan().run("mock", flag)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in ("nohup", "systemd-run", "tmux", "--batch", "CAPTION", "CRASH_PAUSE", LOCAL[-1]):
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
    expected = ["--backend", "mock", "--restart-every", "5000", *given]
    assert loop.batches() == [expected, expected]


# --- before the first batch -------------------------------------------------------------


@pytest.mark.parametrize("code", [2, 64, 78, 1])
def test_wrong_flags_and_settings_stop_before_the_first_batch(loop, code):
    done = loop.plan([0, 1], refuse=code).run("--typo")
    assert done.returncode == code
    assert "no batch was started" in done.stderr
    assert loop.batches() == []


def test_the_question_has_the_flags_of_the_run(loop):
    loop.plan([0, 1]).run("mock", "--photos-dir", "my photos")
    question, batch = [call["arguments"] for call in loop.notes("calls")]
    assert question == [*batch, "--show-setting", "captions_jsonl"]


def test_a_program_that_names_no_journal_is_refused(loop):
    done = loop.plan().run(CAPTION="true")
    assert done.returncode == 64
    assert "'true' does not name its journal" in done.stderr


def test_it_works_where_the_person_is_and_leaves_nothing_behind(loop, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = loop.plan([0, 1]).run(TMPDIR=str(scratch))
    assert done.returncode == 0
    assert {call["cwd"] for call in loop.notes("calls")} == {str(loop.cwd)}
    assert list(scratch.iterdir()) == []


# --- finding the program ----------------------------------------------------------------

UV = f"""printf '%s|' "$@" >>"${{0%/*}}/uv-calls"; echo >>"${{0%/*}}/uv-calls"
while [[ $1 != *.py ]]; do shift; done
exec {sys.executable} -S "$@"
"""


@pytest.mark.parametrize("extra", ["", "local"])
def test_uv_is_told_the_extra_that_the_backend_needs(loop_beside, extra):
    put_tool(loop_beside, "uv", UV)
    done = loop_beside.plan([0, 1], extra=extra).run("mock")
    assert done.returncode == 0, done.stderr
    home = str(loop_beside.folder)
    calls = (Path(loop_beside.env["PATH"]) / "uv-calls").read_text().splitlines()
    plain = ["run", "--project", home, f"{home}/caption.py", "run", "--backend", "mock"]
    assert calls[0].split("|")[:7] == plain
    whole = [*plain[:3], "--extra", extra, *plain[3:]] if extra else plain
    assert [call.split("|")[: len(whole)] for call in calls[1:]] == [whole, whole]


def test_a_uv_that_fails_with_2_does_not_loop(loop_beside):
    put_tool(loop_beside, "uv", "echo 'error: no such extra' >&2; exit 2")
    done = loop_beside.plan([0, 1]).run()
    assert done.returncode == 2
    assert "error: no such extra" in done.stderr
    assert "uv and python exit with 2" in done.stderr.replace("\n", " ")


def test_a_uv_that_fails_only_in_the_second_batch_does_not_loop(loop_beside):
    put_tool(loop_beside, "uv", f"[[ ! -e seen ]] || exit 2\n[[ $* != *--sh* ]] && >seen\n{UV}")
    done = loop_beside.plan([2, 10], [0, 1]).run()
    assert done.returncode == 2
    assert "batch 2: exit code 2, journal +0 bytes; stopping" in done.stderr
    assert len(loop_beside.batches()) == 1


def test_without_uv_the_active_virtualenv_is_taken(loop_beside, tmp_path):
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


def test_no_uv_and_no_caption_py(loop_beside):
    put_tool(loop_beside, "python3", f'exec {sys.executable} "$@"')
    Path(loop_beside.program).unlink()
    done = loop_beside.run()
    assert done.returncode == 2, "what python says of a missing script"
    assert "caption.py" in done.stderr
    assert "no batch was started" in done.stderr


def test_no_uv_and_no_python(loop_beside):
    done = loop_beside.plan().run()
    assert done.returncode == 127
    assert "'python3' is not there" in done.stderr


# --- the real program -------------------------------------------------------------------


@pytest.fixture
def real(loop, tmp_path):
    return loop.drive_the_real_program(photos=7)


def test_real_force_does_each_photo_once_over_all_restarts(real):
    done = real.run("--batch", "4", "service", "--photos-dir", "my photos", "--force")
    assert done.returncode == 0, done.stderr
    assert len(records(real.journal)) == 7
    assert len({record["rel_path"] for record in records(real.journal)}) == 7
    assert "batch 1: exit code 2" in done.stderr
    assert "batch 2: exit code 0" in done.stderr


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
