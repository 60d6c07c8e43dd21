"""From a file's bytes to a clean image, with no more decoding than the result needs.

A 12-megapixel JPEG decoded at half scale and shrunk takes a quarter of the time of a full decode;
JPEG can do that while decoding (`draft`), the other formats cannot.
"""

from __future__ import annotations

import io
from typing import IO, NamedTuple

import pillow_heif
from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    ImagePalette,
    Jpeg2KImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from picture_captioner.errors import CorruptImageError, ImageTooLargeError, UnknownFormatError
from picture_captioner.image_loader.colour import HLG, PQ, clean_rgb, resizable, to_sdr
from picture_captioner.image_loader.decode_errors import (
    DECODER_ERRORS,
    check_jpeg_memory,
    check_memory,
    decoder_errors,
)
from picture_captioner.image_loader.formats import PILLOW_FORMATS, SNIFF_BYTES, sniff
from picture_captioner.image_loader.jpeg import Pixels, decode_jpeg
from picture_captioner.image_loader.jxl import JxlImageFile
from picture_captioner.image_loader.resizing import fitting, resize
from picture_captioner.image_loader.tiff import (
    COLORMAP,
    MASK,
    MOST_DIRECTORIES,
    REDUCED,
    SUBFILE_TYPE,
    misread,
)
from picture_captioner.metadata.boxes import (
    clean_aperture,
    colour_codes,
    is_whole,
    jp2_blocks,
    largest_picture,
)
from picture_captioner.metadata.claims import Metadata, merged
from picture_captioner.metadata.exif import MAX_EXIF_BYTES, from_exif
from picture_captioner.metadata.iptc import from_iptc
from picture_captioner.metadata.xmp import from_xmp

# Importing the plugins registers them; Pillow would otherwise import all forty of its own.
_PLUGINS = (AvifImagePlugin, Jpeg2KImagePlugin, JxlImageFile, TiffImagePlugin, WebPImagePlugin)
pillow_heif.register_heif_opener()

# Several photos are decoded at once, each by one thread: memory stays predictable on machines
# with many cores, where every thread maps an arena and a stack.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pillow_heif.options.DECODE_THREADS = 1

# Pillow refuses a PNG with 1 MiB of text, as editors write it; memory is limited here anyway.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20

_MOST_AVIF_PIXELS, _LONGEST_AVIF_EDGE = 16384 * 16384, 32768
"""AVIF_DEFAULT_IMAGE_SIZE_LIMIT and AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT in avif.h."""

_TURNED_BY_DECODER = {"JXL"}
"""Formats whose pixels come out upright, whatever the EXIF in them says."""

_UPRIGHT_SIZE = {"HEIF", "TIFF"}
"""Formats whose plugin swaps width and height itself, before anything is decoded."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture with that EXIF orientation upright."""


class Decoded(NamedTuple):
    """A clean image, and the upright size in pixels and the format of what it was made from.

    `truncated`: the file ends too early, and the rest of the picture is one colour. `metadata` is
    None unless it was asked for: captioning a photo needs no look at it. `reduced`: a copy inside
    the file stood for the photo.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    metadata: Metadata | None = None
    truncated: bool = False
    reduced: bool = False


def decode(
    data: bytes,
    edge: int,
    *,
    orientation: int | None = None,
    with_metadata: bool = False,
    copy_edge: int | None = None,
) -> Decoded:
    """Decode the first frame to RGB, upright, its longer side at most `edge` pixels.

    Args:
        orientation: EXIF orientation for pictures that do not state one themselves.
        copy_edge: a copy inside the file, smaller but of that many pixels, may stand for the
            photo. The result is then no larger than these.

    Raises:
        CorruptImageError: or a subclass, for whatever the decoder makes of the bytes.
    """
    with decoder_errors(data), _open(io.BytesIO(data)) as source:
        full, pixels = _load(source, data, edge, copy_edge if is_whole(data) else None)
        reduced = source.format == "HEIF" and pixels.image.size != full
        size = fitting(*full, copy_edge if reduced and copy_edge else edge)
        small = resizable(pixels.image)
        small = small if small.size == size else resize(small, size, pixels.box)
        turn = _orientation(source, orientation)
        clean = turn_upright(_clean(small, source, data), turn)
        upright, form = _upright_size(source, full, turn), str(source.format)
        if with_metadata and isinstance(source, TiffImagePlugin.TiffImageFile) and source.tell():
            source.seek(0)  # a reduced copy before the photo has what is said of both
        metadata = written_in(source, data) if with_metadata else None
        return Decoded(clean, *upright, form, metadata, reduced=reduced)


def probe(file: IO[bytes], head: bytes) -> tuple[int, int, str]:
    """Upright width and height in pixels and the format, without decoding; errors as `decode`."""
    with decoder_errors(head), _open(file) as source:
        size = _upright_size(source, source.size, _orientation(source))
        return *size, str(source.format)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undo an EXIF orientation (1 to 8; anything else is taken for upright)."""
    turn = _TURNS.get(orientation)
    return image.transpose(turn) if turn is not None else image


