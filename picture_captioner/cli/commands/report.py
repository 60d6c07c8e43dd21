"""`cluster_report.py`: read what there is, embed it, build the report, write it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from picture_captioner.cli.command_flags import ReportFlags
from picture_captioner.cli.commands.files import index_of
from picture_captioner.cli.commands.photos import find_photos, read_files_beside
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.interrupts import note_signals
from picture_captioner.cli.logs import configure_logging
from picture_captioner.cli.program import as_called
from picture_captioner.cli.progress import ProgressReporter, told
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import duration, say, show, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    NoPhotosError,
    OutputError,
    count,
)
from picture_captioner.extras import how_to_install
from picture_captioner.journal.durable import make_folders
from picture_captioner.journal.fold import Fold
from picture_captioner.journal.reading import JournalIndex, read_again
from picture_captioner.journal.record import Entry, Record
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.pipeline.selecting.selection import of_another_library

if TYPE_CHECKING:
    from picture_captioner.cli.commands.report_inputs import Chosen
    from picture_captioner.library.store import Library
    from picture_captioner.library.texts import Words
    from picture_captioner.pipeline.selecting.walk import Photo
    from picture_captioner.report.build import Built, ReportOptions
    from picture_captioner.report.labels import Vocabulary
    from picture_captioner.report.model import ReportPhoto
    from picture_captioner.report.run_state import RunState


class _Inputs(NamedTuple):
    """What the report is about; `photos_dir` is None for a journal alone."""

    photos_dir: Path | None
    walked: list[Photo]
    photos: list[ReportPhoto]
    notes: Sequence[str]
    follow_links: bool
    tags: TagDecisions


def make_report(flags: ReportFlags) -> int:
    """Make the report and say what is in it; returns the exit code."""
    _require_packages()
    from picture_captioner.library.clean_images import CleanImages
    from picture_captioner.library.store import Library
    from picture_captioner.report.engines import engine_info

    started = time.monotonic()
    engine_info(flags.engine)
    settings = flags.settings()
    flags = replace(flags, models_dir=settings.models_dir)
    configure_logging(settings.log_file, settings.log_level)
    _make_folder(flags.out)
    inputs = _read_inputs(flags, settings)
    images = CleanImages.up_to(settings.keep_clean, settings.library_path, say)
    with Library.open(settings.library_home, say, images) as library:
        code = _report(flags, inputs, library)
    if code == ExitCode.DONE:
        say(f"Done in {duration(time.monotonic() - started)}: {flags.out}")
    return code


def _require_packages() -> None:
    try:
        import numpy  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the report needs the package {error.name}: run {how_to_install('report')}"
        ) from error
    from picture_captioner.report.layout import keep_compiled_code

    keep_compiled_code()


def _make_folder(out: Path) -> None:
    try:
        make_folders(out)
    except OSError as error:
        raise ConfigurationError(
            f"--out {out}: cannot make this folder: {error.strerror}; name another one"
        ) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--out {out}: no permission to write there; name another folder")


def _read_inputs(flags: ReportFlags, settings: Settings) -> _Inputs:
    from picture_captioner.cli.commands.report_inputs import report_photos

    photos_dir = None if flags.no_photos else settings.photos_dir
    journal = settings.captions_jsonl
    if photos_dir is None and not journal.exists():
        raise ConfigurationError(
            f"nothing to report on: no photos directory is set and {journal} is not there; "
            "give --photos-dir DIR or --captions-jsonl FILE"
        )
    notes = [] if photos_dir else ["made from the journal alone, without the photos"]
    walked = _walk(flags, photos_dir, settings.follow_links) if photos_dir else []
    index = index_of(journal)
    if differing := of_another_library(walked, index):
        notes.append(f"{journal.name} seems to be another library's and is left out: {differing}")
        index = JournalIndex()
    wanted = PathFilter(flags.include or (), flags.exclude or ())
    known = [index.fold(path) for path in index.entries if wanted.takes_file(path)]
    moved: dict[str, Entry] = {}
    if photos_dir is not None:
        known, moved, about_them = _still_there(flags, walked, index, known)
        notes += about_them
    tags = TagDecisions.beside(journal)
    records = _records(journal, tags, (fold.caption or fold.attempt for fold in known))
    now_at = {entry.rel_path: path for path, entry in moved.items()}
    for record in _records(journal, tags, moved.values()):
        records.append(replace(record, rel_path=now_at[record.rel_path]))
    if suspect := sum(bool(record.extra.get("suspect")) for record in records):
        shown = suggested(flags, "search", "status:suspect")
        notes.append(f"{count(suspect, 'caption')} with what nobody told: '{shown}' shows them")
    failed_since = _records(journal, tags, (fold.last for fold in known if fold.redo_failed))
    photos = report_photos(walked, records, failed_since)
    return _Inputs(photos_dir, walked, photos, notes, settings.follow_links, tags)


def _still_there(
    flags: ReportFlags, walked: Sequence[Photo], index: JournalIndex, known: Sequence[Fold[Entry]]
) -> tuple[list[Fold[Entry]], dict[str, Entry], list[str]]:
    """What is known of the photos that are where they were; of moved ones, by their path now.

    And notes about these, and about photos that are gone.
    """
    from picture_captioner.cli.commands.report_inputs import moved_captions

    notes = []
    found = {photo.rel_path for photo in walked}
    last = [fold.last for fold in known if fold.last]
    here = {entry.content_sha256 for entry in last if entry.rel_path in found} - {None}
    moved = moved_captions(walked, index, known)
    anew = [path for path in moved if path in index.entries]
    away = found | {entry.rel_path for entry in moved.values()}
    if gone := [entry for entry in last if entry.rel_path not in away]:
        note = f"{count(len(gone))} of the journal not there any more: left out"
        if moves := sum(entry.content_sha256 in here for entry in gone):
            note += f" (of {moves:,} the same content lies under another path)"
        notes.append(note)
    if others := len(moved) - len(anew):
        notes.append(f"{count(others)} moved since captioned; the next run records it, free")
    if anew:
        how = suggested(flags, "run", "--stale=content")
        notes.append(f"{count(len(anew))} under another's name now: '{how}' records it")
    left = found - moved.keys()
    return [fold for fold in known if fold.last and fold.last.rel_path in left], moved, notes


def _records(journal: Path, tags: TagDecisions, entries: Iterable[Entry | None]) -> list[Record]:
    found = read_again(journal, (entry for entry in entries if entry is not None))
    return [tags.applied(Record.from_mapping(fields)) for fields in found]


def _walk(flags: ReportFlags, photos_dir: Path, follow_links: bool) -> list[Photo]:
    """The photos; that there are none is worth a line, and no reason to fail."""
    try:
        wanted = RunFlags(
            given=flags.given, config=flags.config, include=flags.include, exclude=flags.exclude
        )
        return find_photos(wanted, photos_dir, follow_links=follow_links)
    except NoPhotosError as error:
        if not photos_dir.is_dir() or not os.access(photos_dir, os.R_OK | os.X_OK):
            raise
        say(str(error))
        return []


def _report(flags: ReportFlags, inputs: _Inputs, library: Library) -> int:
    from picture_captioner.cli.commands.report_inputs import choose_embedder

    chosen = choose_embedder(flags, len(inputs.walked), inputs.photos)
    try:
        if code := _examine(inputs, chosen, library, flags.settings().captions_jsonl):
            return code
        inputs = _without_others_captions(flags, inputs, library)
        with told("reading what is known of the photos") as step:
            files, built = _made(flags, inputs, chosen, library, step)
    finally:
        if chosen is not None:
            chosen.embedder.close()
    _tell(flags, built, files)
    return ExitCode.DONE


def _without_others_captions(flags: ReportFlags, inputs: _Inputs, library: Library) -> _Inputs:
    """Photos that another picture took the name of are shown without its caption, aloud."""
    from picture_captioner.cli.commands.report_inputs import of_their_own

    photos, replaced = of_their_own(inputs.photos, inputs.walked, library)
    if not replaced:
        return inputs
    how = suggested(flags, "run", "--stale=content")
    note = f"{count(replaced)} replaced since captioned: without a caption here, until {how}"
    return inputs._replace(photos=photos, notes=[*inputs.notes, note])


def _made(
    flags: ReportFlags,
    inputs: _Inputs,
    chosen: Chosen | None,
    library: Library,
    step: Callable[[str], None],
) -> tuple[list[Path], Built]:
    """The report, written."""
    from picture_captioner.cli.commands.report_inputs import (
        load_vectors,
        load_vocabulary,
        with_facts,
        with_words,
    )
    from picture_captioner.cli.commands.report_people import people_of, wanted_names
    from picture_captioner.report.build import build_report
    from picture_captioner.report.contradictions import contradictions

    walked = {photo.rel_path: photo for photo in inputs.walked}
    photos = with_facts(inputs.photos, walked, library.facts)
    photos = with_words(photos, _words(library), inputs.tags, wanted_names(flags))
    step("vectors")
    vectors = load_vectors(library, chosen, photos)
    vocabulary = load_vocabulary(flags.vocabulary, chosen, photos)
    options = replace(
        _options(flags, inputs, chosen, vocabulary), step=step, thumbnail=_thumbnails(library)
    )
    built = build_report(photos, vectors, options, _previous(flags))
    head = built.report.head
    notes = map(as_called, (*head.notes, *contradictions(built.report)))
    commands = {name: suggested(flags, name) for name in head.commands}
    head = replace(head, notes=tuple(notes), commands=commands)
    built = built._replace(report=replace(built.report, head=head))
    if not flags.no_people:
        step("people")
        people = people_of(library, flags, inputs.photos_dir, photos, walked)
        built = built._replace(report=replace(built.report, people=people))
    step("writing the report")
    return _write(flags, inputs, built, library), built


def _thumbnails(library: Library) -> Callable[[ReportPhoto], bytes | None]:
    return lambda photo: (
        library.thumbnail(photo.content_sha256) if photo.content_sha256 is not None else None
    )


def _words(library: Library) -> Words:
    from picture_captioner.report.places import place_names

    if (names := place_names()) is not None:
        library.facts.name_places(names)
    return library.texts.words()


def _examine(inputs: _Inputs, chosen: Chosen | None, library: Library, journal: Path) -> int:
    """Bring the library up to date with the photos; an exit code if that was interrupted."""
    if inputs.photos_dir is None or not inputs.walked or chosen is None:
        return ExitCode.DONE
    from picture_captioner.cli.commands.process import leave_if_abandoned
    from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
    from picture_captioner.pipeline.stages.base import Stage
    from picture_captioner.pipeline.stages.embed import EmbedStage
    from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage

    embedder = chosen.embedder
    stages: list[Stage] = [NormalizeStage(), MetadataStage()]
    if not chosen.by_captions:
        stages.append(EmbedStage(embedder.embed_images, embedder.identity, embedder.preferred_edge))
    read_files_beside(inputs.photos_dir, inputs.walked, library, journal)
    reporter = ProgressReporter(seconds_between_lines=4.0)
    with closing(reporter), note_signals(reporter.notice) as interrupts:
        options = PassOptions(follow_links=inputs.follow_links, interrupted=interrupts.requested)
        photos_dir, walked = inputs.photos_dir, inputs.walked
        result = process_photos(photos_dir, walked, library, stages, reporter, options)
    code = interrupts.exit_status or ExitCode.DONE
    leave_if_abandoned(result, code)
    return code


def _options(
    flags: ReportFlags, inputs: _Inputs, chosen: Chosen | None, vocabulary: Vocabulary | None
) -> ReportOptions:
    from picture_captioner.report.build import ReportOptions
    from picture_captioner.report.places import place_names

    return ReportOptions(
        made_at=datetime.now().astimezone(),
        embedder=chosen.embedder.identity if chosen else "none",
        embedder_reason=chosen.reason if chosen else "there is nothing to compare",
        engine=flags.engine,
        seed=None if flags.fast else flags.seed,
        min_cluster_size=flags.min_cluster_size,
        assign=flags.assign,
        reassign_noise=flags.reassign_noise,
        vectors_of_pictures=chosen is not None and not chosen.by_captions,
        vocabulary=vocabulary,
        place_names=place_names(),
        goes_by=chosen.embedder.goes_by if chosen else "",
        notes=(*inputs.notes, *(chosen.notes if chosen else ())),
    )


def _previous(flags: ReportFlags) -> RunState | None:
    """What the earlier report in this folder left, for the clusters' ids."""
    from picture_captioner.report.run_state import STATE_FILE, BrokenStateError, load_state

    path = flags.out / STATE_FILE
    try:
        return load_state(path)
    except BrokenStateError as error:
        if flags.assign:
            raise ConfigurationError(f"--assign: {error}; leave --assign out") from error
        say(f"{error}; clusters get new ids")
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error


