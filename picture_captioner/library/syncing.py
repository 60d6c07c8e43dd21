"""Journals of several machines into one library on a server: they are the truth, it follows them.

Where reading ended is kept for each journal. A journal that is another file than before (compacted,
merged, copied from elsewhere) is read anew, and what it said before is void. A photo whose line is
here is done, whoever asked about it: no worker asks again (engines/). The words of new lines are
indexed by whoever searches, since that is for one at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from picture_captioner.errors import ConfigurationError, Status
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.record import Record, parse_entry
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.journal.tail import JournalTail
from picture_captioner.library.captions import take_in
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import from_key, to_key

T = TypeVar("T")

LINES_AT_ONCE = 2000
"""In one statement."""

CAPTION = "caption"


class InTransaction(Protocol):
    """Runs a function in a transaction; what it changed is there when it returns."""

    def __call__(self, work: Callable[[Connection], T], /) -> T:
        """What `work` returns."""


class FileKey(NamedTuple):
    """A file as a record names it."""

    rel_path: bytes
    size: int | None
    mtime_ns: int | None


class Synced(NamedTuple):
    """How many records were read, the requests in them, and lines that are damaged."""

    records: int = 0
    requests: int = 0
    damaged: int = 0


def stage_of(backend: str | None, *, placeholder: bool) -> str:
    """The stage that a record settles: a placeholder settles only its own backend's."""
    return f"{CAPTION} ({backend})" if placeholder else CAPTION


MACHINE_ID = Path("/etc/machine-id")
"""Of Linux; containers have none, or that of their image."""


def machine_name() -> str:
    """What this machine is called in the database: many are a `raspberrypi` or a `localhost`."""
    try:
        told = MACHINE_ID.read_bytes().strip()
    except OSError:
        told = f"{uuid.getnode():x}".encode() if sys.platform == "darwin" else b""
    apart = f" ({hashlib.sha256(told).hexdigest()[:8]})" if told else ""
    return f"{socket.gethostname()}{apart}"


def journal_name(path: Path) -> str:
    """What this journal is called in the database."""
    return f"{machine_name()}:{path.resolve()}"


def namesake(name: str) -> ConfigurationError:
    """For two journals of one name: each would take the other's lines for its own."""
    return ConfigurationError(
        f"another worker calls itself {name}, too: two machines or containers have one name, and "
        "their journals one path. Nothing is lost: give one of them a --captions-jsonl with "
        "another path, or another host name, and run the same command again. (If that worker was "
        "this one, and was killed, run it again in a minute)"
    )


def sync(run: InTransaction, path: Path) -> Synced:
    """Bring the lines of the journal that the database lacks; again is harmless.

    Raises:
        JournalError: the journal, or what was decided about tags, cannot be read.
        ConfigurationError: a worker elsewhere has a journal of that name.
        LibraryError: the database's answer.
    """
    digest = TagDecisions.beside(path).digest
    return run(lambda connection: _bring(connection, path, digest))


def _bring(connection: Connection, path: Path, tags: str) -> Synced:
    name = journal_name(path)
    connection.execute("INSERT INTO journals (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    row = connection.execute(
        "SELECT position, tags FROM journals WHERE name = ? FOR UPDATE", (name,)
    ).fetchone()
    synced, known = Synced(), row[0] if row[1] == tags else None
    with JournalTail(path, known) as tail:
        if tail.up_to_date:
            return synced
        if tail.restarted and row[0] is not None:
            if _is_another_file(path, row[0]) and _is_at_work(connection, name):
                raise namesake(name)
            _void(connection, name)
        records = tail.records()
        while read := list(islice(records, LINES_AT_ONCE)):
            _insert(connection, name, read)
            _settle(connection, read)
            requests = sum(record.requests or 0 for record in read)
            synced = Synced(synced.records + len(read), synced.requests + requests, tail.damaged)
        connection.execute(
            "UPDATE journals SET position = ?, tags = ?, synced_at = now() WHERE name = ?",
            (tail.position(), tags, name),
        )
    return synced


