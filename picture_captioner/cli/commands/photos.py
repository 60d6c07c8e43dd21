"""Finding the photos that the flags speak of, and saying what was passed over."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath

from picture_captioner.cli.flags import one_of
from picture_captioner.cli.program import command
from picture_captioner.cli.progress import told
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import say
from picture_captioner.errors import NoPhotosError, UsageError, count
from picture_captioner.extras import how_to_install
from picture_captioner.image_loader.formats import (
    PHOTO_EXTENSIONS,
    RAW_EXTENSIONS,
    VIDEO_EXTENSIONS,
)
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.library.store import Library
from picture_captioner.pipeline.selecting.file_list import read_file_list
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.pipeline.selecting.selection import (
    Order,
    in_shard,
    known_below,
    order_photos,
    parse_shard,
)
from picture_captioner.pipeline.selecting.walk import (
    Photo,
    PhotoKinds,
    Sample,
    WalkResult,
    walk_photos,
)

UNREADABLE_NAMED = 5
KINDS_NAMED = 6


def with_named_photos(flags: RunFlags, words: Sequence[str]) -> RunFlags:
    """The flags with what `run DIR` or `estimate IMG.jpg ...` names.

    A folder or photos inside PHOTOS_DIR are a part of it, under the names that they have there;
    another folder is the library itself, and of other photos it is the folder that they share.
    Single photos are looked for here, then in the photos directory, as journal and messages name
    them.

    Raises:
        UsageError: neither one folder nor files, together with a flag that says the same, or some
            inside PHOTOS_DIR and some not.
    """
    if not words:
        return flags
    paths = [_existing(word, flags) for word in words]
    library = flags.settings().photos_dir
    parts = [None if library is None else resolved_below(library, path) for path in paths]
    inside = [part is not None for part in parts]
    if any(path.is_dir() for path in paths):
        if len(paths) > 1:
            raise UsageError("name one folder, or single photos: each library has its own journal")
        if parts[0] is not None:
            return replace(flags, below=parts[0])
        if flags.given.get("photos_dir") is not None:
            raise UsageError(f"{paths[0]} is not in --photos-dir {library}; name one of them")
        return replace(flags, given={**flags.given, "photos_dir": paths[0]})
    if flags.files_from is not None:
        raise UsageError("--files-from and photos that are named exclude each other")
    outside = [path for path, within in zip(paths, inside, strict=True) if not within]
    if outside and (any(inside) or flags.given.get("photos_dir") is not None):
        raise UsageError(
            f"{outside[0]} is not in the photos directory {library}: caption it by itself, with a "
            "journal of its own (--captions-jsonl FILE)"
        )
    named = tuple(path.absolute() for path in paths)
    if not any(inside):
        library = Path(os.path.commonpath([path.parent for path in named]))
    return replace(flags, given={**flags.given, "photos_dir": library}, named=named)


def resolved_below(photos_dir: Path, path: Path) -> str | None:
    """What a path is called in the photos directory, where links lead; None if that is elsewhere.

    Empty for the directory itself.
    """
    real, root = path.resolve(), photos_dir.resolve()
    if not real.is_relative_to(root):
        return None
    name = real.relative_to(root).as_posix()
    return "" if name == "." else name


def _existing(word: str, flags: RunFlags) -> Path:
    if not word:
        raise UsageError("a photo or folder is named by nothing: a variable that is not set?")
    path = Path(word).expanduser()
    if path.exists():
        return path
    library = flags.settings().photos_dir
    if library is None or path.is_absolute():
        raise UsageError(f"there is no photo and no folder {path}")
    if (library / path).is_file():
        return library / path
    raise UsageError(f"there is no photo and no folder {path}, neither here nor in {library}")


def read_files_beside(
    photos_dir: Path, photos: Iterable[Photo], library: Library, journal: Path
) -> None:
    """Read what other programs say in files beside the photos; not what `write` put there.

    Raises:
        LibraryError: library.db cannot be written.
    """
    from picture_captioner.pipeline.library_update.beside import read_beside

    read_beside(photos_dir, photos, library, our_words(journal))


def our_words(journal: Path) -> Callable[[str], set[str]]:
    """For a photo's path the words that `write` put into it or its sidecar, in lower case.

    The file that keeps them is read when somebody asks for the first time.
    """
    from picture_captioner.writeback import undo
    from picture_captioner.writeback.our_words import words_of_ours

    @cache
    def ours() -> dict[str, set[str]]:
        rows, _ = undo.UndoFile.read(undo.undo_path(journal))
        return words_of_ours(rows)

    def words(rel_path: str) -> set[str]:
        stem = str(PurePosixPath(rel_path).with_suffix(""))
        places = (rel_path, f"{rel_path}.xmp", f"{stem}.xmp")
        return set().union(*(ours().get(place, ()) for place in places))

    return words


def find_photos(
    flags: RunFlags, photos_dir: Path, *, follow_links: bool, briefly: bool = True
) -> list[Photo]:
    """The photos that the flags speak of, in the order asked for.

    Args:
        briefly: say in one line what is passed over; `run` says it in full.

    Raises:
        UsageError, ConfigurationError: a pattern, list, shard or directory that makes no sense.
        NoPhotosError: there is not one photo.
    """
    with told(f"looking for photos below {photos_dir}"):
        found = _look(flags, photos_dir, follow_links=follow_links)
    if briefly:
        _tell_briefly(found, same_photos(flags, "run", "--dry-run"))
    else:
        _tell_what_was_left_out(found, beside=not (flags.dry_run or flags.no_library))
    _tell_what_cannot_be_had(found)
    if not found.photos:
        raise NoPhotosError(_nothing_found(found, photos_dir / flags.below, flags.files_from))
    photos = found.photos
    if flags.shard is not None:
        index, shards = parse_shard(flags.shard)
        photos = [photo for photo in photos if in_shard(photo.rel_path, index, shards)]
    return order_photos(photos, Order(one_of("--order", flags.order, Order)))


def known_as_a_part(
    photos_dir: Path, photos: Sequence[Photo], journal: Path, index: JournalIndex, name: str
) -> str:
    """What to say where the journal is of a folder above, and knows these as its part; else ''."""
    folder = known_below(photos_dir, photos, index)
    if not folder:
        return ""
    above = photos_dir.resolve().parents[len(PurePosixPath(folder).parts) - 1]
    return (
        f"the journal {journal} knows these photos as {folder}/...: they are a part of the library "
        f"{above}. To take that part: '{command(name, f'--photos-dir={above}', str(photos_dir))}', "
        "or give them a journal of their own with --captions-jsonl FILE"
    )


def spread(photos: Sequence[Photo], limit: int) -> list[Photo]:
    """Photos at equal distances: neighbours in a folder look alike."""
    most = min(limit, len(photos))
    return [photos[i * len(photos) // most] for i in range(most)]


def photo_kinds() -> PhotoKinds:
    """Which files are photos here, by their names."""
    return PhotoKinds(
        photo=PHOTO_EXTENSIONS,
        raw=RAW_EXTENSIONS,
        video=VIDEO_EXTENSIONS,
        raw_available=importlib.util.find_spec("rawpy") is not None,
    )


def _look(flags: RunFlags, photos_dir: Path, *, follow_links: bool) -> WalkResult:
    kinds = photo_kinds()
    path_filter = PathFilter(flags.include or (), flags.exclude or (), flags.below)
    if flags.files_from is not None or flags.named:
        source = flags.named or flags.files_from or "-"
        return read_file_list(source, photos_dir, kinds, path_filter, follow_links=follow_links)
    return walk_photos(photos_dir, kinds, path_filter, follow_links=follow_links)


def _tell_what_was_left_out(found: WalkResult, *, beside: bool) -> None:
    """Say what is no photo; files `beside` photos are read for what they say of them."""
    if found.videos.count:
        say(f"Passing over {count(found.videos.count, 'video')}{_such_as(found.videos)}")
    if found.raw_without_extra.count:
        say(
            f"Passing over {count(found.raw_without_extra.count, 'RAW photo')}"
            f"{_such_as(found.raw_without_extra)}; to take them: {how_to_install('raw')}"
        )
    if found.other.count:
        sides = [kind for kind in (".xmp", ".json") if found.other_kinds[kind]] if beside else []
        read = f" ({' and '.join(sides)} are read for what they say of photos)" if sides else ""
        say(f"Passing over {count(found.other.count, 'other file')}: {_by_kind(found)}{read}")
    if found.in_icloud.count:
        say(_tell_icloud(found.in_icloud))
    _tell_links(found)


def _tell_briefly(found: WalkResult, rehearsal: str) -> None:
    links = (found.links, found.loops, found.broken_links, found.outside)
    numbers = (
        (found.videos.count, "video"),
        (found.raw_without_extra.count, "RAW photo"),
        (found.in_icloud.count, "photo in iCloud"),
        (found.other.count, "other file"),
        (sum(sample.count for sample in links), "link"),
    )
    plural = {"photo in iCloud": "photos in iCloud"}
    if told := [count(n, noun, plural.get(noun, "")) for n, noun in numbers if n]:
        say(f"Passing over {', '.join(told)}; to see which: {rehearsal}")


def _tell_what_cannot_be_had(found: WalkResult) -> None:
    if found.missing.count:
        say(f"{count(found.missing.count, 'listed file')} not there{_such_as(found.missing)}")
    for rel_path, reason in found.unreadable[:UNREADABLE_NAMED]:
        say(f"Cannot look into {rel_path or '.'}: {reason}")
    if len(found.unreadable) > UNREADABLE_NAMED:
        say(f"... and {len(found.unreadable) - UNREADABLE_NAMED} more that cannot be looked into")


def _by_kind(found: WalkResult) -> str:
    """`12 .pdf, 3 .txt, 2 without a suffix, 9 more`, the most frequent first."""
    ranked = sorted(found.other_kinds.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{number:,} {kind}" for kind, number in ranked[:KINDS_NAMED]]
    more = sum(number for _, number in ranked[KINDS_NAMED:])
    return ", ".join([*told, f"{more:,} of other kinds"] if more else told)


def _tell_icloud(placeholders: Sample) -> str:
    photos = count(placeholders.count, "photo")
    return (
        f"Passing over {photos} in iCloud but not on this disk{_such_as(placeholders)}; "
        'to take them: in Finder "Download Now", or in Photos\' settings "Download Originals to '
        'this Mac"'
    )


def _tell_links(found: WalkResult) -> None:
    links = (
        (found.links, "link", "to what is taken under another path"),
        (found.loops, "link", "to a folder above, which would go round in circles"),
        (found.broken_links, "link", "to what is not there"),
    )
    for sample, kind, where in links:
        if sample.count:
            say(f"Passing over {count(sample.count, kind)} {where}{_such_as(sample)}")
    if found.hard_links.count:
        named = count(found.hard_links.count, "hard link")
        say(f"{named} to other photos{_such_as(found.hard_links)}: captioned once, recorded each")
    if found.outside.count:
        lead = "leads" if found.outside.count == 1 else "lead"
        say(
            f"Not following {count(found.outside.count, 'link')} that {lead} out "
            f"of the photos directory{_such_as(found.outside)}; to take what is there, too: "
            "--follow-links (FOLLOW_LINKS=true in config.env)"
        )


def _such_as(sample: Sample) -> str:
    return f" ({', '.join(sample.examples[:2])}{', ...' if sample.count > 2 else ''})"


def _nothing_found(found: WalkResult, photos_dir: Path, file_list: str | None) -> str:
    if found.excluded.count:
        return f"no photo below {photos_dir} passes --include and --exclude"
    if found.unreadable:
        return f"no photo could be looked at below {photos_dir}: check its permissions"
    if found.outside.count:
        return f"no photo below {photos_dir} but behind links that lead out of it: --follow-links"
    if found.in_icloud.count:
        return f"no photo below {photos_dir} is on this disk: they are in iCloud"
    passed_over = (found.other, found.videos, found.raw_without_extra, found.missing)
    there = sum(sample.count for sample in passed_over)
    if file_list is not None and not there:
        return f"--files-from {file_list} names no file"
    if file_list is not None and there == found.missing.count:
        return (
            f"nothing that --files-from {file_list} names is there: name photos relative to "
            f"{photos_dir}, to here, or by their whole paths"
        )
    if there:
        return f"none of {count(there, 'file')} below {photos_dir} is a photo that can be read"
    return f"no photos found below {photos_dir}: is the disk mounted?"
