"""The photos that a list names (`--files-from`), held to the same rules as those of a walk."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.pipeline.selecting.photos_root import ensure_present, root_id
from picture_captioner.pipeline.selecting.walk import (
    LEADS_NOWHERE,
    Collector,
    PhotoKinds,
    WalkResult,
    outside_of,
    path_key,
)


def read_file_list(
    source: str | Sequence[Path],
    photos_dir: Path,
    kinds: PhotoKinds,
    path_filter: PathFilter | None = None,
    *,
    follow_links: bool = False,
) -> WalkResult:
    """The photos named in a file, on standard input if `source` is `-`, or here; in path order.

    One path per line (LF or CRLF), or NUL-separated as soon as there is a NUL; relative to the
    photos directory, absolute inside it, or, where neither is there, relative to the working
    directory (`find photos > list`); accents as either system writes them. `..` is resolved by the
    text, not through links. Hidden files may be listed; suffixes, filters and `follow_links` hold
    as in `walk_photos`.

    Raises:
        UsageError: the list cannot be read, or a path leads out of the photos directory.
        ConfigurationError, NoPhotosError: as `walk_photos`.
    """
    root = root_id(photos_dir)
    collector = Collector(kinds, path_filter or PathFilter())
    real_root = None if follow_links else os.path.realpath(photos_dir)
    for rel_path in sorted(set(_listed_paths(source, photos_dir)), key=path_key):
        if collector.wants(rel_path):
            _add_listed(collector, photos_dir, rel_path, real_root)
    ensure_present(photos_dir, root)
    return collector.result


def _add_listed(
    collector: Collector, photos_dir: Path, rel_path: str, real_root: str | None
) -> None:
    path = photos_dir / rel_path
    try:
        if real_root is not None and (target := outside_of(real_root, os.fspath(path))):
            collector.result.outside.add(f"{rel_path} -> {target}")
            return
        status = path.stat()
    except OSError as error:
        if error.errno in LEADS_NOWHERE:
            collector.result.missing.add(rel_path)
        else:
            collector.fail(rel_path, error)
    else:
        collector.add(rel_path, status, linked=path.is_symlink())


def _listed_paths(source: str | Sequence[Path], photos_dir: Path) -> Iterator[str]:
    name = "standard input" if source == "-" else source
    # As typed and with its links resolved: tools that make lists print the one or the other.
    bases = [_with_slash(photos_dir.absolute()), _with_slash(photos_dir.resolve())]
    data = _read_list(source) if isinstance(source, str) else b"\0".join(map(os.fsencode, source))
    for number, line in _lines(data + b"\0" if not isinstance(source, str) else data):
        rel_path = _as_it_lies(os.fsdecode(line), photos_dir, bases)
        if rel_path is None:
            raise UsageError(
                f"--files-from {name}, line {number}: {os.fsdecode(line)!r} is outside of the "
                f"photos directory {photos_dir}"
            )
        yield rel_path


def _as_it_lies(path: str, photos_dir: Path, bases: Sequence[str]) -> str | None:
    """The listed path relative to the photos directory, as something is called that is there."""
    meant = [_inside(path, bases), _inside(os.path.normpath(Path.cwd() / path), bases)]
    typed = [one for one in meant if one]
    spelled = [
        *typed,
        *(unicodedata.normalize("NFC", one) for one in typed),
        *(unicodedata.normalize("NFD", one) for one in typed),
    ]
    there = (one for one in spelled if "\0" not in one and os.path.lexists(photos_dir / one))
    return next(there, next(iter(spelled), None))


def _with_slash(directory: Path) -> str:
    return os.path.normpath(directory).rstrip("/") + "/"


def _read_list(source: str) -> bytes:
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {source}: {error.strerror}") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Its NULs would pass for separators. PowerShell's `>` writes it.
        raise UsageError(f"--files-from {source} is UTF-16: save it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The entries that are not blank, numbered from 1."""
    if b"\0" in data:
        entries = data.split(b"\0")
    else:
        entries = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return ((number, entry) for number, entry in enumerate(entries, 1) if entry.strip())


def _inside(path: str, bases: Sequence[str]) -> str | None:
    """The path relative to the first base that holds it, or None."""
    if path.startswith("/"):
        # normpath keeps two leading slashes, which POSIX lets mean something else.
        path = os.path.normpath("/" + path.lstrip("/"))
        return next((path[len(base) :] for base in bases if path.startswith(base)), None)
    path = os.path.normpath(path)
    return None if path.split("/", 1)[0] == ".." else path
