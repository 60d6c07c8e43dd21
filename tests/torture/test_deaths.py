"""Photos that kill the process, and runs that are killed for no fault of a photo.

None that came through is blamed, none is lost, and the culprit is found within five deaths.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.killer import draw_killer, guilty, install_killer, killing_loop, run_to_the_end
from tests.support import ROOT, draw, environment, records

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_killer(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def loop(tmp_path, driver):
    return killing_loop(tmp_path / "loop", driver)


@pytest.mark.parametrize(("culprits", "deaths"), [(0, 200), (1, 120), (2, 120)])
def test_runs_that_are_killed_at_random_blame_only_the_guilty(
    tmp_path, driver, share, tried, culprits, deaths
):
    words = ["-m", "tests.torture.dying_runs", tmp_path, 7, share(2, deaths), culprits]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT, env=environment(PYTHONPATH=driver), capture_output=True, text=True, timeout=1700,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    what = f"runs died at random, {culprits} of 12 photos deadly"
    tried(what, found["deaths"], lost=len(found["wrong"]))


@pytest.mark.torture
def test_in_batches_two_of_them_and_a_copy_are_told_from_their_neighbours(loop, tried):
    first, second = loop.photos / "000" / "00020x.png", loop.photos / "000" / "00022x.png"
    draw_killer(first)
    draw_killer(second, mark=1)
    (loop.photos / "000" / "00038x.png").write_bytes(first.read_bytes())
    done = run_to_the_end(loop, "batches")
    killers = {f"000/{name}.png" for name in ("00020x", "00022x", "00038x")}
    assert guilty(loop.journal) == killers
    assert len(records(loop.journal)) == 42
    deaths = done.stderr.count("exit code 139")
    assert deaths <= 2 * 3, "the copy costs no death of its own"
    tried("two deadly photos and a copy, in batches of 8", deaths)


@pytest.mark.torture
def test_a_photo_that_memory_runs_out_on_leaves_no_trace_and_is_found_out(loop, tried):
    draw_killer(loop.photos / "000" / "00001x.png")
    done = run_to_the_end(loop, "driver", "--option=signal=SIGKILL")
    assert guilty(loop.journal) == {"000/00001x.png"}
    deaths = done.stderr.count("exit code 137")
    assert deaths <= 5
    tried("a deadly photo that leaves no trace, deaths until it is found", deaths)
    assert "was killed (by hand, by a power cut, or because memory ran out)" in done.stderr


@pytest.mark.torture
def test_the_only_photo_left_is_found_out_before_the_loop_gives_up(loop, tried):
    run_to_the_end(loop, "driver")
    draw_killer(loop.photos / "000" / "zzz.png")
    run_to_the_end(loop, "driver", "--option=signal=SIGKILL")
    assert guilty(loop.journal) == {"000/zzz.png"}
    tried("the last photo left is deadly and leaves no trace", 1)


@pytest.mark.torture
def test_a_driver_that_dies_of_everything_blames_no_photo(loop, tried):
    draw(loop.photos / "one more.png")
    for photo in list(loop.photos.rglob("*.jpg"))[3:]:
        photo.unlink()
    for _ in range(2):
        done = loop.run("batches", "--photos-dir", "my photos", "--option=dies_of_all=true")
        assert done.returncode == 139
        assert "again without progress" in done.stderr
    assert records(loop.journal) == []
    run_to_the_end(loop, "batches")  # it is mended
    assert guilty(loop.journal) == set()
    assert len(records(loop.journal)) == 4
    tried("a driver that dies of every photo, deaths until the loop stops", 2 * 4)
