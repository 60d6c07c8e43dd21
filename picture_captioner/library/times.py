"""When a photo was taken, by the surest of what is written in and beside it, and its name.

Searches by date ask for all photos at once. A name alone takes 24 µs to read, 1.2 s for 50,000,
so answers are kept in `capture_times`; what they were taken from changes them by triggers.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec

from picture_captioner.library.encoding import from_key
from picture_captioner.library.home import Connection
from picture_captioner.metadata import Metadata, TakenFrom, TimeClaim, best_time, time_from_name

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
    unknown = connection.execute(
        "SELECT located.rel_path, located.content, photos.taken_at, written.metadata, "  # noqa: S608
        "beside.metadata "
        "FROM located LEFT JOIN capture_times AS known ON known.rel_path = located.rel_path "
        "LEFT JOIN photos ON photos.content = located.content "
        "LEFT JOIN written ON written.content = located.content "
        "LEFT JOIN beside ON beside.rel_path = located.rel_path "
        "WHERE (known.rel_path IS NULL OR known.content IS NOT located.content)"
        f"{which} ORDER BY located.rel_path",
        (path,) if path is not None else (),
    ).fetchall()
    connection.executemany(
        "INSERT OR REPLACE INTO capture_times VALUES (?, ?, ?)",
        [(key, content, _time(key, *known)) for key, content, *known in unknown],
    )


def _time(key: bytes, exif: str | None, written: str | None, beside: str | None) -> str | None:
    best = surest_time(read_metadata(written), exif, from_key(key), read_metadata(beside))
    return best.time.isoformat() if best is not None else None
