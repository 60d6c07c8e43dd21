"""Photos claimed in batches, by workers that say every few seconds that they live.

A claim is a row with the worker that has it, never an open transaction: a worker may take an hour.
One that says nothing for the length of its lease is taken for dead. Its photos are free again, and
each of them has met one death more: after two it is handed out alone, after three it is to blame.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from picture_captioner.engines.server import Server
from picture_captioner.library.syncing import namesake

if TYPE_CHECKING:
    from picture_captioner.library.home import Connection

CLAIMED_AT_ONCE = 16
"""One statement for 16: the round trips of one take longer than the server does (docs/log.md)."""

ROWS_AT_ONCE = 5_000
"""The server ends a transaction in which a worker says nothing for `STOPPED_SECONDS`: one that has
a hundredth of a processor gets through so many rows by then."""

LEASE_SECONDS = 60.0
BEATS_PER_LEASE = 4

OLD_WORKER, OLD_FILE = "30 days", "180 days"
"""After so long without a word of it a row about a worker, or about a file that one saw, goes; what
goes too early is read for its hash again."""

ALONE_AFTER, BLAMED_AFTER = 2, 3
"""Deaths: after so many a photo is handed out with nothing else beside it, or not any more."""


class SeenFile(NamedTuple):
    """A file as a machine saw it, and its bytes' SHA-256."""

    rel_path: bytes
    size: int
    mtime_ns: int
    content: bytes


@dataclass(frozen=True)
class Left:
    """What is not done of what this machine sees."""

    free: int
    leased: int


