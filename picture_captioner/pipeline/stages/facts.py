"""The stages that the decoder itself has done: the picture's measures and what EXIF says."""

from __future__ import annotations

from collections.abc import Sequence

from picture_captioner.image_loader.images import Traits
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import best_time
from picture_captioner.pipeline.stages.base import Stage, StagePhoto


class NormalizeStage(Stage):
    """Size, sharpness, perceptual hash and thumbnail: what is seen of a photo without a model."""

    name = "normalize"
    version = "1"
    of_photo = True

    def work(self, photos: Sequence[StagePhoto]) -> list[Traits]:
        """They came with the decoded picture."""
        return [photo.traits for photo in photos]

    def store(self, library: Library, photo: StagePhoto, result: Traits) -> None:
        """Save facts and thumbnail."""
        save_facts(library, photo)
        library.save_thumbnail(photo.content_sha256, result.thumbnail)


class MetadataStage(Stage):
    """All that is written in the photo: capture times, camera, place, exposure."""

    name = "metadata"
    version = "4"
    of_photo = True

    def work(self, photos: Sequence[StagePhoto]) -> list[Traits]:
        """They came with the decoded picture."""
        return [photo.traits for photo in photos]

    def store(self, library: Library, photo: StagePhoto, result: Traits) -> None:  # noqa: ARG002
        """Save the facts, which are one row with those of `normalize`."""
        save_facts(library, photo)


def save_facts(library: Library, photo: StagePhoto) -> None:
    """Keep what the decoder found out, and which file it is."""
    loaded, traits = photo.loaded, photo.traits
    metadata, best = traits.metadata, best_time(traits.metadata.times)
    facts = PhotoFacts(
        content_sha256=loaded.content_sha256,
        width=loaded.width,
        height=loaded.height,
        taken_at=best.time if best else None,
        taken_from=best.source if best else None,
        camera=metadata.camera,
        latitude=metadata.latitude,
        longitude=metadata.longitude,
        sharpness=traits.sharpness,
        perceptual_hash=traits.perceptual_hash,
        metadata=metadata,
    )
    library.facts.save(photo.rel_path, loaded.size, loaded.mtime_ns, facts)
