"""The clock is set while a run is under way: summer time, a battery, a server that knows better."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.needs import need
from tests.preloaded import wait_for
from tests.support import command, environment, library, records

CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long set_by(void) {
    return access(getenv("CLOCK_IS_SET"), F_OK) ? 0 : atol(getenv("CLOCK_BY"));
}
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && id == CLOCK_REALTIME) now->tv_sec += set_by();
    return failed;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return out ? (*out = now.tv_sec) : now.tv_sec;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
"""The time of day as somebody sets it; the monotonic clock goes on, as it really does.

libfaketime (0.9.10) is of no use: with it each `time.sleep` of Python 3.11 fails with EINVAL.
"""


@pytest.fixture
def clock(tmp_path: Path) -> str:
    """LD_PRELOAD with that clock."""
    if sys.platform != "linux":
        pytest.skip("only Linux preloads a clock")
    built = tmp_path / "clock.so"
    line = [need("gcc"), "-shared", "-fPIC", "-x", "c", "-", "-o", str(built)]
    subprocess.run(line, input=CLOCK, text=True, check=True)
    return str(built)


@pytest.mark.torture
@pytest.mark.parametrize("hours", [-24 * 365, -1, 24 * 365])
def test_a_clock_that_is_set_during_the_run_only_dates_records(
    tmp_path, plugin, clock, hours, tried
):
    library(tmp_path / "photos", 40)
    asked = tmp_path / "requests.txt"
    line = command("run", "--backend=service", "--photos-dir=photos", f"--option=log={asked}",
                   "--option=delay=0.1", "--max-workers=2")  # fmt: skip
    env = environment(PYTHONPATH=plugin, LD_PRELOAD=clock, CLOCK_BY=str(hours * 3600),
                      CLOCK_IS_SET=str(tmp_path / "set"))  # fmt: skip
    started = time.monotonic()
    run = subprocess.Popen(line, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    wait_for(asked.exists)
    (tmp_path / "set").touch()
    said = run.communicate(timeout=60)[0]
    took = time.monotonic() - started
    assert run.returncode == 0, said
    assert "Traceback" not in said
    found = records(tmp_path / "captions.jsonl")
    assert [record["status"] for record in found] == ["success"] * 40
    now = datetime.now(UTC)
    made = [datetime.fromisoformat(record["created_at"]) for record in found]
    assert hours in {round((at - now).total_seconds() / 3600) for at in made}, "it was never set"
    assert took < 30
    assert re.search(r"40 of 40 photos worked through in \d+ s,", said), said
    assert all(0 <= record["latency_ms"] < 5000 for record in found)
    tried(f"a clock that is set by {hours} hours during the run", 1)
