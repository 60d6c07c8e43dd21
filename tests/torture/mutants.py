"""Photos broken in every way that was thought of: mutant number n is the same in every run.

mutant(n)        healthy photo n mod 43, damaged by a random one of `DAMAGES`
healthy.py       what is damaged
monsters.py      extremes made by hand: bombs, loops, huge metadata, polyglots
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS, RAW_EXTENSIONS
from tests.images import png_chunk
from tests.torture.healthy import healthy

_PNG_MAGIC = 8
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF)
_EXTREMES += (0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 60_000, 178_956_971)
_OTHER_NAMES = tuple(sorted(PHOTO_EXTENSIONS - RAW_EXTENSIONS))
_RAW_NAMES = (".dng", ".nef", ".cr2", ".raf")


@dataclass(frozen=True)
class Mutant:
    """A damaged file: from which healthy one, by which damage, under which file name."""

    number: int
    origin: str
    damage: str
    name: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.number} ({self.origin}, {self.damage}, {self.name})"


def mutant(number: int) -> Mutant:
    """The mutant of this number."""
    rng = random.Random(number)
    origins = list(healthy().items())
    origin, data = origins[number % len(origins)]
    damage = rng.choice(list(DAMAGES))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = DAMAGES[damage](rng, data) or b"\0"
    if data == healthy()[origin]:
        data = flip_anywhere(rng, data)
    extension = "." + origin.partition("/")[0]
    if rng.random() < 0.15:
        extension = rng.choice((*_OTHER_NAMES, *_RAW_NAMES))
        damage += " and another extension"
    return Mutant(number, origin, damage, f"{number:05d}{extension}", data)


def flip_anywhere(rng: random.Random, data: bytes) -> bytes:
    """One to 32 bits."""
    return _flipped(rng, data, len(data), rng.choice((1, 2, 8, 32)))


def flip_at_the_start(rng: random.Random, data: bytes) -> bytes:
    """Bits of the first 256 bytes, where headers are."""
    return _flipped(rng, data, min(256, len(data)), rng.choice((1, 2, 4)))


def cut_off(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def cut_out(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def duplicate(rng: random.Random, data: bytes) -> bytes:
    """A stretch of it once more, somewhere."""
    start, end = _span(rng, data)
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[start:end] + data[at:]


def splice(rng: random.Random, data: bytes) -> bytes:
    """The start of this photo and the end of another."""
    other = rng.choice(list(healthy().values()))
    return data[: rng.randrange(1, len(data) + 1)] + other[rng.randrange(len(other)) :]


def zero(rng: random.Random, data: bytes) -> bytes:
    """A hole, as a file system leaves it after a power failure."""
    start, end = _span(rng, data)
    return data[:start] + bytes(end - start) + data[end:]


def extreme_number(rng: random.Random, data: bytes) -> bytes:
    """A number of 1, 2 or 4 bytes among the first 1,024 becomes an extreme one."""
    form = rng.choice(("B", "<H", ">H", "<I", ">I"))
    at = rng.randrange(min(1024, len(data)))
    return _patched(data, at, form, rng.choice(_EXTREMES))


def extreme_field(rng: random.Random, data: bytes) -> bytes:
    """A length, count or dimension that its format has becomes an extreme one."""
    places = fields(data)
    if not places:
        return extreme_number(rng, data)
    at, form = rng.choice(places)
    return _refit(_patched(data, at, form, rng.choice(_EXTREMES)))


def repeat_chunk(rng: random.Random, data: bytes) -> bytes:
    """A whole chunk, segment or box twice, or fifty times."""
    found = chunks(data)
    if not found:
        return duplicate(rng, data)
    start, end = rng.choice(found)
    return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]


def drop_chunk(rng: random.Random, data: bytes) -> bytes:
    found = chunks(data)
    if not found:
        return cut_out(rng, data)
    start, end = rng.choice(found)
    return data[:start] + data[end:]


def swap_chunks(rng: random.Random, data: bytes) -> bytes:
    found = chunks(data)
    if len(found) < 2:
        return splice(rng, data)
    (a, b), (c, d) = sorted(rng.sample(found, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def damage_in_a_valid_chunk(rng: random.Random, data: bytes) -> bytes:
    """Bits inside a PNG chunk whose checksum is right again: the decoder believes them."""
    return _refit(flip_anywhere(rng, data))


def append_garbage(rng: random.Random, data: bytes) -> bytes:
    return data + rng.choice((rng.randbytes(3000), bytes(5000), data, b"\xff" * 100))


def also_an_archive(rng: random.Random, data: bytes) -> bytes:
    """A photo that is a ZIP too: archives are read from their end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>" * 20)
    return data + buffer.getvalue()


def garbage_ahead(rng: random.Random, data: bytes) -> bytes:
    """What mail programs and scripts put before a file."""
    head = rng.choice((b"\xef\xbb\xbf", b"\r\n", b"%PDF-1.4\n", b"<html>", rng.randbytes(16)))
    return head + data


