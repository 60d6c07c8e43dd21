"""What became of the photos of a run, and the reporter that is told as it happens."""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from picture_captioner.errors import count


class Outcome(enum.StrEnum):
    """How one photo left the run; the text is what the summary says."""

    CAPTIONED = "captioned"
    COPIED = "copied from a photo with the same content, or of the same shot"
    ELSEWHERE = "done by another worker"
    MOVED = "kept the caption they had before they were moved"
    SUBMITTED = "sent in a batch job, to be answered later"
    OPENED = "opened without error"
    EXAMINED = "examined: facts, thumbnail and vector"
    RECOGNISED = "recognised: moved, or a copy of another"
    UNCHANGED = "unchanged, caption kept"
    CORRUPT = "cannot be decoded"
    API_ERROR = "failed at the service"
    MODEL_ERROR = "failed in the model"
    UNREADABLE = "could not be read (not recorded; tried again next time)"
    WITHDRAWN = "captioned without being seen (withdrawn; tried again next time)"
    WITHHELD = "failed, perhaps through no fault of theirs (no verdict; tried again next time)"

    @property
    def failed(self) -> bool:
        """Whether the photo has no caption because of it."""
        return self in _FAILED


_FAILED = frozenset(
    {
        Outcome.CORRUPT,
        Outcome.API_ERROR,
        Outcome.MODEL_ERROR,
        Outcome.UNREADABLE,
        Outcome.WITHDRAWN,
        Outcome.WITHHELD,
    }
)


class FailedPhoto(NamedTuple):
    """A photo without a caption, and why."""

    rel_path: str
    outcome: Outcome
    code: str
    message: str


class Reporter(Protocol):
    """What the pipeline tells the person; implementations are thread-safe and never raise."""

    def start(self, total: int) -> None:
        """`total` photos are about to be worked through."""

    def advance(self, outcome: Outcome) -> None:
        """One photo is settled: what had to be written about it is on the disk."""

    def failed(self, failure: FailedPhoto) -> None:
        """A photo has no caption."""

    def notice(self, text: str) -> None:
        """Something the person should know."""


class Silent:
    """A reporter for what nobody need hear of, such as a look at one photo."""

    def start(self, total: int) -> None:
        """Nothing."""

    def advance(self, outcome: Outcome) -> None:
        """Nothing."""

    def failed(self, failure: FailedPhoto) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""


MAX_FAILURES_KEPT = 10_000


class Outcomes:
    """Counts outcomes and reasons, and passes them on to the reporter. Thread-safe."""

    def __init__(self, reporter: Reporter) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.reasons: Counter[str] = Counter()
        self.failures: list[FailedPhoto] = []
        self.mended: list[str] = []
        self.answers: Counter[str] = Counter()
        self.again: Counter[int] = Counter()
        self.outside: Counter[str] = Counter()
        self._reporter = reporter
        self._lock = threading.Lock()

    def settle(self, outcome: Outcome) -> None:
        """Count a photo."""
        with self._lock:
            self.counts[outcome] += 1
        self._reporter.advance(outcome)

    def fail(self, failure: FailedPhoto) -> None:
        """Count a photo that failed and keep the reason (the first 10,000 of them)."""
        with self._lock:
            self.reasons[failure.code] += 1
            if len(self.failures) < MAX_FAILURES_KEPT:
                self.failures.append(failure)
        self._reporter.failed(failure)
        self.settle(failure.outcome)

    def withdrawn(self, captions: int, copies: int) -> None:
        """So many photos that were counted before have no caption after all."""
        with self._lock:
            self.counts[Outcome.CAPTIONED] -= captions
            self.counts[Outcome.COPIED] -= copies
            self.counts[Outcome.WITHDRAWN] += captions + copies
        self._reporter.notice(
            f"Withdrawn, so that the next run asks again: {count(captions + copies, 'caption')} "
            "with that one text"
        )

    def answered(self, who: str, requests: Sequence[int]) -> None:
        """Count who captioned; `requests` are how many each photo took."""
        with self._lock:
            self.answers[who] += len(requests)
            self.again.update(number for number in requests if number > 1)

    def count_outside(self, tags: Iterable[str]) -> None:
        """Count tags that are not in the vocabulary."""
        with self._lock:
            self.outside.update(tags)

    def notice(self, text: str) -> None:
        """Tell the person something that is not about one photo."""
        self._reporter.notice(text)

    @property
    def settled(self) -> int:
        """Photos worked through so far."""
        return self.counts.total()
