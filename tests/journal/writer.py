"""What a process does to a journal, saying on stdout what it was told is safe.

    writer.py append JOURNAL THREADS RECORDS   each thread appends that many; then `done`
    writer.py life JOURNAL                     one thread: four records one by one, three together
    writer.py hold JOURNAL                     opens it and waits to be killed
    writer.py contend JOURNAL MILLISECONDS     opens it, appends alone for so long
    writer.py limit JOURNAL BYTES              appends until the file may grow no more, then twice
    writer.py compact JOURNAL
    writer.py merge JOURNAL OTHER

One line at once per fact, by one `write`: `open`, `saved PATH`, `failed MESSAGE`,
`error EXIT-CODE MESSAGE` for what ends a program, `done`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from picture_captioner.errors import FatalError, JournalError, Status
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal


def say(fact: str) -> None:
    os.write(1, f"{fact}\n".encode())


def append(journal: Journal, *names: str) -> None:
    for fact in outcome(journal, *names):
        say(fact)


def outcome(journal: Journal, *names: str) -> list[str]:
    try:
        journal.append(*map(record, names))
    except JournalError as error:
        return [f"failed {error}"]
    return [f"saved {name}" for name in names]


def record(name: str) -> Record:
    caption = f"caf\u00e9 \u2028 \U0001f6a3 {name} " * 5
    return Record(rel_path=name, caption=caption, status=Status.SUCCESS)


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


def live(path: Path) -> None:
    with Journal(path) as journal:
        for number in range(4):
            append(journal, f"{number}.jpg")
        append(journal, "a.jpg", "b.jpg", "c.jpg")


def hold(path: Path) -> None:
    with Journal(path):
        say("open")
        signal.pause()


def contend(path: Path, milliseconds: int) -> None:
    inside = path.with_name("inside")
    with Journal(path) as journal:
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where another one is in there
        append(journal, f"{os.getpid()}.jpg")
        time.sleep(milliseconds / 1000)
        inside.unlink()


def append_up_to(path: Path, limit: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        for number in range(limit // 100 + 2):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            facts = outcome(journal, f"{number}.jpg")
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # stdout may be a file
            say("\n".join(facts))


WORKS = {
    "append": append_from_threads,
    "life": live,
    "hold": hold,
    "contend": contend,
    "limit": append_up_to,
    "compact": compact,
    "merge": lambda path, other: merge(path, Path(other)),
}


def work(name: str, journal: str, *arguments: str) -> None:
    """Do one of these things and say how it ended."""
    numbers = [int(a) if a.isdecimal() else a for a in arguments]
    try:
        WORKS[name](Path(journal), *numbers)
    except FatalError as error:
        say(f"error {int(error.exit_code)} {error}")
    else:
        say("done")


if __name__ == "__main__":
    work(*sys.argv[1:])
