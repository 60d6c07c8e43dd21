"""What a test needs that `--extra dev` does not bring: one place for the rule and its sentence.

    torch = need("torch")               at the top of a test module, or in a fixture
    @pytest.mark.needs("onnxruntime")   for one test
    @pytest.mark.needs("strace")        likewise for a program

Where it is missing the test is skipped with a sentence that names the extra or the Debian package;
the closing lines of the run (tests/conftest.py) say how many were, and the command that runs them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

EXTRA_OF = {
    "accelerate": "local",
    "aiohttp": "bench",
    "atheris": "fuzz",
    "bitsandbytes": "local",
    "huggingface_hub": "local",
    "instructor": "litellm",
    "litellm": "litellm",
    "num2words": "local",
    "rapidocr": "ocr",
    "ray": "ray",
    "torch": "local",
    "torchvision": "local",
    "transformers": "local",
}
"""Import names of what only an extra outside `dev` brings (tests/test_needs.py keeps it whole)."""

PROGRAMS = {
    "avifenc": "libavif-bin",
    "chromedriver": "chromium chromium-driver",
    "exiftool": "libimage-exiftool-perl",
    "exiv2": "exiv2",
    "gcc": "gcc",
    "pgbouncer": "pgbouncer",
    "setpriv": "util-linux",
    "ssconvert": "gnumeric",
    "strace": "strace",
}
"""Programs, and the Debian package that brings each."""

EXTRA, PROGRAM = "needs the extra ", "needs the program "
LAST_RUN = "needs/skipped"
"""Where pytest's cache keeps what the last run skipped: ids of tests and of whole modules."""


@functools.cache
def missing(name: str) -> str | None:
    """Why what is called `name` cannot be used here; None if it can."""
    if name in PROGRAMS:
        return None if _works(name) else f"{PROGRAM}{name}: apt-get install {PROGRAMS[name]}"
    if importlib.util.find_spec(name) is not None:
        return None
    return f"{EXTRA}{EXTRA_OF[name]}" if name in EXTRA_OF else f"{name} is not installed"


def _works(program: str) -> bool:
    if shutil.which(program) is None:
        return False
    if program == "strace":  # containers often forbid it to trace
        return subprocess.run(["strace", "-qq", "true"], capture_output=True).returncode == 0
    return True


def need(name: str) -> Any:
    """The module (or path of the program) called `name`; without it, what asked is skipped.

    That is a test, what uses a fixture, or a whole test module.
    """
    reason = missing(name)
    if reason is not None:
        pytest.skip(reason, allow_module_level=True)
    return shutil.which(name) if name in PROGRAMS else importlib.import_module(name)


def skip_what_is_missing(items: Iterable[pytest.Item]) -> None:
    """Put a skip on every test whose marker `needs` names something that is not here."""
    for item in items:
        for marker in item.iter_markers("needs"):
            for reason in filter(None, map(missing, marker.args)):
                item.add_marker(pytest.mark.skip(reason=reason))


def keep_what_was_skipped(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--skipped`: leave out every test that the last run did not skip for want of something."""
    cache = getattr(config, "cache", None)  # `-p no:cacheprovider` leaves it out
    skipped = set(cache.get(LAST_RUN, [])) if cache else set()
    wanted = [i for i in items if i.nodeid in skipped or i.nodeid.partition("::")[0] in skipped]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(wanted)])
    items[:] = wanted


def close(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests were skipped for which extra or program, and what runs them."""
    reasons = {}
    for report in reporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
        reasons[report.nodeid] = reason.removeprefix("Skipped: ")
    wanting = [name for name, why in reasons.items() if why.startswith((EXTRA, PROGRAM))]
    cache = getattr(config, "cache", None)
    if cache and not config.getoption("--skipped"):
        cache.set(LAST_RUN, sorted(wanting))
    for line in closing_lines(reasons.values()):
        reporter.write_line(line)


def closing_lines(reasons: Iterable[str]) -> list[str]:
    """A line for each extra or program, and the command that runs what was skipped for it."""
    counts = Counter(reason for reason in reasons if reason.startswith((EXTRA, PROGRAM)))
    extras = {reason.removeprefix(EXTRA) for reason in counts if reason.startswith(EXTRA)}
    lines = [f"skipped {count}: {reason}" for reason, count in sorted(counts.items())]
    if others := sorted(extras - {"litellm"}):  # it has an environment of its own (.ci/run)
        named = " ".join(f"--extra {extra}" for extra in ("dev", *others))
        lines.append(f"to run just those: uv run {named} pytest -n auto --dist worksteal --skipped")
    return lines
