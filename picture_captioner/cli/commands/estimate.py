"""`estimate`: what a run would be. Nothing is sent unless a trial is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from picture_captioner.backends.base import CaptionBackend, ExpectedTokens
from picture_captioner.backends.prompt import question
from picture_captioner.backends.registry import backend_class
from picture_captioner.backends.tokens import FRAME, text_tokens
from picture_captioner.cli.commands.compose import (
    edge_for,
    make_backend,
    prices_for,
    require_a_model,
    settings_for,
    workers_for,
)
from picture_captioner.cli.commands.estimate_table import rows
from picture_captioner.cli.commands.files import index_of, photos_dir_of
from picture_captioner.cli.commands.pending import shots_of
from picture_captioner.cli.commands.photos import find_photos, known_as_a_part, spread
from picture_captioner.cli.commands.rules import context_for, hints_for, rules_for
from picture_captioner.cli.commands.trial import Trial, try_out
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import say, show_json, show_table
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode
from picture_captioner.journal.reading import JournalIndex, read_again
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.dedup import SameShots
from picture_captioner.pipeline.forecast import (
    MAX_HEADERS,
    Dimensions,
    Forecast,
    Rule,
    as_billed,
    asked_alike,
    by_rule,
    photos_per_second,
    read_dimensions,
)
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.selection import (
    SelectionRules,
    find_sources,
    of_another_library,
    select,
)
from picture_captioner.pipeline.selecting.walk import Photo

ASSUMED_SECONDS = 4.0
"""For one answer of a paid service, until this journal knows better. Not measured: there is no
network where this is built."""


def print_estimate(flags: RunFlags, trial: int | None) -> int:
    """Print photos remaining, total and done, their tokens, the price and the time.

    `trial`: caption so many of the remaining photos, and go by the time that this takes.
    """
    values = _estimate(flags, trial)
    if flags.as_json:
        show_json(values)
    else:
        show_table(rows(values, same_photos(flags, "run"), suggested(flags, "process")))
    return ExitCode.DONE


def _estimate(flags: RunFlags, trial: int | None) -> dict[str, Any]:
    settings = settings_for(flags)
    photos_dir = photos_dir_of(settings)
    index = index_of(settings.captions_jsonl)
    if model := _answered_before(index, settings):
        settings = flags.settings(prompt=settings.prompt, model=model)
    backend = make_backend(flags, settings)
    require_a_model(flags, [backend])
    hints = hints_for(flags)
    rules = rules_for(flags, [backend], hints)
    prices, edge = prices_for(backend, settings), edge_for([backend], settings)
    workers = workers_for(backend, settings)
    photos = find_photos(flags, photos_dir, follow_links=settings.follow_links)
    if part := known_as_a_part(photos_dir, photos, settings.captions_jsonl, index, "estimate"):
        say(f"A run would stop: {part}")
    elif differing := of_another_library(photos, index):
        say(
            f"The journal {settings.captions_jsonl} seems to be another library's: {differing}. "
            "A run would stop: name this library's journal with --captions-jsonl FILE"
        )
    with ExitStack() as held:
        library = _library(flags, settings, held)
        if (context := context_for(flags, settings, backend, library)) is not None:
            hints = hints.with_context(context)
            rules = rules_for(flags, [backend], hints)
        taken = select(photos, index, rules).photos
        told = _told(backend, hints, library, spread(taken, MAX_HEADERS))
    asked = _asked_about(photos, taken, index, rules)
    moved = _moved(asked, index, rules, photos_dir)
    pending = [photo for photo in asked if photo.rel_path not in moved]
    dimensions = read_dimensions(photos_dir, pending, follow_links=settings.follow_links)
    records = read_again(
        settings.captions_jsonl, asked_alike(index.entries.values(), rules.identity)
    )
    billed = as_billed(records, prices)
    # Without a readable header every photo is taken for a large one.
    sizes = dimensions.sizes or [(edge, edge)]
    rule = by_rule(told.added_to(backend.expected_tokens), sizes, edge, prices)
    tried = None
    if trial and pending:
        tried = try_out(backend, settings, photos_dir, spread(pending, trial), edge, prices)
    return {
        "backend": backend.name,
        "model": backend.settings.model,
        "photos": len(photos),
        "done": len(photos) - len(taken),
        "remaining": len(pending),
        "same_shot": len(taken) - len(asked),
        "moved": len(moved),
        "bytes_remaining": sum(photo.size for photo in pending),
        **_sizes(dimensions, edge),
        **_time(index, rules, backend, billed, len(pending), workers),
        **_tried(tried, len(pending)),
        "sent_to": backend.destination,
        "free": prices.free,
        "told_tokens_per_photo": told.tokens if hints else None,
        "told_unknown_photos": told.unknown if hints else None,
        **_money(backend, prices, billed, tried, rule, len(pending)),
    }


def _asked_about(
    photos: Sequence[Photo], taken: Sequence[Photo], index: JournalIndex, rules: SelectionRules
) -> list[Photo]:
    """Of the photos that a run takes, those that are sent: no RAW file whose shot has a caption."""
    shots = shots_of(photos, rules)
    own = SameShots(shots, index, rules)
    asked = {photo.rel_path for photo in taken} - shots.keys()
    return [
        photo
        for photo in taken
        if (leader := shots.get(photo.rel_path)) is None
        or (leader.rel_path not in asked and own.caption(photo.rel_path) is None)
    ]


def _moved(
    asked: Sequence[Photo], index: JournalIndex, rules: SelectionRules, photos_dir: Path
) -> set[str]:
    """Those that lie elsewhere than when they were captioned, as size and time tell; a run hashes.

    They keep their captions, and nobody is asked.
    """
    sources = find_sources(asked, index, rules, photos_dir)
    found = [source for by_hash in sources.values() for source in by_hash.values() if source.moved]
    away = {(source.entry.size, source.entry.mtime_ns) for source in found}
    return {photo.rel_path for photo in asked if (photo.size, photo.mtime_ns) in away}


def _answered_before(index: JournalIndex, settings: Settings) -> str | None:
    """The model that answered last, where a server has but one, which nobody names."""
    if settings.model or not settings.backend or backend_class(settings.backend).default_model:
        return None
    entries = reversed(index.entries.values())
    return next((e.model for e in entries if e.backend == settings.backend and e.model), None)


def _library(flags: RunFlags, settings: Settings, held: ExitStack) -> DispensableLibrary | None:
    """What facts there are; asking makes no file."""
    if flags.no_library or not settings.context:
        return None
    known = settings.has_library
    library = Library.open(settings.library_home, say) if known else Library.in_memory(say)
    return DispensableLibrary(held.enter_context(library), say)


@dataclass(frozen=True)
class _Told:
    """What hints and facts add to the question: tokens a photo, and of how many nothing is known.

    `tokens` are by the characters of a token of `expected_tokens` as the backend counts them.
    """

    tokens: int = 0
    unknown: int = 0

    def added_to(self, rule: Rule) -> Rule:
        """The backend's rule with them."""

        def with_these(width: int, height: int) -> ExpectedTokens | None:
            expected = rule(width, height)
            return expected and replace(expected, text=expected.text + self.tokens)

        return with_these


