"""What is done is told to the server, which settles claims: by journals, or by the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from picture_captioner.engines.ceilings import SharedBudget
from picture_captioner.engines.server import Server
from picture_captioner.errors import ModelError
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.journal.writing import Journal
from picture_captioner.library.ledger import MAX_ATTEMPTS
from picture_captioner.library.store import Library
from picture_captioner.library.syncing import captions_of, index_words, sync
from picture_captioner.pipeline.recording.recorder import SeenBytes, copied_record, failure_record
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

if TYPE_CHECKING:
    from picture_captioner.library.home import Connection
    from picture_captioner.pipeline.stages.base import Stage

TakeOver: TypeAlias = Callable[[Photo, str, str], None]
"""Writes down for a photo, the SHA-256 of its bytes, why it has what another photo has."""


class Settling(Protocol):
    """Knows what a worker has done; errors are those of the server and of the journal."""

    def has_news(self) -> bool:
        """Whether something may have been done since `settle`."""

    def settle(self) -> None:
        """Tell the server what was done."""

    def blame(self, photo: Photo, content_sha256: str, why: RecordError) -> None:
        """Record that a photo is not to be tried any more."""

    def of_others(self, contents: Mapping[str, str]) -> Mapping[str, TakeOver]:
        """For paths that nobody knows, and whose bytes others did: what writes that down."""

    def end(self) -> None:
        """The last word, after the last `settle`."""


class Captions(Settling):
    """A caption is done when the journal has it, and the database the journal's line."""

    def __init__(
        self, server: Server, journal: Journal, identity: Identity, budget: SharedBudget
    ) -> None:
        self._server = server
        self._journal = journal
        self._identity = identity
        self._budget = budget
        self._synced = -1

    def has_news(self) -> bool:
        """Whether the journal grew."""
        return self._journal.written != self._synced

    def settle(self) -> None:
        """Bring the journal's new lines."""
        self._synced = self._journal.written
        self._budget.settled(sync(self._server.run, self._journal.path).requests)

    def blame(self, photo: Photo, content_sha256: str, why: RecordError) -> None:
        """Write a failure of the model's: a run with --retry-status takes it again."""
        seen = SeenBytes(content_sha256, photo.size, photo.mtime_ns)
        error = ModelError(why.message, code=why.code)
        self._journal.append(failure_record(photo, seen, error, self._identity, latency_ms=None))

    def of_others(self, contents: Mapping[str, str]) -> Mapping[str, TakeOver]:
        """Captions of the same bytes, for paths that no journal names; no placeholders."""
        if self._identity.placeholder:
            return {}
        paths, hashes = list(contents), list(contents.values())
        found = self._server.run(partial(captions_of, rel_paths=paths, contents=hashes))
        return {path: partial(self._copy, record) for path, record in found.items()}

    def _copy(self, record: Record, photo: Photo, content_sha256: str, because: str) -> None:
        seen = SeenBytes(content_sha256, photo.size, photo.mtime_ns)
        self._journal.append(copied_record(photo, seen, record, because))

    def end(self) -> None:
        """Index the words, and give back what was reserved and not spent."""
        index_words(self._server.run, self._journal.path)
        self._budget.end()


class Stages(Settling):
    """A stage is done when the ledger says so; the library stores it in the same transaction."""

    def __init__(self, server: Server, library: Library, stages: Sequence[Stage]) -> None:
        self._server = server
        self._library = library
        self._stages = [(stage.name, stage.version) for stage in stages]
        self._whose = ""

    @property
    def name(self) -> str:
        """Of the claims: other stages, or versions of them, have claims of their own."""
        return ", ".join(sorted(f"{name} {version}" for name, version in self._stages))

    def has_news(self) -> bool:
        """Nobody says so: the ledger is asked."""
        return True

    def settle(self) -> None:
        """Settle claims by the ledger, whoever wrote it; after the first time those at work."""
        whose, self._whose = self._whose, "AND worker IS NOT NULL "
        names, versions = zip(*self._stages, strict=True)
        statement = (
            "UPDATE claims SET done_at = now(), worker = NULL "  # noqa: S608 - ours
            f"WHERE stage = ? AND done_at IS NULL {whose}AND (SELECT count(*) FROM stages t "
            "JOIN unnest(?::text[], ?::text[]) AS w (s, v) ON t.stage = s AND t.version = v "
            "WHERE t.content = claims.content AND (t.status = 'done' OR t.attempts >= ?)) = ?"
        )
        values = (self.name, list(names), list(versions), MAX_ATTEMPTS, len(names))
        self._server.run(lambda connection: connection.execute(statement, values))

    def blame(self, photo: Photo, content_sha256: str, why: RecordError) -> None:  # noqa: ARG002
        """Count as many failures as leave it alone from now on."""

        def note(_: Connection) -> None:  # the library's calls join the transaction around them
            for name, version in self._stages * MAX_ATTEMPTS:
                self._library.ledger.note(content_sha256, name, version, error=why.code)

        self._server.run(note)

    def of_others(self, contents: Mapping[str, str]) -> Mapping[str, TakeOver]:  # noqa: ARG002
        """Nothing: what is known of a content is known of all its paths."""
        return {}

    def end(self) -> None:
        """Nothing is left to say."""
