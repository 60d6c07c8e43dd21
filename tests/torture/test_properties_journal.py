"""A journal's whole life in any order, against a model: a dictionary and the rule of what counts.

Nothing is pretended: a process that writes is forked and killed with SIGKILL at a moment nobody
chose, and what it had been told is safe it had said to a pipe before.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from picture_captioner.errors import Status
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from tests.journal.support import photo, write_lines

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""SIGKILL takes the process, not the kernel's pages: a sync that costs nothing shows the same."""

PATHS = st.sampled_from(["a.jpg", "b.jpg", "caf\udce9.jpg", "c\u2028d.jpg"])
TEXTS = st.text(max_size=5).filter(str.strip)  # a success without words is no record
CAPTIONS = st.none() | TEXTS


def record_of(rel_path: str, caption: str | None, *, placeholder: bool = False) -> Record:
    """A caption or, without one, the model's failure; each cost one request."""
    status = Status.ERROR_MODEL if caption is None else Status.SUCCESS
    return photo(rel_path, caption, status=status, placeholder=placeholder, requests=1)


def die_writing(path: Path, records: list[Record], wait: float) -> int:
    """How many of them a process acknowledged that was killed after so many seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # no exit handlers, no flushing: nothing but the journal's own care
        try:
            with Journal(path) as journal:
                for record in records:
                    journal.append(record)
                    os.write(writer, b".")
        finally:
            os._exit(0)
    os.close(writer)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        return len(pipe.read())


class JournalMachine(RuleBasedStateMachine):
    """The model: the effective record of each path, and how many requests were paid."""

    deaths = 0
    lost = 0

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.path = Path(self.directory.name, "captions.jsonl")
        self.journal = Journal(self.path)
        self.effective: dict[str, Record] = {}
        self.captioned: set[str] = set()
        self.requests = 0

    def learn(self, record: Record) -> None:
        self.requests += record.requests or 0
        old = self.effective.get(record.rel_path)
        if old is None or old.placeholder or not record.placeholder:
            self.effective[record.rel_path] = record
        if record.caption is not None and not record.placeholder:
            self.captioned.add(record.rel_path)

    @rule(rel_path=PATHS, caption=CAPTIONS, placeholder=st.booleans())
    def write(self, rel_path: str, caption: str | None, placeholder: bool) -> None:
        record = record_of(rel_path, caption, placeholder=placeholder)
        self.journal.append(record)
        self.learn(record)

    @rule(
        writes=st.lists(st.tuples(PATHS, CAPTIONS, st.booleans()), min_size=1, max_size=30),
        wait=st.floats(0, 0.012),
    )
    def die(self, writes: list[tuple[str, str | None, bool]], wait: float) -> None:
        """What was acknowledged is there; what was not is there whole, in its order, or not."""
        self.journal.close()
        before = self.path.stat().st_size
        records = [record_of(path, text, placeholder=mock) for path, text, mock in writes]
        acknowledged = die_writing(self.path, records, wait)
        written = self.path.read_bytes()[before:].split(b"\n")[:-1]
        lines = [record.to_line()[:-1] for record in records]
        JournalMachine.deaths += 1
        JournalMachine.lost += max(acknowledged - len(written), 0)
        assert written == lines[: len(written)]
        assert len(written) in (acknowledged, acknowledged + 1)
        for record in records[: len(written)]:
            self.learn(record)
        self.journal = Journal(self.path)

    @rule(tear=st.binary(max_size=30).filter(lambda b: b"\n" not in b))
    def find_a_torn_tail(self, tear: bytes) -> None:
        self.journal.close()
        if not self.effective:  # alone in its file, something else would be no journal
            tear = photo("torn.jpg").to_line()[: len(tear)]
        with self.path.open("ab") as stream:
            stream.write(tear)
        self.journal = Journal(self.path)
        assert len(self.journal.repairs) == bool(tear)

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path)

    @rule()
    def retry(self) -> None:
        """As `--retry-status error_model`: what failed is written anew, captions stay."""
        for rel_path, entry in list(self.journal.index.entries.items()):
            if entry.status is Status.ERROR_MODEL and not entry.placeholder:
                self.write(rel_path, "at last", placeholder=False)

    @rule()
    def compact(self) -> None:
        self.journal.close()
        compact(self.path)
        self.journal = Journal(self.path)
        assert len(self.path.read_bytes().split(b"\n")) - 1 <= 2 * len(self.effective)

    @rule(rel_path=PATHS, caption=TEXTS)
    def merge(self, rel_path: str, caption: str) -> None:
        # A caption from elsewhere without a date: it wins over everything but a caption.
        theirs = photo(rel_path, caption, model="theirs")
        other = self.path.with_name("other.jsonl")
        write_lines(other, theirs)
        self.journal.close()
        known = theirs.to_line() in self.path.read_bytes()
        merge(self.path, other)
        if not known and rel_path not in self.captioned:
            self.effective[rel_path] = theirs
            self.captioned.add(rel_path)
        self.journal = Journal(self.path)

    @invariant()
    def memory_and_disk_agree_with_the_model(self) -> None:
        if not hasattr(self, "journal"):
            return
        on_disk, index = read_index(self.path), self.journal.index
        assert index.entries == on_disk.entries
        assert index.requests == on_disk.requests == self.requests
        assert (on_disk.damage, on_disk.torn_bytes) == ([], 0)
        assert index.entries.keys() == self.effective.keys()
        for rel_path, record in self.effective.items():
            found = self.journal.read_record(index.entries[rel_path])
            assert (found.caption, found.status, found.placeholder, found.model) == (
                record.caption, record.status, record.placeholder, record.model
            )  # fmt: skip

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            self.directory.cleanup()


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # threads of others, not the journal's
def test_a_journal_lives_as_its_model_does(share, tried):
    JournalMachine.deaths = JournalMachine.lost = 0
    lives = share(25, 1_000)
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(max_examples=lives, stateful_step_count=20, deadline=None, database=None),
    )
    tried("lives of a journal of 20 steps each", lives)
    tried(
        "SIGKILL of a writing process in such a life",
        JournalMachine.deaths,
        lost=JournalMachine.lost,
    )
    assert JournalMachine.deaths > lives / 4
    assert JournalMachine.lost == 0
