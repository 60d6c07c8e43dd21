"""A process that works on a journal and says on stdout what it was told is safe.

    writer.py append JOURNAL THREADS RECORDS   each thread appends that many; then `done`
    writer.py hold JOURNAL                     opens it and waits to be killed
    writer.py limit JOURNAL BYTES              appends until the file may grow no more, then twice
    writer.py compact JOURNAL

One line at once per fact, by one `write`: `open`, `saved PATH`, `failed MESSAGE`, `done`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from pathlib import Path

from errors import JournalError, Status
from journal import Journal, Record, compact


def say(fact: str) -> None:
    os.write(1, f"{fact}\n".encode())


def append(journal: Journal, name: str) -> None:
    caption = f"caf\u00e9 \u2028 \U0001f6a3 {name} " * 5
    try:
        journal.append(Record(rel_path=name, caption=caption, status=Status.SUCCESS))
    except JournalError as error:
        say(f"failed {error}")
    else:
        say(f"saved {name}")


def append_from_threads(path: Path, threads: int, records: int) -> None:
    def work(thread: int) -> None:
        for number in range(records):
            append(journal, f"{os.getpid()}/{thread}/{number}.jpg")

    with Journal(path) as journal:
        say("open")
        workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    say("done")


def hold(path: Path) -> None:
    with Journal(path):
        say("open")
        signal.pause()


def append_up_to(path: Path, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with Journal(path) as journal:
        for number in range(limit // 100):
            append(journal, f"{number}.jpg")


def compact_after_word(path: Path) -> None:
    say("open")
    compact(path)
    say("done")


if __name__ == "__main__":
    command, journal_path, *numbers = sys.argv[1:]
    commands = {
        "append": append_from_threads,
        "hold": hold,
        "limit": append_up_to,
        "compact": compact_after_word,
    }
    commands[command](Path(journal_path), *map(int, numbers))
