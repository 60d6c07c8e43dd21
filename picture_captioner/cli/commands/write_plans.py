"""What `write` is going to change, photo by photo: nothing is changed here."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from picture_captioner.cli.command_flags import WriteFlags
from picture_captioner.cli.commands.write_records import StillOf
from picture_captioner.cli.flags import one_of, words_in
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.terminal import at_terminal, confirmed, say
from picture_captioner.config import Settings
from picture_captioner.errors import (
    FatalError,
    LeftAloneError,
    NotEmbeddableError,
    SidecarError,
    Status,
)
from picture_captioner.image_loader.formats import RAW_EXTENSIONS
from picture_captioner.journal.record import Record
from picture_captioner.library.faces import Placed
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.metadata.told import is_camera_text
from picture_captioner.metadata.xmp_packet import Region, XmpError, XmpPacket
from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
from picture_captioner.pipeline.library_update.storing import OpenStages
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import StageSettings, make_stages
from picture_captioner.writeback import embedded, undo
from picture_captioner.writeback.exiftool import ExifTool
from picture_captioner.writeback.regions import orientation_of, region_of, stored_size
from picture_captioner.writeback.sidecars import (
    DESCRIPTIONS,
    Added,
    Conflict,
    Reader,
    begun,
    keywords_in,
    merge,
    sidecar_of,
    sidecars_of,
)
from picture_captioner.writeback.words import FIELDS, Own, Words, own_words, words_of

Named = Mapping[str, Sequence[tuple[str, Placed]]]
"""For each path the faces of who has a name."""
Tagged = Mapping[str, Sequence[str]]
"""For each content the tags that 'tag' gave it, as they are called now."""


@dataclass(frozen=True)
class Choices:
    """What the flags say is written, and how; `conflict` None: the person is asked."""

    fields: tuple[str, ...]
    conflict: Conflict | None
    reader: Reader | None
    inside: bool
    beside: bool
    keep_times: bool

    @classmethod
    def of(cls, flags: WriteFlags) -> Choices:
        """Read the flags.

        Raises:
            UsageError: a word that is not known.
        """
        conflict = one_of("--conflict", flags.conflict, [*Conflict, "ask"])
        one_of("--to", flags.to, ("sidecar", "embedded", "both"))
        return cls(
            tuple(words_in("--fields", flags.fields, FIELDS)),
            None if conflict == "ask" else Conflict(conflict),
            None if flags.reader is None else Reader(one_of("--for", flags.reader, Reader)),
            inside=flags.to != "sidecar",
            beside=flags.to != "embedded",
            keep_times=flags.keep_times,
        )


@dataclass(frozen=True)
class Inside:
    """A photo that is to be written into: as it is, and its new bytes (none for a dry run)."""

    photo: embedded.Photo
    new: embedded.New | None
    keywords: list[str]


@dataclass(frozen=True)
class Plan:
    """One file that is about to change for a photo: its sidecar, or itself (`inside`)."""

    photo: str
    path: Path
    before: bytes | None
    after: bytes
    added: Added
    inside: Inside | None = None


@dataclass(frozen=True)
class Before:
    """What earlier writes left, by file: texts by their property, and names."""

    texts: Mapping[str, Mapping[str, str]]
    people: Mapping[str, set[str]]


@dataclass
class Planner:
    """Finds out for each record what is to change; what is not, is counted in `outcome`."""

    folder: undo.Folder
    library: Library
    settings: Settings
    how: Choices
    before: Before
    people: Named
    tags: Tagged
    still_of: StillOf
    tool: ExifTool
    out: Mapping[str, str]
    dry_run: bool
    outcome: Counter[str]
    _stems: dict[Path, dict[str, int]] = field(default_factory=dict)

    def plans(self, records: Sequence[Record]) -> Iterator[Plan]:
        """What is to change."""
        records = [record for record in records if self._lies_inside(record.rel_path)]
        _look_inside(records, self.folder.path, self.library, self.settings, self.people)
        for record in records:
            try:
                yield from self._of_photo(record)
            except (LeftAloneError, XmpError) as error:
                say(f"{record.rel_path}: {error}; left alone")
                self.outcome["left alone"] += 1
            except SidecarError as error:
                say(f"{record.rel_path}: {error}")
                self.outcome["failed"] += 1
            except OSError as error:
                if error.errno not in (errno.ENAMETOOLONG, errno.ENOENT, errno.EACCES):
                    raise
                say(f"{record.rel_path}: {error.strerror}; left alone")
                self.outcome["left alone"] += 1

    def _lies_inside(self, rel_path: str) -> bool:
        try:
            self.folder.file(rel_path)
        except LeftAloneError as error:
            say(f"{rel_path}: {error}; left alone")
            self.outcome["left alone"] += 1
            return False
        return True

    def _of_photo(self, record: Record) -> Iterator[Plan]:
        photo = self.folder.path / record.rel_path
        status = photo.stat()
        facts = self.library.facts.of_file(record.rel_path, status.st_size, status.st_mtime_ns)
        regions = _regions(facts, self.people.get(record.rel_path, ()))
        tags = self.tags.get(facts.content_sha256, ()) if facts is not None else ()
        caption = self.still_of.caption(record, status.st_size, facts)
        if caption is None:
            self.outcome["changed"] += 1
        nothing = Record(rel_path=record.rel_path, caption=None, status=Status.SUCCESS)
        words = words_of(caption or nothing, self.how.fields, regions, tags)
        found, beside = 0, self.how.beside
        if self.how.inside and record.rel_path in self.out:
            job = self.out[record.rel_path]
            raise LeftAloneError(f"job {job} has it; 'caption.py batch collect' first, then write")
        if self.how.inside:
            try:
                plan = self._inside(record.rel_path, facts, words)
            except NotEmbeddableError as why:
                self._instead(record.rel_path, str(why))
                beside = True
            else:
                if plan is not None:
                    yield plan
                    found += 1
        if beside and (plan := self._beside(record.rel_path, facts, words)) is not None:
            yield plan
            found += 1
        if not found and caption is not None:
            self.outcome["unchanged"] += 1

    def _instead(self, rel_path: str, why: str) -> None:
        """Say why the words of a photo go into a sidecar; of each kind of file once."""
        kind = f"instead of {Path(rel_path).suffix.lower()}"
        if why.startswith("nothing is written into") and not self.outcome[kind]:
            say(f"{rel_path}: {why}; their words go into sidecars")
        elif not why.startswith("nothing is written into"):
            say(f"{rel_path}: {why}; its words go into a sidecar")
        self.outcome[kind] += 1
        self.outcome["beside instead"] += 1

    def _inside(self, rel_path: str, facts: PhotoFacts | None, words: Words) -> Plan | None:
        names = self.before.people.get(rel_path, set())
        if not words and not names:
            return None
        photo = embedded.read_photo(self.folder.path / rel_path)
        packet, own = photo.packet(), self._own(rel_path, rel_path, facts)
        keywords = [path[-1] for path in (*own.keywords, *keywords_in(packet))]
        added = self._merged(rel_path, rel_path, packet, words, own, facts)
        if not added:
            return None
        embedded.check_writable(photo)
        undo.unfinished(photo.path).exists()  # raises where that name would be too long
        description = self._exif_text(rel_path, facts, packet, added)
        new = None
        if not self.dry_run:
            new = embedded.with_words(self.tool, photo, packet, description)
        inside = Inside(photo, new, keywords)
        return Plan(rel_path, photo.path, photo.data, new.data if new else b"", added, inside)

    def _exif_text(
        self, rel_path: str, facts: PhotoFacts | None, packet: XmpPacket, added: Added
    ) -> str | None:
        """What EXIF's description is to be: a camera's would hide ours (Immich takes it first)."""
        there = facts.metadata.exif.get("ImageDescription") if facts is not None else None
        ours = self.before.texts.get(rel_path, {}).get(embedded.EXIF_TEXT)
        text = packet.text(DESCRIPTIONS[0])
        if not isinstance(there, str) or not text or DESCRIPTIONS[0] not in added.texts:
            return None
        if there != ours and not is_camera_text(there):
            return None
        added.texts[embedded.EXIF_TEXT] = (there, text)
        return text

    def _beside(self, rel_path: str, facts: PhotoFacts | None, words: Words) -> Plan | None:
        photo = self.folder.path / rel_path
        if photo.parent not in self._stems:
            names = (p.stem for p in photo.parent.iterdir() if p.suffix != ".xmp")
            self._stems[photo.parent] = Counter(names)
        sidecar = sidecar_of(
            photo,
            self.how.reader,
            is_raw=photo.suffix.lower() in RAW_EXTENSIONS,
            siblings=self._stems[photo.parent][photo.stem] - 1,
        )
        named = str(sidecar.relative_to(self.folder.path))
        if not words and not self.before.people.get(named):
            return None
        undo.unfinished(sidecar).exists()  # raises where that name would be too long
        before = undo.read(sidecar)
        if before is None:
            other = next((o for o in sidecars_of(photo) if o != sidecar), sidecar)
            packet = begun(_read_if_it_can_be(other))
            ours = str(other.relative_to(self.folder.path))
        else:
            packet, ours = XmpPacket(before), named
        own = self._own(rel_path, named, facts)
        added = self._merged(rel_path, ours, packet, words, own, facts)
        full, short = sidecars_of(photo)
        if added and sidecar == full and short.exists():
            self.outcome["shared"] += 1
        return Plan(rel_path, sidecar, before, packet.to_bytes(), added) if added else None

    def _own(self, rel_path: str, named: str, facts: PhotoFacts | None) -> Own:
        """What the photo itself says; not what we wrote into it."""
        own = own_words(facts.metadata) if facts is not None else Own()
        ours = {*self.before.texts.get(rel_path, {}).values()}
        ours |= {*self.before.texts.get(named, {}).values()}
        return replace(
            own,
            description="" if own.description in ours else own.description,
            title="" if own.title in ours else own.title,
        )

    def _merged(
        self,
        rel_path: str,
        named: str,
        packet: XmpPacket,
        words: Words,
        own: Own,
        facts: PhotoFacts | None,
    ) -> Added:
        """Our words in the packet of a file; what that adds."""
        names = self.before.people.get(named, set()) if "people" in self.how.fields else set()
        conflict = self.how.conflict or _ask(rel_path, packet, words, own)
        size = (facts.width, facts.height) if facts is not None else (0, 0)
        turn = orientation_of(facts.metadata) if facts is not None else 1
        texts = dict(self.before.texts.get(named, {}))
        added = merge(packet, words, own, conflict, texts, stored_size(size, turn), names)
        if added and added.kept:
            self.outcome["kept"] += 1
        return added


def _read_if_it_can_be(path: Path) -> bytes | None:
    try:
        return undo.read(path)
    except SidecarError:  # then no other program can read it either
        return None


def _look_inside(
    records: Sequence[Record],
    photos_dir: Path,
    library: Library,
    settings: Settings,
    people: Named,
) -> None:
    """Read what is written in photos that library.db does not know yet: it must not be hidden.

    An older version did not note where areas of people are, nor how a HEIC was turned, and it lost
    letters of texts that are not in UTF-8.
    """
    photos = []
    for record in records:
        with suppress(OSError):  # it went away meanwhile, which is told when its turn comes
            status = (photos_dir / record.rel_path).stat()
            photos.append(Photo(record.rel_path, status.st_size, status.st_mtime_ns))
    settings_of_stages = StageSettings(photos=len(photos), notice=say)
    stages = make_stages(["normalize", "metadata"], settings_of_stages, _cannot)
    still_open = OpenStages(library, stages)

    def is_unknown(photo: Photo) -> bool:
        facts = library.facts.of_file(photo.rel_path, photo.size, photo.mtime_ns)
        if facts is None:
            return True
        doubtful = photo.rel_path in people or "\ufffd" in str(facts.metadata)
        return doubtful and bool(still_open.of_file(photo))

    unknown = [photo for photo in photos if is_unknown(photo)]
    if unknown:
        with closing(ProgressReporter()) as reporter:
            options = PassOptions(
                follow_links=settings.follow_links, decoders=settings.decode_workers
            )
            process_photos(photos_dir, unknown, library, stages, reporter, options)


def _cannot(_: str, error: FatalError) -> None:
    raise error


def _regions(facts: PhotoFacts | None, faces: Sequence[tuple[str, Placed]]) -> list[Region]:
    """Named faces as areas of the stored picture; none of a photo that has changed since."""
    if facts is None:
        return []
    size, turn = (facts.width, facts.height), orientation_of(facts.metadata)
    own = (face for face in faces if face[1].content_sha256 == facts.content_sha256)
    found = (region_of(name, face.box, size, turn) for name, face in own)
    return [region for region in found if region is not None]


def _ask(rel_path: str, packet: XmpPacket, words: Words, own: Own) -> Conflict:
    """What the person wants for this photo; without a terminal theirs is kept."""
    trial = XmpPacket(packet.to_bytes())
    if not merge(trial, words, own).kept or not at_terminal():
        return Conflict.KEEP
    theirs = packet.text("dc:description") or own.description
    say(f"{rel_path}\n  theirs: {theirs}\n  ours:   {words.description}")
    return Conflict.APPEND if confirmed("Append ours to it?") else Conflict.KEEP
