"""Whatever is known of a photo goes along when other metadata are written into its file.

The journal, library.db and people.jsonl know a photo by the hash of its bytes. Its picture is the
same afterwards, so nobody is asked, or paid, for a caption again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import LeftAloneError
from picture_captioner.journal.writing import Journal
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.people_file import PeopleFile
from picture_captioner.writeback import exiftool, undo


class Carrier:
    """The files that know photos by their hashes, opened when the first photo changes."""

    def __init__(
        self, settings: Settings, photos_dir: Path, journal: Journal | None = None
    ) -> None:
        self._settings, self._photos_dir = settings, photos_dir
        self._held = ExitStack()
        self._journal = journal
        self._is_open = False
        self._library: Library | None = None
        self._people: PeopleFile | None = None

    def close(self) -> None:
        """Let go of them."""
        self._held.close()

    def open(self) -> None:
        """Open them; where there is no library yet, none is made.

        Raises:
            JournalLockedError: a run has the journal; it would record what is no more.
            JournalError, LibraryError: one cannot be written.
        """
        if self._is_open:
            return
        settings, hold = self._settings, self._held.enter_context
        if self._journal is None:
            self._journal = hold(Journal(settings.captions_jsonl))
        if settings.has_library:
            self._library = hold(Library.open(settings.library_home, say))
        if settings.people_path.exists():
            self._people = hold(PeopleFile(settings.people_path))
        self._is_open = True

    def carry(self, rel_path: str, old: str, new: str) -> None:
        """The photo with this old hash has this new one. A second time it does nothing."""
        self.carry_moved(rel_path, rel_path, old, new)

    def carry_moved(self, rel_path: str, was: str, old: str, new: str) -> None:
        """The same of a photo that may have been moved, with a caption under its old path."""
        self.open()
        if self._journal is None:
            raise RuntimeError("it is open")
        status = (self._photos_dir / rel_path).stat()
        size, mtime_ns = status.st_size, status.st_mtime_ns
        folds = [self._journal.index.fold(path) for path in dict.fromkeys((was, rel_path))]
        # The caption first, then what may have failed since: each stays what it is.
        known = [entry for fold in folds for entry in (fold.caption, fold.last) if entry]
        unique = {e.offset: e for e in known if e.content_sha256 == old}.values()
        records = [self._journal.read_record(entry) for entry in unique]
        if self._people is not None and self._decided(old, new):
            self._people.decide({"kind": "carried", "content": old, "into": new})
        if self._library is not None:
            self._library.carry(rel_path, old, new, size, mtime_ns)
        if records:  # the last: by the journal it is known whether a photo was carried
            self._journal.append(*(r.carried(new, size, mtime_ns) for r in records))

    def _decided(self, old: str, new: str) -> bool:
        """Whether a human said something of these faces, and it was not carried yet."""
        if self._people is None:
            return False
        said = False
        for row in self._people.rows:
            pair = row.get("content"), row.get("into")
            if row.get("kind") == "carried" and set(pair) == {old, new}:
                said = pair != (old, new)
            elif old in str(row.get("faces", "")) + str(row.get("face", "")):
                said = True
        return said

    def settle(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """What a killed `write` or `undo` had still to carry: of the last photo, if of any."""
        last = {row["id"]: row for row in rows if row.get("inside") or row.get("undone")}
        open_ones = [identity for identity, row in last.items() if not row.get("undone")]
        if not open_ones:
            return
        folder = undo.Folder(self._photos_dir, self._settings.follow_links)
        try:
            write = undo.Write.of(last[max(open_ones)])
            path = folder.file(write.path)
        except (ValueError, LeftAloneError):  # `undo` says what is wrong with the line
            return
        if path.is_symlink() or not path.is_file() or write.before_sha256 is None:
            return
        now = undo.sha256(path.read_bytes())
        if now == write.after_sha256:
            self._carry_open(write.path, write.before_sha256, now)
        elif now == write.before_sha256:
            self._carry_open(write.path, write.after_sha256, now)

    def _carry_open(self, rel_path: str, old: str, new: str) -> None:
        if self._journal is not None:
            entry = self._journal.index.entries.get(rel_path)
            if entry is not None and entry.content_sha256 == new:
                return
        self.carry(rel_path, old, new)


def settle_writes(settings: Settings, photos_dir: Path, journal: Journal) -> None:
    """What a killed `write` or `undo` left, before a run looks at what has changed.

    The copy of a photo that exiftool had goes, too.

    Raises:
        JournalError, LibraryError: a file cannot be read or written.
    """
    exiftool.remove(exiftool.work_folder(journal.path))
    rows, _ = undo.UndoFile.read(undo.undo_path(journal.path))
    with closing(Carrier(settings, photos_dir, journal)) as carrier:
        carrier.settle(rows)
