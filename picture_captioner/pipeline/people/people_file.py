"""people.jsonl: what a human decided about faces and persons. Every row holds, in their order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

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
    def earlier(cls, path: Path, hashes: Collection[str]) -> set[str]:
        """The hashes that these photos had before other metadata were written into them."""
        found = {*hashes}
        for row in reversed(cls.read(path)[0]):
            if row.get("kind") == "carried" and row.get("into") in found:
                found.add(str(row.get("content")))
        return found - {*hashes}

    @classmethod
    def forget(cls, path: Path, hashes: Collection[str], shown: Collection[str]) -> int:
        """Take every face in photos with these hashes out, atomically; how many rows that changed.

        A row that is left without a face goes; who has other faces, or is `shown` on other photos,
        keeps name and links. Of who had faces and has none nothing stays.

        Raises:
            JournalError: it cannot be rewritten, and is as it was.
        """
        rows, _ = cls.read(path)
        before = Decisions.fold(rows)
        after = Decisions.fold(kept for row in rows if (kept := without_faces(row, hashes)))
        stay = {*map(before.person, (*after.holder.values(), *shown))}
        nobody = {*map(before.person, before.holder.values())} - stay

        def change(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
            if before.person(str(row.get("person"))) in nobody:
                return None
            return without_faces(row, hashes)

        return cls.rewrite(path, change)

    def said(self) -> Decisions:
        """What holds now."""
        return Decisions.fold(self.rows)


def read_decisions(path: Path) -> tuple[Decisions, list[Damage]]:
    """What holds now, for who only reads; lines that are damaged. No file: nothing was decided."""
    rows, damage = PeopleFile.read(path)
    return Decisions.fold(rows), damage
