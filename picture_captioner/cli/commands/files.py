"""The files that a command works on, as the settings name them; what is wrong with one is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, say_all
from picture_captioner.config import CONFIG_FILE, LOOP_GOES_ON, LOOP_VARIABLE, Settings
from picture_captioner.errors import ConfigurationError, JournalError
from picture_captioner.extras import how_to_install
from picture_captioner.journal.reading import JournalIndex, read_index
from picture_captioner.journal.writing import Journal

if TYPE_CHECKING:
    from picture_captioner.library.store import Library


def photos_dir_of(settings: Settings) -> Path:
    """The photos directory.

    Raises:
        ConfigurationError: none is set.
    """
    if settings.photos_dir is None:
        _tell_unknown_names(settings)
        raise ConfigurationError(
            "which photos? Give --photos-dir DIR, or add the line PHOTOS_DIR=DIR to "
            f"{settings.file.path or CONFIG_FILE.absolute()}"
        )
    return settings.photos_dir


def below(photos_dir: Path, name: str) -> str | None:
    """What a path from here is called in the photos directory; None if it leads elsewhere."""
    path = Path(os.path.normpath(Path(name).absolute()))
    for root in (Path(os.path.normpath(photos_dir.absolute())), photos_dir.resolve()):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return None


def _tell_unknown_names(settings: Settings) -> None:
    """What is missing may be there under a name that is mistyped."""
    of_backends = [n for n in settings.file.lines if n.upper().endswith(("_BASE_URL", "_API_KEY"))]
    for sentence in settings.idle(of_backends):
        say(sentence, always=True)


def existing_journal(flags: Flags) -> Path:
    """The journal that is there.

    Raises:
        JournalError: it is not, or cannot be looked at.
    """
    settings = flags.settings()
    path = settings.captions_jsonl
    try:
        path.stat()
    except FileNotFoundError as error:
        _tell_unknown_names(settings)
        raise JournalError(
            f"there is no journal at {path}; name it with --captions-jsonl, or begin one with "
            "'caption.py run'"
        ) from error
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    return path


def index_of(journal: Path) -> JournalIndex:
    """What the journal says, for who only reads it."""
    index = read_index(journal)
    say_all(index.warnings(journal.name))
    return index


def require_the_loops_journal(journal: Journal) -> None:
    """Refuse to begin a journal where this loop has written to one: all would be asked again.

    Raises:
        JournalError: it went away, with its disk or under another name.
    """
    said = ""
    if (path := os.environ.get(LOOP_VARIABLE)) and journal.begun:
        with suppress(OSError):  # as in `tell_loop`
            said = Path(path).read_text(errors="replace")
    if LOOP_GOES_ON in said:
        raise JournalError(
            f"the journal {journal.path} is gone or empty, though this loop wrote to it: is its "
            "disk mounted? Put it back, or from a copy, and run the same command again; without it "
            "every photo is asked about again"
        )


def tell_loop(journal: Journal) -> None:
    """Write into the file that run_loop.sh named how many records are new.

    It acts on an exit code of 2 only then, since uv and python exit with 2 as well. After each
    photo, because a process that dies says nothing at its end.
    """
    if path := os.environ.get(LOOP_VARIABLE):
        with suppress(OSError):  # the loop stops, and says that nothing was recorded
            Path(path).write_text(str(journal.written), encoding="ascii")


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal, for who writes to it; none is left behind where none was and none is written."""
    with Journal(path) as journal:
        say_all(journal.repairs, journal.index.warnings(path.name))
        try:
            yield journal
        finally:
            journal.discard_if_unused()


def library_there(settings: Settings) -> Library:
    """The library, or an empty one in memory where there is none: asking makes no file."""
    from picture_captioner.library.store import Library

    if settings.has_library:
        return Library.open(settings.library_home, say)
    return Library.in_memory(say)


def name_places(library: Library) -> None:
    """Let library.db know the towns of its photos; a line where nobody can say."""
    from picture_captioner.report.places import place_names

    names = place_names()
    if names is None:
        say(f"No names of places: {how_to_install('places')}")
    else:
        library.facts.name_places(names)
