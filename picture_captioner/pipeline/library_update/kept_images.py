"""A photo by what was kept of it: its clean image and thumbnail, not its bytes."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from PIL.Image import Image

from picture_captioner.errors import CorruptImageError, UnreadableFileError
from picture_captioner.image_loader.images import (
    CLEAN_EDGE,
    CLEAN_QUALITY,
    ExaminedImage,
    LoadedImage,
    Traits,
    open_encoded,
)
from picture_captioner.image_loader.reading import OpenedPhoto
from picture_captioner.image_loader.resizing import roomy
from picture_captioner.library.store import Library
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.selecting.walk import Photo

_END_OF_JPEG = b"\xff\xd9"


def examine_kept(
    library: Library,
    decoder: Decoder,
    photo: Photo,
    edge: int | None,
    known: Container[str],
    jpeg_quality: int | None = None,
    *,
    for_backend: bool = False,
) -> ExaminedImage | None:
    """`Decoder.examine`, by the kept image and what library.db says; None where that will not do.

    Without an `edge` no more than the thumbnail is wanted, so no clean image is needed.

    The photo is not opened: it was looked at under this size and time, and what is found is told of
    those bytes. `known` is asked only if there is an image.

    Raises:
        LibraryError: library.db cannot be read.
    """
    if edge is not None and (library.clean_images is None or edge > CLEAN_EDGE):
        return None
    facts = library.facts.of_file(photo.rel_path, photo.size, photo.mtime_ns)
    if facts is None or facts.sharpness is None or facts.perceptual_hash is None:
        return None
    content = facts.content_sha256
    thumbnail = library.thumbnail(content)
    if thumbnail is None:
        return None
    image = None
    if edge is not None and library.clean_images is not None:
        kept = library.clean_images.find(content)
        if kept is None:
            return None
        try:
            image = _pixels(kept, decoder, edge, jpeg_quality, for_backend=for_backend)
        except (CorruptImageError, UnreadableFileError, OSError):
            library.clean_images.drop(content)  # cut off by a power cut, or evicted meanwhile
            return None
    size = (facts.width, facts.height)
    loaded = LoadedImage(image, content, photo.size, photo.mtime_ns, *size, "JPEG")
    if content in known:
        return ExaminedImage(replace(loaded, image=None), None)
    traits = Traits(facts.metadata, facts.sharpness, facts.perceptual_hash, thumbnail)
    return ExaminedImage(loaded, traits)


def keep(library: Library, examined: ExaminedImage) -> ExaminedImage:
    """Keep the clean image of a photo that was decoded, and let go of its bytes."""
    traits = examined.traits
    if library.clean_images is None or traits is None or traits.clean is None:
        return examined
    library.clean_images.save(examined.loaded.content_sha256, traits.clean)
    return replace(examined, traits=replace(traits, clean=None))


def _pixels(
    path: Path, decoder: Decoder, edge: int, jpeg_quality: int | None, *, for_backend: bool
) -> Image | None:
    """The picture; the file's own bytes where these are what is wanted."""
    with path.open("rb") as file:
        if edge == CLEAN_EDGE and jpeg_quality == CLEAN_QUALITY:
            image = open_encoded(file.read(), jpeg_quality)
            if image.info["jpeg"].endswith(_END_OF_JPEG) and roomy(image, edge) is image:
                return image
            file.seek(0)
        photo = OpenedPhoto(file.fileno(), path.suffix)
        return decoder.load(photo, edge, jpeg_quality=jpeg_quality, for_backend=for_backend).image
