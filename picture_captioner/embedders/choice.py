"""Which embedder `auto` takes, and why: the best that can run here without a download.

Captions come first where most photos have one: they are what a person paid or waited for, and say
more of a photo than its picture does to a tower.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.minilm import find_caption_model
from picture_captioner.embedders.models import CLIP, MINILM, SIGLIP2, TOWERS_NEED, find_model
from picture_captioner.embedders.registry import AUTO, embedder_info
from picture_captioner.errors import ConfigurationError, UsageError, count

PHOTOS_ON_CPU = 2000
"""A base-size image tower embeds a few photos a second on a CPU: more would take over ten
minutes, and a default should not."""

NEEDS = {
    "siglip2": ("torch", "transformers"),
    "clip": ("torch", "transformers"),
    "caption": ("numpy", "safetensors", "scipy", "tokenizers"),
}
"""Packages that must be there; looked for without importing them, torch alone takes seconds."""

NOT_HERE = "its model is not on this machine"

TOWERS = ("siglip2", "clip")
"""Embedders that know what photos show, the best first."""


class Choice(NamedTuple):
    """An embedder's name, and the reason, for the head of the report.

    `wanted` is the model that a better one lacks, which the person may have fetched.
    """

    name: str
    reason: str
    wanted: str | None = None


def choose(name: str, settings: EmbedderSettings, *, photos: int, captions: int) -> Choice:
    """Choose an embedder: the named one, or for `auto` the best that can run here.

    Args:
        name: as asked for.
        settings: of them the model, the device and the cache matter.
        photos: how many photos there are to look at; 0 for a journal alone.
        captions: how many photos have a caption.

    Raises:
        UsageError: there is no such embedder, or `auto` cannot tell which one a model is for.
        ConfigurationError: a journal alone, and the caption embedder cannot run.
    """
    if name != AUTO:
        return Choice(embedder_info(name).name, "asked for")
    if settings.model:
        return _by_model(settings.model)
    if not photos:
        return _for_a_journal(settings, captions)
    passed: list[str] = []
    wanted = None
    if captions * 2 < photos:
        passed.append(f"caption: real ones of {captions:,} of {count(photos)}")
    elif (hindrance := _why_not("caption", settings, 0)) is not None:
        passed.append(f"caption: {hindrance}")
        wanted = MINILM if hindrance == NOT_HERE else None
    else:
        return Choice("caption", f"real captions of {captions:,} of {count(photos)}")
    for tower in TOWERS:
        if (hindrance := _why_not(tower, settings, photos)) is None:
            why = f"the model is here and can look at {count(photos)}"
            return Choice(tower, _reason(why, passed), wanted)
        passed.append(f"{tower}: {hindrance}")
    return Choice("pixels", _reason("it always works", passed), wanted)


def _by_model(model: str) -> Choice:
    """Tell from its files which embedder a model folder is for."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{model} is not a folder: say which embedder it is for, not auto")
    kind = _model_type(folder)
    names = {"siglip": "siglip2", "siglip2": "siglip2", "clip": "clip", "bert": "caption"}
    if kind in names and any(folder.glob("*.safetensors")):
        return Choice(names[kind], f"the folder given holds a {kind} model")
    if any(folder.glob("*.onnx")) or any(folder.glob("onnx/*.onnx")):
        return Choice("onnx", "the folder given holds an ONNX encoder")
    raise UsageError(
        f"{model} holds no model that an embedder runs: model.safetensors with config.json, or "
        "model.onnx with preprocessor_config.json"
    )


def _model_type(folder: Path) -> str:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(found.get("model_type", "")) if isinstance(found, dict) else ""


def _for_a_journal(settings: EmbedderSettings, captions: int) -> Choice:
    """Without photos, only captions can be embedded."""
    if not captions:
        return Choice("pixels", "there is neither a photo nor a caption to embed")
    if (hindrance := _why_not("caption", settings, 0)) is not None:
        raise ConfigurationError(
            f"without photos only captions can be embedded, and that cannot run: {hindrance}; "
            "name the photos directory, or see docs/embedders.md"
        )
    return Choice("caption", f"no photos at hand, {count(captions, 'caption')}")


def _why_not(name: str, settings: EmbedderSettings, photos: int) -> str | None:
    """What keeps an embedder from running here without a download; None for nothing."""
    if any(importlib.util.find_spec(package) is None for package in NEEDS[name]):
        return f"its extra '{embedder_info(name).extra}' is not installed"
    if not _is_here(name, settings):
        return NOT_HERE
    if photos > PHOTOS_ON_CPU and not _has_gpu(settings):
        return f"without a GPU it takes too long for {count(photos)}"
    return None


def _is_here(name: str, settings: EmbedderSettings) -> bool:
    try:
        if name == "caption":
            find_caption_model(MINILM, settings, download=False)
        else:
            model = {"siglip2": SIGLIP2, "clip": CLIP}[name]
            find_model(model, TOWERS_NEED, settings, download=False)
    except (UsageError, ConfigurationError):
        return False
    return True


def _has_gpu(settings: EmbedderSettings) -> bool:
    from picture_captioner.embedders.towers import pick_device

    return pick_device(settings.device, settings.notice).type != "cpu"


def _reason(why: str, passed: list[str]) -> str:
    return f"{why} ({'; '.join(passed)})" if passed else why
