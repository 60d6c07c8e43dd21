"""How to get the old bytes of a file from its new ones, in a few kilobytes.

New metadata moves a picture's data and changes next to nothing else, so what is kept for `undo` are
the ranges that stand in the new file too, and the old bytes between them.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, NamedTuple

_BLOCK = 4096
_MOST_SEARCHES = 2000
_STEP = 1 << 16


class Patch(NamedTuple):
    """Old bytes: ranges of the new file as (old offset, new offset, length), and what is between.

    `size` is the old file's.
    """

    size: int
    copies: tuple[tuple[int, int, int], ...]
    literal: bytes

    @classmethod
    def between(cls, old: bytes, new: bytes) -> Patch:
        """The patch that leads from `new` back to `old`."""
        copies: list[tuple[int, int, int]] = []
        literal = bytearray()
        at, shift, searches, mark = 0, 0, 0, 0
        while at < len(old):
            block = old[at : at + _BLOCK]
            shifts = (shift, len(new) - len(old))
            places = [at + s for s in shifts if at + s >= 0]
            place = next((p for p in places if new[p : p + len(block)] == block), -1)
            if place < 0 and len(block) == _BLOCK and searches < _MOST_SEARCHES:
                searches += 1
                place = new.find(block)
            if place < 0:
                literal += block
                at += len(block)
                continue
            before = _same_before(literal[mark:], new[max(place - _BLOCK, 0) : place])
            if before:
                del literal[-before:]
            length = before + _same(old, at, new, place)
            copies.append((at - before, place - before, length))
            mark = len(literal)
            at, shift = at - before + length, place - at
        return cls(len(old), tuple(copies), bytes(literal))

    def apply(self, new: bytes) -> bytes:
        """The old bytes.

        Raises:
            ValueError: the patch is not of this file.
        """
        old, taken = bytearray(), 0
        for old_at, new_at, length in (*self.copies, (self.size, 0, 0)):
            gap = old_at - len(old)
            if gap < 0 or taken + gap > len(self.literal) or new_at + length > len(new):
                raise ValueError("the patch does not fit the file")
            old += self.literal[taken : taken + gap]
            old += new[new_at : new_at + length]
            taken += gap
        return bytes(old)

    def to_json(self) -> dict[str, Any]:
        """As a field of a line."""
        packed = base64.b64encode(zlib.compress(self.literal, 6)).decode()
        return {"size": self.size, "copies": self.copies, "literal_zlib": packed}

    @classmethod
    def from_json(cls, field: dict[str, Any]) -> Patch:
        """From a field of a line.

        Raises:
            KeyError, TypeError, ValueError, zlib.error: somebody changed it.
        """
        literal = zlib.decompress(base64.b64decode(field["literal_zlib"]))
        copies = tuple((int(old), int(new), int(length)) for old, new, length in field["copies"])
        return cls(int(field["size"]), copies, literal)


def _same(old: bytes, at: int, new: bytes, place: int) -> int:
    """How many bytes are alike from two positions on."""
    length = 0
    while True:
        one, other = (
            data[start + length : start + length + _STEP]
            for data, start in ((old, at), (new, place))
        )
        if one != other or not one:
            return length + _prefix(one, other)
        length += len(one)


def _same_before(literal: bytearray, new: bytes) -> int:
    """How many of the last bytes that were taken for new ones stand before the match, too."""
    one, other = bytes(literal[-_BLOCK:])[::-1], new[-_BLOCK:][::-1]
    return _prefix(one, other)


def _prefix(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
