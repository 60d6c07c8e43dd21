"""What is known of a photo once it was read: structs, measures, and pictures as bytes of ours.

How sharp a photo is and which look alike is measured on the picture at one small size, whatever its
resolution, so that the values of any two photos compare.
"""

from __future__ import annotations

import io
import statistics
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageChops, ImageFilter, ImageStat, WebPImagePlugin

from picture_captioner.errors import CorruptImageError
from picture_captioner.image_loader.resizing import fitting, reduced, resize
from picture_captioner.metadata.claims import Metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Image.MAX_IMAGE_PIXELS = None  # memory is what counts, see `check_memory` in decode_errors.py

_PLUGIN = WebPImagePlugin  # registered by being imported; Pillow would import all forty of its own


@dataclass(frozen=True)
class LoadedImage:
    """A photo as a backend may see it, and what is known of its file.

    `image` is RGB, upright, without metadata; None if the content was known and is not needed.
    `size` is in bytes. `width` and `height` are the upright full resolution in pixels, and
    `format` is Pillow's name or "RAW"; 0 and "" if the content was known. `truncated`: the file
    ends too early, which was accepted; what is missing of the picture is one colour. `reduced`: the
    picture is a copy inside the file, which may differ from the photo.
    """

    image: Image.Image | None
    content_sha256: str
    size: int
    mtime_ns: int
    width: int
    height: int
    format: str
    truncated: bool = False
    reduced: bool = False


@dataclass(frozen=True)
class ImageHeader:
    """What a photo's header says: upright `width` and `height` in pixels, `size` in bytes."""

    width: int
    height: int
    format: str
    size: int


@dataclass(frozen=True)
class Traits:
    """What was found out about a photo: its EXIF, two measures, and its thumbnail as WebP.

    `clean` is a JPEG of `CLEAN_EDGE` pixels, if one was asked for and the photo is larger.
    """

    metadata: Metadata
    sharpness: float
    perceptual_hash: int
    thumbnail: bytes
    clean: bytes | None = None


@dataclass(frozen=True)
class ExaminedImage:
    """A photo, with its pixels if they were asked for; `traits` is None if it was known."""

    loaded: LoadedImage
    traits: Traits | None


MEASURED_EDGE = 512
"""Pixels of the longer side at which sharpness is measured; smaller photos are enlarged, which
costs them sharpness as it should."""

_LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
_LEAST_STEP = 2
"""Gray levels by which neighbours must differ: noise in a plain sky flips no bit."""


def sharpness(image: Image.Image) -> float:
    """The variance of the Laplacian over the gray picture, at least 0.

    After Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    factor = MEASURED_EDGE / max(image.size)
    size = (max(3, round(image.width * factor)), max(3, round(image.height * factor)))
    gray = image.convert("L").resize(size, Image.Resampling.LANCZOS)
    edges = gray.filter(_LAPLACIAN).crop((1, 1, size[0] - 1, size[1] - 1))
    return round(float(ImageStat.Stat(edges).var[0]), 3)


def perceptual_hash(image: Image.Image) -> int:
    """64 bits, few of which change when a picture is scaled or compressed again.

    The difference hash: each bit says whether brightness falls from one cell of a 9 x 8 grid to
    the next (Krawetz, "Kind of Like That", hackerfactor.com, 2013).
    """
    cells = image.convert("L").resize((9, 8), Image.Resampling.BOX, reducing_gap=3.0).tobytes()
    bits = 0
    for row in range(8):
        for left, right in zip(cells[row * 9 :], cells[row * 9 + 1 : row * 9 + 9], strict=False):
            bits = bits << 1 | (left - right > _LEAST_STEP)
    return bits


STRUCTURE_EDGE = 32
LEAST_LIKENESS = 0.93
"""Correlation of two structures. Of 2,775 pairs of photos none is above 0.91 but retouched
versions of one shot (from 0.9907); copies of a quarter the size at quality 50 keep 0.94."""


class Structure(NamedTuple):
    """What a thumbnail shows, small: two pictures are compared by more than a hash says."""

    gray: bytes
    in_colour: bool

    def resembles(self, other: Structure) -> bool:
        """Whether both are one picture, perhaps scaled, compressed or without its colours."""
        if self.gray == other.gray:
            return True
        try:
            return statistics.correlation(self.gray, other.gray) >= LEAST_LIKENESS
        except statistics.StatisticsError:  # one is all of one gray
            return False


DETAIL_LIKENESS = 0.75
"""Correlation of two details from which one picture is a copy of the other. Of 79 photos and 218
parts of them, 95 % of the copies of a quarter the size at quality 30 have it, and 99 % of larger
or better ones; no pair of different ones is above 0.62, of drawn letters with one head, chats,
sunsets and dark rooms none above 0.72."""

_DETAIL_CELLS = 5
_CONTRAST_CELLS = 9
_LEAST_CONTRAST = 8.0
"""Levels below which a neighbourhood has next to no detail: what is there is noise."""


def detail_of(structure: Structure) -> NDArray[np.int8]:
    """What a picture has besides large areas of light, (1024,), each neighbourhood as much as any.

    Without the areas, two sunsets are two; without one measure of contrast everywhere, a letter's
    head would say more than its text.
    """
    import numpy as np

    edge = STRUCTURE_EDGE
    cells = np.frombuffer(structure.gray, dtype=np.uint8).reshape(edge, edge).astype(np.float32)
    fine = cells - _local_mean(cells, _DETAIL_CELLS)
    fine /= np.sqrt(_local_mean(fine * fine, _CONTRAST_CELLS)) + _LEAST_CONTRAST
    fine -= fine.mean()
    return (fine.ravel() * (127 / max(float(np.abs(fine).max()), 1e-6))).astype(np.int8)


def _local_mean(cells: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Of the square of `width` around each cell."""
    import numpy as np

    across = _averages(width)
    return np.asarray(across @ cells @ across.T, dtype=np.float32)


