"""One library in a file and on a server: are the answers the same, and what does each take.

    python -m benchmarks.two_homes [--photos 44000] [--quick]

The made-up library of `searching`, with a face on every fourth photo, is copied to the server of
the tests by `library copy`, and from there into a second file. Then both homes are asked the same:
`Library.search` in a process that runs (the median of five calls after a first one, and the first
1,000 photos compared), and commands, started anew, whose output is compared. Seconds are those of
the clock; CPU is the program's, and beside it the server's.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.contenders import ROOT
from benchmarks.finding import Finding
from benchmarks.people import made_faces
from benchmarks.searching import CALLS, COMBINED, DIMENSION, QUERIES, fill, photos, write_journal
from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.registry import embedder_class
from picture_captioner.library.copying import TABLES
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.searching import Lookups
from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from tests.server import Server

COMPARED = 1000
"""Photos of each answer."""
SHOWN = 20
"""Photos that a search shows, which is what is timed."""
FACES_EVERY, PEOPLE_EVERY = 4, 100
"""A face on so many photos, and a person for so many."""
SCORE_DIGITS = 9
"""The rest of a score depends on the order in which it was added up."""


class Took(NamedTuple):
    """Seconds by the clock, of this program's processors, and of the server's."""

    clock: float
    ours: float
    server: float


def add_faces(library: Library, count: int) -> None:
    """As benchmarks.people makes them, on every fourth photo."""
    contents = [content for _, content in photos(count)][::FACES_EVERY]
    _, vectors = made_faces(len(contents), max(5, count // PEOPLE_EVERY))
    nothing = np.zeros((5, 2), np.float32)
    with library.transaction():
        for content, vector in zip(contents, vectors, strict=True):
            face = StoredFace(0, (0.0, 0.0, 80.0, 80.0), 0.9, 80.0, nothing, vector)
            library.faces.save(content, "made", "made", [face])


def add_caption_vectors(library: Library, journal: Path) -> None:
    """What the report would make of captions, made up: MiniLM takes 18 ms of CPU for each."""
    embedder = embedder_class("caption")(EmbedderSettings())
    with journal.open(encoding="utf-8") as lines:
        captions = [json.loads(line)["caption"] for line in lines]
    keys = [hashlib.sha256(caption.encode()).hexdigest() for caption in captions]
    vectors = np.random.default_rng(3).normal(size=(len(keys), DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    library.save_vectors(embedder.identity, keys, vectors)


class Homes:
    """The same library twice, and what each takes."""

    def __init__(self, folder: Path, server: Server, count: int) -> None:
        self._folder, self._server = folder, server
        self._address = server.new_collection()
        write_journal(folder / "captions.jsonl", count)
        with Library.open(folder / "library.db", sys.exit) as library:
            fill(library, count)
            add_faces(library, count)
            add_caption_vectors(library, folder / "captions.jsonl")
            library.follow_journal(folder / "captions.jsonl")

    def copied(self) -> list[dict[str, Any]]:
        """A row for the way there, one for the way back, and whether every row came back."""
        copy = ("caption.py", "library", "copy")
        there = self._command(*copy, "--from=library.db", f"--to={self._address.url}")
        back = self._command(*copy, f"--from={self._address.url}", "--to=back.db")
        same = _digests(self._folder / "library.db") == _digests(self._folder / "back.db")
        return [
            {"what": "copy there | and back", **_columns(there[0], back[0]), "same": _word(same)}
        ]

    def searched(self, query: str) -> dict[str, Any]:
        """A row for a search in a process."""
        answers, took = [], []
        for home in (self._folder / "library.db", self._address):
            with Library.open(home, sys.exit) as library:
                answers.append(_answer(library, query))
                took.append(self._search(library, query))
        return {
            "what": query,
            **_columns(*took),
            "found": len(answers[0]),
            "same": _compared(*answers),
        }

    def asked(self, program: str, *words: str) -> dict[str, Any]:
        """A row for a command, whose output has to be the same from both."""
        file = self._command(program, *words)
        served = self._command(program, *words, **self._named())
        return {
            "what": " ".join((program.removesuffix(".py"), *words)),
            **_columns(file[0], served[0]),
            "same": _compared(_plain(file[1]), _plain(served[1])),
        }

    def reported(self, *words: str) -> dict[str, Any]:
        """A row for the report: its table and its text."""
        file = self._command("cluster_report.py", "--out=file", *words)
        served = self._command("cluster_report.py", "--out=server", *words, **self._named())
        pages = [_pages(self._folder / name) for name in ("file", "server")]
        return {
            "what": " ".join(("cluster_report", *words)),
            **_columns(file[0], served[0]),
            "found": len(pages[0]),
            "same": _compared(*pages),
        }

    def _named(self) -> dict[str, str]:
        return {"CAPTION_LIBRARY": self._address.url}

    def _search(self, library: Library, query: str) -> Took:
        selection = Selection.parse(query)
        took = [
            self._timed(lambda: library.search(selection, SHOWN, Lookups(tags=str)))
            for _ in range(1 + CALLS)
        ]
        return Took(*(median(each) for each in zip(*took[1:], strict=True)))

    def _timed(self, work: Callable[[], object], who: int = resource.RUSAGE_SELF) -> Took:
        """What a call took; the server notes its time in hundredths of a second."""
        before = (time.perf_counter(), _cpu(who), self._server.cpu_seconds())
        work()
        after = (time.perf_counter(), _cpu(who), self._server.cpu_seconds())
        return Took(*(end - begin for begin, end in zip(before, after, strict=True)))

    def _command(self, program: str, *words: str, **more: str) -> tuple[Took, str]:
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CAPTION_COLLECTION": self._address.collection,
            **more,
        }
        said: list[str] = []

        def run() -> None:
            done = subprocess.run(  # noqa: S603 - this program
                [sys.executable, ROOT / program, *words],
                cwd=self._folder, env=surroundings, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{program} {' '.join(words)} ended with {done.returncode}: {done.stderr}")
            said.append(done.stdout)

        return self._timed(run, resource.RUSAGE_CHILDREN), said[0]


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _columns(file: Took, server: Took) -> dict[str, float]:
    """In seconds, the file's beside the server's."""
    return {
        "file s": round(file.clock, 3),
        "server s": round(server.clock, 3),
        "CPU file": round(file.ours, 3),
        "CPU server": round(server.ours, 3),
        "CPU of the database": round(server.server, 3),
    }


def _answer(library: Library, query: str) -> list[Any]:
    """What is compared of an answer: photos in their order, why they are there, scores."""
    found = library.search(Selection.parse(query), COMPARED, Lookups(tags=str))
    return [(p.rel_path, p.why, p.all_words, round(p.score, SCORE_DIGITS)) for p in found.photos]


def _compared(file: list[Any], server: list[Any]) -> str:
    """`yes`, or where they differ first."""
    pairs = enumerate(zip(file, server, strict=False), 1)
    if (place := next((i for i, (one, other) in pairs if one != other), None)) is not None:
        return f"no: from place {place}"
    return _word(len(file) == len(server))


def _word(same: bool) -> str:
    return "yes" if same else "no"


def _plain(output: str) -> list[Any]:
    """A command's JSON with scores as far as they are to be the same."""
    said = json.loads(output, parse_float=lambda text: round(float(text), SCORE_DIGITS))
    return said if isinstance(said, list) else [said]