def _is_another_file(path: Path, position: str) -> bool:
    """Whether it is the file that is read anew, and not for what was decided about tags."""
    with JournalTail(path, position) as tail:
        return tail.restarted


def _is_at_work(connection: Connection, name: str) -> bool:
    """Whether a worker with a journal of that name lives: it has the lines that are here."""
    found = connection.execute(
        "SELECT FROM workers WHERE journal = ? AND ended_at IS NULL AND heartbeat_at > now() - "
        "lease LIMIT 1",
        (name,),
    )
    return found.fetchone() is not None


def _void(connection: Connection, name: str) -> None:
    """Forget what this journal said; what others say of the same photos is indexed again."""
    said = "rel_path IN (SELECT rel_path FROM journal_records WHERE journal = ?)"
    connection.execute(
        f"DELETE FROM caption_words WHERE rowid IN (SELECT id FROM captions WHERE {said})",  # noqa: S608
        (name,),
    )
    connection.execute(f"DELETE FROM caption_tags WHERE {said}", (name,))  # noqa: S608
    connection.execute(f"DELETE FROM captions WHERE {said}", (name,))  # noqa: S608
    connection.execute(f"UPDATE journal_records SET indexed = false WHERE {said}", (name,))  # noqa: S608
    connection.execute("DELETE FROM journal_records WHERE journal = ?", (name,))
    connection.execute(
        "UPDATE journals SET records = 0, requests = 0, cost_usd = 0, unpriced_usd = 0 "
        "WHERE name = ?",
        (name,),
    )


def _insert(connection: Connection, name: str, records: Sequence[Record]) -> None:
    """Store the lines. One that another journal has as well, for it is a copy, was paid once."""
    lines = [record.to_line() for record in records]
    digests = [hashlib.sha256(line).digest() for line in lines]
    elsewhere = {
        row[0]
        for row in connection.execute(
            "SELECT digest FROM journal_records WHERE digest = ANY(?::bytea[]) AND journal <> ?",
            (digests, name),
        )
    }
    paid = [r for r, digest in zip(records, digests, strict=True) if digest not in elsewhere]
    requests = sum(record.requests or 0 for record in paid)
    dollars = sum(record.cost_usd or 0.0 for record in paid)
    connection.execute(
        "UPDATE journals SET records = records + ?, requests = requests + ?, "
        "cost_usd = cost_usd + ?, reserved = greatest(reserved - ?, 0) WHERE name = ?",
        (len(records), requests, dollars, requests, name),
    )
    connection.execute(
        "INSERT INTO journal_records (journal, digest, rel_path, content, captioned, line) "
        "SELECT ?, r.* FROM unnest(?::bytea[], ?::bytea[], ?::bytea[], ?::bool[], ?::bytea[]) AS r",
        (
            name,
            digests,
            [to_key(record.rel_path) for record in records],
            [_content(record) for record in records],
            [record.status is Status.SUCCESS and is_real(record) for record in records],
            lines,
        ),
    )


def _content(record: Record) -> bytes | None:
    return to_key(record.content_sha256) if record.content_sha256 else None


def _settle(connection: Connection, records: Sequence[Record]) -> None:
    """What these lines speak of is done; a caption that was taken back makes its photo open."""
    counted = [record for record in records if not record.dry_run]
    hashes = _hashes_of_files(connection, [r for r in counted if _content(r) is None])
    settled: dict[tuple[str, bytes], tuple[str, bool]] = {}
    for record in counted:
        content = _content(record) or hashes.get(_file_key(record))
        if content is not None:
            stage = stage_of(record.backend, placeholder=record.placeholder)
            settled[stage, content] = (record.status, not record.withdrawn)
    if settled:
        rows = sorted(settled.items())  # in one order: others settle, too
        connection.execute(
            "INSERT INTO claims (stage, content, status, done_at) "
            "SELECT s, c, t, CASE WHEN d THEN now() END "
            "FROM unnest(?::text[], ?::bytea[], ?::text[], ?::bool[]) AS r (s, c, t, d) "
            "ON CONFLICT (stage, content) DO UPDATE SET status = excluded.status, "
            "done_at = excluded.done_at, worker = NULL",
            (
                [stage for (stage, _), _ in rows],
                [content for (_, content), _ in rows],
                [str(status) for _, (status, _) in rows],
                [done for _, (_, done) in rows],
            ),
        )


