"""A HEIC made of tiles, as phones write it: Pillow's encoder writes single pictures only.

The boxes are those of ISO/IEC 14496-12 and 23008-12: four HEVC pictures, and a `grid` item that
says how they lie beside each other.
"""

from __future__ import annotations

import struct


def heic_grid(tile: bytes, side: int, columns: int = 2, rows: int = 2) -> bytes:
    """A HEIC that repeats one tile, which is a HEIC of `side` by `side` pixels."""
    tiles = columns * rows
    hvcc, coded = _coded(tile)
    width, height = columns * side, rows * side
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    kinds = [b"grid", *[b"hvc1"] * tiles]
    items = b"".join(
        _full(b"infe", 2, 0, struct.pack(">HH", n, 0) + kind + b"\0")
        for n, kind in enumerate(kinds, 1)
    )
    tile_ids = range(2, tiles + 2)
    reference = _box(b"dimg", struct.pack(">HH", 1, tiles) + struct.pack(f">{tiles}H", *tile_ids))
    properties = _box(b"ipco", hvcc + _ispe(side, side) + _ispe(width, height))
    uses = struct.pack(">I", tiles + 1) + struct.pack(">HBB", 1, 1, 0x83)
    uses += b"".join(struct.pack(">HBBB", n, 2, 0x81, 0x82) for n in tile_ids)
    ftyp = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(start: int) -> bytes:
        places = [(start, len(grid))]
        places += [(start + len(grid) + i * len(coded), len(coded)) for i in range(tiles)]
        located = struct.pack(">BBH", 0x44, 0, len(places))
        located += b"".join(
            struct.pack(">HHHII", n, 0, 1, *place) for n, place in enumerate(places, 1)
        )
        return _full(
            b"meta", 0, 0,
            _full(b"hdlr", 0, 0, bytes(4) + b"pict" + bytes(13))
            + _full(b"pitm", 0, 0, struct.pack(">H", 1))
            + _full(b"iinf", 0, 0, struct.pack(">H", len(kinds)) + items)
            + _full(b"iloc", 0, 0, located)
            + _full(b"iref", 0, 0, reference)
            + _box(b"iprp", properties + _full(b"ipma", 0, 0, uses)),
        )  # fmt: skip

    head = ftyp + meta(len(ftyp) + len(meta(0)) + 8)
    return head + _box(b"mdat", grid + coded * tiles)


def _coded(heic: bytes) -> tuple[bytes, bytes]:
    """The decoder's configuration box of a single picture, and its coded data."""
    at = heic.index(b"hvcC") - 4
    hvcc = heic[at : at + int.from_bytes(heic[at : at + 4], "big")]
    body = heic.index(b"mdat") + 4
    return hvcc, heic[body : body - 8 + int.from_bytes(heic[body - 8 : body - 4], "big")]


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, version: int, flags: int, body: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + body)


def _ispe(width: int, height: int) -> bytes:
    return _full(b"ispe", 0, 0, struct.pack(">II", width, height))
