"""Which files are photos by their name, and which format their first bytes announce."""

from __future__ import annotations


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


RAW_EXTENSIONS = _suffixes(
    "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 "
    "srf srw x3f"
)
"""Camera RAW: lower case, with the dot. Needs the `raw` extra."""

PHOTO_EXTENSIONS = RAW_EXTENSIONS | _suffixes(
    "jpg jpeg jpe jfif jif mpo png apng webp tif tiff gif bmp dib heic heics heif heifs hif avif "
    "avifs jxl jp2 j2k jpf jpx j2c jpc"
)
"""All that counts as a photo: lower case, with the dot. The bytes decide how it is decoded."""

VIDEO_EXTENSIONS = _suffixes(
    "3g2 3gp asf avi flv insv m2ts m4v mkv mod mov mp4 mpe mpeg mpg mts mxf ogv qt tod ts vob webm "
    "wmv"
)
"""Videos: counted and skipped, never opened."""

PILLOW_FORMATS = (
    "JPEG", "PNG", "HEIF", "WEBP", "TIFF", "GIF", "AVIF", "JXL", "JPEG2000", "BMP", "DIB",
)  # fmt: skip
"""Decoders that may see a file, likeliest first. "JPEG" covers MPO; EPS would run Ghostscript."""

SNIFF_BYTES = 32
"""How many bytes `sniff` looks at."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"BM", "BMP"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def sniff(head: bytes) -> str | None:
    """The format that the first `SNIFF_BYTES` bytes announce, in Pillow's words, or None.

    RAW files mostly announce themselves as TIFF; CR3 and RAF announce nothing known here.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _sniff_brands({head[8:12], head[16:20], head[20:24], head[24:28]})
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _sniff_brands(brands: set[bytes]) -> str | None:
    """ISO media files name a major brand and compatible ones; AVIF often hides behind mif1."""
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None
