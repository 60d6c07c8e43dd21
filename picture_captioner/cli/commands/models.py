"""`models`: list, find, download and remove models; and the yes that allows a download."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tqdm import tqdm

from picture_captioner.cli.flags import Flags
from picture_captioner.cli.progress import told
from picture_captioner.cli.terminal import (
    Verbosity,
    at_terminal,
    confirmed,
    say,
    show,
    show_as_it_is,
    show_json,
    size,
)
from picture_captioner.embedders.minilm import package_folder
from picture_captioner.errors import ConfigurationError, ExitCode, ModelMissingError
from picture_captioner.extras import how_to_install
from picture_captioner.hub.catalogue import (
    CATALOGUE,
    KnownModel,
    download_files,
    known_model,
    model_files,
    stored_files,
)
from picture_captioner.hub.files import Progress

SECONDS_BETWEEN_LINES = 4.0

T = TypeVar("T")


def with_models(action: Callable[[], T], models_dir: Path | None) -> T:
    """Do what may need a model; one that is missing is downloaded if a person says yes.

    Raises:
        ModelMissingError: nobody is there to ask, or the answer is no.
        FatalError: the download failed, or what `action` raises.
    """
    try:
        with told("waiting for the model"):
            return action()
    except ModelMissingError as missing:
        if not _yes(missing):
            raise
        _download(missing.model, models_dir)
        with told("loading the model"):
            return action()


def _yes(missing: ModelMissingError) -> bool:
    if not (Verbosity.yes or at_terminal()):
        return False
    row = known_model(missing.model.partition("@")[0])
    about = f" ({size(row.size)}, {row.licence})" if row.size else ""
    say(f"The model {missing.model}{about} is not on this machine. No photo is sent to get it.")
    return Verbosity.yes or confirmed("Download it now?")


def print_models(flags: Flags) -> int:
    """List the models that this program names, and where they are."""
    folder = flags.settings().models_dir
    rows = [(model, where_is(model, folder)) for model in CATALOGUE]
    if flags.as_json:
        show_json([_as_mapping(model, where) for model, where in rows])
    else:
        for model, where in rows:
            about = f"{size(model.size)}, {model.licence}"
            show(model.name, model.purpose, about, str(where) if where else "not here")
    return ExitCode.DONE


def print_path(name: str, flags: Flags) -> int:
    """Print where a model is: its folder, or its files."""
    folder = flags.settings().models_dir
    model = known_model(name.partition("@")[0])
    if not model.repository:
        for path in model_files(model.name, folder):
            show_as_it_is(str(path))
    else:
        from picture_captioner.hub.repositories import find_repository

        show_as_it_is(str(find_repository(*_named(name), models_dir=folder)))
    return ExitCode.DONE


def download_models(names: Sequence[str], flags: Flags) -> int:
    """Download models by name, each verified; what is here already is not fetched again."""
    folder = flags.settings().models_dir
    for name in names:
        known_model(name.partition("@")[0])
    for name in names:
        _download(name, folder)
    return ExitCode.DONE


def remove_models(names: Sequence[str], flags: Flags) -> int:
    """Delete models from the cache, or from the folder that `--models-dir` names."""
    folder = flags.settings().models_dir
    for name in names:
        model = known_model(name.partition("@")[0])
        freed = _remove(model, folder)
        say(f"{name}: {size(freed)} freed" if freed else f"{name} is not on this machine")
    return ExitCode.DONE


def _remove(model: KnownModel, folder: Path | None) -> int:
    if model.repository:
        _require_hub()
        from picture_captioner.hub.repositories import remove_repository

        return remove_repository(model.repository, folder)
    freed = 0
    for path in stored_files(model, folder):
        if path is not None:
            freed += path.stat().st_size
            path.unlink()
    return freed


def _download(name: str, folder: Path | None) -> None:
    model = known_model(name.partition("@")[0])
    about = f", {size(model.size)}, {model.licence}" if model.size else ""
    host = _host(model)
    say(
        f"Downloading {name}{about} from {host}; no photo is sent. It goes on where it was stopped "
        "if the command is repeated"
    )
    with _shown_progress() as progress:
        if model.repository:
            from picture_captioner.hub.repositories import download_repository

            paths = [download_repository(*_named(name), progress, models_dir=folder)]
        else:
            paths = download_files(model, folder, progress)
    for path in paths:
        say(f"{name} is at {path}")


def _host(model: KnownModel) -> str:
    if not model.repository:
        return urlsplit(model.files[0].url).netloc
    _require_hub()
    from picture_captioner.hub.repositories import hub_host

    return hub_host()


def _named(name: str) -> tuple[str, str | None]:
    """The hub's name and the revision of `NAME[@REVISION]`."""
    name, _, revision = name.partition("@")
    return known_model(name).repository, revision or None


def where_is(model: KnownModel, folder: Path | None) -> Path | None:
    """Where a model is on this machine; None if it is not."""
    if not model.repository:
        paths = stored_files(model, folder)
        return paths[0] if all(paths) else None
    if model.name == "minilm" and (packaged := package_folder()) is not None:
        return packaged
    try:
        from picture_captioner.hub.repositories import find_repository

        return find_repository(model.repository, models_dir=folder)
    except (ModuleNotFoundError, ModelMissingError):
        return None


def _require_hub() -> None:
    try:
        import huggingface_hub  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"this model comes from the Hugging Face hub, which needs the package {error.name}: "
            f"run {how_to_install('report')}"
        ) from error


def _as_mapping(model: KnownModel, where: Path | None) -> dict[str, Any]:
    return {
        "name": model.name,
        "purpose": model.purpose,
        "licence": model.licence,
        "size": model.size,
        "repository": model.repository or None,
        "files": [file.name for file in model.files],
        "path": str(where) if where else None,
    }


@contextmanager
def _shown_progress() -> Iterator[Progress]:
    """The progress of downloads: a bar for each file in a terminal, else a line now and then."""
    bars: list[tqdm[Any]] = []
    last = time.monotonic()

    def told(name: str, done: int, total: int) -> None:
        nonlocal last
        if sys.stderr.isatty():
            if not bars or bars[-1].desc != f"{name}: ":
                for bar in bars:
                    bar.close()
                bars.append(tqdm(desc=name, unit="B", unit_scale=True, dynamic_ncols=True))
            bars[-1].total = total or None
            bars[-1].update(done - bars[-1].n)
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            of = f" of {size(total)}" if total else ""
            say(f"{name}: {size(done)}{of} on this machine")

    try:
        yield told
    finally:
        for bar in bars:
            bar.close()
