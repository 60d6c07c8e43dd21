"""`write` and `undo`: our words into sidecars beside the photos, and back out of them."""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from picture_captioner.cli.commands.people import decisions_of
from picture_captioner.cli.commands.photos import photos_dir_of
from picture_captioner.cli.commands.search import selected
from picture_captioner.cli.commands.stats import existing_journal
from picture_captioner.cli.commands.write_choices import Choices, Named, records_to_write
from picture_captioner.cli.program import program
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.terminal import count, say, show
from picture_captioner.cli.write_flags import WriteFlags
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, FatalError, NoPhotosError, SidecarError
from picture_captioner.image_loader import RAW_EXTENSIONS
from picture_captioner.journal import Record, utc_now
from picture_captioner.library import Library, PhotoFacts, Placed
from picture_captioner.metadata.xmp_packet import Region, XmpError, XmpPacket
from picture_captioner.pipeline.library_update.processing import OpenStages, process_photos
from picture_captioner.pipeline.people.overview import named_faces, overview
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import StageSettings
from picture_captioner.pipeline.stages.registry import make_stages
from picture_captioner.writeback import undo
from picture_captioner.writeback.regions import orientation_of, region_of, stored_size
from picture_captioner.writeback.sidecars import Added, Conflict, merge, sidecar_of
from picture_captioner.writeback.words import Own, Words, own_words, words_of

TOGETHER = 50
"""Photos whose undo lines share one sync: with one each, a library took twice as long."""


@dataclass(frozen=True)
class Plan:
    """One sidecar that is about to change."""

    rel_path: str
    sidecar: Path
    before: bytes | None
    after: bytes
    added: Added


def write_words(flags: WriteFlags, query: Sequence[str] = ()) -> int:
    """Write the captions of a journal, or of the photos that a search selects, into sidecars.

    Raises:
        UsageError: a word that is not known.
        JournalError: the journal or the undo file cannot be read or written.
        NoPhotosError: the photos directory is not there.
    """
    settings = flags.settings()
    photos_dir = photos_dir_of(settings)
    if not photos_dir.is_dir():
        raise NoPhotosError(f"the photos directory {photos_dir} is not there; is its disk mounted?")
    journal = existing_journal(flags)
    how = Choices.of(flags)
    among = selected(query, settings)
    with closing(undo.UndoFile(undo_path(journal))) as file:
        for warning in (*file.repairs, *file.warnings()):
            say(warning)
        writes = undo.open_writes(file)
        undo.remove_leftovers(photos_dir, writes[-TOGETHER:])
        before = _Before(undo.ours_before(writes), undo.people_before(writes))
        people = _people(settings, before) if "people" in how.fields else {}
        written = {w.path for w in writes} if flags.only_new else set()
        chosen = records_to_write(journal, flags, written, people)
        records = (r for r in chosen if among is None or r.rel_path in among)
        outcome: Counter[str] = Counter()
        known = [r for r in records if (photos_dir / r.rel_path).is_file() or _is_gone(outcome)]
        plans = _plans(known, photos_dir, settings, how, before, people, outcome)
        if flags.dry_run:
            for plan in plans:
                outcome["would change"] += 1
                _show_plan(plan, photos_dir, as_json=flags.as_json)
        else:
            run = f"{utc_now()[:19].replace(':', '')}-{secrets.token_hex(3)}"
            _write_all(plans, file, run, photos_dir, outcome)
    return _tell(outcome, flags)


def undo_path(journal: Path) -> Path:
    """Where the undo file of a journal is: beside it."""
    return journal.with_name(f"{journal.stem}.undo.jsonl")


@dataclass(frozen=True)
class _Before:
    """What earlier writes left, by sidecar: texts by their property, and names."""

    texts: Mapping[str, Mapping[str, str]]
    people: Mapping[str, set[str]]


def _people(settings: Settings, before: _Before) -> Named:
    """Who is to be named where; photos for which we named somebody before are among them."""
    if not (settings.people_path.exists() and settings.has_library):
        return {}
    with Library.open(settings.library_home, say) as library:
        named = named_faces(overview(library, decisions_of(settings)))
    return {path.removesuffix(".xmp"): [] for path, names in before.people.items() if names} | named


def _plans(
    records: Sequence[Record],
    photos_dir: Path,
    settings: Settings,
    how: Choices,
    before: _Before,
    people: Named,
    outcome: Counter[str],
) -> Iterator[Plan]:
    """What is to change; what is not, is counted."""
    stems: dict[Path, dict[str, int]] = {}
    with Library.open(settings.library_home, say) as library:
        _look_inside(records, photos_dir, library, settings, people)
        for record in records:
            try:
                plan = _plan(record, photos_dir, library, how, before, people, stems)
            except (SidecarError, XmpError) as error:
                say(f"{record.rel_path}: {error}; left alone")
                outcome["failed"] += 1
                continue
            if plan is None:
                outcome["unchanged"] += 1
                continue
            outcome["kept"] += bool(plan.added.kept)
            yield plan


def _is_gone(outcome: Counter[str]) -> bool:
    outcome["gone"] += 1
    return False


