"""`write`: our words into sidecars beside the photos, or into the photos themselves."""

from __future__ import annotations

import errno
import re
import secrets
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from picture_captioner.batch.ledger import photos_out, read_jobs
from picture_captioner.cli.command_flags import WriteFlags
from picture_captioner.cli.commands.carrying import Carrier
from picture_captioner.cli.commands.files import existing_journal, photos_dir_of
from picture_captioner.cli.commands.known_people import decisions_of
from picture_captioner.cli.commands.search import selected
from picture_captioner.cli.commands.write_plans import (
    Before,
    Choices,
    Inside,
    Named,
    Plan,
    Planner,
    Tagged,
)
from picture_captioner.cli.commands.write_records import StillOf, records_to_write
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.terminal import say, say_all, show, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, JournalError, NoPhotosError, SidecarError, count
from picture_captioner.journal.record import utc_now
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.overview import named_faces, overview
from picture_captioner.writeback import embedded, exiftool, undo
from picture_captioner.writeback.our_words import people_before, texts_before


def write_words(flags: WriteFlags, query: Sequence[str]) -> int:
    """Write the captions of a journal, or of the photos that a search selects, into sidecars."""
    settings = flags.settings()
    photos_dir = photos_dir_of(settings)
    if not photos_dir.is_dir():
        raise NoPhotosError(f"the photos directory {photos_dir} is not there; is its disk mounted?")
    journal = existing_journal(flags)
    how = Choices.of(flags)
    among = selected(query, settings)
    with ExitStack() as held:
        file = held.enter_context(closing(undo.UndoFile(undo.undo_path(journal))))
        say_all(file.repairs, file.warnings())
        writes = undo.open_writes(file)
        folder = undo.Folder(photos_dir, settings.follow_links)
        undo.remove_leftovers(folder, writes[-undo.TOGETHER :])
        tool = held.enter_context(exiftool.ExifTool(exiftool.work_folder(journal)))
        carrier = held.enter_context(closing(Carrier(settings, photos_dir)))
        if how.inside:
            tool.check()
            if not flags.dry_run:
                carrier.open()
                carrier.settle(file.rows)
        before = Before(texts_before(writes), people_before(writes))
        people = _people(settings, writes) if "people" in how.fields else {}
        written = {w.photo or w.path for w in writes} if flags.only_new else set()
        library = held.enter_context(Library.open(settings.library_home, say))
        tags = _tags(library, journal) if "keywords" in how.fields else {}
        others = {*people, *(path for content in tags for path in library.paths_of(content))}
        records = records_to_write(journal, flags, written, others, among)
        outcome: Counter[str] = Counter()
        known = [r for r in records if _is_there(photos_dir, r.rel_path, outcome)]
        out = photos_out(read_jobs(journal)) if how.inside else {}
        planner = Planner(
            folder,
            library,
            settings,
            how,
            before,
            people,
            tags,
            StillOf(journal, library),
            tool,
            out,
            flags.dry_run,
            outcome,
        )
        plans = planner.plans(known)
        if flags.dry_run:
            outcome["would change"] = _show_plans(flags, plans, photos_dir)
        else:
            run = f"{utc_now()[:19].replace(':', '')}-{secrets.token_hex(3)}"
            back, kept = suggested(flags, "undo"), how.keep_times
            try:
                Writing(file, run, folder, carrier, outcome, back, keep_times=kept).all(plans)
            except (KeyboardInterrupt, JournalError):
                _tell(outcome, flags)
                raise
    return _tell(outcome, flags)


def _people(settings: Settings, writes: Sequence[undo.Write]) -> Named:
    """Who is to be named where; photos for which we named somebody before are among them."""
    if not (settings.people_path.exists() and settings.has_library):
        return {}
    with Library.open(settings.library_home, say) as library:
        named = named_faces(overview(library, decisions_of(settings)))
    before = (w.photo or w.path.removesuffix(".xmp") for w in writes if w.added.people)
    return {photo: [] for photo in before} | named


def _tags(library: Library, journal: Path) -> Tagged:
    """What 'tag' gave the pictures, as a person calls it now; guesses about faces stay here."""
    called = TagDecisions.beside(journal)
    given = library.tags.given()
    return {key: called.names(tag.tag for tag in found) for key, found in given.items()}


_PACKAGE = re.compile(r"\.(?:photoslibrary|(?:migrated)?(?:photo|ap)library)(?:/|$)", re.IGNORECASE)
"""A library of Apple Photos, iPhoto or Aperture: a folder that no other program may change."""


def _is_there(photos_dir: Path, rel_path: str, outcome: Counter[str]) -> bool:
    """Whether a photo is where the journal has it; what cannot be looked at is told."""
    if _PACKAGE.search(f"{photos_dir.resolve()}/{rel_path}"):
        outcome["package"] += 1
        return False
    try:
        if stat.S_ISREG((photos_dir / rel_path).stat().st_mode):
            return True
        outcome["gone"] += 1
    except (FileNotFoundError, NotADirectoryError):
        outcome["gone"] += 1
    except OSError as error:
        say(f"{rel_path}: {error.strerror}; left alone")
        outcome["left alone"] += 1
    return False


def _show_plans(flags: WriteFlags, plans: Iterable[Plan], photos_dir: Path) -> int:
    """Print what would change; how many files."""
    number = 0
    for number, plan in enumerate(plans, 1):  # noqa: B007 - it is returned
        _show_plan(flags, plan, photos_dir)
    return number


