"""Contenders, one after the other and again, each time in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

Contender: TypeAlias = Callable[[], Callable[[], Any]]
"""Prepares (imports, opens) and returns what is timed; that one's result must survive a pipe."""

_PEAK_UNIT = 1024 if sys.platform != "darwin" else 1
"""ru_maxrss counts kilobytes, on a Mac bytes."""


@dataclass(frozen=True)
class Sample:
    """One go: seconds of clock and processor, children included; peak memory in MB; its result."""

    seconds: float
    cpu: float
    peak_mb: float
    result: Any


def contest(
    contenders: Mapping[str, Contender], rounds: int = 5, warm_ups: int = 1
) -> dict[str, list[Sample]]:
    """Alternate them, so that a slow minute of the machine meets all; warm-ups do not count.

    Raises `RuntimeError` when one fails.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    for number in range(warm_ups + rounds):
        for name, contender in contenders.items():
            sample = _in_a_process(name, contender)
            if number >= warm_ups:
                samples[name].append(sample)
    return samples


def _in_a_process(name: str, contender: Contender) -> Sample:
    """Forked, so that a contender may be a closure over its data, and leaves nothing behind."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(contender, theirs))
    process.start()
    theirs.close()
    try:
        sample: Sample = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{name} failed with exit code {process.exitcode}") from None
    process.join()
    return sample


def _work(contender: Contender, pipe: Connection) -> None:
    timed = contender()
    cpu, started = _processor(), time.perf_counter()
    result = timed()
    seconds, cpu = time.perf_counter() - started, _processor() - cpu
    peak = max(usage.ru_maxrss for usage in _usage()) * _PEAK_UNIT / 1e6
    pipe.send(Sample(seconds, cpu, peak, result))


def _usage() -> list[resource.struct_rusage]:
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _processor() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in _usage())


def rows(samples: Mapping[str, list[Sample]], contender: str) -> list[dict[str, Any]]:
    """A row for each: median, fastest and slowest; `times as fast` as the named contender."""
    middle = {name: statistics.median(s.seconds for s in found) for name, found in samples.items()}
    return [
        {
            "contender": name,
            "median s": round(middle[name], 4),
            "from": round(min(s.seconds for s in found), 4),
            "to": round(max(s.seconds for s in found), 4),
            "CPU s": round(statistics.median(s.cpu for s in found), 4),
            "peak MB": round(max(s.peak_mb for s in found), 1),
            "times as fast": round(middle[contender] / middle[name], 2),
        }
        for name, found in samples.items()
    ]
