"""A photo's file taken apart: the XMP packet in it, and a hash of all that must never change.

Before a file is replaced by one with other metadata, both are taken apart here: the coded picture,
colour profiles, EXIF with maker notes, second pictures and whatever phones append must be the same
bytes. Nothing is decoded, and nothing is trusted further than the bytes that are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from picture_captioner.image_loader.tiff import directories as tiff_directories
from picture_captioner.metadata.boxes import boxes, find, items

_JPEG_XMP, _JPEG_MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/"
_JPEG_EXIF = b"Exif\0\0"
_SOS, _STANDALONE = 0xDA, {0x01, *range(0xD0, 0xD9)}
_PNG, _PNG_XMP = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp\0"
_TIFF_XMP, _TIFF_TEXT = 700, 270
_HEIF_BRANDS = {b"heic", b"heix", b"mif1", b"heim", b"heis", b"avif", b"msf1", b"hevc"}


class ContainerError(ValueError):
    """The file is of a kind that cannot be taken apart here, or makes no sense."""


class Parts(NamedTuple):
    """What a file is made of: XMP, EXIF as it stands there, and a hash of all the rest."""

    xmp: bytes | None
    exif: tuple[bytes, ...]
    rest: str


class _Pieces(NamedTuple):
    xmp: list[bytes]
    exif: list[bytes]
    rest: list[bytes]


def take_apart(data: bytes) -> Parts:
    """The parts of a JPEG, PNG, WebP, TIFF, DNG, HEIC or AVIF.

    Raises:
        ContainerError: it is none, it is damaged, or its XMP does not stand in one piece.
    """
    pieces = _Pieces([], [], [])
    try:
        _reader(data)(data, pieces)
    except IndexError:
        raise ContainerError("it ends too early") from None
    if len(pieces.xmp) > 1:
        raise ContainerError("it has several XMP packets")
    if not pieces.rest:
        raise ContainerError("there is no picture in it")
    return Parts(pieces.xmp[0] if pieces.xmp else None, tuple(pieces.exif), _hash(pieces.rest))


def _hash(pieces: list[bytes]) -> str:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(len(piece).to_bytes(8))
        whole.update(piece)
    return whole.hexdigest()


def _reader(data: bytes) -> Callable[[bytes, _Pieces], None]:
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if data.startswith(_PNG):
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return _heif
    if data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return _tiff
    raise ContainerError("it is no JPEG, PNG, WebP, TIFF, DNG, HEIC or AVIF")


def _jpeg(data: bytes, pieces: _Pieces) -> None:
    """Segments up to the first scan; all from there on, second pictures and trailers too."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ContainerError("its segments make no sense")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == _SOS:
            break
        end = at + 2 + (0 if marker in _STANDALONE else int.from_bytes(data[at + 2 : at + 4]))
        if end > len(data) or end < at + 2:
            raise ContainerError("it ends too early")
        segment = data[at:end]
        if marker == 0xE1 and segment[4:].startswith(_JPEG_XMP):
            pieces.xmp.append(segment[4 + len(_JPEG_XMP) :])
        elif marker == 0xE1 and segment[4:].startswith(_JPEG_MORE_XMP):
            raise ContainerError("its XMP is spread over several segments")
        elif marker == 0xE1 and segment[4:].startswith(_JPEG_EXIF):
            pieces.exif.append(segment)
        else:
            pieces.rest.append(segment)
        at = end
    pieces.rest.append(data[at:])


def _png(data: bytes, pieces: _Pieces) -> None:
    at = len(_PNG)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : end - 4]
        if end > len(data):
            raise ContainerError("it ends too early")
        if kind == b"iTXt" and body.startswith(_PNG_XMP):
            if body[len(_PNG_XMP)]:
                raise ContainerError("its XMP is compressed")
            # After two flags: language and translated keyword, each ended by a zero.
            pieces.xmp.append(body[len(_PNG_XMP) + 2 :].split(b"\0", 2)[2])
        elif kind == b"eXIf":
            pieces.exif.append(body)
        else:
            pieces.rest.append(data[at:end])
        at = end
        if kind == b"IEND":
            break
    if data[at:]:
        pieces.rest.append(data[at:])


def _webp(data: bytes, pieces: _Pieces) -> None:
    at, limit = 12, 8 + int.from_bytes(data[4:8], "little")
    if limit > len(data):
        raise ContainerError("it ends too early")
    while at + 8 <= limit:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        kind, body = data[at : at + 4], data[at + 8 : at + 8 + size]
        if kind == b"XMP ":
            pieces.xmp.append(body)
        elif kind == b"EXIF":
            pieces.exif.append(body)
        elif kind != b"VP8X":  # it says which of the others there are
            pieces.rest.append(kind + body)
        at += 8 + size + size % 2
    if data[limit:]:
        pieces.rest.append(data[limit:])


def _tiff(data: bytes, pieces: _Pieces) -> None:
    """The strips and tiles of every picture; offsets change, what they point to must not."""
    for number, directory in enumerate(tiff_directories(data)):
        pieces.rest.extend(data[start:end] for start, end in directory.pieces())
        for tag in sorted(directory.fields.keys() - _MOVES):
            field = directory.fields[tag]
            value = data[field.start : field.end]
            if tag == _TIFF_XMP and number == 0:
                pieces.xmp.append(value)
            elif tag == _TIFF_TEXT:
                pieces.exif.append(value)
            else:
                pieces.rest.append(tag.to_bytes(4) + value)


_MOVES = {273, 288, 324, 330, 513, 34665, 34853, 40965, 37500, 50740}
"""Fields of a TIFF that are offsets, or hold some: they change with the length of what is before.
What strips and tiles hold is compared; of maker notes their bytes may hold offsets, too."""


def _heif(data: bytes, pieces: _Pieces) -> None:
    """The bytes of each item but EXIF and XMP, and all properties."""
    for item in items(data):
        whole = b"".join(data[part.start : part.end] for part in item.extents)
        if item.kind == b"Exif":
            pieces.exif.append(whole)
        elif item.kind == b"mime" and item.content_type == b"application/rdf+xml":
            pieces.xmp.append(whole)
        else:
            pieces.rest.append(item.kind + item.content_type + whole)
    meta = find(data, b"meta")
    if meta is not None:
        for box in boxes(data, meta.body + 4, meta.end):
            if box.kind in {b"pitm", b"iprp", b"idat", b"grpl"}:
                pieces.rest.append(data[box.start : box.end])
    for box in boxes(data):
        if box.kind not in {b"ftyp", b"meta", b"mdat", b"free"}:
            pieces.rest.append(data[box.start : min(box.end, len(data))])
