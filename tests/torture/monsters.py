"""Photos made by hand to be as bad as a format allows: bombs, loops, huge and nested metadata."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.images import encoded, png, png_chunk
from tests.torture.healthy import exif_block, healthy, picture

MIB = 1 << 20
_SOI = b"\xff\xd8"


def monsters(mib: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and maker of each; those of a size have `mib` MiB of it."""
    size = mib * MIB
    yield "zip bomb.png", lambda: bomb_png(13_000, 13_000)
    yield "bomb of one bit.png", lambda: bomb_png(13_377, 13_377, depth=1)
    yield "over the limit.png", lambda: bomb_png(60_000, 60_000)
    yield "widest.png", lambda: bomb_png(0x7FFFFFFF, 1)
    yield "frames.gif", lambda: gif_frames(30 * mib)
    yield "canvas.gif", lambda: absurd(healthy()["gif/still"], 6, "<HH", 65_535, 65_535)
    yield "canvas.bmp", lambda: absurd(healthy()["bmp/rgb"], 18, "<ii", 0x7FFFFFFF, -0x80000000)
    yield "canvas.jpg", lambda: jpeg_size(65_500, 65_500)
    yield "wide canvas.jpg", lambda: jpeg_size(65_500, 2_700)
    yield "wide canvas.tif", lambda: tiff_bomb(13_000, 13_000)
    yield "strips.tif", lambda: tiff_counts(273, 0x7FFFFFFF)
    yield "samples.tif", lambda: tiff_counts(277, 65_535)
    yield "own tail.tif", lambda: tiff_loop(healthy()["tiff/pages"])
    yield "exif loop.jpg", lambda: jpeg_with(1, exif_loop())
    yield "exif in exif.jpg", lambda: jpeg_with(1, exif_nested(2000))
    yield "exif of claims.jpg", lambda: jpeg_with(1, exif_claims())
    yield "exif times 500.jpg", lambda: jpeg_with(1, exif_block(), times=500)
    yield "comments.jpg", lambda: segments(0xFE, bytes(60_000), size // 60_000)
    yield "icc.jpg", lambda: icc_jpeg(size)
    yield (
        "xmp.jpg",
        lambda: segments(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + bytes(60_000), size // 60_000),
    )
    yield "icc.png", lambda: with_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(size)))
    yield "text.png", lambda: with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(size)))
    yield "texts.png", lambda: with_chunk(b"tEXt", b"k\0v", times=20_000)
    yield (
        "xmp.png",
        lambda: with_chunk(
            b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<a>" * (size // 3))
        ),
    )
    yield "exif.png", lambda: with_chunk(b"eXIf", b"II*\0\x08\0\0\0" + bytes(size))
    yield "icc.webp", lambda: encoded(picture(), "WEBP", icc_profile=bytes(size))
    yield "xmp.tif", lambda: encoded(picture(), "TIFF", tiffinfo={700: bytes(size)})
    yield "xmp.heic", lambda: encoded(picture(), "HEIF", xmp=b"<a>" * (size // 3))
    yield "boxes.heic", lambda: healthy()["heic/single"][:32] + b"\0\0\0\x08moov" * 200_000
    yield "box in box.heic", lambda: healthy()["heic/single"][:32] + nested_boxes(5000)
    yield "endless box.avif", lambda: healthy()["avif/single"][:32] + b"\0\0\0\1free" + b"\xff" * 64
    yield "archive.jpg", lambda: healthy()["jpg/baseline"] + b"PK\3\4" + bytes(size)
    yield "page.gif", lambda: b"GIF89a/*<html>*/=1;alert(1)//" + bytes(2000)
    yield "pdf.jpg", lambda: b"%PDF-1.4\n" + healthy()["jpg/baseline"]
    yield "script.bmp", lambda: b"BM/*" + bytes(1000) + b"*/=1;alert(1)"
    yield "elf.png", lambda: b"\x7fELF" + healthy()["png/RGB"]
    yield "postscript.jpg", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n"
    yield (
        "vector.png",
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
    )
    yield "noise.nef", lambda: b"II*\0" + random.Random(1).randbytes(100_000)
    yield "bomb.dng", lambda: absurd_dng()


def bomb_png(width: int, height: int, depth: int = 8) -> bytes:
    """A gray PNG of zeros; past 200 megapixels without them."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = bytes((width * depth + 7) // 8 + 1) if width * height < 200_000_000 else b""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(rows) for _ in range(height if rows else 0)) + packer.flush()
    parts = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def with_chunk(kind: bytes, body: bytes, times: int = 1) -> bytes:
    return png((2, 2), bytes(14), extra=png_chunk(kind, body) * times)


def gif_frames(count: int) -> bytes:
    data = healthy()["gif/animated"]
    frame = data.index(b"\x21\xf9")
    return data[:frame] + data[frame:-1] * count + b";"


def absurd(data: bytes, at: int, form: str, *values: int) -> bytes:
    damaged = bytearray(data)
    struct.pack_into(form, damaged, at, *values)
    return bytes(damaged)


def jpeg_size(width: int, height: int) -> bytes:
    data = healthy()["jpg/baseline"]
    return absurd(data, data.index(b"\xff\xc0") + 5, ">HH", height, width)


def segments(marker: int, body: bytes, times: int) -> bytes:
    """A JPEG with the same segment over and over."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
    return _SOI + segment * times + encoded(picture(), "JPEG")[2:]


def jpeg_with(number: int, exif: bytes, times: int = 1) -> bytes:
    return segments(0xE0 + number, exif[:65_000], times)


def icc_jpeg(size: int) -> bytes:
    """A profile in 255 pieces, each announced as one of 255, as often as it takes."""
    body = b"ICC_PROFILE\0" + bytes([1, 255]) + bytes(65_000)
    return segments(0xE2, body, size // 65_000)


def exif_loop() -> bytes:
    """Exif, GPS and the next directory all point back to the first one."""
    rows = [(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8), (0x014A, 4, 1, 8)]
    directory = struct.pack("<H", len(rows)) + b"".join(struct.pack("<HHII", *r) for r in rows)
    return b"Exif\0\0II*\0\x08\0\0\0" + directory + struct.pack("<I", 8)


def exif_nested(depth: int) -> bytes:
    out = b"Exif\0\0II*\0\x08\0\0\0"
    for level in range(depth):
        at = 8 + 18 * (level + 1)
        out += struct.pack("<HHHII", 1, 0x8769, 4, 1, at) + struct.pack("<I", at)
    return out


def exif_claims() -> bytes:
    """5,000 entries that each claim the whole block as their value."""
    rows = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(1, 5001))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + rows + bytes(4)


def tiff_bomb(width: int, height: int) -> bytes:
    return encoded(Image.new("L", (width, height)), "TIFF", compression="tiff_adobe_deflate")


def tiff_counts(tag: int, count: int) -> bytes:
    """A TIFF one of whose fields has an absurd count or value."""
    data = healthy()["tif/raw"]
    row = data.index(struct.pack("<HH", tag, 3 if tag == 277 else 4))
    return absurd(data, row + (8 if tag == 277 else 4), "<I", count)


def tiff_loop(data: bytes) -> bytes:
    """Pages of which the last is followed by the first."""
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    return absurd(data, first + 2 + 12 * entries, "<I", first)


def nested_boxes(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = struct.pack(">I", len(inner) + 8) + b"dinf" + inner
    return struct.pack(">I", len(inner) + 12) + b"meta" + bytes(4) + inner


def absurd_dng() -> bytes:
    data = healthy()["dng/sensor"]
    row = data.index(struct.pack("<HHI", 256, 4, 1))
    return absurd(absurd(data, row + 8, "<I", 60_000), row + 20, "<I", 60_000)
