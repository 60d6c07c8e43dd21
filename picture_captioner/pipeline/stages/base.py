"""What a stage is: a class that computes something of a batch of photos and stores it.

All pending stages of a photo ride on one decode: the flow decodes once, large enough for the most
demanding of them, hands each the picture at its edge, and writes what they bring and the ledger's
rows in one transaction. So a stage neither opens a photo nor asks what was done before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from PIL.Image import Image

from picture_captioner.errors import PhotoError
from picture_captioner.image_loader import LoadedImage, Traits
from picture_captioner.library import Library


def _unheard(text: str) -> None:
    """Drop a notice."""


ATTRIBUTES = ("age", "gender")
"""What can be guessed of a face."""


@dataclass(frozen=True)
class StageSettings:
    """What stages are told; a stage takes what concerns it.

    `photos` is how many there are to look at; `models_dir` a folder that is looked into for model
    files before the caches; `face_score` how sure a detector must be of a face;
    `attributes` what is guessed of each face besides whose it is.
    """

    photos: int = 0
    model: str = ""
    device: str = "auto"
    models_dir: Path | None = None
    face_score: float = 0.6
    attributes: tuple[str, ...] = ()
    notice: Callable[[str], None] = _unheard


@dataclass(frozen=True)
class StagePhoto:
    """A photo as a stage sees it.

    `image` is RGB, upright, without metadata, its longer side at most the stage's `edge`; None
    for a stage that asked for no picture. `rel_path` is for messages and for decisions that go by
    the path, not for models.
    """

    rel_path: str
    loaded: LoadedImage
    traits: Traits
    image: Image | None

    @property
    def content_sha256(self) -> str:
        """What everything is stored under."""
        return self.loaded.content_sha256


class Stage(ABC):
    """Something that is computed of each photo.

    `version` changes when the model or the parameters do: what an older one brought is stale then
    and computed again. It may be a property that reads the model's name; it is asked after `check`.
    `edge` is the longer side of the picture that it wants (None: no picture), `batch_size` the most
    photos that suit it at once; `of_photo` says that a kept clean image will not do, `of_thumbnail`
    that the picture it wants is the thumbnail, for which no photo is opened twice. Which stages
    must come before it stands in the registry.
    """

    name: ClassVar[str]
    version: str
    edge: int | None = None
    of_photo: ClassVar[bool] = False
    of_thumbnail: bool = False
    batch_size: int = 32

    def __init__(self, settings: StageSettings | None = None) -> None:
        self.settings = settings or StageSettings()

    def check(self) -> None:  # noqa: B027 - not every stage has a model
        """Verify that it can run, before the first photo; the others go on without it.

        Raises:
            ModelMissingError: its model is not here; the message is the command.
            FatalError: it cannot run for another reason.
        """

    @abstractmethod
    def work(self, photos: Sequence[StagePhoto]) -> Sequence[Any | PhotoError]:
        """A result, or the reason why there is none, for each photo, in their order.

        Called from one thread. A `PhotoError` that is raised costs the batch: it is tried photo by
        photo then.
        """

    @abstractmethod
    def store(self, library: Library, photo: StagePhoto, result: Any) -> None:
        """Save a result, inside the transaction that notes in the ledger that it is there."""

    def close(self) -> None:  # noqa: B027 - nor something to give back
        """Let go of models and memory."""
