"""Ceilings on requests and money that hold for all workers of a library together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from picture_captioner.engines.server import Server
from picture_captioner.errors import CeilingReachedError, Usage
from picture_captioner.pipeline.asking.spending import Budget, Ceilings, Model

if TYPE_CHECKING:
    from picture_captioner.journal.reading import JournalIndex
    from picture_captioner.library.home import Connection

SHARE = 8
"""Requests that a worker reserves at a time: one round trip for eight, and a worker that is killed
takes no more than these and what it had under way with it."""

_LOCK = 0x5043_4342
"""Of the advisory lock under which shares are reserved, one after the other."""


class SharedBudget(Budget):
    """Asked before every request, as `Budget` is; every worker's journal counts. Thread-safe.

    Requests are reserved in the database before they are sent, and settled when their record is
    synced (`syncing.py`). Answers without a price count as the most that one may cost, which each
    worker says of its own when it reserves. What a killed worker had reserved stays counted, since
    it may have been billed.

    Args:
        expected_usd: what a request should cost; the mean of what was billed if that is more.
    """

    def __init__(
        self,
        ceilings: Ceilings,
        index: JournalIndex,
        server: Server,
        journal: str,
        expected_usd: float,
        notice: Callable[[str], None],
    ) -> None:
        super().__init__(ceilings, index, notice)
        self._server = server
        self._journal = journal
        self._expected_usd = expected_usd
        self._prepaid = 0
        self._prepaying = threading.Lock()
        self.outstanding = 0
        """Requests that this worker reserved and that no record has settled yet."""

    def take_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            CeilingReachedError: it may not be.
            FatalError: the server cannot be asked.
        """
        if self._ceilings.max_cost is None and self._ceilings.max_requests is None:
            return
        with self._prepaying:
            if not self._prepaid:
                self._prepaid = self._server.run(self._reserve)
                self.outstanding += self._prepaid
            self._prepaid -= 1

    def answered(self, model: Model, usage: Usage) -> None:
        """As in `Budget`; a request without a price stays reserved until its record is synced."""
        if usage.get("cost_usd") is not None:
            super().answered(model, usage)

    def settled(self, requests: int) -> None:
        """So many requests are in records that were synced."""
        with self._prepaying:
            self.outstanding = max(self.outstanding - requests, 0)

    def end(self) -> None:
        """Give back what was reserved and not sent, or sent without a bill."""
        with self._prepaying:
            unsent, self.outstanding = self.outstanding, 0

        def work(connection: Connection) -> None:
            with contextlib.suppress(CeilingReachedError):  # a price that is not known either
                self._tell_unpriced(connection)
            connection.execute(
                "UPDATE journals SET reserved = greatest(reserved - ?, 0) WHERE name = ?",
                [unsent, self._journal],
            )

        if unsent or self._ceilings.max_cost is not None:
            self._server.run(work)

    def _tell_unpriced(self, connection: Connection) -> None:
        """What an answer without a price may cost at most only the worker knows that asked."""
        if self._ceilings.max_cost is not None:
            connection.execute(
                "UPDATE journals SET unpriced_usd = ? WHERE name = ?",
                [self.unpriced_usd(), self._journal],
            )

    def _reserve(self, connection: Connection) -> int:
        connection.execute("SELECT pg_advisory_xact_lock(?)", [_LOCK])
        self._tell_unpriced(connection)
        row = connection.execute(
            "SELECT coalesce(sum(requests), 0)::bigint, coalesce(sum(reserved), 0)::bigint, "
            "coalesce(sum(cost_usd + unpriced_usd), 0), coalesce(sum(reserved * reserved_usd), 0), "
            "(SELECT count(*) FROM workers WHERE ended_at IS NULL) FROM journals"
        ).fetchone()
        requests, reserved, cost, reserved_usd, workers = row or (0, 0, 0.0, 0.0, 1)
        price = max(self._expected_usd, cost / requests if requests else 0.0)
        room = self._room(requests + reserved, cost, reserved_usd, price)
        granted = max(min(SHARE, room // (2 * max(workers, 1))), 1)
        connection.execute(
            "UPDATE journals SET reserved = reserved + ?, reserved_usd = greatest(reserved_usd, "
            "?) WHERE name = ?",
            [granted, price, self._journal],
        )
        return granted

    def _room(self, requests: int, cost: float, reserved_usd: float, price: float) -> int:
        """How many requests may still be reserved by anybody: at least one."""
        room, ceilings = 2**31, self._ceilings
        if ceilings.max_requests is not None:
            room = ceilings.max_requests - ceilings.reserved_requests - requests
            if room < 1:
                raise CeilingReachedError(
                    f"stopped at --max-requests {ceilings.max_requests}: all workers together "
                    f"have taken or reserved {requests}. Raise the ceiling and run the same "
                    "command again to go on"
                )
        if ceilings.max_cost is not None:
            free = ceilings.max_cost - ceilings.reserved_usd - cost - reserved_usd
            if free <= 0 or free < price:
                raise CeilingReachedError(
                    f"stopped at --max-cost {ceilings.max_cost:g}: all workers together have cost "
                    f"{cost:.4f} USD, and requests under way may cost {reserved_usd:.4f}. Raise "
                    "the ceiling and run the same command again to go on"
                )
            room = min(room, int(free / price) if price else room)
        return room