def line_ends(rng: random.Random, data: bytes) -> bytes:
    """A transfer in text mode."""
    return data.replace(b"\n", b"\r\n") if rng.random() < 0.5 else data.replace(b"\r\n", b"\n")


DAMAGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    damage.__name__.replace("_", " "): damage
    for damage in (
        flip_anywhere, flip_at_the_start, cut_off, cut_out, duplicate, splice, zero,
        extreme_number, extreme_field, repeat_chunk, drop_chunk, swap_chunks,
        damage_in_a_valid_chunk, append_garbage, also_an_archive, garbage_ahead, line_ends,
    )
}  # fmt: skip


def chunks(data: bytes) -> list[tuple[int, int]]:
    """Where the format's own parts begin and end: PNG chunks, JPEG segments, boxes, RIFF."""
    if data.startswith(b"\x89PNG"):
        return _walk(data, _PNG_MAGIC, ">I", length_at=0, more=12)
    if data.startswith(b"\xff\xd8"):
        return _walk(data, 2, ">H", length_at=2, more=2)
    if data[4:8] == b"ftyp":
        return _walk(data, 0, ">I", length_at=0, more=0)
    if data.startswith(b"RIFF"):
        return _walk(data, 12, "<I", length_at=4, more=8)
    return []


def fields(data: bytes) -> list[tuple[int, str]]:
    """Offset and form of lengths, counts and dimensions."""
    if data[:4] in {b"II*\0", b"MM\0*"}:
        return _tiff_fields(data)
    if data.startswith(b"GIF"):
        return [(at, "<H") for at in (6, 8)] + [(10, "B")]
    if data.startswith(b"BM"):
        return [(2, "<I"), (10, "<I"), (14, "<I"), (18, "<I"), (22, "<I"), (28, "<H"), (46, "<I")]
    return _lengths(data) + _dimensions(data)


def _lengths(data: bytes) -> list[tuple[int, str]]:
    at, form = {b"\x89P": (0, ">I"), b"\xff\xd8": (2, ">H"), b"RI": (4, "<I")}.get(
        data[:2], (0, ">I")
    )
    return [(start + at, form) for start, _ in chunks(data)]


def _dimensions(data: bytes) -> list[tuple[int, str]]:
    """PNG's IHDR, JPEG's frame header, and `ispe` boxes of HEIF and AVIF."""
    if data.startswith(b"\x89PNG"):
        return [(16, ">I"), (20, ">I"), (24, "B"), (25, "B")] * 2
    if data.startswith(b"\xff\xd8"):
        frames = [s for s, _ in chunks(data) if data[s + 1 : s + 2] in {b"\xc0", b"\xc2"}]
        return [(s + at, form) for s in frames for at, form in ((5, ">H"), (7, ">H"), (9, "B"))]
    boxes = [
        at for name in (b"ispe", b"iloc", b"ipma", b"iref", b"grid") if (at := data.find(name)) > 0
    ]
    return [(at + more, ">I") for at in boxes for more in (-4, 8, 12) if at + more + 4 <= len(data)]


def _tiff_fields(data: bytes) -> list[tuple[int, str]]:
    """The count of entries of the first directory; type, count and value of each."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return [(4, order + "I")]
    (entries,) = struct.unpack_from(order + "H", data, start)
    places = [(4, order + "I"), (start, order + "H")]
    for entry in range(min(entries, 60)):
        at = start + 2 + 12 * entry
        places += [(at + 2, order + "H"), (at + 4, order + "I"), (at + 8, order + "I")]
    return [(at, form) for at, form in places if at + 4 <= len(data)]


def _walk(data: bytes, at: int, form: str, *, length_at: int, more: int) -> list[tuple[int, int]]:
    found = []
    while at + length_at + struct.calcsize(form) <= len(data) and len(found) < 500:
        (length,) = struct.unpack_from(form, data, at + length_at)
        end = at + length + more
        if not at + 2 < end <= len(data):
            break
        found.append((at, end))
        at = end
    return found


def _refit(data: bytes) -> bytes:
    """A PNG with the right checksum for every chunk; other files as they are."""
    if not data.startswith(b"\x89PNG"):
        return data
    found = chunks(data)
    parts = [data[start:end] for start, end in found]
    rest = data[found[-1][1] :] if found else data[_PNG_MAGIC:]
    return data[:_PNG_MAGIC] + b"".join(png_chunk(p[4:8], p[8:-4]) for p in parts) + rest


def _flipped(rng: random.Random, data: bytes, within: int, count: int) -> bytes:
    damaged = bytearray(data)
    for _ in range(count):
        damaged[rng.randrange(within)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 4, 16, 100, 1000)))


def _patched(data: bytes, at: int, form: str, value: int) -> bytes:
    size = struct.calcsize(form)
    damaged = bytearray(data.ljust(at + size, b"\0"))
    struct.pack_into(form, damaged, at, value & (1 << 8 * size) - 1)
    return bytes(damaged)