def _open(file: IO[bytes]) -> ImageFile.ImageFile:
    try:
        image = Image.open(file, formats=PILLOW_FORMATS)
    except UnidentifiedImageError:
        _check_avif(file)
        raise
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _go_to_whole_page(image)
    if image.format not in {"JPEG", "MPO"}:  # how much a JPEG takes depends on its scale
        check_memory(image.size, str(image.format), image.mode)
    if min(image.size) < 1:
        raise CorruptImageError("the header states a picture without pixels")
    return image


def _go_to_whole_page(image: TiffImagePlugin.TiffImageFile) -> None:
    """Leave a first page that is a reduced copy of a later one; as `shown_directory` does."""
    if not _subfile_type(image) & REDUCED:
        return
    least = image.width
    for number in range(1, MOST_DIRECTORIES):
        try:
            image.seek(number)
        except EOFError:
            break
        except DECODER_ERRORS:  # a page that Pillow makes nothing of, such as a mask
            continue
        if not _subfile_type(image) & (REDUCED | MASK) and image.width > least:
            return
    image.seek(0)


def _subfile_type(image: TiffImagePlugin.TiffImageFile) -> int:
    kind = image.tag_v2.get(SUBFILE_TYPE)
    return kind if isinstance(kind, int) else 0


def _check_avif(file: IO[bytes]) -> None:
    """Raise `ImageTooLargeError` where libavif took nothing because of the picture's size."""
    file.seek(0)
    data = file.read()
    width, height = largest_picture(data) if sniff(data[:SNIFF_BYTES]) == "AVIF" else (0, 0)
    if width * height > _MOST_AVIF_PIXELS or max(width, height) > _LONGEST_AVIF_EDGE:
        raise ImageTooLargeError(
            f"{width}x{height} pixels; the decoder for AVIF takes {_MOST_AVIF_PIXELS:,} at most"
        )


def _cropped(image: Image.Image, data: bytes) -> Image.Image:
    """An AVIF as its owner cropped it, which Pillow's plugin does not look at."""
    if (shown := clean_aperture(data)) is None:
        return image
    width, height, across, down = shown
    left = round((image.width - width) / 2 + across)
    top = round((image.height - height) / 2 + down)
    box = (left, top, left + round(width), top + round(height))
    inside = 0 <= left < box[2] <= image.width and 0 <= top < box[3] <= image.height
    return image.crop(box) if inside else image


def _load(
    source: ImageFile.ImageFile, data: bytes, edge: int, copy_edge: int | None
) -> tuple[tuple[int, int], Pixels]:
    """Decode; a JPEG at 1/2, 1/4 or 1/8 where that covers the result.

    Returns the full size as it lies in the file, and the pixels.
    """
    full = source.size
    if source.format in {"JPEG", "MPO"}:
        wanted = fitting(*full, edge)
        check_jpeg_memory(full, wanted, progressive=bool(source.info.get("progressive")))
        if not ImageFile.LOAD_TRUNCATED_IMAGES:
            in_parts = bool(source.info.get("progressive"))
            if found := decode_jpeg(data, full, wanted, progressive=in_parts):
                return full, found
        drafted = source.draft(None, wanted)
        source.load()
        return full, Pixels(source, drafted[1] if drafted else None)
    if isinstance(source, Jpeg2KImagePlugin.Jpeg2KImageFile):
        source.reduce = _halvings(data, full, fitting(*full, edge))
        source.load()
        return full, Pixels(source, None)
    if isinstance(source, TiffImagePlugin.TiffImageFile):
        _mend_tiff(source, data)
    # pillow-heif takes only what has the photo's aspect ratio, crop, rotation and colours.
    reduced = (
        copy_edge and source.format == "HEIF" and source.draft(None, fitting(*full, copy_edge))
    )
    source.load()
    if source.format == "AVIF":
        shown = _cropped(source, data)
        return shown.size, Pixels(shown, None)
    # HEIF may correct its size while it decodes.
    return full if reduced else source.size, Pixels(source, None)


