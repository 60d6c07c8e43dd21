"""What an IPTC block says (Information Interchange Model, version 4.2, record 2)."""

from __future__ import annotations

from typing import Any

from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim
from picture_captioner.metadata.exif import decoded, text_of
from picture_captioner.metadata.times import parse_day, parse_time

_NAMES = {
    5: "ObjectName", 25: "Keywords", 40: "SpecialInstructions", 55: "DateCreated",
    60: "TimeCreated", 62: "DigitalCreationDate", 63: "DigitalCreationTime", 80: "By-line",
    90: "City", 92: "Sub-location", 95: "Province-State", 101: "Country-PrimaryLocationName",
    105: "Headline", 110: "Credit", 116: "CopyrightNotice", 120: "Caption-Abstract",
}  # fmt: skip
_LISTS = {"Keywords", "By-line"}
_TIMES = (("DateCreated", "TimeCreated"), ("DigitalCreationDate", "DigitalCreationTime"))
_MOST_ENTRIES = 1000
_MARK, _ENVELOPE, _RECORD = 0x1C, 1, 2
_CHARACTER_SET, _UTF8 = 90, b"\x1b%G"
"""1:90 names the encoding as ISO 2022 does. Without it exiftool writes and reads Latin-1."""


def from_iptc(block: bytes) -> Metadata:
    """The metadata in a block; empty if it is none."""
    entries = iptc_entries(block)
    claims = []
    for date_name, time_name in _TIMES:
        day, clock = str(entries.get(date_name, "")), str(entries.get(time_name, ""))
        day = f"{day[:4]}-{day[4:6]}-{day[6:8]}"
        text = f"{day} {clock[:2]}:{clock[2:4]}:{clock[4:6]}{clock[6:11]}"
        if (time := parse_time(text)) is not None:
            claims.append(TimeClaim(time.isoformat(), TakenFrom.IPTC))
        elif (known := parse_day(day)) is not None:
            claims.append(TimeClaim(f"{known.isoformat()}T12:00:00", TakenFrom.DATE))
    return Metadata(times=tuple(claims), iptc=entries)


def iptc_entries(block: bytes) -> dict[str, Any]:
    """The entries that have a name here, a list where there may be several."""
    found: dict[str, Any] = {}
    at, is_utf8 = 0, False
    for _ in range(_MOST_ENTRIES):
        if at + 5 > len(block) or block[at] != _MARK:
            break
        size = int.from_bytes(block[at + 3 : at + 5])
        name = _NAMES.get(block[at + 2]) if block[at + 1] == _RECORD else None
        value = block[at + 5 : at + 5 + size]
        if (block[at + 1], block[at + 2]) == (_ENVELOPE, _CHARACTER_SET):
            is_utf8 = value == _UTF8
        text = text_of(decoded(value, is_utf8=is_utf8)) if name else ""
        if name in _LISTS and text:
            found.setdefault(name, []).append(text)
        elif name and text:
            found.setdefault(name, text)
        at += 5 + size
    return found
