"""Files of a model by URL, each verified by its SHA-256 before it gets its name.

What to fetch is in a manifest, a JSON file:

    {"files": [{"name": "model.onnx", "url": "https://...", "sha256": "...", "size": 371000000}]}

A file is there whole or not at all: it is written beside its place, verified, and then renamed. A
cut connection leaves a part that the next attempt goes on from.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from picture_captioner.errors import BackendUnavailableError, ConfigurationError
from picture_captioner.foreign_text import faults_of

MANIFEST = "manifest.json"
CHUNK = 1 << 20
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as cut."""
PART = ".part"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Progress = Callable[[str, int, int], None]
"""Told of a file's name, the bytes that are here, and the bytes that it has."""


class WebFile(BaseModel):
    """A file and its checksum; `name` is where it goes in the model's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]

    @field_validator("name")
    @classmethod
    def _stays_in_the_folder(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
            raise ValueError("the name leads out of the model's folder")
        return name

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError("only https:// is fetched")
        return url


class Manifest(BaseModel):
    """The files of a model."""

    files: tuple[WebFile, ...]


def download_manifest(manifest: Path, folder: Path, progress: Progress) -> list[Path]:
    """Fetch the files of a manifest that are not in `folder` yet, whole and right.

    Returns:
        The files that were fetched; those that were right already are left alone.

    Raises:
        ConfigurationError: the manifest makes no sense, or a server's file is not what it says.
        BackendUnavailableError: a server does not answer or the connection was cut.
    """
    fetched = []
    for file in _read(manifest).files:
        path = folder / file.name
        if is_right(path, file.size, file.sha256):
            progress(file.name, file.size, file.size)
        else:
            fetched.append(download_file(file, path, progress))
    return fetched


def _read(manifest: Path) -> Manifest:
    try:
        return Manifest.model_validate(json.loads(manifest.read_text("utf-8")))
    except ValidationError as error:
        where, fault = faults_of(error)[0]
        raise ConfigurationError(f"{manifest.name}: {where}: {fault}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{manifest.name} cannot be read as JSON") from error


def is_right(path: Path, size: int, sha256: str) -> bool:
    """Whether the file there has these bytes."""
    try:
        if not path.is_file() or path.stat().st_size != size:
            return False
    except OSError:
        return False
    return _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def download_file(file: WebFile, path: Path, progress: Progress) -> Path:
    """Fetch a file to `path`, where it appears whole and right or not at all; returns the path.

    Raises:
        ConfigurationError: what the server sent is not the file, or it cannot be stored here.
        BackendUnavailableError: the server does not answer, the connection was cut, or another
            process fetches the file.
    """
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(part, file):
            if not is_right(path, file.size, file.sha256):  # nobody fetched it since
                went_on = _fetch(file, part, progress)
                if went_on and _sha256(part) != file.sha256:  # a power cut may leave zeros in it
                    part.open("wb").close()
                    _fetch(file, part, progress)
                if _sha256(part) == file.sha256:
                    part.replace(path)
                    return path
            part.unlink(missing_ok=True)  # who fetched it has renamed it
    except (OSError, http.client.HTTPException) as error:
        raise _why(file, part, error) from error
    if is_right(path, file.size, file.sha256):
        return path
    raise _another_file(file, "its SHA-256 differs")


@contextmanager
def _held(part: Path, file: WebFile) -> Iterator[None]:
    """Two that append to one part would make a file of it that nobody sent."""
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackendUnavailableError(
                f"another process is fetching {file.name} into {part.parent}: wait until it is "
                "done, and run the same command again"
            ) from error
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            if not os.fstat(stream.fileno()).st_size:
                part.unlink(missing_ok=True)


def _fetch(file: WebFile, part: Path, progress: Progress) -> bool:
    """Fetch what `part` lacks; whether something was there before."""
    have = part.stat().st_size
    if have > file.size:
        part.open("wb").close()
        have = 0
    if have < file.size or not have:
        _receive(file, part, progress)
    return have > 0


def _another_file(file: WebFile, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"what the server sent as {file.name} is not that file ({why}), so it was thrown away: the "
        f"file at {file.url} was changed, or something in between (the sign-in page of this "
        "network, a proxy) answers in its place"
    )


def _receive(file: WebFile, part: Path, progress: Progress) -> None:
    """Append to `part` what it lacks, and no more than the file should have."""
    have = part.stat().st_size
    request = urllib.request.Request(file.url, headers={"User-Agent": "picture-captioner"})  # noqa: S310 - the manifest allows https only
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - likewise
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        told = answer.headers.get("Content-Length") or ""
        if told.isdecimal() and int(told) != file.size - have:  # what is here already stays
            raise _another_file(file, f"{int(told):,} bytes in place of {file.size - have:,}")
        with part.open("ab" if resumed else "wb") as out:
            while have <= file.size and (data := answer.read(CHUNK)):
                have += len(data)
                out.write(data)
                progress(file.name, min(have, file.size), file.size)
            out.flush()
            os.fsync(out.fileno())
    if have < file.size:
        raise ConnectionError("the connection ended early")


def _why(
    file: WebFile, part: Path, error: Exception
) -> BackendUnavailableError | ConfigurationError:
    if isinstance(error, urllib.error.HTTPError):
        return BackendUnavailableError(
            f"the server does not give {file.name}: HTTP {error.code} from {file.url}"
        )
    if isinstance(error, OSError) and (error.filename or error.errno in _NO_ROOM):
        return ConfigurationError(
            f"{file.name} cannot be stored in {part.parent}: {error.strerror}; name another folder "
            "with --models-dir"
        )
    have = part.stat().st_size if part.is_file() else 0
    reason = getattr(error, "reason", None) or error
    if not have:
        return BackendUnavailableError(
            f"the download of {file.name} did not begin: {reason or type(error).__name__}; check "
            f"the network, and whether {urlsplit(file.url).hostname} can be reached from here"
        )
    return BackendUnavailableError(
        f"the download of {file.name} was cut at {have:,} of {file.size:,} bytes "
        f"({type(error).__name__}): start again, it goes on from there"
    )
