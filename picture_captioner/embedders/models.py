"""Where an embedder's files are: in a folder, or wherever `hub/` finds the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.errors import ConfigurationError, ModelMissingError
from picture_captioner.hub.catalogue import TOWER_FILES

SIGLIP2 = "google/siglip2-base-patch16-224"
CLIP = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The models that embedders take if no other is named."""

TOWERS_NEED = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
ENCODER_NEEDS = ("config.json", "tokenizer.json", "model.safetensors")
"""Files without which a two-tower model, or the sentence encoder, cannot run."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""A model in one file, or the table of contents of one in several."""

REVISION_DIGITS = 12


@dataclass(frozen=True)
class ModelFiles:
    """A folder with a model, and what tells the model from others.

    `label` is `name@revision`: the name on the hub, or of the folder without its path, and 12 hex
    digits of the hub's commit or of the files' digest.
    """

    folder: Path
    label: str


def find_model(
    model: str, needed: Iterable[str], settings: EmbedderSettings, *, download: bool | None = None
) -> ModelFiles:
    """Find the files of `model`: a folder, or a name on the hub with or without `@revision`.

    Looks on this machine only, unless `settings.allow_download` (`download=False` overrules it).

    Raises:
        UsageError: `model` is neither a folder nor a name.
        ConfigurationError: it is not there or not whole; the message says how to get it.
        BackendUnavailableError: the download failed.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        _require(folder, needed, model)
        return ModelFiles(folder, f"{folder.resolve().name}@{digest(folder)}")
    if model.startswith(("/", "./", "../", "~")):
        raise ConfigurationError(f"there is no model folder {model}")
    name, _, revision = model.partition("@")
    allowed = settings.allow_download if download is None else download
    found = _in_repository(name, revision or None, needed, settings, allowed)
    by_commit = found.parent.name == "snapshots"  # as the hub's cache names folders
    told = found.name[:REVISION_DIGITS] if by_commit else digest(found)
    return ModelFiles(found, f"{name}@{told}")


def _in_repository(
    name: str,
    revision: str | None,
    needed: Iterable[str],
    settings: EmbedderSettings,
    download: bool,
) -> Path:
    from picture_captioner.hub import repositories

    places = {"models_dir": settings.models_dir, "cache_dir": settings.cache_dir}
    try:
        return repositories.find_repository(name, revision, needed=needed, **places)
    except ModelMissingError:
        if not download:
            raise
    host = repositories.hub_host()
    settings.notice(f"Asking {host} for the model {name}; no photo and no caption is sent")
    folder = repositories.download_repository(name, revision, settings.progress, **places)
    _require(folder, needed, name)
    return folder


def digest(folder: Path, patterns: Iterable[str] = TOWER_FILES) -> str:
    """12 hex digits over the files of `folder` that a model consists of, by name and content."""
    total = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + file_sha256(path))
    return total.hexdigest()[:REVISION_DIGITS]


def file_sha256(path: Path) -> bytes:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _require(folder: Path, needed: Iterable[str], model: str) -> None:
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"the model {model} has no {', '.join(missing)} here: fetch the whole model again "
            "(docs/embedders.md)"
        )
    if "config.json" in needed and not any((folder / name).is_file() for name in WEIGHTS):
        raise ConfigurationError(
            f"the model {model} has no model.safetensors here; weights in other formats are not "
            "read, because a pickle may run any program"
        )
