"""Where a model's files are: in a folder, in the hub's cache, or downloaded because asked for.

Only safetensors, JSON and tokenizer files are ever fetched: no pickles, no code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.errors import BackendUnavailableError, ConfigurationError, UsageError

SIGLIP2 = "google/siglip2-base-patch16-224"
CLIP = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""The models that embedders take if no other is named."""

TOWERS_NEED = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
ENCODER_NEEDS = ("config.json", "tokenizer.json", "model.safetensors")
"""Files without which a two-tower model, or the sentence encoder, cannot run."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""A model in one file, or the table of contents of one in several."""

WANTED = (
    *WEIGHTS,
    "model-*.safetensors",
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)

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
    allowed = settings.allow_download if download is None else download
    snapshot = _from_hub(model, settings, allowed)
    _require(snapshot, needed, model)
    return ModelFiles(snapshot, f"{model.partition('@')[0]}@{snapshot.name[:REVISION_DIGITS]}")


def digest(folder: Path, patterns: Iterable[str] = WANTED) -> str:
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


_TRANSPORTS = frozenset({"httpx", "httpcore", "httpx2", "httpcore2", "hf_xet"})
"""What huggingface-hub is built on, 1.x on httpx, 2.x on httpx2: their errors are no OSErrors."""


def _from_hub(model: str, settings: EmbedderSettings, download: bool) -> Path:
    _keep_private(settings.allow_download)
    from huggingface_hub import constants, errors, snapshot_download

    name, _, revision = model.partition("@")
    if download:
        host = urlsplit(constants.ENDPOINT).netloc
        settings.notice(f"Asking {host} for the model {name}; no photo and no caption is sent")
    try:
        folder = snapshot_download(
            name,
            revision=revision or None,
            cache_dir=settings.cache_dir,
            local_files_only=not download,
            allow_patterns=list(WANTED),
        )
    except errors.HFValidationError as error:
        raise UsageError(f"{model!r} is neither a folder nor a model's name") from error
    except Exception as error:
        told = isinstance(error, OSError | errors.HfHubHTTPError | errors.OfflineModeIsEnabled)
        if not told and type(error).__module__.split(".")[0] not in _TRANSPORTS:
            raise
        if not download:
            raise ConfigurationError(_how_to_get(model)) from error
        raise BackendUnavailableError(
            f"cannot download the model {model} ({type(error).__name__}): check its name and the "
            "network, or fetch it on another machine (docs/embedders.md)"
        ) from error
    return Path(folder)


def _how_to_get(model: str) -> str:
    name, _, revision = model.partition("@")
    at = f" --revision {revision}" if revision else ""
    return (
        f"the model {model} is not on this machine and downloads were not asked for: allow the "
        f"download, run `hf download {name}{at}`, or give the folder that holds it "
        "(docs/embedders.md)"
    )


def _keep_private(allow_download: bool) -> None:
    """Keep huggingface_hub silent; it reads these when it is first imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not allow_download:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
