"""Which photos look alike, so that a search shows one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from picture_captioner.image_loader.images import Structure, detail_of, same_details

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NEAR_BITS = 5
_FLAT_BITS = 6
_ALL_BITS = (1 << 64) - 1
"""Hashes this close are the same motif; ones of (almost) one kind say nothing. The report looks
further, up to 10 bits, at every photo's thumbnail: a search would take a minute for it."""


class Looks:
    """Perceptual hashes that were seen, found again by one of six parts that is equal.

    Where thumbnails are known they have the last word: portraits, and letters, have one layout.
    """

    def __init__(self, structure: Callable[[bytes], Structure | None]) -> None:
        self._structure = structure
        self._detail = cache(self._detail_of)
        self._contents: set[bytes] = set()
        self._parts: dict[tuple[int, int], list[tuple[int, bytes | None]]] = {}

    def known(self, content: bytes | None, bits: int | None) -> bool:
        """Whether this photo looks like one before it; it is remembered if not."""
        if content is not None and content in self._contents:
            return True
        if content is not None:
            self._contents.add(content)
        if bits is None:
            return False
        bits &= _ALL_BITS
        if not _FLAT_BITS < bits.bit_count() < 64 - _FLAT_BITS:
            return False
        # Of hashes that differ in 5 bits at most, one of 6 parts is equal.
        parts = [(place, bits >> place & 0x7FF) for place in range(0, 64, 11)]
        near = (known for part in parts for known in self._parts.get(part, ()))
        if any(
            (known ^ bits).bit_count() <= _NEAR_BITS and self._resemble(content, other)
            for known, other in near
        ):
            return True
        for part in parts:
            self._parts.setdefault(part, []).append((bits, content))
        return False

    def _resemble(self, content: bytes | None, other: bytes | None) -> bool:
        a = self._detail(content) if content is not None else None
        b = self._detail(other) if other is not None else None
        return a is None or b is None or bool(same_details(a, b)[0])

    def _detail_of(self, content: bytes) -> NDArray[np.int8] | None:
        structure = self._structure(content)
        return detail_of(structure)[None] if structure is not None else None
