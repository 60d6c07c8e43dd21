"""What stands before the first photo of a run: who gets the photos, what of them, at what price."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.commands.context import tell_context
from picture_captioner.cli.terminal import count, dollars, say
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.forecast import cost_per_photo, dearest

if TYPE_CHECKING:
    from picture_captioner.cli.commands.run import Job

_log = logging.getLogger("caption.run")


def price_in_words(
    backend: CaptionBackend, prices: Prices, edge: int, billed: float | None, photos: int
) -> str:
    """The price of so many photos, from what is in memory already: no header is read for it.

    Args:
        edge: longer side in pixels; every photo is taken for one of that size.
        billed: US dollars a photo so far, by the journal.
    """
    if prices.free:
        return "free"
    if billed is not None:
        return f"about {dollars(billed * photos)}, as billed so far"
    each = dearest(backend.expected_tokens, edge, prices)
    if each is not None:
        return f"at most about {dollars(each * photos)}"
    return "price unknown ('estimate' says why)"


def announce(chosen_backends: Sequence[ChosenBackend], job: Job, edge: int) -> None:
    """Say who is about to receive the photos and at what price, before the first one."""
    photos = job.batch.photos
    first, *others = chosen_backends
    sent = what_is_sent(job, first)
    if reasons := len(job.hints.reasons):
        sent = f"{sent}, and why {count(reasons, 'caption')} of these were rejected"
    if first.backend.destination:
        billed = cost_per_photo(job.journal.index.entries.values(), first.identity)
        price = price_in_words(first.backend, first.prices, edge, billed, len(photos))
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
