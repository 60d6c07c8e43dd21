"""Whether it is the photo that fails, or the service.

A verdict on a photo is written for good, and the next run passes the photo over. So a verdict that
may mean "the service is down" is withheld until a later success proves that the service is up.

`RepeatWatch` notices a model that says the same whatever it is shown: it would fill a library with
that. A server whose vision part is missing answers happily from the text alone. Each answer looks
like a caption; only the next one, to another photo, shows that it is none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from PIL.Image import Image

from picture_captioner.backends.base import DEFAULT_PROMPT, Caption, CaptionBackend
from picture_captioner.errors import BackendUnavailableError, PhotoError, TransientError
from picture_captioner.image_loader.images import perceptual_hash
from picture_captioner.journal.record import Record
from picture_captioner.pipeline.work_queue import Item

MAX_IN_A_ROW = 20
"""First photos failing in the model alike, before the run ends; and failures in a row after which
the pauses that a service asks for are no excuse any more."""

PATIENCE_SECONDS = 300.0
"""Without a success, before the run ends: a large model loads for a minute, a router restarts."""

REFUSED_SECONDS = 30.0
"""The same while connections are refused: nothing listens there, and nothing will by itself."""

LONGEST_ASKED_PAUSE_SECONDS = 3600.0
"""Asked for by a service, or by several in a row: nobody finds a run that slept for a day."""

PHOTOS_TRIED = 3
"""Photos that must have failed by then, where there are so many: one may be to blame itself."""

MAX_IDENTICAL = 10
"""Unknown errors in a row, word for word the same: "no kernel image" is no photo's fault."""

UNKNOWN = "exception"
"""The code of an error that the backend did not foresee."""


class Withheld(NamedTuple):
    """A verdict that is not written yet."""

    item: Item
    record: Record
    error: PhotoError | TransientError


