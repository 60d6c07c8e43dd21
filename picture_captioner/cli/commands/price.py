"""What a run should cost, in the few words that stand before its first photo."""

from __future__ import annotations

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.terminal import dollars
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.forecast import dearest


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
