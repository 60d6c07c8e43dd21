"""The stage that turns a picture into a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from picture_captioner.embedders.base import Embedder, EmbedderSettings
from picture_captioner.errors import ModelError, PhotoError
from picture_captioner.library.store import Library
from picture_captioner.pipeline.stages.base import Stage, StagePhoto, StageSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    EmbedImages = Callable[[Sequence[Image]], NDArray[np.float32]]


class EmbedStage(Stage):
    """The vector of a picture, under the embedder's identity, which is the stage's version.

    A vector of another embedder stays: whoever goes back to it computes nothing again.
    """

    name = "embed"

    def __init__(self, embed_images: EmbedImages, identity: str, edge: int | None) -> None:
        super().__init__()
        self._embed_images = embed_images
        self.version = identity
        self.edge = edge
        self.of_thumbnail = edge is None
        self._embedder: Embedder | None = None

    @classmethod
    def with_best(cls, settings: StageSettings) -> EmbedStage:
        """The stage with the best embedder of pictures that can run here without a download.

        Raises:
            FatalError: none can.
        """
        from picture_captioner.embedders.choice import choose
        from picture_captioner.embedders.registry import embedder_class

        own = EmbedderSettings(
            model=settings.model,
            device=settings.device,
            models_dir=settings.models_dir,
            notice=settings.notice,
        )
        choice = choose("auto", own, photos=max(settings.photos, 1), captions=0)
        embedder = embedder_class(choice.name)(own)
        embedder.check()
        settings.notice(f"Embedder: {choice.name}, {choice.reason}")
        stage = cls(embedder.embed_images, embedder.identity, embedder.preferred_edge)
        stage._embedder = embedder
        return stage

    def work(self, photos: Sequence[StagePhoto]) -> list[NDArray[np.float32] | PhotoError]:
        """A vector for each picture, or the reason why there is none."""
        import numpy as np

        images = [photo.image for photo in photos if photo.image is not None]
        if len(images) < len(photos):
            raise ModelError("its thumbnail in library.db is damaged", code="bad_thumbnail")
        array = self._embed_images(images)
        if array.ndim != 2 or len(array) != len(photos):
            raise ValueError(f"{len(photos)} images need as many vectors, not {array.shape}")
        return [
            row
            if np.isfinite(row).all()
            else ModelError("the embedder gave a vector with NaN", code="not_finite")
            for row in array
        ]

    def store(self, library: Library, photo: StagePhoto, result: Any) -> None:
        """Save the vector."""
        library.save_vectors(self.version, [photo.content_sha256], result[None, :])

    def close(self) -> None:
        """Give the model's memory back."""
        if self._embedder is not None:
            self._embedder.close()
