"""`load_image`, `examine_image` and `read_header`: what the rest of the program asks of a photo."""

from __future__ import annotations

import io
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import IO

from picture_captioner.errors import CorruptImageError
from picture_captioner.image_loader.decoding import Decoded, probe
from picture_captioner.image_loader.formats import RAW_EXTENSIONS, SNIFF_BYTES, sniff
from picture_captioner.image_loader.images import (
    CLEAN_EDGE,
    MEASURED_EDGE,
    ExaminedImage,
    ImageHeader,
    LoadedImage,
    Traits,
    clean_jpeg,
    perceptual_hash,
    sharpness,
    thumbnail,
)
from picture_captioner.image_loader.raw import decode_raw, probe_raw
from picture_captioner.image_loader.reading import (
    FileContent,
    OpenedPhoto,
    open_photo,
    read_file,
    reading_errors,
)
from picture_captioner.image_loader.resizing import reduced
from picture_captioner.image_loader.truncated import decode_all_or
from picture_captioner.metadata.claims import Metadata

_HEIF_HEAD_BYTES = 1 << 18
"""HEIF states its size in a box ahead of the pixels: the first 256 KiB held it in every file
tried (32 KB sufficed for a 12-megapixel iPhone photo), of 1 to 4 MB that would be read."""


def load_image(
    path: Path | OpenedPhoto,
    edge: int,
    known: Container[str] = frozenset(),
    *,
    allow_reduced: bool = False,
    accept_truncated: bool = False,
) -> LoadedImage:
    """Read a photo once and decode it small and clean.

    Args:
        edge: the longer side of the result is at most this many pixels; never scaled up.
        known: SHA-256 hashes (hexadecimal) whose pixels are not needed. It is asked exactly
            once, when all bytes are read and before any is decoded.
        allow_reduced: a reduced copy inside the file (HEIF) may stand for the photo where it is
            large enough. Damage to the photo itself then stays unnoticed, save that it is cut off.
        accept_truncated: return what is left of a picture that ends too early. Possible with
            JPEG, PNG, GIF, BMP and uncompressed TIFF; other formats show nothing of such a file.

    Raises:
        CorruptImageError: or a subclass: the bytes cannot be turned into pixels.
        PhotoSkipped: no verdict: the file cannot be read, or its format needs an extra.
    """
    return load(
        path,
        edge,
        known,
        copy_edge=edge if allow_reduced else None,
        accept_truncated=accept_truncated,
    )[0]


def examine_image(
    path: Path | OpenedPhoto,
    edge: int | None,
    known: Container[str] = frozenset(),
    *,
    allow_reduced: bool = False,
    accept_truncated: bool = False,
    keep: bool = False,
) -> ExaminedImage:
    """Read and decode a photo once, for facts, thumbnail and pixels.

    Args:
        edge: as in `load_image`; None if no pixels are needed, `loaded.image` is then None.
        known, allow_reduced, accept_truncated: as in `load_image`. Of a picture that is reduced
            or truncated there are no `traits`: they would not be the photo's.
        keep: make a clean image to be kept, too.

    Raises:
        CorruptImageError, PhotoSkipped: as `load_image`.
    """
    loaded, metadata = load(
        path,
        max(edge or 0, CLEAN_EDGE if keep else MEASURED_EDGE),
        known,
        with_metadata=True,
        copy_edge=edge if allow_reduced else None,  # not one of the size to measure on
        accept_truncated=accept_truncated,
    )
    if loaded.image is None:
        return ExaminedImage(loaded, None)
    image = loaded.image
    wanted = None if edge is None else reduced(image, edge)
    if loaded.reduced or loaded.truncated:
        return ExaminedImage(replace(loaded, image=wanted), None)
    small = reduced(image, MEASURED_EDGE)  # once for both: most of what they take is reducing
    traits = Traits(
        metadata or Metadata(),
        sharpness(small),
        perceptual_hash(image),
        thumbnail(small),
        clean_jpeg(image) if keep and max(loaded.width, loaded.height) > CLEAN_EDGE else None,
    )
    return ExaminedImage(replace(loaded, image=wanted), traits)


def load(
    path: Path | OpenedPhoto,
    edge: int,
    known: Container[str],
    *,
    with_metadata: bool = False,
    copy_edge: int | None = None,
    accept_truncated: bool = False,
) -> tuple[LoadedImage, Metadata | None]:
    """`load_image`, and the photo's metadata if it is decoded and they are wanted.

    A reduced copy may stand for the photo if there is a `copy_edge`, the size that it must have.
    """
    if edge < 1:
        raise ValueError(f"edge must be at least 1 pixel, not {edge}")
    content = read_file(path)
    facts = (content.content_sha256, content.size, content.mtime_ns)
    if content.content_sha256 in known:
        return LoadedImage(None, *facts, 0, 0, ""), None
    if _is_raw(path, content.data):
        found = decode_raw(content.data, edge, with_metadata=with_metadata)
    else:
        found = decode_all_or(
            content.data,
            edge,
            with_metadata=with_metadata,
            copy_edge=copy_edge,
            accept_truncated=accept_truncated,
        )
    return _loaded(content, found), found.metadata


def read_header(path: Path | OpenedPhoto) -> ImageHeader:
    """A photo's size in pixels from its header, reading as little of the file as the format allows.

    AVIF, WebP and RAW files are read whole. Raises what `load_image` raises; a header that reads
    well does not prove that the pixels will decode.
    """
    with open_photo(path) as (file, status):
        head = file.read(SNIFF_BYTES)
        file.seek(0)
        width, height, image_format = _probe(file, head, path)
    return ImageHeader(width, height, image_format, status.st_size)


def _loaded(content: FileContent, found: Decoded) -> LoadedImage:
    return LoadedImage(
        found.image,
        content.content_sha256,
        content.size,
        content.mtime_ns,
        found.width,
        found.height,
        found.format,
        found.truncated,
        found.reduced,
    )


def _probe(file: IO[bytes], head: bytes, path: Path | OpenedPhoto) -> tuple[int, int, str]:
    if _is_raw(path, head):
        with reading_errors():
            data = file.read()
        return probe_raw(data)
    if sniff(head) != "HEIF":
        return probe(file, head)
    try:
        return probe(io.BytesIO(file.read(_HEIF_HEAD_BYTES)), head)
    except CorruptImageError:
        file.seek(0)
        return probe(file, head)


def _is_raw(path: Path | OpenedPhoto, head: bytes) -> bool:
    """The bytes decide, not the name, except that most RAW formats look like TIFF."""
    return path.suffix.lower() in RAW_EXTENSIONS and sniff(head[:SNIFF_BYTES]) in {None, "TIFF"}
