"""The ledger of stages: what was done to which content, in which version, and what failed.

A row is written in the transaction that saves what the stage brought, so that after a kill either
both are there or neither. Another version of a stage leaves the old row: that makes it stale.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from typing import NamedTuple

from picture_captioner.library.home import Database
from picture_captioner.library.schema import to_key, to_text

MAX_ATTEMPTS = 3
"""A stage that failed so often for a photo is left alone until somebody forces it."""

_ROW = "stage, version, status, attempts, error"


class StageRow(NamedTuple):
    """What a stage did to a photo; `error` says why it failed."""

    stage: str
    version: str
    status: str
    attempts: int
    error: str | None


class StageHistory(NamedTuple):
    """The version of a stage that ran last, and the mean seconds that a photo took, if known."""

    version: str
    seconds: float | None


class Standing(enum.StrEnum):
    """Where a photo stands with a stage; stale: done by another version only."""

    DONE = "done"
    FAILED = "failed"
    STALE = "stale"
    PENDING = "pending"


def standing(rows: Iterable[StageRow], stage: str, version: str | None) -> Standing:
    """Where a photo stands with a stage of this version; None takes any version."""
    found = Standing.PENDING
    for row in rows:
        if row.stage == stage:
            if version is None or row.version == version:
                return Standing(row.status)
            found = Standing.STALE
    return found


def is_open(rows: Iterable[StageRow], stage: str, version: str) -> bool:
    """Whether the stage has work with the photo: never done, stale, or not failed for good."""
    own = [row for row in rows if (row.stage, row.version) == (stage, version)]
    return not own or (own[0].status == Standing.FAILED and own[0].attempts < MAX_ATTEMPTS)


class Ledger:
    """What stages did to contents. Thread-safe; a call is a transaction, or part of an open one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_file(self, rel_path: str, size: int, mtime_ns: int) -> list[StageRow]:
        """What was done to the content of a file that has not changed since it was looked at."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT {_ROW} FROM files JOIN stages USING (content) "  # noqa: S608
                "WHERE rel_path = ? AND size = ? AND mtime_ns = ? ORDER BY stage, version",
                (to_key(rel_path), size, mtime_ns),
            )
            return [StageRow(*row) for row in found]

    def of_content(self, content_sha256: str) -> list[StageRow]:
        """What was done to this content, wherever it lies."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT {_ROW} FROM stages WHERE content = ? ORDER BY stage, version",  # noqa: S608
                (to_key(content_sha256),),
            )
            return [StageRow(*row) for row in found]

    def note(
        self,
        content_sha256: str,
        stage: str,
        version: str,
        *,
        error: str | None = None,
        took: float | None = None,
    ) -> None:
        """Keep that a stage is done, or with an `error` that it failed once more.

        Belongs into the transaction that saves what the stage brought.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO stages "
                "VALUES (:content, :stage, :version, :status, 1, :error, :took, :at) "
                "ON CONFLICT (content, stage, version) DO UPDATE SET status = :status, "
                "attempts = stages.attempts + 1, error = :error, "
                "took = :took, at = :at",
                {
                    "content": to_key(content_sha256),
                    "stage": stage,
                    "version": version,
                    "status": Standing.FAILED if error else Standing.DONE,
                    "error": to_text(error) if error else None,
                    "took": took,
                    "at": int(time.time()),
                },
            )

    def drop(self, version: str) -> None:
        """Forget the rows of a version whose results are gone."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM stages WHERE version = ?", (version,))

    def history(self) -> dict[str, StageHistory]:
        """Of each stage that ever ran here its latest version, and how long a photo took."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT stage, version, avg(took) FILTER (WHERE status = 'done'), max(at) "
                "FROM stages GROUP BY stage, version ORDER BY max(at), stage, version"
            )
            return {stage: StageHistory(version, seconds) for stage, version, seconds, _ in rows}
