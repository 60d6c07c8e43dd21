"""people.jsonl: what a human decided about faces and persons. Every row holds, in their order."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from picture_captioner.journal.lines import Damage
from picture_captioner.journal.record import utc_now
from picture_captioner.journal.rows import RowFile
from picture_captioner.people.decisions import Decisions, without_faces

NAME = "people.jsonl"


class PeopleFile(RowFile):
    """The one owner of people.jsonl; the kinds of rows are in `people.decisions`."""

    noun = "people file"
    setting = "--captions-jsonl: it lies beside the journal"
    key = "kind"
    last_wins = False

    def decide(self, *rows: dict[str, object]) -> None:
        """Write decisions; they are on the disk when this returns."""
        now = utc_now()
        self.put(*({**row, "at": now} for row in rows))

    @classmethod
    def forget(cls, path: Path, hashes: Collection[str]) -> int:
        """Take every face in photos with these hashes out, atomically; how many rows that changed.

        A row that is left without a face goes; who has other faces keeps name and links.

        Raises:
            JournalError: it cannot be rewritten, and is as it was.
        """
        return cls.rewrite(path, lambda row: without_faces(row, hashes))

    def said(self) -> Decisions:
        """What holds now."""
        return Decisions.fold(self.rows)


def read_decisions(path: Path) -> tuple[Decisions, list[Damage]]:
    """What holds now, for who only reads; lines that are damaged. No file: nothing was decided."""
    rows, damage = PeopleFile.read(path)
    return Decisions.fold(rows), damage
