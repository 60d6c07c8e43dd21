"""Ceilings on what a journal may cost, and a stop when one photo bills far more than it should."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

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


class _CostReachedError(CeilingReachedError):
    """Says what was billed when it is told, and not when it was met: answers were under way."""

    def __init__(self, words: Callable[[], str]) -> None:
        super().__init__()
        self._words = words

    def __str__(self) -> str:
        return self._words()


Model: TypeAlias = tuple[str | None, str | None]
"""A backend and its model, as records name them."""


class Budget:
    """Asked before every request. Thread-safe.

    The journal counts superseded lines and billed failures, and compacting keeps the sums, so a
    ceiling holds over restarts. Requests of this run count when they are sent, their cost when it
    is known, though the record of it be withheld: cost overshoots by no more than what is under
    way. An answer whose cost nobody knows (no usage, a tier without a price) counts as the most
    that one may cost.
    """

    def __init__(
        self,
        ceilings: Ceilings,
        index: JournalIndex,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ceilings = ceilings
        self._index = index
        self._notice = notice
        self._requests = index.requests + ceilings.reserved_requests
        self._cost = index.cost_usd
        self._unpriced: Counter[Model] = Counter(index.unpriced)
        self._dearest = index.dearest_usd
        self._most: dict[Model, Callable[[], float | None]] = {}
        self._told = False
        self._lock = threading.Lock()

    @property
    def max_photo_cost(self) -> float | None:
        """US dollars that a single photo may bill; None: by its estimate."""
        return self._ceilings.max_photo_cost

    def will_ask(self, model: Model, most: Callable[[], float | None]) -> None:
        """Count a model's answers without a price, those that the journal has as well.

        Args:
            most: gives the US dollars that a request may cost; None if no rule says.
        """
        self._most[model] = most

    def answered(self, model: Model, usage: Usage) -> None:
        """Count what an answer of this run has cost."""
        requests, cost = usage.get("requests", 1), usage.get("cost_usd")
        with self._lock:
            if cost is None:
                self._unpriced[model] += requests
            else:
                self._cost += cost
                self._dearest = max(self._dearest, cost / max(requests, 1))

    def take_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            CeilingReachedError: it may not be.
        """
        promised, most = self._ceilings.reserved_usd, self._ceilings.max_cost
        if most is not None:
            unpriced = self.unpriced_usd()
            cost = self._known_usd() + promised + unpriced
            if cost >= most:
                raise _CostReachedError(self._cost_in_words)
        with self._lock:
            limit = self._ceilings.max_requests
            if limit is not None and self._requests >= limit:
                raise CeilingReachedError(
                    f"stopped at --max-requests {limit}: this journal has taken {self._requests}. "
                    "Raise the ceiling and run the same command again to go on"
                )
            self._requests += 1

    def _known_usd(self) -> float:
        return max(self._index.cost_usd, self._cost)

    def _cost_in_words(self) -> str:
        """What stopped the run, with what has been billed by now."""
        promised = self._ceilings.reserved_usd
        try:
            unpriced = self.unpriced_usd()
        except CeilingReachedError as error:  # an answer that came meanwhile
            return str(error)
        jobs = f", {promised:.4f} of it reserved for batch jobs" if promised else ""
        unknown = f", {unpriced:.4f} of it for answers without a price" if unpriced else ""
        return (
            f"stopped at --max-cost {self._ceilings.max_cost:g}: this journal has cost "
            f"{self._known_usd() + promised + unpriced:.4f} USD{jobs}{unknown}. Raise the ceiling "
            "and run the same command again to go on"
        )

    def unpriced_usd(self) -> float:
        """What answers of the models asked here may have cost whose price nobody knows.

        Raises:
            CeilingReachedError: that is not known either.
        """
        cost = 0.0
        for model, most in self._most.items():
            requests = max(self._index.unpriced[model], self._unpriced[model])
            if not requests:
                continue
            each = most()
            if each is None:
                each = self._dearest or None
            if each is None:
                raise CeilingReachedError(
                    f"stopped at --max-cost {self._ceilings.max_cost:g}: {model[0]} answers "
                    "without saying what it took, and what a photo may cost at most is not known. "
                    "Go on with --max-requests N in place of --max-cost"
                )
            cost += requests * each
            self._tell(model, requests, each)
        return cost

    def _tell(self, model: Model, requests: int, each: float) -> None:
        if self._told or not each:
            return
        self._told = True
        how_many = "an answer comes" if requests == 1 else f"{requests:,} answers come"
        self._notice(
            f"{how_many} from {model[0]} without a price (no token counts, or a tier that has "
            f"none): --max-cost counts {each:.6f} USD for each, the most that one may cost"
        )


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
        usual, full = self._cost(expected.input, expected.output), self.most(sent, room)
        return None if usual is None or full is None else max(RUNAWAY_FACTOR * usual, full)

    def most(self, sent: tuple[int, int], room: int) -> float | None:
        """US dollars of a photo of this size with the longest answer that is allowed."""
        if self._prices.free and self._prices.own is None:
            return 0.0
        expected = self._backend.expected_tokens(*sent)
        if expected is None:
            return None
        more = self._backend.settings.max_tokens + room
        return self._cost(expected.input, expected.output + more)

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
