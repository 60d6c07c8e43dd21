"""What other programs and people say of photos: kept by path or content, and found by its words.

What stands inside a photo goes with its content; what lies in files beside it, with its path. When
a photo was taken says the surest of both, and its name. Searches by date ask for all photos at
once; a name alone takes 24 µs to read, 1.2 s for 50,000, so answers are kept in `capture_times`,
and what they were taken from changes them by triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import msgspec

from picture_captioner.library.home import Connection, Database
from picture_captioner.library.schema import from_key, to_key, to_text
from picture_captioner.library.words import spaced, stems_of_text
from picture_captioner.metadata.claims import (
    NOTHING_WRITTEN,
    Metadata,
    TakenFrom,
    TimeClaim,
    best_time,
)
from picture_captioner.metadata.times import time_from_name
from picture_captioner.metadata.told import Fact, Kind, NamedFace

_BY_NAME = {TakenFrom.NAME, TakenFrom.DATE}


def read_metadata(written: str | None) -> Metadata:
    """As it was saved; none in rows of an older version, or if this program knows them no more."""
    try:
        return msgspec.json.decode(written or "{}", type=Metadata)
    except msgspec.MsgspecError:
        return Metadata()


def surest_time(
    metadata: Metadata, exif: str | None, rel_path: str, beside: Metadata
) -> TimeClaim | None:
    """The surest time of what is written in the photo, in files beside it and in its name."""
    claims = [*metadata.times, *beside.times]
    if exif is not None and not metadata.times:
        claims.append(TimeClaim(exif, TakenFrom.EXIF))
    if (named := time_from_name(PurePosixPath(rel_path).name)) is not None:
        source = TakenFrom.NAME if named.exact else TakenFrom.DATE
        claims.append(TimeClaim(named.taken_at.isoformat(), source))
    try:
        return best_time(claims)
    except ValueError:  # written by another version, or not by this program: the name is left
        return best_time(claim for claim in claims if claim.source in _BY_NAME)


def find_times(connection: Connection, path: bytes | None = None) -> None:
    """Let `capture_times` know the photo at a path, or all."""
    # One condition for both would have SQLite read the whole table for one path.
    which = " AND located.rel_path = ?" if path is not None else ""
    # First what leaves out nearly all: 50,000 photos take a third of the time.
    known = "LEFT JOIN capture_times AS known ON known.rel_path = located.rel_path"
    sql = (
        f"{_SAID_OF_TIME.format(known)} "
        "WHERE (known.rel_path IS NULL OR known.content IS NOT located.content)"
        f"{which} ORDER BY located.rel_path"
    )
    if path is None:
        unknown = connection.look_through(sql)
    else:
        unknown = connection.execute(sql, (path,)).fetchall()
    times = [(key, content, _best(key, *known)) for key, content, *known in unknown]
    connection.executemany(
        "INSERT OR REPLACE INTO capture_times VALUES (?, ?, ?)",
        [(key, content, best.time.isoformat() if best else None) for key, content, best in times],
    )


def day_alone(connection: Connection, path: bytes) -> bool:
    """Whether no more than the day of a photo's capture is known; noon stands for it."""
    row = connection.execute(
        f"{_SAID_OF_TIME.format('')} WHERE located.rel_path = ?", (path,)
    ).fetchone()
    best = _best(path, *row[2:]) if row is not None else None
    return best is not None and best.source is TakenFrom.DATE


_SAID_OF_TIME = (
    "SELECT located.rel_path, located.content, photos.taken_at, written.metadata, beside.metadata "
    "FROM located {} LEFT JOIN photos ON photos.content = located.content "
    "LEFT JOIN written ON written.content = located.content "
    "LEFT JOIN beside ON beside.rel_path = located.rel_path"
)


def _best(
    key: bytes, exif: str | None, written: str | None, beside: str | None
) -> TimeClaim | None:
    return surest_time(read_metadata(written), exif, from_key(key), read_metadata(beside))


