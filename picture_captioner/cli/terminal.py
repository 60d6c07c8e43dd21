"""Sentences on stderr, data on stdout, and nothing in either that a terminal would obey."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import select
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from picture_captioner.cli.program import as_called
from picture_captioner.errors import OutputError
from picture_captioner.foreign_text import without_secrets

JOINERS = frozenset("\u200c\u200d")
"""They hold emoji together, and the letters of Persian and Indian names; harmless."""
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_LONGEST_LINE = 20_000
MARKS_IN_A_ROW = 8
"""Tibetan stacks that many on a letter; hundreds of them would paint over the lines above."""


def safe(text: str) -> str:
    """The text with control, bidi and line-separator characters and lone surrogates escaped.

    File names, captions and error texts come from outside: an escape sequence in one of them
    must not move the cursor, and a newline must not start a line that looks like ours. Of the
    combining marks on one letter, those after the eighth are escaped too.
    """
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        obeyed = category in _OBEYED and character not in JOINERS
        if obeyed or marks > MARKS_IN_A_ROW:
            character = character.encode("unicode_escape").decode("ascii")
        shown.append(character)
    return "".join(shown)


class Verbosity:
    """How much is shown, and whether a question is: the flags -q, -v and -y, as they were given."""

    quiet = False
    verbose = False
    yes = False


def set_verbosity(*, quiet: bool, verbose: bool, yes: bool = False) -> None:
    """Let `say`, `confirmed` and the log on the terminal go by the flags from here on."""
    Verbosity.quiet, Verbosity.verbose, Verbosity.yes = quiet, verbose, yes


LONGEST_QUESTION_SECONDS = 600.0
"""cron in a pseudo-terminal, `docker -t`: what looks like a terminal may have nobody at it."""


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Whether the person says yes; no where they end the input, or nobody answers in ten minutes.

    To be asked `at_terminal` only. Ctrl+C ends the program.
    """
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    if not select.select([sys.stdin], [], [], LONGEST_QUESTION_SECONDS)[0]:
        say()
        say("Nobody answers: that is taken for no")
        return False
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say()
    return answer.strip().casefold() in {"y", "yes"}


def say(line: str = "", *, always: bool = False) -> None:
    """One line for the person, on stderr. A closed terminal is no reason to fail.

    With --quiet only what is said `always`: errors, and who receives the photos.
    """
    if Verbosity.quiet and not always:
        return
    if _held:
        _held[-1].append(line)
        return
    with contextlib.suppress(OSError, ValueError):
        shown = without_secrets(as_called(line))
        if len(shown) > _LONGEST_LINE:  # what others wrote may have no end
            shown = f"{shown[:_LONGEST_LINE]}…"
        sys.stderr.write(safe(shown) + "\n")
        sys.stderr.flush()


_held: list[list[str]] = []
"""What `say` was given in each `said_when_done` that is under way, the innermost last."""


@contextlib.contextmanager
def said_when_done() -> Iterator[None]:
    """Say what was said meanwhile when the block ends well: what failed never came to be."""
    _held.append([])
    try:
        yield
    except BaseException:
        _held.pop()
        raise
    for line in _held.pop():
        say(line, always=True)


def say_all(*groups: Iterable[str]) -> None:
    """What a file has to say of itself, a line each: repairs, warnings."""
    for group in groups:
        for line in group:
            say(line)


def show(*columns: str) -> None:
    """One line of data, on stdout; several columns are separated by tabs."""
    line = "\t".join(safe(without_secrets(column)) for column in columns)
    encoding = sys.stdout.encoding or "utf-8"
    with output_errors():
        # A terminal that is not UTF-8 shows what it can.
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def show_json(value: Any) -> None:
    """Data for a script, in one line."""
    show(json.dumps(value))


def show_table(rows: Sequence[tuple[str, str]]) -> None:
    """Two columns, the first one padded."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        show(f"{name:<{width}}  {value}")


def show_as_it_is(text: str, end: bytes = b"\n") -> None:
    """A path for a script: its bytes, since they need not be UTF-8."""
    try:
        name = os.fsencode(text)
    except UnicodeEncodeError:
        say(f"{text} can be no file's name: left out")
        return
    with output_errors():
        sys.stdout.buffer.write(name + end)


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Turn what stdout cannot take into a sentence; a reader who has seen enough is no error.

    Raises:
        OutputError: a full disk, or one that fails.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise OutputError(
            f"cannot write to stdout: {why}; what was written there is incomplete"
        ) from error


def reopen_closed_streams() -> None:
    """Point standard streams that are closed at /dev/null.

    Else the next file to be opened, perhaps the journal, becomes descriptor 1 or 2, and whatever
    a C library prints there goes into it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest free number: this one. What is shown on a closed stdout is an error.
            os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            os.set_inheritable(descriptor, True)  # decoder processes need it as well
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`, `3 days 4 h`."""
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, secs = divmod(rest, 60)
    parts = [(whole.days, "day" if whole.days == 1 else "days"), (hours, "h"), (minutes, "min")]
    parts.append((secs, "s"))
    said = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or "0 s"


def rate(per_second: float) -> str:
    """`0.513 per second`, `12.3 per second`, `1,234 per second`."""
    return f"{per_second:{'.3g' if per_second < 100 else ',.0f'}} per second"


def dollars(amount: float) -> str:
    """`1,234.50 USD`, `0.0036 USD`: two decimals, below one dollar two digits that matter."""
    digits = 2
    if 0 < amount < 0.995:
        digits = max(2, 1 - math.floor(math.log10(amount)))
    return f"{amount:,.{digits}f} USD"


def size(number: float) -> str:
    """A number of bytes in decimal units: `135 kB`, `2.4 GB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if round(number) < 1000:
            return f"{number:.3g} {unit}" if unit != "bytes" else f"{number:.0f} bytes"
        number /= 1000
    return f"{number:.3g} PB"