class Claims:
    """One worker's claims on one stage of the photos that its machine sees.

    Args:
        place: names the photos that this machine sees, for other workers here.
        journal: names the journal, of which this process is the only writer.
    """

    def __init__(
        self, server: Server, stage: str, place: str, journal: str, lease: float = LEASE_SECONDS
    ) -> None:
        self._server = server
        self._stage, self._place, self._journal = stage, place, journal
        self._lease = lease
        self._worker = 0
        self._beat_at = 0.0

    def register(self) -> None:
        """Say that this worker is there; an earlier one with this journal is dead then."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO journals (name) VALUES (?) ON CONFLICT DO NOTHING", [self._journal]
            )
            _bury(connection, "journal = ?", [self._journal])
            row = connection.execute(
                "INSERT INTO workers (journal, stage, host, pid, lease) "
                "VALUES (?, ?, ?, ?, make_interval(secs => ?)) RETURNING id",
                [self._journal, self._stage, socket.gethostname(), os.getpid(), self._lease],
            ).fetchone()
            self._worker = row[0] if row else 0

        self._server.run(work)
        self._beat_at = time.monotonic()

    def seen(self) -> list[SeenFile]:
        """The files that workers of this place have seen."""

        def work(connection: Connection) -> list[SeenFile]:
            rows = connection.execute(
                "SELECT rel_path, size, mtime_ns, content FROM seen_files "
                "WHERE place = ? AND rel_path > ? ORDER BY rel_path LIMIT ?",
                [self._place, found[-1].rel_path if found else b"", ROWS_AT_ONCE],
            )
            return [SeenFile(*row) for row in rows]

        found: list[SeenFile] = []
        while more := self._server.run(work):
            found += more
        return found

    def still_there(self, rel_paths: Sequence[bytes]) -> None:
        """Note, once a day, that these files of this place were seen again."""
        self._in_pieces(
            "UPDATE seen_files SET seen_at = now() WHERE place = ? "
            "AND seen_at < now() - interval '1 day' AND rel_path = ANY(?::bytea[])",
            self._place,
            rel_paths,
        )

    def known(self, files: Sequence[tuple[bytes, int, int]]) -> list[SeenFile]:
        """Those of the files (path, size, time) that a worker elsewhere has read already."""
        paths, sizes, times = zip(*files, strict=True)
        return self._server.run(
            lambda connection: [
                SeenFile(*row)
                for row in connection.execute(
                    "SELECT DISTINCT ON (rel_path) rel_path, size, mtime_ns, content "
                    "FROM unnest(?::bytea[], ?::bigint[], ?::bigint[]) AS f (p, s, t) "
                    "JOIN seen_files ON (rel_path, size, mtime_ns) = (p, s, t)",
                    [list(paths), list(sizes), list(times)],
                )
            ]
        )

    def see(self, files: Sequence[SeenFile]) -> None:
        """Note what this machine sees."""
        columns = [list(column) for column in zip(*files, strict=True)]
        self._server.run(
            lambda connection: connection.execute(
                "INSERT INTO seen_files (place, rel_path, size, mtime_ns, content) SELECT ?, f.* "
                "FROM unnest(?::bytea[], ?::bigint[], ?::bigint[], ?::bytea[]) AS f "
                "ON CONFLICT (place, rel_path) DO UPDATE SET size = excluded.size, "
                "mtime_ns = excluded.mtime_ns, content = excluded.content, seen_at = now()",
                [self._place, *columns],
            )
        )

    def enqueue(self, contents: Sequence[bytes]) -> None:
        """Offer these to every worker, unless they are done or offered already."""
        self._in_pieces(
            "INSERT INTO claims (stage, content) SELECT s, c "
            "FROM (SELECT CAST(? AS text) AS s, unnest(?::bytea[]) AS c) AS offered "
            "WHERE NOT EXISTS (SELECT FROM claims WHERE stage = s AND content = c) "
            "ON CONFLICT DO NOTHING",
            self._stage,
            contents,
        )

    def _in_pieces(self, sql: str, first: str, keys: Sequence[bytes]) -> None:
        """Run a statement about some of the keys at a time, each in a transaction of its own."""
        for start in range(0, len(keys), ROWS_AT_ONCE):
            values = (first, list(keys[start : start + ROWS_AT_ONCE]))
            self._server.run(partial(_execute, sql, values))

    def claim(self, passed: Iterable[bytes] = (), *, deaths: int = 0) -> list[bytes]:
        """Up to 16 contents that this machine sees and nobody works on.

        Args:
            passed: not these, with which this worker could do nothing.
            deaths: 2: one that met two deaths; 3: those that met three, to be recorded.
        """
        met = {0: f"deaths < {ALONE_AFTER}", ALONE_AFTER: f"deaths = {ALONE_AFTER}"}.get(
            deaths, f"deaths >= {BLAMED_AFTER}"
        )
        statement = (
            "WITH free AS (SELECT stage, content FROM claims c WHERE stage = :stage "  # noqa: S608
            f"AND worker IS NULL AND done_at IS NULL AND {met} "
            "AND content <> ALL(:passed::bytea[]) AND (SELECT s.place FROM seen_files s "
            "WHERE s.place = :place AND s.content = c.content LIMIT 1) IS NOT NULL "
            "ORDER BY deaths, number LIMIT :most FOR UPDATE OF c SKIP LOCKED) "
            "UPDATE claims c SET worker = :worker FROM free "
            "WHERE c.stage = free.stage AND c.content = free.content RETURNING c.content"
        )
        values = {
            "stage": self._stage,
            "passed": list(passed),
            "place": self._place,
            "most": 1 if deaths == ALONE_AFTER else CLAIMED_AT_ONCE,
            "worker": self._worker,
        }
        return self._server.run(
            lambda connection: [row[0] for row in connection.execute(statement, values)]
        )

    def lives(self, held: Iterable[bytes]) -> int | None:
        """Say that this worker lives, if it is time to, and free what the dead had.

        Returns how many workers of this stage live; None: it was not time. A worker that was taken
        for dead, because it slept, registers anew.

        Raises:
            ConfigurationError: a worker elsewhere has this one's name, so that each takes the other
                for its own that died.

        Args:
            held: what it works on; a claim whose answer was lost with the connection is given back.
        """
        now = time.monotonic()
        lost = self._server.up_since > self._beat_at
        if not lost and now - self._beat_at < self._lease / BEATS_PER_LEASE:
            return None
        live = self._server.run(self._beat)
        if live is None:
            self.register()
            live = 1
        elif lost:
            self.give_back(except_for=held)
        self._beat_at = now
        return live

    def _beat(self, connection: Connection) -> int | None:
        beat = connection.execute(
            "UPDATE workers SET heartbeat_at = now() WHERE id = ? AND ended_at IS NULL",
            [self._worker],
        )
        if not beat.rowcount:
            # Nobody else can write to our journal, so who came after us in its name has another.
            after = connection.execute(
                "SELECT FROM workers WHERE journal = ? AND id > ? AND ended_at IS NULL LIMIT 1",
                [self._journal, self._worker],
            )
            if after.fetchone() is not None:
                raise namesake(self._journal)
            return None
        # After an outage all look dead to the first that is back: they get the time of a lease.
        if time.monotonic() - self._server.up_since > self._lease:
            _bury(connection, "heartbeat_at < now() - lease", [])
        row = connection.execute(
            "SELECT count(*) FROM workers WHERE stage = ? AND ended_at IS NULL", [self._stage]
        ).fetchone()
        return row[0] if row else 1

    def give_back(self, *, except_for: Iterable[bytes] = ()) -> list[bytes]:
        """Let others have what this worker did not settle; nobody died of it."""
        return self._server.run(
            lambda connection: [
                row[0]
                for row in connection.execute(
                    "UPDATE claims SET worker = NULL WHERE worker = ? "
                    "AND content <> ALL(?::bytea[]) RETURNING content",
                    [self._worker, list(except_for)],
                )
            ]
        )

    def left(self, passed: Iterable[bytes]) -> Left:
        """How much of what this machine sees is free, and how much others work on."""
        statement = (
            "SELECT count(*) FILTER (WHERE worker IS NULL), "
            "count(*) FILTER (WHERE worker <> :worker) FROM claims c "
            "WHERE stage = :stage AND done_at IS NULL AND content <> ALL(:passed::bytea[]) "
            "AND (SELECT s.place FROM seen_files s WHERE s.place = :place "
            "AND s.content = c.content LIMIT 1) IS NOT NULL"
        )
        values = {
            "worker": self._worker,
            "stage": self._stage,
            "passed": list(passed),
            "place": self._place,
        }
        row = self._server.run(lambda connection: connection.execute(statement, values).fetchone())
        return Left(*row) if row else Left(0, 0)

    def end(self) -> None:
        """This worker ends because it wants to: its photos are free, and nobody died."""
        self.give_back()
        self._server.run(
            lambda connection: connection.execute(
                "UPDATE workers SET ended_at = now() WHERE id = ?", [self._worker]
            )
        )


def _execute(sql: str, values: tuple[str, list[bytes]], connection: Connection) -> None:
    connection.execute(sql, values)


def _bury(connection: Connection, which: str, values: list[str]) -> None:
    """Free what dead workers had; of two that find them dead one does it."""
    connection.execute(
        "WITH dead AS (SELECT id FROM workers WHERE ended_at IS NULL "  # noqa: S608 - ours
        f"AND {which} FOR UPDATE SKIP LOCKED), "
        "buried AS (UPDATE workers SET ended_at = now(), died = true "
        "WHERE id IN (SELECT id FROM dead)) "
        "UPDATE claims SET worker = NULL, deaths = deaths + 1 "
        "WHERE worker IN (SELECT id FROM dead) AND done_at IS NULL",
        values,
    )


def prune(connection: Connection) -> dict[str, int]:
    """Drop what nobody needs to know any more of workers that ended and of files that are gone."""
    workers = connection.execute(
        "DELETE FROM workers WHERE coalesce(ended_at, heartbeat_at) < now() - CAST(? AS interval) "
        "AND NOT EXISTS (SELECT FROM claims WHERE claims.worker = workers.id)",
        [OLD_WORKER],
    )
    files = connection.execute(
        "DELETE FROM seen_files WHERE seen_at < now() - CAST(? AS interval)", [OLD_FILE]
    )
    return {"old_workers": workers.rowcount, "old_files": files.rowcount}


def health(connection: Connection) -> dict[str, object]:
    """How the server, the workers and what is not done stand; changes nothing."""

    def one(sql: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = connection.execute(sql).fetchone()
        return row

    version, size, connections = one(
        "SELECT current_setting('server_version'), sum(pg_total_relation_size(oid))::bigint, "
        "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) "
        "FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    )
    alive, silent, died = one(
        "SELECT count(*) FILTER (WHERE ended_at IS NULL AND heartbeat_at >= now() - lease), "
        "count(*) FILTER (WHERE ended_at IS NULL AND heartbeat_at < now() - lease), "
        "count(*) FILTER (WHERE died) FROM workers"
    )
    leased, oldest = one(
        "SELECT count(*), extract(epoch FROM max(now() - workers.heartbeat_at))::float8 "
        "FROM claims JOIN workers ON workers.id = claims.worker"
    )
    requests, dollars, unpriced, reserved = one(
        "SELECT coalesce(sum(requests), 0)::bigint, coalesce(sum(cost_usd), 0), "
        "coalesce(sum(unpriced_usd), 0), coalesce(sum(reserved), 0)::bigint FROM journals"
    )
    backlog = connection.execute(
        "SELECT stage, count(*) FILTER (WHERE done_at IS NULL AND worker IS NULL), "
        "count(*) FILTER (WHERE done_at IS NULL AND deaths > 0), "
        "count(*) FILTER (WHERE done_at IS NOT NULL) FROM claims GROUP BY stage ORDER BY stage"
    )
    return {
        "database": {"version": version, "bytes": size, "connections": connections},
        "workers": {"alive": alive, "silent": silent, "died": died},
        "leases": {"photos": leased, "oldest_heartbeat_seconds": oldest},
        "backlog": {
            stage: {"free": free, "met_a_death": met, "done": done}
            for stage, free, met, done in backlog
        },
        "spent": {
            "requests": requests,
            "cost_usd": dollars,
            "unpriced_at_most_usd": unpriced,
            "reserved_requests": reserved,
        },
    }
