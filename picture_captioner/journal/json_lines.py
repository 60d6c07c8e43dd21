"""A line of a journal as JSON, whatever another program wrote into it."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from typing import Any, NoReturn

import msgspec

_encode = msgspec.json.Encoder().encode
_FLAT = frozenset({str, int, float, bool})


def read_fields(line: bytes) -> dict[str, Any]:
    """Every field of a line, as JSON has it.

    Numbers that Python cannot hold (infinite, or of over 4,300 digits) stay text.

    Raises:
        ValueError: not a JSON object in UTF-8. A line that passed `parse_entry` is one.
    """
    found = json.loads(
        line.decode("utf-8"), parse_float=_float, parse_int=_integer, parse_constant=_refuse
    )
    if not isinstance(found, dict):
        raise ValueError("a record is a JSON object")  # noqa: TRY004 - it is the text that is wrong
    return found


def _float(text: str) -> float | str:
    return value if math.isfinite(value := float(text)) else text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= sys.int_info.default_max_str_digits else text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def to_json_line(line: dict[str, Any]) -> bytes:
    """One ASCII line with its newline; errors as for `Record.to_line`.

    What msgspec writes in a tenth of the time is the same JSON, unless it is not ASCII, holds a
    null (its word for NaN), or a value that JSON does not know (it writes a date as text).
    """
    if _FLAT.issuperset(map(type, line.values())):
        with contextlib.suppress(UnicodeEncodeError, OverflowError):
            data = _encode(line)
            if data.isascii() and b"null" not in data:
                return data + b"\n"
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
