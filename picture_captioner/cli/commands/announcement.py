"""What stands before the first photo of a run: who gets the photos, what of them, at what price."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.run_flags import same_photos
from picture_captioner.cli.terminal import count, dollars, say
from picture_captioner.library import PhotoFacts
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.forecast import cost_per_photo, dearest
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary
from picture_captioner.pipeline.library_update.processing import process_photos
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome
from picture_captioner.pipeline.selecting.hints import Context
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage

if TYPE_CHECKING:
    from picture_captioner.cli.commands.run import Job

_log = logging.getLogger("caption.run")

LOOKED_AT = 50
"""Photos among which one is looked for of which every kind is known."""


def price_in_words(
    backend: CaptionBackend,
    prices: Prices,
    edge: int,
    billed: float | None,
    photos: int,
    estimate: str,
) -> str:
    """The price of so many photos, from what is in memory already: no header is read for it.

    Args:
        edge: longer side in pixels; every photo is taken for one of that size.
        billed: US dollars a photo so far, by the journal.
        estimate: the command that says more of a price that is unknown.
    """
    if prices.free:
        return "free"
    if billed is not None:
        return f"about {dollars(billed * photos)}, as billed so far"
    each = dearest(backend.expected_tokens, edge, prices)
    if each is not None:
        return f"at most about {dollars(each * photos)}"
    if prices.known:
        return f"cost unknown, since nothing says how many tokens a photo takes ('{estimate}')"
    if prices.batch and prices.own:
        return 'price unknown, since the price file says no "batch_share"'
    return f"price unknown ('{estimate}' says why)"


def announce(chosen_backends: Sequence[ChosenBackend], job: Job, edge: int) -> None:
    """Say who is about to receive the photos and at what price, before the first one."""
    photos = job.batch.photos
    first, *others = chosen_backends
    sent = what_is_sent(job, first)
    if reasons := len(job.hints.reasons):
        sent = f"{sent}, and why {count(reasons, 'caption')} of these were rejected"
    if first.backend.destination:
        billed = cost_per_photo(job.journal.index.entries.values(), first.identity)
        estimate = same_photos(job.flags, "estimate")
        price = price_in_words(first.backend, first.prices, edge, billed, len(photos), estimate)
        say(
            f"Sending {count(len(photos))} to {first.backend.destination}: {sent}; {price}",
            always=True,
        )
    for chosen in others:
        to = chosen.backend.destination or "no other machine"
        without = "" if chosen.hears_context or not job.hints.context else ", without the facts"
        say(f"What that cannot caption goes to {to} ({chosen}){without}", always=True)
    about = {"backend": first.backend.name, "model": first.backend.settings.model}
    _log.info("run started", extra={"event": "run_started", **about, "photos": len(photos)})


def what_is_sent(job: Job, first: ChosenBackend) -> str:
    """What leaves of each photo, in words; an example of its facts is told, if any leave."""
    photos = job.batch.photos
    sent = "pixels and the prompt, no names, no metadata"
    tags = job.hints.with_context(None)
    if hinted := sum(bool(tags.tags(photo.rel_path, None)) for photo in photos):
        sent = f"pixels, the prompt and the hints of {hinted:,}, no names, no metadata"
    elif tags:
        sent = "pixels, the prompt and hints, no names, no metadata"
    if context := job.hints.context:
        sent = f"pixels, the prompt and facts ({', '.join(context.kinds)}), no other metadata"
        if first.hears_context:
            tell_context(context, job.library, job.photos_dir, photos, first.backend.destination)
    return sent


class _Silent:
    """A reporter of a look at one photo, of which nobody need hear."""

    def start(self, total: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...

    def failed(self, failure: FailedPhoto) -> None: ...

    def notice(self, text: str) -> None: ...


def tell_context(
    context: Context,
    library: DispensableLibrary | None,
    photos_dir: Path,
    photos: Sequence[Photo],
    destination: str | None,
) -> None:
    """One line: the kinds, the host, and what is told of one of these photos."""
    kinds, to = ", ".join(context.kinds), destination or "the model on this machine"
    example, told = "", dict[str, str]()

    def facts_of(photo: Photo) -> PhotoFacts | None:
        seen = (photo.rel_path, photo.size, photo.mtime_ns)
        return library.ask(lambda known: known.facts(*seen), None) if library is not None else None

    if library is not None and not facts_of(photos[0]):
        stages = [NormalizeStage(), MetadataStage()]
        one = photos[:1]
        library.ask(
            lambda known: process_photos(photos_dir, one, known, stages, _Silent(), decoders=1),
            None,
        )
    for photo in photos[:LOOKED_AT]:
        facts = facts_of(photo)
        content = facts.content_sha256 if facts is not None else None
        found = {fact.kind: str(fact) for fact in context.told(photo.rel_path, content)}
        if len(found) > len(told):
            example, told = photo.rel_path, found
    shown = "; ".join(f'{kind} "{value}"' for kind, value in told.items()) or "nothing"
    of = f"of {example}" if example else "of the first photos"
    say(f"Telling {to} of each photo what is known of: {kinds}. For instance, {of}: {shown}",
        always=True)  # fmt: skip
