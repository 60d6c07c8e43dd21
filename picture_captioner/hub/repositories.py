"""Models of the Hugging Face hub: in a folder of the person's, in the hub's cache, or downloaded.

Only safetensors, JSON, text and tokenizer files are taken, and the ONNX graph that a row of the
list names: no pickles, which could run code, and no code. A download sends the name of the model
and no photo.
"""

from __future__ import annotations

import contextlib
import hashlib
import http
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from picture_captioner.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    ModelMissingError,
    UsageError,
    causes,
)
from picture_captioner.hub.catalogue import CATALOGUE, SAFE_FILES, KnownModel, known_model
from picture_captioner.hub.files import Progress

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read once, when the library is imported

import huggingface_hub
from huggingface_hub import constants, errors
from huggingface_hub.utils import logging as hub_logging
from tqdm import tqdm

WEIGHTS_INDEX = "model.safetensors.index.json"

_SHA256_DIGITS = 64

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


def find_repository(
    model: str,
    revision: str | None = None,
    *,
    needed: Iterable[str] = ("config.json",),
    models_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """The folder with a hub model's files, wholly on this machine; the network is not asked.

    Args:
        needed: files without which the model cannot run, besides its weights.
        models_dir: a folder that is looked into first, for `OWNER/NAME`, `NAME` or a hub's cache.
        cache_dir: the hub's cache, None for its usual place.

    Raises:
        ModelMissingError: it is not here, or not wholly.
        UsageError: `model` is no name of the hub, nor of the list.
    """
    for folder in _places(model, revision, models_dir, cache_dir):
        if not missing_files(folder, needed, model):
            return folder
    if "/" not in model:
        known_model(model)
    raise ModelMissingError(*_how_to_get(model, revision, models_dir))


def missing_files(
    folder: Path, needed: Iterable[str] = ("config.json",), model: str = ""
) -> list[str]:
    """Which of the files that a model needs are not there (a download may have been cut)."""
    graphs = [name for name in _row(model).patterns if name.endswith(".onnx")]
    weights = graphs or _weight_files(folder)
    return [name for name in (*needed, *weights) if not (folder / name).is_file()]


def is_snapshot(folder: Path) -> bool:
    """Whether the folder belongs to the hub's cache, which names it by its commit."""
    return folder.parent.name == "snapshots"


def download_repository(
    model: str,
    revision: str | None,
    progress: Progress,
    *,
    models_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Fetch what is missing of a hub's model into `models_dir` or the cache; returns its folder.

    A download that was cut is gone on from. What has a checksum on the hub is compared with it.

    Raises:
        BackendUnavailableError: the hub cannot be reached, or there is no room.
        ConfigurationError: the hub knows no such model or revision, it has no safetensors, or a
            file that came is not the hub's.
        AccessDeniedError: the model's owner wants you to log in first.
    """
    patterns = _row(model).patterns or SAFE_FILES
    with _told_plainly(model, revision):
        folder = Path(
            huggingface_hub.snapshot_download(
                model,
                revision=revision,
                cache_dir=cache_dir,
                local_dir=models_dir / model if models_dir else None,
                allow_patterns=list(patterns),
                tqdm_class=_counting(model, progress),
            )
        )
        if missing := missing_files(
            folder, model=model
        ):  # without a connection, what is there is returned
            huggingface_hub.HfApi().repo_info(model, revision=revision)
    if missing:
        raise ConfigurationError(
            f"the model {model} has no {missing[0]}. Models are read from safetensors only: other "
            "formats can run code while they load; choose another --model"
        )
    _verify(model, folder)
    return folder


def hub_host() -> str:
    """The host that a download asks; `HF_ENDPOINT` may name another."""
    return urlsplit(constants.ENDPOINT).netloc


def remove_repository(model: str, models_dir: Path | None = None) -> int:
    """Delete a model from `models_dir` and the hub's cache; how many bytes that freed."""
    freed = 0
    if models_dir is not None and (models_dir / model / "config.json").is_file():
        folder = models_dir / model
        freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
    if not Path(constants.HF_HUB_CACHE).is_dir():
        return freed
    cache = huggingface_hub.scan_cache_dir()
    commits = [
        r.commit_hash for repo in cache.repos if repo.repo_id == model for r in repo.revisions
    ]
    if commits:
        strategy = cache.delete_revisions(*commits)
        freed += strategy.expected_freed_size
        strategy.execute()
    return freed


def _row(model: str) -> KnownModel:
    named = (row for row in CATALOGUE if row.repository.lower() == model.lower())
    return next(named, KnownModel(model, "", "", 0, repository=model))


def _places(
    model: str, revision: str | None, models_dir: Path | None, cache_dir: Path | None
) -> Iterator[Path]:
    if models_dir is not None:
        names = (model, model.rpartition("/")[2])
        yield from (models_dir / name for name in names if (models_dir / name).is_dir())
    for cache in (models_dir, cache_dir):
        if cache is not None or cache is cache_dir:
            with contextlib.suppress(errors.LocalEntryNotFoundError):
                yield _cached(model, revision, cache)


def _cached(model: str, revision: str | None, cache_dir: Path | None) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                model,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=True,
                allow_patterns=list(_row(model).patterns or SAFE_FILES),
            )
        )
    except errors.HFValidationError:
        raise UsageError(
            f"--model {model}: neither a folder nor a model's name of the form OWNER/NAME"
        ) from None


def _how_to_get(model: str, revision: str | None, models_dir: Path | None) -> tuple[str, str]:
    named = f"{model}@{revision}" if revision else model
    row = _row(model)
    about = f" ({row.size / 1e9:,.1f} GB, {row.licence})" if row.size else ""
    where = f"in {models_dir} or the hub's cache" if models_dir else "on this machine"
    return named, (
        f"the model {model} is not (or not wholly) {where}: run 'caption.py models download "
        f"{named}'{about}; or give the folder that holds it with --models-dir"
    )


