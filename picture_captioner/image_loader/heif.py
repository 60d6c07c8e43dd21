"""Whether a HEIF file is all there, without decoding it."""

from __future__ import annotations

_HEADER, _LONG_HEADER = 8, 16


def is_whole(data: bytes) -> bool:
    """Do the boxes fill the file to its last byte? Cut off files are not, nor those that may be.

    A box begins with its size in 4 bytes and its type in 4; size 1 means that 8 bytes with the
    size follow, size 0 that the box lasts to the end, wherever that is (ISO/IEC 14496-12, 4.2).
    """
    start = 0
    while len(data) - start >= _HEADER:
        size, least = int.from_bytes(data[start : start + 4]), _HEADER
        if size == 1:
            size, least = int.from_bytes(data[start + 8 : start + 16]), _LONG_HEADER
        if size < least:
            return False
        start += size
    return start == len(data)