def _mend_tiff(source: TiffImagePlugin.TiffImageFile, data: bytes) -> None:
    """Refuse what Pillow would misread, and mend a colour map of 8-bit values in 16 bits: black."""
    if (kind := misread(data)) is not None:
        raise UnknownFormatError(f"unsupported kind of TIFF: {kind}")
    colours = source.tag_v2.get(COLORMAP, ()) if source.mode == "P" else ()
    if colours and max(colours) < 256:
        source.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _halvings(data: bytes, full: tuple[int, int], wanted: tuple[int, int]) -> int:
    """How often a JPEG 2000 may be halved while it is decoded; the file says how often at most."""
    coding_style = data.find(b"\xff\x52")  # marker, length, style, 4 of groups, then the levels
    levels = data[coding_style + 9] if 0 <= coding_style < len(data) - 9 else 0
    room = max(1, min(full[0] // wanted[0], full[1] // wanted[1]))
    return min(levels, room.bit_length() - 1, 5)


def _clean(small: Image.Image, source: Image.Image, data: bytes) -> Image.Image:
    if source.format in {"AVIF", "HEIF"}:
        primaries, transfer = colour_codes(data)
        if transfer in {PQ, HLG}:
            return clean_rgb(to_sdr(small, transfer, primaries), None)
    profile = source.info.get("icc_profile")
    return clean_rgb(small, profile if isinstance(profile, bytes) else None)


def _upright_size(source: Image.Image, size: tuple[int, int], turn: int) -> tuple[int, int]:
    lies_on_its_side = turn >= 5 and source.format not in _UPRIGHT_SIZE
    return (size[1], size[0]) if lies_on_its_side else size


def _orientation(source: Image.Image, default: int | None = None) -> int:
    """The EXIF orientation; malformed EXIF counts as none, since the picture may still be fine.

    Turning pixels by it is right after `load` only, which removes it from a TIFF that it turned.
    """
    if source.format in _TURNED_BY_DECODER:
        return 1
    try:
        # The PNG plugin's own getexif would decode the whole picture to look behind the pixels.
        value = Image.Image.getexif(source).get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        value = None
    return value if isinstance(value, int) and value in range(1, 9) else default or 1


_IPTC_RESOURCE, _TIFF_XMP, _TIFF_IPTC = 0x0404, 700, 33723


def written_in(source: Image.Image, data: bytes = b"") -> Metadata:
    """What is written in an open image of these bytes; whatever is malformed is unknown."""
    if isinstance(source, Jpeg2KImagePlugin.Jpeg2KImageFile):
        source.info.update(jp2_blocks(data))
        source._exif = None  # was looked for before, where the plugin knows of none
    return merged(
        {
            "exif": _from_exif(source),
            "xmp": from_xmp(_block(source, "xmp", _TIFF_XMP)),
            "iptc": from_iptc(_block(source, "photoshop", _TIFF_IPTC)),
        }
    )


def _from_exif(source: Image.Image) -> Metadata:
    block = source.info.get("exif")
    if isinstance(block, bytes) and len(block) > MAX_EXIF_BYTES:
        return Metadata()
    try:
        # The PNG plugin's own getexif would decode the whole picture to look behind the pixels.
        exif = Image.Image.getexif(source)
        if (written := source.info.get("original_orientation")) is not None:
            # The decoder of HEIC says 1 once it has turned it; other programs read what is written.
            exif[ExifTags.Base.Orientation] = written
        return from_exif(exif)
    except (*DECODER_ERRORS, MemoryError):
        return Metadata()


def _block(source: Image.Image, name: str, tiff_tag: int) -> bytes:
    """A block of bytes as the format carries it; b"" if there is none."""
    try:
        block = source.info.get(name) or getattr(source, "tag_v2", {}).get(tiff_tag, b"")
    except (*DECODER_ERRORS, MemoryError):
        return b""
    if isinstance(block, dict):  # Photoshop's resources
        block = block.get(_IPTC_RESOURCE, b"")
    if isinstance(block, str):
        return block.encode()
    return bytes(block) if isinstance(block, bytes | bytearray | tuple) else b""
