"""Times as cameras, phones and editors write them, and which of them cannot be a capture time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

_FIRST_PHOTOGRAPH = 1826
_TIME = re.compile(
    r"\s*(\d{4})[:/.-]([ \d]\d)[:/.-]([ \d]\d)"
    r"(?:[ T]([ \d]\d):([ \d]\d)(?::([ \d]\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)\s*", re.ASCII)

_RESET_DAYS = {date(1904, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)}
"""What a Mac, Unix (in some time zone) or DOS takes for the beginning: whole days, since a camera
whose clock was reset goes on from there."""

_RESETS = (datetime(2000, 1, 1, 0, 0), datetime(2002, 12, 8, 12, 0))  # noqa: DTZ001
"""Where cameras begin that were without a battery. Real photos have such dates, too: only the
first hours count, and only while nothing else says so."""
_HOURS_AFTER_RESET = timedelta(hours=6)


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


def is_reset_clock(time: datetime) -> bool:
    """Whether a clock that was never set, or lost its battery, says this."""
    local = time.replace(tzinfo=None)
    if local.date() in _RESET_DAYS:
        return True
    return any(start <= local < start + _HOURS_AFTER_RESET for start in _RESETS)
