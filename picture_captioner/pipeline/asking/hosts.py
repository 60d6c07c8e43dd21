"""Several servers of one kind behind one backend: each photo goes to the one with the least to do.

`--base-url`, repeated, makes one: several vLLM or Ollama servers, driven by one process with one
journal. A photo is asked about at one host at a time, and at another only where the first did not
answer, so none is lost or answered twice. A host that does not answer is put aside and tried again
with one photo after a pause that doubles; what a host refuses for coming too fast (429), or names
as its quota, slows down that host alone. The run's own retries (retry.py) see a failure when every
host has failed, and wait then as they do for a single one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from picture_captioner.backends.base import (
    Caption,
    CaptionBackend,
    ExpectedTokens,
    Fault,
    takes_fault,
)
from picture_captioner.backends.rate_limits import Quota
from picture_captioner.errors import (
    BackendUnavailableError,
    ConfigurationError,
    FatalError,
    TransientError,
)
from picture_captioner.pipeline.asking.circuit_breaker import LONGEST_ASKED_PAUSE_SECONDS, until
from picture_captioner.pipeline.asking.concurrency import RateLimiter
from picture_captioner.pipeline.asking.retry import RATE_LIMIT, RunStopped

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger("caption.backend")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Before a host that was put aside is tried again; the pause doubles from the one to the other."""

LONGEST_WAIT_SECONDS = 5.0
"""For hosts that all asked to be left alone, before the run is told how long that is."""

REFUSED_PAUSE_SECONDS = 1.0
"""For a 429 that does not say how long."""

_THE_PHOTOS_PERHAPS = frozenset({"http_500", "timeout"})
"""Failures that a photo may bring about itself: its host is blamed once another has answered."""

_KEPT = (
    *("name", "summary", "extra", "key_env_var", "key_form", "placeholder", "writes_fields"),
    *("default_model", "max_workers", "preferred_edge", "largest_edge", "price_provider"),
    *("timeout", "Options"),
)


@dataclass(eq=False)
class Host:
    """One server: what is under way there, when it may be asked, and what it has done."""

    backend: CaptionBackend
    allowed: float
    rate: RateLimiter = field(default_factory=RateLimiter)
    checked: threading.Event = field(default_factory=threading.Event)
    outstanding: int = 0
    asked: int = 0
    answered: int = 0
    held_until: float = 0.0
    error: TransientError | None = None
    """Why it is held."""
    put_aside_at: float = 0.0
    pause: float = 0.0
    """Seconds of the pause after the last failure; 0 while the host is well."""

    @property
    def name(self) -> str:
        """Who receives the photos, as people are told."""
        return str(self.backend.destination)

    def closed_for(self, now: float) -> float:
        """Seconds until it may be asked, if it has room then."""
        return max(self.held_until - now, self.rate.wait(now))


