"""Times as cameras, phones and editors write them.

In the names that cameras, phones and messengers give to photos:

    IMG_20240131_142233.jpg         Android, many cameras; also VID_, PANO_, MVIMG_
    00100lPORTRAIT_00100_BURST20240131142233123_COVER.jpg    Android; with or without the 123
    PXL_20240131_132233123.jpg      Pixel; that one is in UTC
    20240131_142233.jpg             Samsung
    Screenshot_2024-01-31-14-22-33  Android
    Screenshot 2024-01-31 at 2.22.33 PM    Mac; "Bildschirmfoto 2024-01-31 um 14.22.33" in German
    2024-01-31 14.22.33.jpg         Dropbox
    signal-2024-01-31-14-22-33-123  Signal; "signal-2024-01-31-142233" on Android
    photo_2024-01-31_14-22-33       Telegram
    IMG-20240131-WA0001.jpg         WhatsApp: the day it was received, no time

A number that happens to look like a date would put a photo into the wrong year, so a match must be
a real day between 1990 and tomorrow, with no digit before or after it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

_FIRST_PHOTOGRAPH = 1826
_TIME = re.compile(
    r"\s*(\d{4})[:/.-]([ \d]\d)[:/.-]([ \d]\d)"
    r"(?:[ T]([ \d]?\d):([ \d]\d)(?::([ \d]\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)\s*", re.ASCII)


def parse_time(text: str, offset: str = "", fraction: str = "") -> datetime | None:
    """`2024:01:31 14:22:33` with `+01:00` and `120`; None for what cannot be a capture time.

    Blanks may stand for zeros (`2004: 5: 7`) and seconds may be missing. A zone is never guessed:
    most cameras know the local time only. A text with a day alone is None: see `parse_day`.
    """
    found = _TIME.match(text)
    if found is None or found[4] is None:
        return None
    *numbers, inline, zone = found.groups()
    digits = (fraction if fraction.isdecimal() else inline or "")[:6].ljust(6, "0")
    try:
        values = [int((number or "0").replace(" ", "0")) for number in numbers]
        time = datetime(*values)  # type: ignore[arg-type]  # noqa: DTZ001
        time = time.replace(
            microsecond=int(digits), tzinfo=parse_zone(offset) or parse_zone(zone or "")
        )
    except ValueError:
        return None
    return time if is_plausible(time) else None


def parse_day(text: str) -> date | None:
    """The day in a text that states one; None for what cannot be a day of capture."""
    found = _TIME.match(text)
    if found is None:
        return None
    try:
        day = datetime(*(int(part.replace(" ", "0")) for part in found.groups()[:3]))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    return day.date() if is_plausible(day) else None


def parse_zone(offset: str) -> timezone | None:
    """`+01:00` or `Z`; None for what is no distance from UTC."""
    if offset.strip() == "Z":
        return UTC
    found = _OFFSET.fullmatch(offset)
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    distance = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-distance if found[1] == "-" else distance)


def is_plausible(time: datetime) -> bool:
    """Whether a photo can have been taken then: not before photography, not tomorrow."""
    if time.year < _FIRST_PHOTOGRAPH:
        return False
    return time.replace(tzinfo=time.tzinfo or UTC) < datetime.now(UTC) + timedelta(days=1)


_FIRST_YEAR = 1990
"""Digital cameras are younger; numbers that look like older dates are mostly something else."""

_DAY = r"(?<!\d)(?P<year>\d{4})(?P<a>[-_.]?)(?P<month>\d\d)(?P=a)(?P<day>\d\d)"
_CLOCK = (
    r"(?P<hour>\d{1,2})(?P<b>[-_.:h]?)(?P<minute>\d\d)(?:(?P=b)|(?<=h\d\d)[_m])(?P<second>\d\d)"
    r"(?:\d{3})?(?!\d)(?:[ \u00a0\u202f]?(?P<half>[AP])\.?M\b)?"
)
_AT = r"(?:[-_ T.]|[ _](?:at|um|à|a las|alle|om|kl\.?|às|в)[ _])"
_WITH_TIME = re.compile(rf"{_DAY}{_AT}{_CLOCK}", re.IGNORECASE)
_COMPACT = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?:\d{3})?(?!\d)",
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
    text = unicodedata.normalize("NFC", name)  # a Mac spells its à in two characters
    for pattern in (_WITH_TIME, _COMPACT, _DAY_ALONE):
        for match in pattern.finditer(text):
            if (time := _time(match.groupdict())) is not None:
                zone = UTC if pattern is _WITH_TIME and _PIXEL.match(name) else None
                return NamedTime(time.replace(tzinfo=zone), exact=pattern is not _DAY_ALONE)
    return None


def _time(parts: dict[str, str | None]) -> datetime | None:
    day = f"{parts['year']}-{parts['month']}-{parts['day']}"
    hour = _hour(parts.get("hour", "00"), parts.get("half"))
    clock = f"{hour}:{parts.get('minute', '00')}:{parts.get('second', '00')}"
    try:
        time = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        return None
    if "hour" not in parts:
        time = time.replace(hour=_NOON)
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    return time if time.year >= _FIRST_YEAR and time < latest else None


def _hour(hour: str | None, half: str | None) -> str:
    """The hour of 24, in two digits; half is the A or P of a clock with twelve."""
    number = int(hour or 0)
    if half:
        if not 1 <= number <= 12:
            return "99"  # no hour: the day alone is known
        number = number % 12 + 12 * (half in "Pp")
    return f"{number:02}"