def _told(
    backend: CaptionBackend,
    hints: Hints,
    library: DispensableLibrary | None,
    photos: Sequence[Photo],
) -> _Told:
    """The mean over photos of which library.db knows the facts, or over all where it knows none."""
    alone = max(1, text_tokens(question(backend.settings, ())))
    known: list[int] = []
    others: list[int] = []
    for photo in photos if hints else ():
        look = partial(_facts_of, photo)
        facts = library.ask(look, None) if library else None
        content = facts.content_sha256 if facts is not None else None
        added = question(backend.settings, hints.tags(photo.rel_path, content))
        (known if content or library is None else others).append(text_tokens(added) - alone)
    expected = backend.expected_tokens(1000, 1000)
    scale = (expected.text - FRAME) / alone if expected is not None else 1.0
    return _Told(round(fmean(known or others or [0]) * scale), len(others))


def _facts_of(photo: Photo, library: Library) -> PhotoFacts | None:
    return library.facts.of_file(photo.rel_path, photo.size, photo.mtime_ns)


def _sizes(dimensions: Dimensions, edge: int) -> dict[str, Any]:
    return {
        "headers_read": dimensions.sampled,
        "headers_unreadable": dimensions.unreadable,
        "mean_megapixels": round(dimensions.megapixels, 2),
        "largest": list(dimensions.widest),
        "edge": edge,
    }