def _file_key(record: Record) -> FileKey:
    return FileKey(to_key(record.rel_path), record.size, record.mtime_ns)


def _hashes_of_files(connection: Connection, records: Sequence[Record]) -> dict[FileKey, bytes]:
    """The bytes' hashes of files that records do not say: they could not be decoded."""
    if not records:
        return {}
    paths, sizes, times = zip(*map(_file_key, records), strict=True)
    found = connection.execute(
        "SELECT DISTINCT rel_path, size, mtime_ns, content "
        "FROM unnest(?::bytea[], ?::bigint[], ?::bigint[]) AS f (p, s, t) "
        "JOIN seen_files ON (rel_path, size, mtime_ns) = (p, s, t)",
        (list(paths), list(sizes), list(times)),
    )
    return {FileKey(path, size, time): content for path, size, time, content in found}


def index_words(run: InTransaction, path: Path) -> None:
    """Index the lines of all journals that are not indexed yet, with the tags beside this one."""
    tags = TagDecisions.beside(path)
    run(lambda connection: _index(connection, tags))


def _index(connection: Connection, tags: TagDecisions) -> None:
    connection.alone("index_words")
    rows = connection.execute(
        "UPDATE journal_records SET indexed = true WHERE NOT indexed RETURNING number, line"
    ).fetchall()
    take_in(connection, (_record(line) for _, line in sorted(rows)), tags)


def _record(line: bytes) -> Record:
    return Record.from_mapping(read_fields(line))


def captions_of(
    connection: Connection, rel_paths: Sequence[str], contents: Sequence[str]
) -> dict[str, Record]:
    """For each path that no journal names the caption of its content, if there is one.

    Args:
        contents: the SHA-256 of each path's bytes.
    """
    found = connection.execute(
        "SELECT DISTINCT ON (p) p, line FROM unnest(?::bytea[], ?::bytea[]) AS f (p, c) "
        "JOIN journal_records r ON r.content = c AND r.captioned "
        "WHERE NOT EXISTS (SELECT FROM journal_records n WHERE n.rel_path = p) "
        "ORDER BY p, r.number DESC",
        ([to_key(path) for path in rel_paths], [to_key(content) for content in contents]),
    )
    return {from_key(path): _record(line) for path, line in found}


def index_of_contents(connection: Connection, files: Sequence[tuple[str, str]]) -> JournalIndex:
    """What all journals say of these files' bytes, whatever they are called there.

    A line that does not say which bytes it means, since they could not be decoded, counts by its
    path. The lines of several machines come in the order of their own times.

    Args:
        files: path and SHA-256 of each.
    """
    paths_of: dict[bytes, list[str]] = defaultdict(list)
    for path, content in files:
        paths_of[to_key(content)].append(path)
    names = {to_key(path): path for path, _ in files}
    found = connection.execute(
        "SELECT rel_path, content, line FROM journal_records WHERE content = ANY(?::bytea[]) "
        "OR (content IS NULL AND rel_path = ANY(?::bytea[])) ORDER BY number",
        (list(paths_of), list(names)),
    )
    entries = []
    for path, content, line in found:
        with contextlib.suppress(ValueError):  # older versions took a success without a caption
            entries.append((parse_entry(line, 0), path, content))
    entries.sort(key=lambda said: said[0].created_at or "")
    index = JournalIndex()
    for entry, path, content in entries:
        for name in paths_of[content] if content is not None else [names[path]]:
            index.apply(msgspec.structs.replace(entry, rel_path=name))
    return index
