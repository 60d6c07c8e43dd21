"""Pictures for tests, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random

import pillow_heif
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

pillow_heif.register_heif_opener()  # whichever test comes first in its process

ORIENTATION = 0x0112


def gradient(width: int = 120, height: int = 80) -> Image.Image:
    """An RGB picture that looks different in each of the eight orientations, and smooth."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 60)))


def noise(width: int, height: int) -> Image.Image:
    """An RGB picture that compresses badly, as photos do."""
    return Image.merge("RGB", [Image.effect_noise((width, height), 60) for _ in "RGB"])


def letter(seed: int) -> Image.Image:
    """A page with the head that all letters of the house have, and words of its own."""
    random = Random(seed)
    page = Image.new("L", (620, 877), 248)
    drawing = ImageDraw.Draw(page)
    drawing.rectangle((40, 30, 240, 90), fill=60)
    for line in range(140, 840, 24):
        start = 40
        while start < 480:
            end = start + random.randrange(20, 90)
            drawing.rectangle((start, line, end, line + 11), fill=200)
            start = end + 8 if random.random() < 0.9 else 600
    return page.convert("RGB")


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    if image_format == "JXL":
        import numpy as np
        import pylibjxl

        return pylibjxl.encode(np.array(image), **options)
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def write(path: Path, image: Image.Image, image_format: str, **options: object) -> Path:
    path.write_bytes(encoded(image, image_format, **options))
    return path


def faulty_png(fault: str, keyword: str = "fault") -> bytes:
    """A PNG that tests/faults/decoder/sitecustomize.py acts upon."""
    text = PngImagePlugin.PngInfo()
    text.add_text(keyword, fault)
    return encoded(gradient(), "PNG", pnginfo=text)


def png(
    size: tuple[int, int], rows: bytes, *, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG in RGB from unfiltered rows; `extra` are whole chunks ahead of the pixels."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + extra
    chunks += png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def exif(orientation: int, **texts: str) -> Image.Exif:
    """EXIF with an orientation, and texts by the name of their tag."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    for tag, text in {0x010E: texts.get("description"), 0x8298: texts.get("copyright")}.items():
        if text is not None:
            data[tag] = text
    return data


def p3_profile(name: str = "P3") -> bytes:
    """A Display P3 matrix profile of ICC version 2; `name` is the text in it."""
    columns = {
        b"rXYZ": (0.515121, 0.241196, -0.001053),
        b"gXYZ": (0.291977, 0.692245, 0.041885),
        b"bXYZ": (0.157104, 0.066574, 0.784073),
        b"wtpt": (0.964203, 1.0, 0.824905),
    }
    tags = {name: b"XYZ \0\0\0\0" + _fixed(*values) for name, values in columns.items()}
    gamma = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(2.2 * 256))
    tags |= {b"rTRC": gamma, b"gTRC": gamma, b"bTRC": gamma}
    text = name.encode() + b"\0"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79)
    tags[b"cprt"] = b"text\0\0\0\0" + text
    return _icc(b"RGB ", tags)


def gray_profile(gamma: float) -> bytes:
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(0.964203, 1.0, 0.824905),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256)),
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"gray\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    return _icc(b"GRAY", tags)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", space, b"XYZ "
    )
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(128 - 24 - 16)
    header = header[:68] + _fixed(0.964203, 1.0, 0.824905) + header[80:128]
    return header + struct.pack(">I", len(tags)) + table + body


def dng(preview: Image.Image | bytes | None, orientation: int = 1, side: int = 256) -> bytes:
    """A little-endian DNG: a gray-noise Bayer sensor of `side` pixels, and a JPEG preview.

    IFD0 is the preview (or, without one, the sensor picture itself), its SubIFD the sensor data.
    """
    sensor = [
        (254, 4, [0]),
        (256, 4, [side]),
        (257, 4, [side]),
        (258, 3, [16]),
        (259, 3, [1]),
        (262, 3, [32803]),
        (277, 3, [1]),
        (278, 4, [side]),
        (279, 4, [side * side * 2]),
        (33421, 3, [2, 2]),
        (33422, 1, [0, 1, 1, 2]),
        (50714, 4, [0]),
        (50717, 4, [65535]),
    ]
    camera = [
        (271, 2, b"Test\0"),
        (272, 2, b"Test One\0"),
        (274, 3, [orientation]),
        (50706, 1, [1, 4, 0, 0]),
        (50708, 2, b"Test One\0"),
        (50721, 10, [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]),
        (50728, 5, [(1, 1), (1, 1), (1, 1)]),
        (50778, 3, [21]),
    ]
    pixels = struct.pack(f"<{side * side}H", *(20000 + i % 7000 for i in range(side * side)))
    out = bytearray(b"II*\0\0\0\0\0")
    sensor.append((273, 4, [_append(out, pixels)]))
    if preview is None:
        first = _ifd(out, sensor + camera)
    else:
        jpeg = preview if isinstance(preview, bytes) else encoded(preview, "JPEG", quality=95)
        width, height = Image.open(io.BytesIO(jpeg)).size
        first = _ifd(
            out,
            [
                (254, 4, [1]),
                (256, 4, [width]),
                (257, 4, [height]),
                (258, 3, [8, 8, 8]),
                (259, 3, [7]),
                (262, 3, [6]),
                (273, 4, [_append(out, jpeg)]),
                (277, 3, [3]),
                (278, 4, [height]),
                (279, 4, [len(jpeg)]),
                (330, 4, [_ifd(out, sensor)]),
                *camera,
            ],
        )
    struct.pack_into("<I", out, 4, first)
    return bytes(out)


def dng_without_sensor_data() -> bytes:
    """A DNG whose directory is in order and points to sensor data that end too early."""
    data = bytearray(dng(None))
    strip_offsets = data.index(struct.pack("<HHI", 273, 4, 1))
    struct.pack_into("<I", data, strip_offsets + 8, len(data) - 100)
    return bytes(data)


def _append(out: bytearray, data: bytes) -> int:
    out += bytes(len(out) % 2)
    offset = len(out)
    out += data
    return offset


def _ifd(out: bytearray, entries: list) -> int:
    """Append a TIFF directory of (tag, type, values), types as in the TIFF 6.0 specification."""
    codes = {1: "B", 3: "H", 4: "I"}
    rows = b""
    for tag, kind, values in sorted(entries, key=lambda entry: entry[0]):
        if kind == 2:
            data = values
        elif kind in {5, 10}:
            data = b"".join(struct.pack("<ii", *pair) for pair in values)
        else:
            data = struct.pack(f"<{len(values)}{codes[kind]}", *values)
        inline = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", _append(out, data))
        rows += struct.pack("<HHI", tag, kind, len(values)) + inline
    return _append(out, struct.pack("<H", len(entries)) + rows + bytes(4))