def _time(
    index: JournalIndex,
    rules: SelectionRules,
    backend: CaptionBackend,
    billed: Forecast | None,
    remaining: int,
    workers: int,
) -> dict[str, Any]:
    """As measured; else, for a paid service, from an assumption that is named as one."""
    speed = photos_per_second(index.entries.values(), rules.identity)
    answer = billed.seconds if billed is not None else None
    assumed = None
    if speed is None and answer is None and backend.destination and not backend.free:
        assumed = ASSUMED_SECONDS
    wait = answer or assumed
    return {
        "photos_per_second": round(speed, 3) if speed else None,
        "seconds": round(remaining / speed, 1) if speed else None,
        "workers": workers,
        "seconds_an_answer": round(answer, 3) if answer else None,
        "seconds_an_answer_assumed": assumed,
        "seconds_at_workers": round(math.ceil(remaining / workers) * wait, 1) if wait else None,
    }


def _tried(tried: Trial | None, remaining: int) -> dict[str, Any]:
    return {
        "trial_photos": tried.photos if tried else None,
        "trial_seconds_per_photo": round(tried.seconds, 3) if tried else None,
        "trial_seconds": round(tried.seconds * remaining, 1) if tried else None,
        "trial_cost_usd": _spent(tried),
    }


def _spent(tried: Trial | None) -> float | None:
    """US dollars that the trial was; None if that of one of its answers is unknown."""
    costs = [usage.get("cost_usd") for usage in tried.usages] if tried else [None]
    known = [cost for cost in costs if cost is not None]
    return round(sum(known), 6) if len(known) == len(costs) else None


def _money(
    backend: CaptionBackend,
    prices: Prices,
    billed: Forecast | None,
    tried: Trial | None,
    rule: Forecast | None,
    remaining: int,
) -> dict[str, Any]:
    """Tokens and dollars: as billed so far or in the trial, else by the provider's rule."""
    in_trial = as_billed(tried.usages, prices) if tried else None
    best = billed or in_trial or rule or Forecast()
    source = prices.source
    each = 0.0 if backend.destination is None else best.cost_usd
    return {
        "basis": "billed" if billed else "trial" if in_trial else "rule" if rule else None,
        "billed_photos": best.billed_photos,
        "input_tokens_per_photo": best.input_tokens,
        "output_tokens_per_photo": best.output_tokens,
        "input_tokens": _times(best.input_tokens, remaining),
        "output_tokens": _times(best.output_tokens, remaining),
        "cost_usd_per_photo": each,
        "cost_usd": _times(each, remaining),
        "input_cost_usd": _times(best.quote.input_usd if best.quote else None, remaining),
        "output_cost_usd": _times(best.quote.output_usd if best.quote else None, remaining),
        "batch_cost_usd": _times(best.batch_usd, remaining),
        "price_source": source.name if source else None,
        "price_date": source.as_of if source else None,
        "rule_input_tokens_per_photo": rule.input_tokens if rule else None,
        "rule_output_tokens_per_photo": rule.output_tokens if rule else None,
        "rule_cost_usd": _times(rule.cost_usd if rule else None, remaining),
    }


def _times(each: float | None, photos: int) -> float | None:
    """For all of them; dollars to a millionth, so that even a single photo's add up."""
    return None if each is None else round(each * photos, 6)
