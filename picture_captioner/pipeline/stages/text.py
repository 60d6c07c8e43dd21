"""The stage that reads what is written in a photo."""

from __future__ import annotations

from collections.abc import Sequence

from picture_captioner.library.store import Library
from picture_captioner.pipeline.stages.base import Stage, StagePhoto
from picture_captioner.tags.text import EDGE, READER, TextLine, TextReader


class TextStage(Stage):
    """Lines with their places and confidence, found by `search` from then on."""

    name = "text"
    version = READER
    edge = EDGE
    batch_size = 4

    def check(self) -> None:
        """Load the models."""
        self._reader = TextReader()

    def work(self, photos: Sequence[StagePhoto]) -> list[list[TextLine]]:
        """What is written in each photo, line by line; a broken one has none."""
        return [
            self._reader.read(photo.image) if photo.image is not None else [] for photo in photos
        ]

    def store(self, library: Library, photo: StagePhoto, result: list[TextLine]) -> None:
        """Save the lines."""
        library.texts.save(photo.content_sha256, self.version, result)
