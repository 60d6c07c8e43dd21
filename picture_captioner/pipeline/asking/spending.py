"""Ceilings on what a journal may cost, and a stop when one photo bills far more than it should."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from decimal import Decimal

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.errors import CeilingReachedError, Usage
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.pipeline.asking.prices import Prices


@dataclass(frozen=True)
class Ceilings:
    """The most that all runs of a journal together may spend; None is no ceiling.

    `max_photo_cost` is for a single photo (`BillGuard`). `reserved_usd` and `reserved_requests` are
    what batch jobs that are out may still bill.
    """

    max_cost: float | None = None
    max_requests: int | None = None
    max_photo_cost: float | None = None
    reserved_usd: float = 0.0
    reserved_requests: int = 0


class Budget:
    """Asked before every request. Thread-safe.

    The journal counts superseded lines and billed failures, and compacting keeps the sums, so a
    ceiling holds over restarts. Requests of this run count when they are sent, their cost when it
    is known: cost overshoots by no more than what is under way.
    """

    def __init__(self, ceilings: Ceilings, index: JournalIndex) -> None:
        self._ceilings = ceilings
        self._index = index
        self._requests = index.requests + ceilings.reserved_requests
        self._lock = threading.Lock()

    @property
    def max_photo_cost(self) -> float | None:
        """US dollars that a single photo may bill; None: by its estimate."""
        return self._ceilings.max_photo_cost

    def take_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            CeilingReachedError: it may not be.
        """
        promised, most = self._ceilings.reserved_usd, self._ceilings.max_cost
        cost = self._index.cost_usd + promised
        if most is not None and cost >= most:
            jobs = f", {promised:.4f} of it reserved for batch jobs" if promised else ""
            raise CeilingReachedError(
                f"stopped at --max-cost {most:g}: this journal has cost {cost:.4f} USD{jobs}. "
                "Raise the ceiling and run the same command again to go on"
            )
        with self._lock:
            limit = self._ceilings.max_requests
            if limit is not None and self._requests >= limit:
                raise CeilingReachedError(
                    f"stopped at --max-requests {limit}: this journal has taken {self._requests}. "
                    "Raise the ceiling and run the same command again to go on"
                )
            self._requests += 1


RUNAWAY_FACTOR = 5.0
"""Three requests for one photo and a long answer stay below it; a picture that was billed as text
(66,000 tokens instead of 2,400, seen at OpenAI in 2026) is far above."""


class BillGuard:
    """Compares the bill of each photo with what it may cost. Thread-safe: it changes nothing.

    That is `most` US dollars if the person said so, else five times what the provider's rule
    expects for the size that was sent, and never less than one answer up to the token limit, which
    the person allowed. Where neither is known, nothing is judged.
    """

    def __init__(self, backend: CaptionBackend, prices: Prices, most: float | None = None) -> None:
        self._backend = backend
        self._prices = prices
        self._most = most
        # Most photos are sent in one of a few sizes, and pricing one takes half a millisecond.
        self._limit_for = functools.lru_cache(maxsize=1024)(self._limit)

    def verdict(
        self, rel_path: str, sent: tuple[int, int], usage: Usage
    ) -> CeilingReachedError | None:
        """The error that is to stop the run; None if the bill is in order.

        Args:
            sent: width and height in pixels.
            usage: what was billed for this photo, all its requests together.
        """
        billed = usage.get("cost_usd")
        if billed is None:
            return None
        if self._most is not None:
            most, why = self._most, f"--max-photo-cost is {self._most:g}"
        else:
            limit = self._limit_for(sent, self._backend.answer_room)
            if limit is None:
                return None
            most, why = limit, f"by its size it should take no more than {limit:.6f}"
        return (
            CeilingReachedError(_message(rel_path, usage, billed, why)) if billed > most else None
        )

    def _limit(self, sent: tuple[int, int], room: int) -> float | None:
        """US dollars that a photo of this size may cost; None without a rule or a price.

        Args:
            room: tokens that its model may think.
        """
        expected = self._backend.expected_tokens(*sent)
        if expected is None:
            return None
        longest = expected.output + self._backend.settings.max_tokens + room
        usual = self._cost(expected.input, expected.output)
        full = self._cost(expected.input, longest)
        return None if usual is None or full is None else max(RUNAWAY_FACTOR * usual, full)

    def _cost(self, sent: int, written: int) -> float | None:
        return self._prices.cost(Usage(input_tokens=sent, output_tokens=written))


def _message(rel_path: str, usage: Usage, billed: float, why: str) -> str:
    counts = [usage.get("input_tokens"), usage.get("output_tokens")]
    tokens = "tokens unknown" if None in counts else "{:,} tokens in, {:,} out".format(*counts)
    enough = Decimal(f"{2 * billed:.2g}")
    return (
        f"stopped at {rel_path}: it billed {billed:.6f} USD ({tokens}), and {why}. It is recorded. "
        "If that is what this model costs, see 'caption.py estimate', and say what a photo may "
        f"cost to go on: --max-photo-cost {enough:f} (MAX_PHOTO_COST in config.env)"
    )
