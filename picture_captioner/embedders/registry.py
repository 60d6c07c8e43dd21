"""Which embedders exist, and how to get at one.

A new embedder is one file and one line in `BUILT_IN`. Another package adds its own through the
entry point group `picture_captioner.embedders`, without an edit here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import NamedTuple

from picture_captioner.embedders.base import Embedder
from picture_captioner.errors import ConfigurationError, UsageError, did_you_mean
from picture_captioner.extras import how_to_install

ENTRY_POINTS = "picture_captioner.embedders"

AUTO = "auto"
"""Not an embedder: `choice.choose` takes one."""


class EmbedderInfo(NamedTuple):
    """A row of the table; `target` is imported only when the embedder is used."""

    name: str
    target: str
    extra: str | None
    summary: str


BUILT_IN = (
    EmbedderInfo(
        "siglip2",
        "picture_captioner.embedders.siglip2:Siglip2Embedder",
        "local",
        "what photos show, by SigLIP 2; texts find photos; wants a GPU, 1.5 GB",
    ),
    EmbedderInfo(
        "clip",
        "picture_captioner.embedders.clip:ClipEmbedder",
        "local",
        "what photos show, by CLIP; texts find photos; half the work of siglip2, 0.6 GB",
    ),
    EmbedderInfo(
        "onnx",
        "picture_captioner.embedders.onnx:OnnxEmbedder",
        "onnx",
        "an image encoder of your own in ONNX Runtime; no torch",
    ),
    EmbedderInfo(
        "caption",
        "picture_captioner.embedders.caption:CaptionEmbedder",
        "report",
        "what the captions say, by all-MiniLM-L6-v2; needs no photos, no torch, 91 MB",
    ),
    EmbedderInfo(
        "pixels",
        "picture_captioner.embedders.pixels:PixelsEmbedder",
        "report",
        "colours, texture and layout, measured; no model, always works",
    ),
)


def embedders() -> dict[str, EmbedderInfo]:
    """Every embedder by name: the built-in ones, then those of other packages.

    Raises:
        ConfigurationError: another package uses a name that is taken.
    """
    table = {info.name: info for info in BUILT_IN}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist else "another package"
        if point.name in table or point.name == AUTO:
            raise ConfigurationError(
                f"the embedder name {point.name!r} of {package} is taken already; uninstall one"
            )
        table[point.name] = EmbedderInfo(point.name, point.value, None, f"from {package}")
    return table


def embedder_info(name: str) -> EmbedderInfo:
    """The row of one embedder.

    Raises:
        UsageError: there is none of that name; the message lists the valid ones.
    """
    table = embedders()
    if name not in table:
        raise UsageError(
            f"there is no embedder {name!r}{did_you_mean(name, table)} "
            f"(embedders: {', '.join([AUTO, *sorted(table)])})"
        )
    return table[name]


def embedder_class(name: str) -> type[Embedder]:
    """Import an embedder's class.

    Raises:
        UsageError: there is no such embedder.
        ConfigurationError: its extra is not installed; the message is the line that does it.
    """
    info = embedder_info(name)
    module, _, attribute = info.target.partition(":")
    try:
        loaded = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if info.extra is None or error.name == module:
            raise
        raise ConfigurationError(
            f"the {name} embedder needs the package {error.name}: run {how_to_install(info.extra)}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Embedder)):
        raise ConfigurationError(f"{info.target} is not an Embedder")
    return loaded