_UNSEARCHED = {Kind.FAVOURITE}


def tell_written(connection: Connection, content: bytes, metadata: Metadata) -> None:
    """Keep what is written inside a photo for searches."""
    connection.execute("DELETE FROM told WHERE content = ?", (content,))
    connection.execute("DELETE FROM told_pending WHERE content = ?", (content,))
    _tell(connection, "content", content, metadata.told())


def tell_pending(connection: Connection) -> None:
    """Let searches know what older versions read in photos; nothing is to be done as a rule."""
    rows = connection.execute(
        "SELECT content, metadata FROM told_pending JOIN written USING (content)"
    ).fetchall()
    for content, written in rows:
        tell_written(connection, content, read_metadata(written))
    connection.execute("DELETE FROM told_pending")


def _tell(connection: Connection, column: str, key: bytes, facts: Iterable[Fact]) -> None:
    said = list(facts)
    if not said:
        return
    (added,) = connection.execute(
        f"INSERT INTO told ({column}) VALUES (?) RETURNING id",  # noqa: S608
        (key,),
    ).fetchone()
    connection.executemany(
        "INSERT OR IGNORE INTO told_facts VALUES (?, ?, ?, ?, ?)",
        [(added, one.kind, to_text(one.value), one.source, one.guessed) for one in said],
    )
    words = "\n".join(to_text(one.value) for one in said if one.kind not in _UNSEARCHED)
    connection.add_words("told_words", [(added, spaced(words), stems_of_text(words))])


def beside_of(written: str | None) -> Metadata:
    """As `save_beside` kept it."""
    return read_metadata(written) if written is not None else NOTHING_WRITTEN


class Others:
    """What other programs say. Thread-safe; a call is a transaction, or part of an open one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stamp_of(self, folder: str) -> str | None:
        """What the files beside a folder's photos were when they were read; None if never."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT stamp FROM beside_folders WHERE folder = ?", (to_key(folder),)
            ).fetchone()
        return None if row is None else str(row[0])

    def save_beside(self, folder: str, stamp: str, found: Mapping[str, Metadata]) -> None:
        """Keep what the files beside a folder's photos say, in place of what they said before.

        `found` is by the photos' paths.
        """
        key = to_key(folder)
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM told WHERE rel_path IN (SELECT rel_path FROM beside WHERE folder = ?)",
                (key,),
            )
            connection.execute("DELETE FROM beside WHERE folder = ?", (key,))
            for rel_path, metadata in found.items():
                written = msgspec.json.encode(metadata).decode()
                place = (metadata.latitude, metadata.longitude)
                path = to_key(rel_path)
                connection.execute(
                    "INSERT INTO beside VALUES (?, ?, ?, ?, ?)", (path, key, *place, written)
                )
                _tell(connection, "rel_path", path, metadata.facts)
            connection.execute("INSERT OR REPLACE INTO beside_folders VALUES (?, ?)", (key, stamp))

    def named_faces(self) -> dict[str, list[NamedFace]]:
        """The faces that other programs named in photos with faces of ours, by content.

        They are in pixels of the upright photo.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT files.content, photos.width, photos.height, written.metadata, "
                "beside.metadata FROM files JOIN faces USING (content) "
                "JOIN photos USING (content) LEFT JOIN written USING (content) "
                "LEFT JOIN beside ON beside.rel_path = files.rel_path "
                "WHERE written.metadata LIKE '%mwg-rs:Regions%' "
                "OR beside.metadata LIKE '%\"faces\"%'"
            ).fetchall()
        found: dict[str, list[NamedFace]] = {}
        for content, width, height, inside, beside in rows:
            photo = read_metadata(inside)
            turned = photo.exif.get("Orientation", 1)
            for face in (*beside_of(beside).faces, *photo.named_faces()):
                upright = face.upright(turned)
                found.setdefault(from_key(content), []).append(upright.scaled(width, height))
        return found