def _fetch_elsewhere(model: str, revision: str | None) -> str:
    patterns = _row(model).patterns or SAFE_FILES
    words = ["hf download", model, *([f"--revision {revision}"] if revision else [])]
    words += [f"--include '{pattern}'" for pattern in patterns]
    return f"{' '.join(words)} --local-dir {model.rpartition('/')[2]}"


def _verify(model: str, folder: Path) -> None:
    """Compare large files with the SHA-256 by which the hub knows them."""
    for path in folder.rglob("*"):
        expected = _expected_sha256(folder, path)
        if expected is None:
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ConfigurationError(
                f"{path.name} of {model} is not the hub's file (its SHA-256 differs), so it was "
                "thrown away: run the same command again"
            )


def _expected_sha256(folder: Path, path: Path) -> str | None:
    if not path.is_file():
        return None
    name = path.resolve().name if path.is_symlink() else ""  # the cache names them by it
    noted = folder / ".cache/huggingface/download" / f"{path.relative_to(folder)}.metadata"
    if not name and noted.is_file():
        name = noted.read_text("utf-8").split("\n")[1]
    is_sha256 = len(name) == _SHA256_DIGITS and not set(name) - set("0123456789abcdef")
    return name if is_sha256 else None


def _weight_files(folder: Path) -> list[str]:
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        return [WEIGHTS_INDEX + " that can be read"]


_TRANSPORTS = frozenset({"httpx", "httpcore", "httpx2", "httpcore2", "hf_xet"})
"""What huggingface-hub reaches the hub with: httpx in its 1.x, httpx2 in its 2.x."""


@contextmanager
def _told_plainly(model: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library raises into a sentence and an exit code."""
    try:
        yield
    except errors.HFValidationError:
        raise UsageError(
            f"--model {model}: neither a folder nor a model's name of the form OWNER/NAME"
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
    except Exception as error:  # the transport's errors are not all OSErrors
        if not isinstance(error, (OSError, *_NOT_UNDERSTOOD)) and not _is_transports(error):
            raise
        lost = isinstance(error, ConnectionError | TimeoutError)
        if isinstance(error, OSError) and error.errno is not None and not lost:
            raise BackendUnavailableError(
                f"{model} cannot be stored in {constants.HF_HUB_CACHE}: {error.strerror}; make "
                "room, or point HF_HOME to another disk"
            ) from error
        told = _what_the_hub_did(error, model) or unreachable(model, revision)
        raise BackendUnavailableError(told) from error


_NOT_UNDERSTOOD = (ValueError, TypeError, KeyError, AttributeError, errors.FileMetadataError)
"""What the hub's library raises on an answer of another form than it expects."""

_CUT = frozenset({"RemoteProtocolError", "ReadError", "ReadTimeout", "WriteError"})


def _is_transports(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in _TRANSPORTS


def _what_the_hub_did(error: BaseException, model: str) -> str | None:
    """What to do about a hub, or something in its place, that answers; None if nothing does.

    Raises:
        AccessDeniedError: it knows the token no more, which asking again does not mend.
    """
    hub = constants.ENDPOINT
    for cause in causes(error):
        if isinstance(cause, errors.HfHubHTTPError):
            if cause.response.status_code == http.HTTPStatus.UNAUTHORIZED:
                raise AccessDeniedError(
                    f"the hub {hub} rejects the token of this machine (HTTP 401) when asked for "
                    f"{model}: run `hf auth login`, or take HF_TOKEN out of the environment, then "
                    "this command again"
                ) from error
            return (
                f"the hub {hub} answers HTTP {cause.response.status_code} when asked for {model}: "
                "run the same command again later, it goes on from there"
            )
        if _is_transports(cause):
            if type(cause).__name__ not in _CUT:
                return None
            return (
                f"the download of {model} was cut by {hub}, or by the network: run the same "
                "command again, it goes on from there"
            )
        if isinstance(cause, _NOT_UNDERSTOOD):
            return (
                f"what answers at {hub} is not a hub of models: the sign-in page of this network, "
                "a proxy, or a wrong HF_ENDPOINT. Open the address in a browser; when the hub is "
                "to be seen there, run the same command again"
            )
    return None


def unreachable(model: str, revision: str | None) -> str:
    """What to do without the hub: fetch the model elsewhere and copy it."""
    folder = model.rpartition("/")[2]
    why = "HF_HUB_OFFLINE forbids to ask" if constants.HF_HUB_OFFLINE else "cannot be reached"
    return (
        f"{model} is not (or not wholly) on this machine, and the hub {constants.ENDPOINT} {why}. "
        f"On a machine with a connection run: {_fetch_elsewhere(model, revision)}; copy that "
        f"folder here and give --model ./{folder}"
    )


def _counting(model: str, progress: Progress) -> type[Any]:
    """A progress class for the hub's library that tells `progress` and draws nothing."""

    class Counter(tqdm):  # type: ignore[type-arg]  # subscripting it fails when the program runs
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # The library counts bytes twice: as they arrive, and as they are on the disk.
            stored = not str(kwargs.get("desc")).startswith("Downloading")
            self._counts = stored and kwargs.get("unit") == "B"
            kwargs["disable"] = False
            super().__init__(*args, **kwargs)

        def display(self, *_: Any, **__: Any) -> None:
            """Draws no bar."""

        def update(self, n: float | None = 1) -> None:
            """Count, and pass it on."""
            super().update(n)
            if self._counts and self.n:
                progress(model, int(self.n), int(self.total or 0))

    return Counter