def _look_inside(
    records: Sequence[Record],
    photos_dir: Path,
    library: Library,
    settings: Settings,
    people: Named,
) -> None:
    """Read what is written in photos that library.db does not know yet: it must not be hidden.

    An older version did not note where areas of people are, nor how a HEIC was turned.
    """
    status = ((r.rel_path, (photos_dir / r.rel_path).stat()) for r in records)
    photos = [Photo(rel_path, s.st_size, s.st_mtime_ns) for rel_path, s in status]
    settings_of_stages = StageSettings(photos=len(photos), notice=say)
    stages = make_stages(["normalize", "metadata"], settings_of_stages, _cannot)
    still_open = OpenStages(library, stages)
    unknown = [
        p
        for p in photos
        if library.facts(p.rel_path, p.size, p.mtime_ns) is None
        or (p.rel_path in people and still_open.of_file(p))
    ]
    if unknown:
        reporter = ProgressReporter()
        try:
            process_photos(
                photos_dir,
                unknown,
                library,
                stages,
                reporter,
                follow_links=settings.follow_links,
                decoders=settings.decode_workers,
            )
        finally:
            reporter.close()


def _cannot(_: str, error: FatalError) -> None:
    raise error


def _plan(
    record: Record,
    photos_dir: Path,
    library: Library,
    how: Choices,
    mine: _Before,
    people: Named,
    stems: dict[Path, dict[str, int]],
) -> Plan | None:
    photo = photos_dir / record.rel_path
    status = photo.stat()
    facts = library.facts(record.rel_path, status.st_size, status.st_mtime_ns)
    regions = _regions(facts, people.get(record.rel_path, ()))
    words = words_of(record, how.fields, regions)
    if photo.parent not in stems:
        stems[photo.parent] = Counter(p.stem for p in photo.parent.iterdir() if p.suffix != ".xmp")
    sidecar = sidecar_of(
        photo,
        how.reader,
        is_raw=photo.suffix.lower() in RAW_EXTENSIONS,
        siblings=stems[photo.parent][photo.stem] - 1,
    )
    named = str(sidecar.relative_to(photos_dir))
    texts, names = dict(mine.texts.get(named, {})), mine.people.get(named, set())
    if not words and not names:
        return None
    before = undo.read(sidecar)
    packet = XmpPacket() if before is None else XmpPacket(before)
    own = own_words(facts.metadata) if facts is not None else Own()
    conflict = how.conflict or _ask(record.rel_path, packet, words, own)
    size = (facts.width, facts.height) if facts is not None else (0, 0)
    turn = orientation_of(facts.metadata) if facts is not None else 1
    names = names if "people" in how.fields else set()
    added = merge(packet, words, own, conflict, texts, stored_size(size, turn), names)
    return Plan(record.rel_path, sidecar, before, packet.to_bytes(), added) if added else None


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
    if not merge(trial, words, own).kept or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return Conflict.KEEP
    import typer

    theirs = packet.text("dc:description") or own.description
    say(f"{rel_path}\n  theirs: {theirs}\n  ours:   {words.description}")
    wanted = typer.confirm("Append ours to it?", default=False, err=True)
    return Conflict.APPEND if wanted else Conflict.KEEP


def _show_plan(plan: Plan, photos_dir: Path, *, as_json: bool) -> None:
    """The change as a person, or a script, reads it."""
    named = str(plan.sidecar.relative_to(photos_dir))
    if as_json:
        show(json.dumps({"sidecar": named, "new": plan.before is None, **vars(plan.added)}))
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


def _write_all(
    plans: Iterable[Plan],
    file: undo.UndoFile,
    run: str,
    photos_dir: Path,
    outcome: Counter[str],
) -> None:
    """Undo lines first, then the sidecars; a batch at a time."""
    number = 0
    for batch in _batches(plans):
        writes = [
            undo.Write(
                f"{run}-{number + i:06d}",
                run,
                str(plan.sidecar.relative_to(photos_dir)),
                plan.before,
                undo.sha256(plan.after),
                plan.added,
            )
            for i, plan in enumerate(batch)
        ]
        number += len(batch)
        file.put(*(write.row() for write in writes))
        for plan in batch:
            try:
                undo.put(plan.sidecar, plan.after)
            except SidecarError as error:
                say(str(error))
                outcome["failed"] += 1
            else:
                outcome["written"] += 1
    if number:
        say(f"To take it back: {_undo_command(run)}")


def _batches(plans: Iterable[Plan]) -> Iterator[list[Plan]]:
    batch: list[Plan] = []
    for plan in plans:
        batch.append(plan)
        if len(batch) == TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


def _undo_command(run: str) -> str:
    return " ".join([*program(), "undo", f"--run={run}"])


def _tell(outcome: Counter[str], flags: WriteFlags) -> int:
    if flags.as_json and not flags.dry_run:
        show(json.dumps(dict(outcome)))
    for what in ("written", "would change", "unchanged", "kept", "gone", "failed"):
        if outcome[what]:
            say(f"{count(outcome[what], 'photo'):>12} {_WORDS[what]}")
    return ExitCode.IO_FAILED if outcome["failed"] else ExitCode.DONE


_WORDS = {
    "written": "written",
    "would change": "would be written (nothing done: --dry-run)",
    "unchanged": "had all of it already",
    "kept": "with words of somebody's own, which were kept (--conflict append adds ours)",
    "gone": "gone from the photos directory",
    "failed": "could not be written: see above",
}