@cache
def _averages(width: int) -> NDArray[np.float32]:
    """What, times a column, is the mean around each; over the edge the outermost go on."""
    import numpy as np

    places = np.arange(STRUCTURE_EDGE)
    around = np.clip(places[:, None] + np.arange(width) - width // 2, 0, STRUCTURE_EDGE - 1)
    found = np.zeros((STRUCTURE_EDGE, STRUCTURE_EDGE), dtype=np.float32)
    np.add.at(found, (places[:, None], around), 1 / width)
    return found


def same_details(some: NDArray[np.int8], others: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which rows of two (n, 1024) are of one picture, perhaps scaled, compressed or filtered."""
    import numpy as np

    a, b = some.astype(np.float32), others.astype(np.float32)
    together = np.einsum("ij,ij->i", a, b)
    apart = np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
    return np.asarray((together >= DETAIL_LIKENESS * apart) & (apart > 0))


_COLOUR_STEP = 16
"""Levels between channels from which a picture has colours, whatever its compression left."""


def structure_of(thumbnail: bytes) -> Structure | None:
    """Of a thumbnail as `Traits` has it; None if its bytes are damaged."""
    if (opened := opened_thumbnail(thumbnail)) is None:
        return None
    cells = opened.resize((STRUCTURE_EDGE,) * 2, Image.Resampling.BOX)
    red, green, blue = cells.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    apart = ImageChops.subtract(most, least).tobytes()
    return Structure(cells.convert("L").tobytes(), max(apart) >= _COLOUR_STEP)


THUMBNAIL_EDGE = 320
"""Pixels of a thumbnail's longer side."""

CLEAN_EDGE = 1536
"""Pixels of a kept clean image's longer side: as much as backends and stages ask for."""
CLEAN_QUALITY = 85

_THUMBNAIL_QUALITY = 75
_THUMBNAIL_EFFORT = 2
"""Of 6. Pillow's 4 takes twice the time (5.9 ms for 2.9) and saves 5 % of the bytes."""


def thumbnail(image: Image.Image) -> bytes:
    """A clean image as WebP, its longer side at most `THUMBNAIL_EDGE`; smaller ones keep theirs."""
    buffer = io.BytesIO()
    size = fitting(*image.size, THUMBNAIL_EDGE)
    if size != image.size:
        image = resize(image, size)
    image.save(buffer, "WEBP", quality=_THUMBNAIL_QUALITY, method=_THUMBNAIL_EFFORT)
    return buffer.getvalue()


def opened_thumbnail(webp: bytes) -> Image.Image | None:
    """The picture that `thumbnail` made, RGB; None if its bytes are damaged."""
    try:
        with Image.open(io.BytesIO(webp), formats=["WEBP"]) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return None


def clean_jpeg(image: Image.Image) -> bytes:
    """A clean image as it is kept: a JPEG, its longer side at most `CLEAN_EDGE`."""
    buffer = io.BytesIO()
    reduced(image, CLEAN_EDGE).save(buffer, "JPEG", quality=CLEAN_QUALITY)
    return buffer.getvalue()


def open_encoded(jpeg: bytes, quality: int) -> Image.Image:
    """A clean JPEG of ours as an image whose pixels are decoded only if somebody looks at them.

    `info["jpeg"]` are its bytes, `info["jpeg_quality"]` is `quality`; nothing else is in there.

    Raises:
        CorruptImageError: it is no JPEG in RGB.
    """
    try:
        image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
    except (OSError, SyntaxError) as error:
        raise CorruptImageError("not a JPEG") from error
    if image.mode != "RGB":
        raise CorruptImageError(f"not RGB but {image.mode}")
    image.info = {"jpeg": jpeg, "jpeg_quality": quality}
    return image
