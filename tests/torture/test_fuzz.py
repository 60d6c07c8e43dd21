"""Strange bytes for every parser: what comes back is an answer or a documented error.

By default Hypothesis mutates the seeds of each target for a moment. With `--torture` atheris
(libFuzzer) does so for much longer, guided by the lines of the program that an input reaches.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tests.torture.fuzz.targets import TARGETS, Target

SECONDS = 15
"""For each target, with --torture."""

needs_atheris = pytest.mark.needs("atheris")
fast = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the journal syncs every line


@st.composite
def inputs(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with a few bytes cut out, put in, doubled or replaced by a word of the format."""
    data = draw(st.sampled_from(target.seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        part = draw(
            st.binary(max_size=6)
            | st.sampled_from([b"", data[start:end] * 2, *target.words, *target.seeds])
        )
        data = data[:start] + part + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_parser_is_surprised_by_mutated_bytes(target: Target, share, tried):
    examples = share(40, 1_000)

    @seed(4711)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target))
    def throw(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=fast) as folder:
            target.check(data, Path(folder))

    for given_seed in target.seeds:
        with tempfile.TemporaryDirectory(dir=fast) as folder:
            target.check(given_seed, Path(folder))
    throw()
    tried(f"mutated bytes for {target.name}", examples + len(target.seeds))


def fuzz(target: str, folder: Path, *options: str) -> tuple[int, str]:
    """How many inputs atheris tried, and what went wrong; nothing if all is well."""
    command = [sys.executable, "-m", "tests.torture.fuzz.drive", target, str(folder)]
    done = subprocess.run(
        [*command, "-print_final_stats=1", "-max_len=4096", "-timeout=60", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    counted = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    broken = [path.read_bytes() for path in folder.glob("*-*") if path.is_file()]
    failed = f"{broken}\n{done.stdout[-3_000:]}\n{done.stderr[-500:]}" if done.returncode else ""
    return int(counted[1]) if counted else 0, failed


@needs_atheris
@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.parametrize("target", [target.name for target in TARGETS])
def test_no_input_that_reaches_a_new_line_breaks_a_parser(target: str, tried):
    folder = Path(tempfile.mkdtemp(dir=fast))
    try:
        runs, failed = fuzz(target, folder, f"-max_total_time={SECONDS}", "-seed=1")
    finally:
        shutil.rmtree(folder)
    assert not failed
    assert runs > 50
    tried(f"inputs that coverage led to, for {target}", runs)


@needs_atheris
@pytest.mark.torture
def test_the_fuzzer_finds_a_planted_fault(tmp_path: Path):
    """Else its silence about the others would mean nothing."""
    runs, failed = fuzz("planted", tmp_path / "fuzz", "-max_total_time=60", "-seed=1")
    assert "KeyError: 'planted'" in failed
    assert runs > 10, "the seed does not hold it"