def _write(flags: ReportFlags, inputs: _Inputs, built: Built, library: Library) -> list[Path]:
    """Write every output; the state last, so that it never speaks of a report that is not there.

    Raises:
        OutputError: one cannot be written; those before it are whole, the others as they were.
    """
    from picture_captioner.report.csv_export import write_csv
    from picture_captioner.report.markdown import write_markdown
    from picture_captioner.report.page.writer import write_page
    from picture_captioner.report.run_state import STATE_FILE, save_state

    try:
        files = [
            write_csv(built.report, flags.out, excel=flags.excel),
            write_markdown(built.report, flags.out),
            write_page(built.report, flags.out, _thumbnails(library), inputs.photos_dir),
        ]
        save_state(flags.out / STATE_FILE, built.state)
    except OSError as error:
        where = error.filename2 or error.filename or flags.out
        raise OutputError(
            f"cannot write {where}: {error.strerror or error}; mend that or name another --out, "
            "and run the same command again"
        ) from error
    return files


def _tell(flags: ReportFlags, built: Built, files: Sequence[Path]) -> None:
    from picture_captioner.report.summary import as_mapping, counts

    report, number = built.report, counts(built.report)
    say(built.labels.summary)
    if made_up := sum(photo.placeholder and bool(photo.caption) for photo in report.photos):
        say(f"{count(made_up, 'caption')} of these: placeholders, no real ones")
    say(
        f"{count(number['clusters'], 'cluster')}, {report.noise_share:.1%} of the photos in none; "
        f"{count(number['events'], 'event')}, {count(number['photos_alone'])} alone at their time; "
        f"{count(number['duplicate_groups'], 'group')} of duplicates"
    )
    for note in report.head.notes:
        say(note)
    if flags.as_json:
        show_json(as_mapping(report, files))
    else:
        for path in files:
            show(str(path))
