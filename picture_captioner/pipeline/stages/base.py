"""What a stage is, and which there are: a class that computes something of photos and stores it.

All pending stages of a photo ride on one decode: the flow decodes once, large enough for the most
demanding of them, hands each the picture at its edge, and writes what they bring and the ledger's
rows in one transaction. So a stage neither opens a photo nor asks what was done before.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from PIL.Image import Image

from picture_captioner.errors import (
    ConfigurationError,
    FatalError,
    PhotoError,
    UsageError,
    did_you_mean,
)
from picture_captioner.extras import how_to_install
from picture_captioner.image_loader.images import LoadedImage, Traits

if TYPE_CHECKING:
    from picture_captioner.library.store import Library


def _unheard(text: str) -> None:
    """Drop a notice."""


ATTRIBUTES = ("age", "gender")
"""What can be guessed of a face."""


@dataclass(frozen=True)
class StageSettings:
    """What stages are told; a stage takes what concerns it.

    `photos` is how many there are to look at; `models_dir` a folder that is looked into for model
    files before the caches; `face_score` how sure a detector must be of a face;
    `attributes` what is guessed of each face besides whose it is; `bodies` the model that finds
    bodies.
    """

    photos: int = 0
    model: str = ""
    device: str = "auto"
    models_dir: Path | None = None
    face_score: float = 0.6
    attributes: tuple[str, ...] = ()
    bodies: Path | None = None
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


class StageInfo(NamedTuple):
    """A row; `target` (`module:callable`) makes the stage from its settings.

    `needs` names the stages that must come before it, `extra` the packages. One that takes a second
    a photo is done only when it is `asked_for` by its name.
    `version` is None where it depends on the model. `caption` has no target: asking a backend has a
    price and a pace, so `run` does it, and the journal is its ledger.
    """

    name: str
    summary: str
    target: str | None
    version: str | None
    needs: tuple[str, ...] = ()
    extra: str | None = None
    asked_for: bool = False


STAGES = (
    StageInfo(
        "normalize",
        "size, sharpness, hash, thumbnail",
        "picture_captioner.pipeline.stages.facts:NormalizeStage",
        "1",
    ),
    StageInfo(
        "metadata",
        "capture time, camera, place",
        "picture_captioner.pipeline.stages.facts:MetadataStage",
        "4",
    ),
    StageInfo(
        "embed",
        "a vector of the picture",
        "picture_captioner.pipeline.stages.embed:EmbedStage.with_best",
        None,
        needs=("normalize",),
    ),
    StageInfo(
        "faces",
        "where faces are, and a vector of each",
        "picture_captioner.pipeline.stages.faces:FacesStage",
        None,
        needs=("normalize",),
        extra="people",
    ),
    StageInfo(
        "bodies",
        "where people are, with --bodies FILE",
        "picture_captioner.pipeline.stages.faces:BodiesStage",
        None,
        extra="people",
        asked_for=True,
    ),
    StageInfo(
        "text",
        "what is written in it, by 'caption.py read'",
        "picture_captioner.pipeline.stages.text:TextStage",
        "pp-ocrv6-small-1",
        extra="ocr",
        asked_for=True,
    ),
    StageInfo("caption", "a caption, by 'caption.py run'", None, None),
)


def stage_info(name: str) -> StageInfo:
    """The row of one stage.

    Raises:
        UsageError: there is none of that name.
    """
    for info in STAGES:
        if info.name == name:
            return info
    names = [info.name for info in STAGES]
    raise UsageError(
        f"there is no stage {name!r}{did_you_mean(name, names)} (stages: {', '.join(names)})"
    )


def make_stages(
    names: Sequence[str],
    settings: StageSettings,
    left_out: Callable[[str, FatalError], None],
    attempt: Callable[[Callable[[], Stage]], Stage] = lambda make: make(),
) -> list[Stage]:
    """The stages of these names, each checked, with those that they need, in the table's order.

    One that cannot run is told to `left_out`; the others go on. `attempt` makes one: it may get a
    model that is missing and try again.

    Raises:
        UsageError: there is no such stage.
    """
    chosen = {needed for name in names for needed in (name, *stage_info(name).needs)}
    made: dict[str, Stage] = {}
    for info in STAGES:
        if info.name not in chosen or info.target is None:
            continue
        try:
            made[info.name] = attempt(partial(_made, info, settings))
        except FatalError as error:
            left_out(info.name, error)
    return list(made.values())


def _made(info: StageInfo, settings: StageSettings) -> Stage:
    module, _, names = str(info.target).partition(":")
    try:
        found = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
        stage = found(settings)  # type: ignore[operator]
        assert isinstance(stage, Stage)  # noqa: S101 - the table's own rows
        stage.check()
    except ModuleNotFoundError as error:
        if info.extra is None or error.name is None or error.name.startswith("picture_captioner"):
            raise
        raise ConfigurationError(
            f"it needs the package {error.name}: run {how_to_install(info.extra)}"
        ) from error
    return stage
