"""How numbers and texts are laid out for the page.

A column of integers takes the narrowest type that holds it, little-endian, as base64: 44,000
positions are 117 kB of page and one typed array, not 44,000 parsed numbers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Json: TypeAlias = "list[Json] | dict[str, Json] | str | int | float | bool | None"

INTEGER_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4")
NOT_AS_THEY_ARE = re.compile("[<>\u007f-\u009f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def integers(values: ArrayLike) -> Json:
    """A column of integers; one number if they are all the same.

    Integers that no 32 bits hold (the size of a very large file) become a column of floats.
    """
    array = np.asarray(values, dtype=np.int64)
    if array.size and (array == array[0]).all():
        return int(array[0])
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for name in INTEGER_TYPES:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            return packed(array, name)
    return floats(array)


def floats(values: ArrayLike) -> Json:
    """A column of 64-bit floats; NaN is kept."""
    return packed(np.asarray(values, dtype=np.float64), "f8")


def packed(array: NDArray[np.int64] | NDArray[np.float64], kind: str) -> Json:
    """The array as base64 of the given type, with the type's name beside it."""
    data = np.ascontiguousarray(array.astype(f"<{kind}")).tobytes()
    return {"t": kind, "d": base64.b64encode(data).decode("ascii")}


class Texts:
    """Texts, each kept once and named by its place in `all`."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int:
        """Where the text is; -1 for none."""
        if not text:
            return -1
        place = self._places.setdefault(text, len(self.all))
        if place == len(self.all):
            self.all.append(text)
        return place

    def column(self, texts: Iterable[str | None]) -> Json:
        """The places of many."""
        return integers([self.place(text) for text in texts])


def script_json(value: Json) -> str:
    """JSON that may stand inside a script element and be encoded as UTF-8.

    No `<` is left, so nothing in it ends the element or opens a comment; characters that UTF-8
    cannot encode (the lone surrogates of odd file names) or that tools mistreat are escaped.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return NOT_AS_THEY_ARE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
