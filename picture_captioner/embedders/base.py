"""What an embedder is: a class that turns images, texts or both into vectors of unit length.

It is handed pixels and texts, never a path, a file name or metadata. docs/embedders.md walks
through writing one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from picture_captioner.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


def ignore_notice(message: str) -> None:
    """Drop a notice; for callers that have nobody to show it to."""


def ignore_progress(file: str, done: int, size: int) -> None:
    """Drop the news of a download."""


@dataclass(frozen=True)
class EmbedderSettings:
    """What an embedder is told.

    `model` is a name on the model hub, `name@revision`, or a folder; empty stands for the
    embedder's default. `device` is `auto`, `cpu`, or what the embedder's library calls a device
    (`cuda`, `cuda:1`, `mps`). `cache_dir` is the hub's cache, None for its usual place;
    `models_dir` a folder that is looked into before it. Nothing is downloaded unless
    `allow_download`. `notice` is given lines for the person who waits, `progress` the name, the
    bytes here and the size of a file that is being downloaded.
    """

    model: str = ""
    device: str = "auto"
    batch_size: int | None = None
    cache_dir: Path | None = None
    models_dir: Path | None = None
    allow_download: bool = False
    notice: Callable[[str], None] = ignore_notice
    progress: Callable[[str, int, int], None] = ignore_progress


class TextScale(NamedTuple):
    """How the model makes numbers of cosines of texts and images: `scale * cosine + bias`.

    `softmax` models (CLIP) compare texts, `sigmoid` ones (SigLIP) judge each by itself.
    """

    kind: Literal["softmax", "sigmoid"]
    scale: float
    bias: float = 0.0


class Embedder(ABC):
    """A source of vectors.

    A subclass sets the class attributes and writes `embed_images`, `embed_texts` or both. It is
    made cheaply: models are loaded by `check` or when first needed. Calls come from one thread.
    """

    name: ClassVar[str]
    goes_by: ClassVar[str] = "what the photos show"
    """What makes photos alike, to end the sentence "The themes go by ..."."""
    default_model: ClassVar[str] = ""
    default_batch_size: ClassVar[int] = 32
    preferred_edge: ClassVar[int | None] = 384
    """Pixels on the longer side of the images that it wants to be handed; None: the thumbnail that
    library.db keeps is enough, and no photo is opened a second time for it."""

    embeds_images: bool = False
    embeds_texts: bool = False
    """Both: images and texts share one space, so that a text finds photos."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self.settings = settings
        self.model = settings.model or self.default_model
        self.batch_size = settings.batch_size or self.default_batch_size
        if self.batch_size < 1:
            raise UsageError(f"the batch size must be at least 1, not {self.batch_size}")

    @property
    @abstractmethod
    def identity(self) -> str:
        """What vectors are stored under; it changes whenever the same input gets other vectors.

        Raises:
            FatalError: the model is not there, so its revision is unknown.
        """

    def check(self) -> None:  # noqa: B027 - not every embedder has something to verify
        """Verify, before the first photo, that vectors can be had: model, device.

        Raises:
            FatalError: with what to do about it.
        """

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Vectors of RGB images: shape (n, dim), every row of length 1, never zero.

        Raises:
            FatalError: no image can be embedded (model, device, time).
            ModelError: the model gave something that is no vector.
        """
        raise UsageError(f"the {self.name} embedder does not embed images")

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts: shape (n, dim), every row of length 1, never zero.

        Raises:
            FatalError: no text can be embedded.
            ModelError: the model gave something that is no vector.
        """
        raise UsageError(f"the {self.name} embedder does not embed texts")

    @property
    def text_scale(self) -> TextScale:
        """How texts are compared with images, where both are embedded.

        Raises:
            FatalError: the model is not there, or does not say.
        """
        raise UsageError(f"the {self.name} embedder compares no texts with images")

    def close(self) -> None:  # noqa: B027 - nor something to give back
        """Give back what the embedder holds, such as GPU memory; it may be called twice."""