def _pages(folder: Path) -> list[Any]:
    """The rows of the report's tables and the lines of its text, without the day."""
    lines: list[Any] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as table:
            lines += list(csv.reader(table))
    for path in sorted(folder.glob("*.md")):
        said = path.read_text("utf-8").replace(f"--out={folder.name}", "--out")
        lines += re.sub(r"made 2\S+ \S+ ", "", said).splitlines()
    return lines


def _digests(path: Path) -> Mapping[str, str]:
    """Of each table that holds something somebody knows: what all its rows are."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            rows = sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))  # noqa: S608
            found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, default=44_000)
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    count = 300 if given.quick else given.photos
    server = Server(shared_buffers="512MB")
    try:
        with tempfile.TemporaryDirectory() as folder:
            homes = Homes(Path(folder), server, count)
            rows = [*homes.copied(), *map(homes.searched, QUERIES)]
            if not given.quick:
                rows += asked(homes)
    finally:
        server.close()
    same = sum(row["same"] == "yes" for row in rows)
    Finding(
        benchmark="two_homes",
        stage=f"{count:,} photos in library.db and on a server",
        contender="library.db",
        aim="the same answers; there and back every row",
        reached=f"{same} of {len(rows)} the same",
        met=same == len(rows),
        limit="Of a search on a server: every statement's way there and back, and the database.",
        rows=rows,
    ).tell()


def asked(homes: Homes) -> list[dict[str, Any]]:
    """A row for each command; the first search brings the journal, which a copy leaves out."""
    search = ("caption.py", "search", "--captions-only", "--json", "--", COMBINED)
    return [
        homes.asked(*search),
        homes.asked(*search),
        homes.asked("caption.py", "people", "cluster", "--json"),
        homes.asked("caption.py", "people", "list", "--all", "--json"),
        homes.reported("--no-photos", "--engine=none"),
    ]


if __name__ == "__main__":
    main()