class SeveralHosts(CaptionBackend):
    """Stands in for backends that differ in their address alone. Thread-safe."""

    def __init__(self, backends: Sequence[CaptionBackend], each: int) -> None:
        """`each` is how many requests a host has under way at most."""
        first = backends[0]
        super().__init__(first.settings)
        for name in _KEPT:
            setattr(self, name, getattr(first, name))
        self.default_workers = each * len(backends)  # type: ignore[misc]  # elsewhere of the class
        self._each = each
        self._hosts = [Host(backend, allowed=each) for backend in backends]
        self._turn = threading.Condition()
        self._checking = threading.Lock()
        self._stopped = False
        self._takes_fault = takes_fault(first)
        for host in self._hosts:
            self._listen_to(host)

    @property
    def destination(self) -> str:
        """Every host that receives photos."""
        *names, last = (host.name for host in self._hosts)
        return f"{', '.join(names)} and {last}"

    @property
    def free(self) -> bool:  # type: ignore[override]  # of its hosts
        """Whether all of them are."""
        return all(host.backend.free for host in self._hosts)

    @property
    def edge(self) -> int:
        """As its hosts have it, like the four below."""
        return self._first.edge

    @property
    def ready_jpeg(self) -> int | None:
        """As in `CaptionBackend`."""
        return self._first.ready_jpeg

    @property
    def service_tier(self) -> str | None:
        """As in `CaptionBackend`."""
        return self._first.service_tier

    @property
    def priced_model(self) -> str:
        """As in `CaptionBackend`."""
        return self._first.priced_model

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`."""
        return self._first.expected_tokens(width, height)

    @property
    def answer_room(self) -> int:
        """The most that any of them has found to be needed."""
        return max(host.backend.answer_room for host in self._hosts)

    def status(self) -> str:
        """How many photos each is at, those put aside in brackets."""
        with self._turn:
            shown = [f"({h.outstanding})" if h.pause else f"{h.outstanding}" for h in self._hosts]
        return "hosts " + "+".join(shown)

    def check(self) -> None:
        """Check every host; one that is down is told, and checked again before its first photo.

        Raises:
            BackendUnavailableError: all of them are down.
            FatalError: as a host's own check raises it, or they have different models.
        """
        down: list[BackendUnavailableError] = []
        for host in self._hosts:
            try:
                host.backend.check()
                host.checked.set()
            except BackendUnavailableError as error:
                down.append(error)
        if len(down) == len(self._hosts):
            raise down[0]
        self._agree_on_a_model()
        for host in self._hosts:
            if not host.checked.is_set():
                self._put_aside(host, str(down.pop(0)), time.monotonic())

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """Ask the host with the least to do, and where it does not answer the next one."""
        failures: list[tuple[Host, TransientError]] = []
        question = (image, hints, fault) if self._takes_fault else (image, hints)
        while (host := self._take(failures)) is not None:
            began = time.monotonic()
            try:
                self._check_late(host)
                answer = host.backend.caption(*question)
            except TransientError as error:
                self._failed(host, error, began)
                failures.append((host, error))
            except BackendUnavailableError as error:  # a redirect, or nothing at its address
                told = TransientError(str(error), code="connection")
                self._failed(host, told, began)
                failures.append((host, told))
            except BaseException:  # a verdict on the photo, or what ends the run
                self._answered(host, failures)
                raise
            else:
                caption = answer if isinstance(answer, Caption) else Caption(answer)
                self._answered(host, failures, caption)
                sent = (caption.requests or 1) + len(failures)
                return replace(caption, requests=sent) if failures else caption
        if failures:
            raise failures[-1][1]
        raise RunStopped("the run is being stopped")

    def close(self) -> None:
        """Say who answered how many, and close them all."""
        if any(host.answered for host in self._hosts):
            shares = ", ".join(f"{host.name} {host.answered:,}" for host in self._hosts)
            self.settings.notice(f"Answered by {shares}")
        for host in self._hosts:
            host.backend.close()

    def stop(self) -> None:
        """Wake who waits for a host."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
        for host in self._hosts:
            host.backend.stop()

    @property
    def _first(self) -> CaptionBackend:
        return self._hosts[0].backend

    def _listen_to(self, host: Host) -> None:
        """The quotas that a host names are its own."""

        def told(quotas: tuple[Quota, ...]) -> None:
            with self._turn:
                host.rate.told(quotas, time.monotonic())

        host.backend.on_rate_limit = told

    def _take(self, failures: Sequence[tuple[Host, TransientError]]) -> Host | None:
        """The host to ask, once one has room; None when none is left, or the run stops.

        Where all are put aside, the one that is due first is asked all the same: how long a service
        that is down is waited for is the run's own business.
        """
        tried = [host for host, _ in failures]
        left = [host for host in self._hosts if host not in tried]
        with self._turn:
            while left and not self._stopped:
                now = time.monotonic()
                if failures and all(host.pause for host in left):
                    return None
                if host := self._choice(left, now):
                    host.outstanding += 1
                    host.asked += 1
                    host.rate.started(now)
                    return host
                self._turn.wait(self._wait(left, now))
        return None

    def _choice(self, left: Sequence[Host], now: float) -> Host | None:
        """The best of these that may be asked now, if any may."""
        well = [host for host in left if not host.pause]
        due = [host for host in left if host.pause and host.held_until <= now]
        if not well:
            due = due or [min(left, key=lambda host: host.held_until)]
        # One that is due goes first: nobody would find out else that it is back.
        if probe := next((host for host in due if not host.outstanding), None):
            return probe
        ready = [h for h in well if h.outstanding < int(h.allowed) and h.closed_for(now) <= 0]
        return min(ready, key=lambda host: (host.outstanding, host.asked), default=None)

    def _wait(self, left: Sequence[Host], now: float) -> float:
        """Seconds until one of these may be asked, or has room.

        Raises:
            TransientError: that is long, since each asked to be left alone: the run shall know.
        """
        # Whoever is not closed is full, and wakes those who wait.
        wait = min(max(host.closed_for(now), 0.0) or 1.0 for host in left)
        asked_for_it = [host.error for host in left if host.error and not host.pause]
        if wait > LONGEST_WAIT_SECONDS and asked_for_it:
            error = asked_for_it[0]
            raise TransientError(str(error), code=error.code, retry_after=wait)
        return max(wait, 0.01)

    def _wake(self) -> None:
        """Room for one, or for two where one more is allowed; not all 500, who would wait again."""
        self._turn.notify(2)

    def _check_late(self, host: Host) -> None:
        """Check a host that was down when the run began, before it receives a photo.

        Raises:
            BackendUnavailableError: it is still down, or cannot be used: it is left out for good.
        """
        if host.checked.is_set():
            return
        with self._checking:
            if host.checked.is_set():
                return
            if not host.backend.settings.model and self.settings.model:
                settings = replace(host.backend.settings, model=self.settings.model)
                host.backend = type(host.backend)(settings)
                self._listen_to(host)
            try:
                host.backend.check()
            except (BackendUnavailableError, TransientError):
                raise
            except FatalError as error:
                host.held_until = math.inf
                raise BackendUnavailableError(f"{error} (left out of this run)") from error
            host.checked.set()
        if host.pause:
            self.settings.notice(f"Photos go to {host.name} from now on, too")

    def _agree_on_a_model(self) -> None:
        """All must caption with the same model, since records name one."""
        models = {
            host.name: host.backend.settings.model for host in self._hosts if host.checked.is_set()
        }
        if len(set(models.values())) > 1:
            listed = ", ".join(f"{name}: {model}" for name, model in models.items())
            raise ConfigurationError(
                f"the hosts have different models ({listed}); name one that all have with --model"
            )
        self.settings = replace(self.settings, model=next(iter(models.values())))

    def _answered(
        self,
        host: Host,
        failures: Sequence[tuple[Host, TransientError]],
        caption: Caption | None = None,
    ) -> None:
        """A host answered: it is well, and those that failed the same photo are not."""
        now = time.monotonic()
        with self._turn:
            again, host.pause = host.pause > 0, 0.0
            host.outstanding -= 1
            host.answered += 1
            host.allowed = min(host.allowed + 1, self._each)
            host.rate.answered(now)
            host.rate.used([caption.usage] if caption else [])
            self._wake()
        if again:
            self.settings.notice(f"{host.name} answers again")
        for other, error in failures:
            if error.code in _THE_PHOTOS_PERHAPS:
                self._put_aside(other, str(error), now)

    def _failed(self, host: Host, error: TransientError, began: float) -> None:
        """Slow a host down that was asked too fast, and put one aside that is down."""
        now = time.monotonic()
        with self._turn:
            host.outstanding -= 1
            self._wake()
            if error.code == RATE_LIMIT or error.retry_after is not None:
                if error.code == RATE_LIMIT:
                    host.rate.refused(now)
                wait = REFUSED_PAUSE_SECONDS if error.retry_after is None else error.retry_after
                held, host.held_until = host.held_until, max(host.held_until, now + wait)
                host.error = error
                if host.held_until - max(held, now) > LONGEST_ASKED_PAUSE_SECONDS:
                    self.settings.notice(
                        f"{host.name} asks to be left alone {until(wait)}: {error}"
                    )
                return
        if error.code not in _THE_PHOTOS_PERHAPS or host.pause:
            self._put_aside(host, str(error), began)

    def _put_aside(self, host: Host, why: str, began: float) -> None:
        """Ask it nothing for a while: twice as long as before, if it was asked since then."""
        with self._turn:
            if host.pause and began < host.put_aside_at:
                return  # others that were under way there say the same
            first = not host.pause
            host.pause = min(max(2 * host.pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            host.put_aside_at = time.monotonic()
            host.held_until = max(host.held_until, host.put_aside_at + host.pause)
            host.allowed = 1.0
        _log.warning("host put aside", extra={"event": "host_put_aside", "error": why})
        if first:
            self.settings.notice(f"{host.name} is put aside, and tried again now and then: {why}")