def _show_plan(flags: WriteFlags, plan: Plan, photos_dir: Path) -> None:
    """The change as a person, or a script, reads it."""
    named = str(plan.path.relative_to(photos_dir))
    if flags.as_json:
        show_json(
            {
                "photo" if plan.inside else "sidecar": named,
                "new": plan.before is None,
                **vars(plan.added),
            }
        )
        return
    show(f"{'+++' if plan.before is None else '~~~'} {named}")
    for name, (old, new) in plan.added.texts.items():
        if old:
            show(f"  - {name}: {old}")
        show(f"  + {name}: {new}")
    for name, values in plan.added.items.items():
        show(f"  + {name}: {', '.join(values)}")
    if plan.added.people:
        show(f"  + people: {', '.join(plan.added.people)}")
    if plan.added.gone:
        show(f"  - people: {', '.join(plan.added.gone)}")


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass
class Writing:
    """One run of `write`: its lines in the undo file, and the files that it changes."""

    file: undo.UndoFile
    run: str
    folder: undo.Folder
    carrier: Carrier
    outcome: Counter[str]
    undo_command: str
    keep_times: bool
    _number: int = 0
    _failures: int = 0
    _waiting: list[Plan] = field(default_factory=list)

    def all(self, plans: Iterable[Plan]) -> None:
        """Undo lines first, then the files: sidecars a batch at a time, photos one by one.

        Raises:
            JournalError: the disk is full, which the next photo would meet, too.
        """
        try:
            for plan in plans:
                if plan.inside is not None:
                    self._inside(plan, plan.inside)
                    continue
                self._waiting.append(plan)
                if len(self._waiting) == undo.TOGETHER:
                    self._sidecars()
            self._sidecars()
        finally:
            if self._number > self._failures:
                say(f"To take it back: {self.undo_command} --run={self.run}")

    def _line(self, plan: Plan, after: bytes, inside: undo.Inside | None = None) -> undo.Write:
        named = str(plan.path.relative_to(self.folder.path))
        identity = f"{self.run}-{self._number:06d}"
        before = plan.before if inside is None else None
        self._number += 1
        hashed = undo.sha256(after)
        where = str(self.folder.path.resolve())
        return undo.Write(
            identity, self.run, named, before, hashed, plan.added, inside, where, plan.photo
        )

    def _sidecars(self) -> None:
        plans, self._waiting = self._waiting, []
        lines = [self._line(plan, plan.after) for plan in plans]
        if lines:
            self.file.put(*(line.row() for line in lines))
        for place, plan in enumerate(plans):
            try:
                self.folder.file(plan.photo)  # a link may have taken its place since
                undo.put(plan.path, plan.after)
            except SidecarError as error:
                self._failed(error, lines[place:])
            else:
                self.outcome["written"] += 1

    def _inside(self, plan: Plan, inside: Inside) -> None:
        photo, new = inside.photo, inside.new
        if new is None:
            raise RuntimeError("a dry run writes nothing")
        status = photo.status
        times = (status.st_atime_ns, status.st_mtime_ns)
        old = undo.sha256(photo.data)
        kept = undo.Inside(
            old,
            status.st_mtime_ns,
            status.st_atime_ns,
            photo.parts.rest,
            inside.keywords,
            new.patch,
        )
        line = self._line(plan, new.data, kept)
        self.file.put(line.row())
        try:
            self.folder.file(plan.photo)
            embedded.put_photo(photo, new.data, times if self.keep_times else None)
        except SidecarError as error:
            self._failed(error, [line])
        else:
            self.carrier.carry(line.path, old, line.after_sha256)
            self.outcome["written"] += 1

    def _failed(self, error: SidecarError, lines: Sequence[undo.Write]) -> None:
        """The first of these writes failed; where the disk is full the others are not tried."""
        self.outcome["failed"] += 1
        self._failures += 1
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_ROOM:
            with suppress(JournalError, SidecarError):  # the lines may be on the full disk, too
                self.file.put(*filter(None, map(self._as_it_was, lines)))
            raise JournalError(
                f"{error}: stopped there; make room and run the same command again, which goes on"
            ) from error
        say(str(error))

    def _as_it_was(self, line: undo.Write) -> dict[str, str] | None:
        """What lets `--only-new` find a file again that was not written, though its line is."""
        now = undo.read(self.folder.path / line.path)
        if now is not None and undo.sha256(now) == line.after_sha256:
            return None
        return {"id": line.identity, "run": line.run, "undone": utc_now()}


def _tell(outcome: Counter[str], flags: WriteFlags) -> int:
    if flags.as_json and not flags.dry_run:
        show_json(dict(outcome))
    for what in (
        "written",
        "beside instead",
        "would change",
        "unchanged",
        "kept",
        "shared",
        "changed",
        "gone",
        "package",
        "left alone",
        "failed",
    ):
        if outcome[what]:
            say(f"{count(outcome[what], 'photo'):>12} {_WORDS[what]}")
    if outcome["changed"]:
        say(f"To caption what was replaced: {suggested(flags, 'run', '--stale=content')}")
    return ExitCode.IO_FAILED if outcome["failed"] else ExitCode.DONE


_WORDS = {
    "written": "written",
    "beside instead": "not written into: the words went into a sidecar",
    "would change": "would be written (nothing done: --dry-run)",
    "unchanged": "had all of it already",
    "kept": "with words of somebody's own, which were kept (--conflict append adds ours)",
    "shared": "with an IMG.xmp beside IMG.jpg.xmp: digiKam reads that alone, and not ours",
    "changed": "replaced or edited since they were captioned: no caption was written",
    "gone": "gone from the photos directory",
    "package": "in a library of Apple Photos, iPhoto or Aperture, for no other program to change:"
    " left alone (docs/sidecars.md)",
    "left alone": "left alone: see above",
    "failed": "could not be written: see above",
}