class CircuitBreaker:
    """Holds verdicts back until it is known whom they blame. Thread-safe."""

    def __init__(
        self, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.patience = patience
        self._clock = clock
        self._withheld: list[Withheld] = []
        self._in_a_row = 0
        self._failing_since = 0.0
        self._excused = 0.0
        self._failed_photos: set[str] = set()
        self._successes = 0
        self._photos_differ = False
        self._first_codes: list[str] = []
        self._unknown: list[str] = []
        self._fails_ours = False
        self._down: BackendUnavailableError | None = None
        self._lock = threading.Lock()

    def succeeded(self) -> list[Withheld]:
        """The service answered: the verdicts that were withheld are true and may be written."""
        with self._lock:
            self._up()
            return self._release()

    def proved_up(self) -> None:
        """The service answered about a picture of ours while it failed a photo."""
        with self._lock:
            self._up()

    def fails_ours(self) -> None:
        """A picture of ours failed unexplained, too: no photo is to blame, not even a lone one."""
        self._fails_ours = True

    def _up(self) -> None:
        self._successes += 1
        self._in_a_row = 0
        self._failed_photos.clear()
        self._unknown.clear()

    @property
    def successes(self) -> int:
        """How many requests were answered in this run."""
        return self._successes

    def _release(self) -> list[Withheld]:
        released, self._withheld = self._withheld, []
        return released

    def ensure_up(self) -> None:
        """Ask before every request: others may have found the service down meanwhile.

        Raises:
            BackendUnavailableError: it was.
        """
        if self._down is not None:
            raise self._down

    def request_failed(self, error: TransientError, photo: str = "") -> int:
        """A request failed in a way that may be the service's fault; returns how many in a row.

        Pauses that the service asked for do not try patience, before the 20th failure in a row.

        Raises:
            BackendUnavailableError: none succeeded for `patience` while three photos were tried, or
                for twice as long.
        """
        with self._lock:
            now = self._clock()
            if self._in_a_row == 0:
                self._failing_since, self._excused = now, 0.0
            self._in_a_row += 1
            self._failed_photos.add(photo)
            waited = now - self._failing_since
            excused = self._excused if self._in_a_row < MAX_IN_A_ROW else 0.0
            enough = len(self._failed_photos) >= PHOTOS_TRIED
            if waited - excused >= self.patience_with(error) * (1 if enough else 2):
                self._down = BackendUnavailableError(_unavailable(error, waited))
                raise self._down
            self._excused += error.retry_after or 0.0
            return self._in_a_row

    def check_pause(self, error: TransientError, seconds: float) -> None:
        """Ask before a pause is kept that the service asks for with this error.

        Raises:
            BackendUnavailableError: with it, nothing would have succeeded for over an hour, or for
                `patience` where that is longer.
        """
        with self._lock:
            waited = self._clock() - self._failing_since if self._in_a_row else 0.0
            if waited + seconds > max(LONGEST_ASKED_PAUSE_SECONDS, self.patience):
                self._down = BackendUnavailableError(_leave_alone(error, seconds))
                raise self._down

    def refused(self, error: TransientError) -> bool:
        """Whether nothing listens there."""
        return error.code == "connection" and "refused" in str(error).lower()

    def patience_with(self, error: TransientError) -> float:
        """Seconds without a success that end the run if they end with this failure."""
        return min(REFUSED_SECONDS, self.patience) if self.refused(error) else self.patience

    def failed(self, verdicts: list[Withheld]) -> list[Withheld]:
        """The last attempt failed for these photos (several when a batch did).

        Returns the verdicts that may be written now.

        Raises:
            BackendUnavailableError: the first 20 photos failed in the model, all alike; or ten in a
                row with the same unknown error.
        """
        with self._lock:
            self._count_unknown([v.error for v in verdicts])
            transient = any(_may_be_the_services(v.error) for v in verdicts)
            proved = self._successes > 0 or self._photos_differ
            if proved and not transient:
                return verdicts
            self._withheld += verdicts
            if proved:
                return []
            self._judge_first([v.error for v in verdicts])
            return self._release_verdicts() if self._photos_differ else []

    def handed_on(self, errors: Sequence[PhotoError | TransientError]) -> None:
        """The last attempt failed for photos that another backend is asked about.

        Raises:
            BackendUnavailableError: the first 20 photos failed in the model, all alike.
        """
        with self._lock:
            if not (self._successes or self._photos_differ):
                self._judge_first(errors)

    def _judge_first(self, errors: Sequence[PhotoError | TransientError]) -> None:
        """Before any success: alike means systematic, different means that photos differ."""
        verdicts = [error for error in errors if isinstance(error, PhotoError)]
        self._first_codes += [error.code for error in verdicts]
        if not verdicts or len(self._first_codes) < MAX_IN_A_ROW:
            return
        if len(set(self._first_codes)) == 1:
            self._down = BackendUnavailableError(_systematic(verdicts[-1], len(self._first_codes)))
            raise self._down
        self._photos_differ = True

    def _count_unknown(self, errors: Sequence[PhotoError | TransientError]) -> None:
        for error in errors:
            if getattr(error, "code", None) != UNKNOWN or str(error) not in self._unknown[-1:]:
                self._unknown.clear()
            if getattr(error, "code", None) == UNKNOWN:
                self._unknown.append(str(error))
        if len(self._unknown) >= MAX_IDENTICAL:
            self._down = BackendUnavailableError(
                f"{len(self._unknown)} photos in a row failed with the same error, which is then "
                f"no photo's fault: {self._unknown[0]}. No verdict was recorded for them; the log "
                "has the traceback. Look at the driver and the packages, or try another --backend"
            )
            raise self._down

    def _release_verdicts(self) -> list[Withheld]:
        verdicts = [v for v in self._withheld if isinstance(v.error, PhotoError)]
        self._withheld = [v for v in self._withheld if not isinstance(v.error, PhotoError)]
        return verdicts

    @property
    def identical(self) -> int:
        """How many photos failed last, nobody answered since, with one error that is unknown."""
        return len(self._unknown)

    def finish(self) -> tuple[list[Withheld], list[Withheld]]:
        """At the end of the run: verdicts on photos to write, and unproved ones to drop.

        One unknown error for several photos and nobody answered since: a library of three would
        otherwise be marked as failed because of a driver.
        """
        with self._lock:
            released = self._release()
            alike = self._unknown if self._fails_ours or len(self._unknown) > 1 else []
        proved = [
            v for v in released if isinstance(v.error, PhotoError) and str(v.error) not in alike
        ]
        return proved, [v for v in released if v not in proved]


def _may_be_the_services(error: PhotoError | TransientError) -> bool:
    """Whether a later success has to prove that it was the photo's."""
    return isinstance(error, TransientError) or error.code == UNKNOWN


def _unavailable(last: TransientError, seconds: float) -> str:
    return (
        f"no request succeeded for {seconds:.0f} s (--patience), the last failed with: {last}. "
        "No verdict was recorded for those photos; run the same command again when the service is "
        "up"
    )


def _leave_alone(error: TransientError, seconds: float) -> str:
    return (
        f"the service asks to be left alone {until(seconds)}, and a run waits for an hour at most, "
        f"or for --patience: {error}. No verdict was recorded for those photos; run the same "
        "command again then"
    )


def until(seconds: float) -> str:
    """The end of a pause that begins now, as a clock here shows it: `until 07:30`."""
    if seconds > _YEAR:
        return "for more than a year"
    now = datetime.now().astimezone()
    end = now + timedelta(seconds=seconds)
    return f"until {end:%H:%M}" if end.date() == now.date() else f"until {end:%Y-%m-%d %H:%M}"


_YEAR = 366 * 86_400


def _systematic(last: PhotoError, count: int) -> str:
    return (
        f"the first {count} photos all failed the same way ({last.code}): {last}. "
        "No verdict was recorded for them, only what was billed; try another --model, --prompt or "
        "--backend"
    )


SAME_IN_A_ROW = 8
"""Photos that differ, with one text, before the run ends."""

LOOK_ALIKE_BITS = 12
"""Of 64: bursts and copies in another size differ by no more, and may share a caption."""

_WORD_OF_CHOICE = 20
"""Characters: a prompt of one's own may ask for a word, such as `indoors`, and gets it often."""


class RepeatWatch:
    """The last text of one backend, and the photos that differ which it was given to. Thread-safe.

    The photo of the last text is kept, not its hash: that is computed once a text comes again.
    """

    def __init__(self, backend: CaptionBackend) -> None:
        self._off = backend.placeholder
        self._words_of_choice = backend.settings.prompt != DEFAULT_PROMPT
        self._text = ""
        self._first: Image | None = None
        self._hashes: list[int] = []
        self._stored: list[Record] = []
        self._blind: BackendUnavailableError | None = None
        self._lock = threading.Lock()

    def see(self, caption: Caption, image: Image) -> None:
        """Look at a caption before it is stored.

        Raises:
            BackendUnavailableError: the eighth photo in a row with one text, or a later one.
        """
        text = (caption.text or "").casefold()
        if self._off or not text or (self._words_of_choice and len(text) < _WORD_OF_CHOICE):
            return
        with self._lock:
            if text != self._text:
                self._text, self._first, self._hashes, self._stored = text, image, [], []
                return
            if self._blind is not None:
                raise self._blind
            self._compare(image)
            if len(self._hashes) >= SAME_IN_A_ROW:
                self._blind = BackendUnavailableError(_same(caption.text or ""))
                raise self._blind

    def stored(self, record: Record) -> bool:
        """A caption was written; whether it is to be withdrawn at once, for others found it out."""
        with self._lock:
            if (record.caption or "").casefold() != self._text:
                return False
            if self._blind is None:
                self._stored.append(record)
            return self._blind is not None

    def take_stored(self) -> list[Record]:
        """What was written of the one text, once it is found out; given out once."""
        with self._lock:
            stored, self._stored = self._stored if self._blind else [], []
            return stored

    def _compare(self, image: Image) -> None:
        """Count the photo if it looks like none of those that were counted."""
        for seen in (self._first, image):
            if seen is not None:
                bits = perceptual_hash(seen)
                if all((bits ^ other).bit_count() > LOOK_ALIKE_BITS for other in self._hashes):
                    self._hashes.append(bits)
        self._first = None


def _same(text: str) -> str:
    said = text if len(text) <= 80 else text[:79] + "…"
    return (
        f"{SAME_IN_A_ROW} photos in a row that look nothing alike got one and the same text "
        f"({said}): the model seems not to see them. Try another --model or --backend; for a "
        "server of your own, check that the model's vision part (mmproj) is loaded"
    )
