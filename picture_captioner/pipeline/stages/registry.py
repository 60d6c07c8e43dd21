"""Which stages exist. A new one is a class and one row."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from picture_captioner.errors import ConfigurationError, FatalError, UsageError, did_you_mean
from picture_captioner.extras import how_to_install
from picture_captioner.pipeline.stages.base import Stage, StageSettings


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
        "3",
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
        "text",
        "what is written in it, by 'read'",
        "picture_captioner.pipeline.stages.text:TextStage",
        "pp-ocrv6-small-1",
        extra="ocr",
        asked_for=True,
    ),
    StageInfo("caption", "a caption, by 'run'", None, None),
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
