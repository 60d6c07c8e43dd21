"""Short transactions on the library's server, which may go away for a while."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from picture_captioner.errors import LibraryLockedError, LibraryUnreachableError

if TYPE_CHECKING:
    from picture_captioner.library.home import Connection, Database

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
"""Between two tries to reach a server that went away; random, so that 500 do not come at once."""

STOPPED_SECONDS = 5
"""After so long in the middle of a transaction the server ends it: whoever began it was stopped, a
laptop that was closed, and others wait for its rows."""

_NO_LONGER = "SELECT set_config('idle_in_transaction_session_timeout', ?, true)"


class Server:
    """Runs transactions one at a time; none stays open while somebody works. Thread-safe.

    Args:
        patience: seconds for which a server that went away is tried again.
        notice: told when it went away, and when it is back.
    """

    def __init__(
        self,
        database: Database,
        patience: float = 0.0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._patience = patience
        self._notice = notice
        self.stopped: Callable[[], bool] = lambda: False
        """Asked between two tries; True gives up."""
        self._lock = threading.Lock()
        self._gone: LibraryUnreachableError | None = None
        self.up_since = time.monotonic()
        """Since when every transaction has come through."""

    def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, in one transaction; it is called again if the server went away.

        Raises:
            LibraryUnreachableError: the server did not come back in time.
            LibraryError: it refuses.
        """

        def transaction() -> T:
            with self._database.transaction() as connection:
                connection.execute(_NO_LONGER, (f"{STOPPED_SECONDS}s",))
                return work(connection)

        return self.until_done(transaction)

    def until_done(self, work: Callable[[], T]) -> T:
        """What `work` returns, which may be many transactions; called again as by `run`."""
        with self._lock:
            if self._gone is not None:
                raise self._gone
            lost_at, pause = 0.0, FIRST_PAUSE_SECONDS
            while True:
                try:
                    result = work()
                except LibraryLockedError:  # two at the same rows: one of them is to try again
                    time.sleep(random.uniform(0, FIRST_PAUSE_SECONDS))  # noqa: S311 - no secret
                    continue
                except LibraryUnreachableError as error:
                    lost_at = lost_at or self._lost(error)
                    left = self._patience - (time.monotonic() - lost_at)
                    if self.stopped() or left <= 0:
                        self._gone = error
                        raise
                    time.sleep(min(left, random.uniform(pause / 2, pause)))  # noqa: S311
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                    continue
                if lost_at:
                    self.up_since = time.monotonic()
                    self._notice("The library's server is back")
                return result

    def _lost(self, error: LibraryUnreachableError) -> float:
        if self._patience and not self.stopped():
            self._notice(
                f"{error}. What is under way is finished and kept; the server is tried again for "
                f"{self._patience:.0f} s (--patience)"
            )
        return time.monotonic()
