"""Where a model lies: a folder of the person's, the usual hub cache, or the hub, in this order.

Only safetensors, JSON, text and tokenizer files are taken: no pickles, which could run code, and
no code. A download sends the name of the model and no photo.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from picture_captioner.errors import AccessDeniedError, BackendUnavailableError, ConfigurationError

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read once, when the library is imported

import huggingface_hub
from huggingface_hub import constants, errors
from huggingface_hub.utils import logging as hub_logging
from tqdm import tqdm

PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model"]
WEIGHTS_INDEX = "model.safetensors.index.json"
SECONDS_BETWEEN_LINES = 10.0

Notice = Callable[[str], None]

constants.HF_HUB_DISABLE_TELEMETRY = True  # somebody may have imported the library before
hub_logging.set_verbosity(
    logging.ERROR
)  # its retries would fill the screen; the outcome is told once


def local_folder(model: str) -> Path | None:
    """The folder that `model` names, if it names one.

    Raises:
        ConfigurationError: it is written like a path, and there is no model.
    """
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return folder
    if folder.is_dir() or model.startswith(("/", "./", "../", "~")):
        raise ConfigurationError(
            f"--model {model}: there is no config.json in that folder; name the folder that holds "
            "the model's files, or a model of the hub such as Qwen/Qwen2.5-VL-3B-Instruct"
        )
    return None


def find_model(model: str, revision: str | None, notice: Notice) -> Path:
    """The folder with a hub model's files, after a download if they are not in the cache.

    Raises:
        BackendUnavailableError: the hub cannot be reached, and the cache lacks files.
        ConfigurationError: the hub knows no such model or revision, or it has no safetensors.
        AccessDeniedError: the model's owner wants you to log in first.
    """
    folder = cached_folder(model, revision) or _download(model, revision, notice)
    if missing := missing_files(folder):
        with _told_plainly(model, revision):  # without a connection, what is there is returned
            huggingface_hub.HfApi().repo_info(model, revision=revision)
        raise ConfigurationError(
            f"the model {model} has no {missing[0]}. Models are read from safetensors only: other "
            "formats can run code while they load; choose another --model"
        )
    return folder


def cached_folder(model: str, revision: str | None) -> Path | None:
    """The folder of a complete model in the cache; the network is not asked."""
    try:
        found = huggingface_hub.snapshot_download(
            model, revision=revision, allow_patterns=PATTERNS, local_files_only=True
        )
    except (errors.LocalEntryNotFoundError, errors.HFValidationError):
        return None
    return None if missing_files(Path(found)) else Path(found)


def missing_files(folder: Path) -> list[str]:
    """Which of the files that every model needs are not there (a download may have been cut)."""
    names = ["config.json", *_weight_files(folder)]
    return [name for name in names if not (folder / name).is_file()]


def _weight_files(folder: Path) -> list[str]:
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        return [WEIGHTS_INDEX + " that can be read"]


def _download(model: str, revision: str | None, notice: Notice) -> Path:
    notice(
        f"Downloading {model} from {urlsplit(constants.ENDPOINT).netloc} into "
        f"{constants.HF_HUB_CACHE}; no photo is sent. It goes on where it was stopped if "
        "the command is repeated"
    )
    with _told_plainly(model, revision):
        return Path(
            huggingface_hub.snapshot_download(
                model,
                revision=revision,
                allow_patterns=PATTERNS,
                tqdm_class=_progress(model, notice),
            )
        )


_TRANSPORTS = frozenset({"httpx", "httpcore", "httpx2", "httpcore2", "hf_xet"})
"""What huggingface-hub reaches the hub with: httpx in its 1.x, httpx2 in its 2.x."""


@contextmanager
def _told_plainly(model: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library raises into a sentence and an exit code."""
    try:
        yield
    except errors.HFValidationError:
        raise ConfigurationError(
            f"--model {model}: neither a folder nor a name of the form OWNER/NAME"
        ) from None
    except errors.GatedRepoError:
        raise AccessDeniedError(
            f"the owner of {model} wants you to accept terms first: open "
            f"{constants.ENDPOINT}/{model}, then run `hf auth login`, then this command again"
        ) from None
    except errors.RevisionNotFoundError:
        raise ConfigurationError(f"{model} has no --revision {revision}") from None
    except errors.RepositoryNotFoundError:
        raise ConfigurationError(
            f"the hub has no model {model}, or it is private: check --model, or run `hf auth login`"
        ) from None
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise BackendUnavailableError(
                f"{model} cannot be stored in {constants.HF_HUB_CACHE}: {error.strerror}; make "
                "room, or point HF_HOME to another disk"
            ) from error
        raise BackendUnavailableError(unreachable(model, revision)) from error
    except Exception as error:  # the transport's errors are not all OSErrors
        if type(error).__module__.split(".")[0] not in _TRANSPORTS:
            raise
        raise BackendUnavailableError(unreachable(model, revision)) from error


def unreachable(model: str, revision: str | None) -> str:
    """What to do without the hub: fetch the model elsewhere and copy it."""
    fetch = " ".join(
        ["hf download", model, *([f"--revision {revision}"] if revision else [])]
        + [f"--include '{pattern}'" for pattern in PATTERNS]
    )
    folder = model.rpartition("/")[2]
    why = "HF_HUB_OFFLINE forbids to ask" if constants.HF_HUB_OFFLINE else "cannot be reached"
    return (
        f"{model} is not (or not wholly) on this machine, and the hub {constants.ENDPOINT} {why}. "
        f"On a machine with a connection run: {fetch} --local-dir {folder}; copy that folder here "
        f"and give --model ./{folder}"
    )


def _progress(model: str, notice: Notice) -> type[Any]:
    """A progress class for the hub's library that says a line every ten seconds."""

    class Lines(tqdm):  # type: ignore[type-arg]  # subscripting it fails when the program runs
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # The library counts bytes twice: as they arrive, and as they are on the disk.
            stored = not str(kwargs.get("desc")).startswith("Downloading")
            self._counts = stored and kwargs.get("unit") == "B"
            self._last = time.monotonic()
            kwargs["disable"] = False
            super().__init__(*args, **kwargs)

        def display(self, *_: Any, **__: Any) -> None:
            """Draws no bar."""

        def update(self, n: float | None = 1) -> None:
            """Count, and say so from time to time."""
            super().update(n)
            now = time.monotonic()
            if self._counts and self.n and now - self._last >= SECONDS_BETWEEN_LINES:
                self._last = now
                total = f" of {self.total / 1e9:.2f}" if self.total else ""
                notice(f"{model}: {self.n / 1e9:.2f}{total} GB on this machine")

    return Lines
