"""The backends of a run, in the order in which they are asked about a photo (`--fallback`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

from picture_captioner.errors import BackendUnavailableError
from picture_captioner.pipeline.asking.service import BackendService

_log = logging.getLogger("caption.backend")


class FallbackChain:
    """Who is asked next. Thread-safe.

    A service that is down is put aside aloud for the rest of the run, as long as another is left;
    without one it ends the run. A rejected key and an empty account always end it.
    """

    def __init__(self, services: Sequence[BackendService], notice: Callable[[str], None]) -> None:
        self._services = list(services)
        self._notice = notice
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[BackendService]:
        """Those that are not put aside, first choice first; also while one of them is."""
        tried: set[int] = set()
        while (service := self._next(tried)) is not None:
            tried.add(id(service))
            yield service

    def put_aside(self, service: BackendService, error: BackendUnavailableError) -> None:
        """Ask this one no more.

        Raises:
            BackendUnavailableError: `error`, if nobody else is left.
        """
        with self._lock:
            if service not in self._services:
                return
            if len(self._services) == 1:
                raise error
            self._services.remove(service)
            heir = self._services[0]
        _log.warning("backend put aside", extra={"event": "put_aside", "error": str(error)})
        self._notice(f"{service.chosen} is put aside: {error}. Going on with {heir.chosen}")

    def ensure_going(self) -> None:
        """To be asked once a photo is recorded: something may have come up while it was mended.

        Raises:
            FatalError: what ends the run.
        """
        for service in self:
            if service.ended is not None:
                raise service.ended

    def _next(self, tried: set[int]) -> BackendService | None:
        with self._lock:
            return next((s for s in self._services if id(s) not in tried), None)
