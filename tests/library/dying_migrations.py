"""Migrate a file and die at a statement: `python -m tests.library.dying_migrations FILE`.

For each number the file is copied as FILE.NUMBER and a forked process opens that copy with five
made-up migrations; it kills itself before its so manieth statement. Prints `FILE DIED` with
the version that was left, and ends at the first number that is beyond the last statement.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from picture_captioner.library import database, schema
from picture_captioner.library.store import Library

MADE_UP = (
    "ALTER TABLE photos ADD COLUMN lens TEXT;\nUPDATE photos SET lens = 'unknown';\n",
    """
    CREATE TABLE models_anew (
        id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL,
        dtype TEXT NOT NULL, device TEXT
    );
    INSERT INTO models_anew SELECT *, 'cpu' FROM models;
    DROP TABLE models;
    ALTER TABLE models_anew RENAME TO models;
    """,
    """
    CREATE TABLE spots (content BLOB NOT NULL, number INTEGER NOT NULL);
    CREATE INDEX spots_by_content ON spots (content);
    CREATE TRIGGER spots_go AFTER DELETE ON photos BEGIN
        DELETE FROM spots WHERE content = old.content;
        DELETE FROM thumbnails WHERE content = old.content;
    END;
    """,
    "INSERT INTO spots SELECT content, 1 FROM photos;\n",
    "DROP INDEX captions_by_content;\nCREATE INDEX captions_too ON captions (content, id);\n",
)


def with_made_up() -> None:
    """Let this program know five more versions than there are."""
    schema.MIGRATIONS = (*schema.MIGRATIONS, *MADE_UP)


class Counting(database.FileConnection):
    """A connection of a process that dies before the statement of that number."""

    dies_at = 0
    statements = 0

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        """One statement, or death."""
        Counting.statements += 1
        if Counting.statements == Counting.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)  # type: ignore[arg-type]


def die_at(path: Path, number: int) -> bool:
    """Whether a process that opened the file was killed before it was through."""
    if (child := os.fork()) == 0:
        Counting.dies_at = number
        database.FileConnection = Counting
        with_made_up()
        Library.open(path, lambda _: None).close()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def main() -> None:
    """Die at every statement in turn."""
    path, number = Path(sys.argv[1]), 1
    while True:
        copy = path.with_name(f"{path.name}.{number}")
        shutil.copy(path, copy)
        killed = die_at(copy, number)
        sys.stdout.write(f"{copy.name} {int(killed)}\n")
        if not killed:
            return
        number += 1


if __name__ == "__main__":
    main()
