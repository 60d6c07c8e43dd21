"""Capture times in the names that cameras, phones and messengers give to photos.

    IMG_20240131_142233.jpg         Android, many cameras; also VID_, PANO_, MVIMG_, BURST...
    PXL_20240131_132233123.jpg      Pixel; that one is in UTC
    20240131_142233.jpg             Samsung
    Screenshot_2024-01-31-14-22-33  Android; "Screenshot 2024-01-31 at 14.22.33" on a Mac
    2024-01-31 14.22.33.jpg         Dropbox
    signal-2024-01-31-14-22-33-123  Signal; "signal-2024-01-31-142233" on Android
    photo_2024-01-31_14-22-33       Telegram
    IMG-20240131-WA0001.jpg         WhatsApp: the day it was received, no time

A number that happens to look like a date would put a photo into the wrong year, so a match must be
a real day between 1990 and tomorrow, with no digit before or after it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_FIRST_YEAR = 1990
"""Digital cameras are younger; numbers that look like older dates are mostly something else."""

_DAY = r"(?<!\d)(?P<year>\d{4})(?P<a>[-_.]?)(?P<month>\d\d)(?P=a)(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d)(?P<b>[-_.:h]?)(?P<minute>\d\d)(?P=b)(?P<second>\d\d)(?:\d{3})?(?!\d)"
_WITH_TIME = re.compile(rf"{_DAY}(?:[-_ T.]|[ _]at[ _]){_CLOCK}", re.ASCII)
_COMPACT = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?!\d)",
    re.ASCII,
)
_DAY_ALONE = re.compile(rf"{_DAY}(?![\d])", re.ASCII)
_PIXEL = re.compile(r"PXL_\d{8}_", re.IGNORECASE | re.ASCII)
_NOON = 12


class NamedTime(NamedTuple):
    """A time that a file name states; `exact` is False if it states the day alone (noon then)."""

    taken_at: datetime
    exact: bool


def time_from_name(name: str) -> NamedTime | None:
    """The capture time in a file's name (without its folder), or None.

    Naive, being the phone's local time, except for Pixel names, which are in UTC.
    """
    for pattern in (_WITH_TIME, _COMPACT, _DAY_ALONE):
        for match in pattern.finditer(name):
            if (time := _time(match.groupdict())) is not None:
                zone = UTC if pattern is _WITH_TIME and _PIXEL.match(name) else None
                return NamedTime(time.replace(tzinfo=zone), exact=pattern is not _DAY_ALONE)
    return None


def _time(parts: dict[str, str]) -> datetime | None:
    day = f"{parts['year']}-{parts['month']}-{parts['day']}"
    clock = ":".join(parts.get(unit, "00") for unit in ("hour", "minute", "second"))
    try:
        time = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        return None
    if "hour" not in parts:
        time = time.replace(hour=_NOON)
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    return time if time.year >= _FIRST_YEAR and time < latest else None
