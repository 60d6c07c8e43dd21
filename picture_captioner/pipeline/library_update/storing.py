"""The library's side of the embedding flow: batches to the embedder, then one transaction each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from PIL.Image import Image

from picture_captioner.errors import ModelError, PhotoError, PhotoSkipped
from picture_captioner.image_loader import LoadedImage, Traits
from picture_captioner.library import Library, PhotoFacts, TakenFrom
from picture_captioner.pipeline.dedup import Follower, SharedContent
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.work_queue import Buffer, Item, WorkQueue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger("caption.photo")

LINGER_SECONDS = 0.2
"""How long a batch waits to become full; a GPU is idle meanwhile."""

EmbedImages: TypeAlias = "Callable[[Sequence[Image]], NDArray[np.float32]]"


class ExaminedPhoto(NamedTuple):
    """A photo that waits for the embedder."""

    item: Item
    loaded: LoadedImage
    traits: Traits


class Keeper:
    """Embeds and stores, and only then counts a photo. `run` is for one thread, others for any."""

    def __init__(
        self,
        library: Library,
        embed_images: EmbedImages | None,
        identity: str | None,
        queue: WorkQueue,
        shared: SharedContent,
        outcomes: Outcomes,
        ready: Buffer[ExaminedPhoto],
        batch_size: int,
    ) -> None:
        self._library = library
        self._embed_images = embed_images
        self._identity = identity
        self._queue = queue
        self._shared = shared
        self._outcomes = outcomes
        self._ready = ready
        self._batch_size = batch_size

    def run(self) -> None:
        """Store batch after batch until nothing more comes."""
        while batch := self._ready.take(self._batch_size, LINGER_SECONDS):
            self._keep(batch)

    def recognised(self, followers: Sequence[Follower]) -> None:
        """Keep where content lies that is known already; what is not, is tried itself."""
        for item, loaded in followers:
            if not self._library.has_content(loaded.content_sha256, self._identity):
                self._queue.put_back([item])
                continue
            self._library.save_file(
                item.photo.rel_path, loaded.size, loaded.mtime_ns, loaded.content_sha256
            )
            self._settle(Outcome.RECOGNISED)

    def failed(self, item: Item, outcome: Outcome, error: PhotoError | PhotoSkipped) -> None:
        """Count a photo of which something is missing, and say why."""
        failure = FailedPhoto(item.photo.rel_path, outcome, error.code, str(error))
        said = {"code": error.code, "message": str(error)}
        _log.warning(
            "photo failed",
            extra={"event": "photo_failed", "rel_path": failure.rel_path, "error": said},
        )
        self._outcomes.fail(failure)
        self._queue.settle()

    def _keep(self, batch: Sequence[ExaminedPhoto]) -> None:
        vectors = self._vectors([examined.loaded.image for examined in batch])
        with self._library.transaction():
            for examined in batch:
                self._save_facts(examined)
            self._save_vectors(batch, vectors)
        for examined, vector in zip(batch, vectors, strict=True):
            if isinstance(vector, PhotoError):
                self.failed(examined.item, Outcome.MODEL_ERROR, vector)
            else:
                self._settle(Outcome.EXAMINED)
            self.recognised(self._shared.release(examined.loaded.content_sha256))

    def _save_facts(self, examined: ExaminedPhoto) -> None:
        item, loaded, traits = examined
        facts = _facts(loaded, traits)
        self._library.save_facts(item.photo.rel_path, loaded.size, loaded.mtime_ns, facts)
        self._library.save_thumbnail(loaded.content_sha256, traits.thumbnail)

    def _save_vectors(
        self,
        batch: Sequence[ExaminedPhoto],
        vectors: Sequence[NDArray[np.float32] | PhotoError | None],
    ) -> None:
        if self._identity is None:
            return
        import numpy as np

        keys, rows = [], []
        for examined, vector in zip(batch, vectors, strict=True):
            if vector is not None and not isinstance(vector, PhotoError):
                keys.append(examined.loaded.content_sha256)
                rows.append(vector)
        if keys:
            self._library.save_vectors(self._identity, keys, np.stack(rows))

    def _vectors(
        self, images: Sequence[Image | None]
    ) -> list[NDArray[np.float32] | PhotoError | None]:
        """A vector, or why there is none, for each image; all None without an embedder."""
        if self._embed_images is None:
            return [None] * len(images)
        return list(_embedded(self._embed_images, [i for i in images if i is not None]))

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes.settle(outcome)
        self._queue.settle()


def _embedded(embed: EmbedImages, images: Sequence[Image]) -> list[Any]:
    """One row or one error for each image: if a batch fails, its images are tried one by one."""
    import numpy as np

    try:
        array = embed(images)
    except PhotoError as error:
        if len(images) == 1:
            return [error]
        return [result for image in images for result in _embedded(embed, [image])]
    if array.ndim != 2 or len(array) != len(images):
        raise ValueError(f"{len(images)} images need as many vectors, not {array.shape}")
    return [
        row
        if np.isfinite(row).all()
        else ModelError("the embedder gave a vector with NaN", code="not_finite")
        for row in array
    ]


def _facts(loaded: LoadedImage, traits: Traits) -> PhotoFacts:
    metadata = traits.metadata
    return PhotoFacts(
        content_sha256=loaded.content_sha256,
        width=loaded.width,
        height=loaded.height,
        taken_at=metadata.taken_at,
        taken_from=TakenFrom.EXIF if metadata.taken_at else None,
        camera=metadata.camera,
        latitude=metadata.latitude,
        longitude=metadata.longitude,
        sharpness=traits.sharpness,
        perceptual_hash=traits.perceptual_hash,
    )
