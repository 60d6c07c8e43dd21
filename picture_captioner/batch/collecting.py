"""From a job's answers to records: each once, whatever ends this process in between.

A record names its job, so what a killed collect has written is known to the next one; the job
counts as collected when all of them are on the disk, and only then are the provider's files
deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from picture_captioner.backends.base import BackendSettings, Caption
from picture_captioner.backends.fields import CAPTION_ONLY, DEFAULT_MAX_TAGS, FieldsAsked
from picture_captioner.batch.ledger import AskedPhoto, Job, JobLedger, JobState, lacks_photos
from picture_captioner.batch.service import (
    Answer,
    BatchService,
    DamagedLineError,
    FormlessError,
    JobGoneError,
    RemoteJob,
    ResultsCutError,
)
from picture_captioner.errors import CaptionerError, PhotoError, RefusedInWordsError, count
from picture_captioner.journal.reading import read_job
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.reask import invented_in
from picture_captioner.pipeline.recording.answers import judge_answer
from picture_captioner.pipeline.recording.recorder import (
    SeenBytes,
    copied_record,
    failure_record,
    success_record,
)
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

_AT_ONCE = 200
"""Records that share one write and one sync."""


@dataclass
class Collected:
    """What came of a job.

    `failed` are photos with a verdict, and its code; `unanswered` counts those without, by reason;
    `strays` the answers that are nobody's, and `damaged` the lines that are no answers. `lost` are
    the photos whose answers these may have been. `unpriced` are answers that do not say what they
    took, or whose model has no price.
    """

    captioned: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    damaged: int = 0
    lost: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    @property
    def pending_again(self) -> int:
        """Photos of the job that got no answer."""
        return self.unanswered.total() + self.lost


class Collecting:
    """Writes one job's answers into the journal."""

    def __init__(self, service: BatchService, journal: Journal, job: Job, prices: Prices) -> None:
        self._service, self._journal, self._job = service, journal, job
        self._prices = replace(prices, batch=True)
        self._asked = _asked(job)
        self.result = Collected()
        self._declined_in_words: set[str] = set()
        self._copies: dict[int, list[Photo]] = {}
        for copy in job.copies:
            if copy.n not in job.photos:
                continue  # forgotten since
            photo = Photo(copy.rel_path, job.photos[copy.n].size, copy.mtime_ns)
            self._copies.setdefault(copy.n, []).append(photo)

    def run(self, remote: RemoteJob) -> Collected:
        """Write what has arrived and is not in the journal yet.

        Raises:
            ResultsCutError, JobGoneError, TransientError: not all arrived; what did is written.
        """
        done = {record.rel_path for record in read_job(self._journal.path, self._job.id)}
        worth: dict[int, int] = {}
        formless: set[int] = set()
        errors: dict[int, tuple[AskedPhoto, Answer]] = {}
        group: list[Record] = []
        try:
            for photo, arrived in self._arrived(remote):
                answer = self._judged(photo, arrived)
                earlier, worth_now = worth.get(photo.n, -1), _worth(answer)
                if isinstance(answer, FormlessError):
                    formless.add(photo.n)
                self.result.strays += earlier >= 0
                if worth_now <= earlier:
                    continue
                worth[photo.n] = worth_now
                if worth_now < _CAPTION:
                    errors[photo.n] = photo, answer  # a caption may stand behind it
                    continue
                errors.pop(photo.n, None)
                if photo.rel_path not in done:
                    group += self._records(photo, answer)
                if len(group) >= _AT_ONCE:
                    self._journal.append(*group)
                    group.clear()
        finally:
            for photo, answer in errors.values():
                if photo.rel_path not in done:
                    group += self._records(photo, answer)
            self._journal.append(*group)
        unread = sum(worth.get(n) == 0 for n in formless)
        self._count_missing(remote, answered=len(worth), unread=unread)
        return self._added_up()

    def _count_missing(self, remote: RemoteJob, answered: int, unread: int) -> None:
        """Add up the photos without an answer: as many as there are damaged lines, and the others.

        Args:
            unread: how many of those that are answered have no answer of a form that is known.

        Raises:
            ResultsCutError: most lines are damaged, the provider says that there are others, the
                ledger lacks some of the photos, or most answers are of a form that nobody knows:
                asked for again, they would be paid for again and again.
        """
        given_up = f"give them up with 'caption.py batch ignore {self._job.id}'"
        if self._job.lacking:
            raise ResultsCutError(f"{lacks_photos(self._job)}, or {given_up}")
        if 2 * unread > answered:
            raise ResultsCutError(
                f"{count(unread, 'answer')} of {self._service.host} are in a form that this "
                "version does not know; nothing of them is deleted. A newer version may read them: "
                f"collect again then, or {given_up}"
            )
        missing = len(self._job.photos) - answered
        self.result.lost = min(missing, self.result.damaged)
        others = missing - self.result.lost
        if self.result.lost > answered:  # the page of some proxy, perhaps
            raise ResultsCutError(
                f"{self._service.host} sent {count(self.result.damaged, 'line')} that no answer is "
                f"in, and {count(missing)} got none: collect again later, or {given_up}"
            )
        if others and remote.complete:
            raise ResultsCutError(
                f"{self._service.host} says that job {self._job.id} is complete and gave no answer "
                f"for {others:,} of its photos: collect again later, or {given_up}"
            )
        if others:
            self.result.unanswered["no answer"] += others

    def _added_up(self) -> Collected:
        """By the journal, which also has what an earlier collect wrote before it was killed."""
        for record in read_job(self._journal.path, self._job.id):
            self.result.cost_usd += record.cost_usd or 0.0
            self.result.unpriced += record.cost_usd is None and record.requests is not None
            if record.error is not None:
                filtered = record.rel_path not in self._declined_in_words
                code = "filter" if record.error.code == "refused" and filtered else ""
                self.result.failed[record.rel_path] = code or record.error.code
            elif record.copied_from is None:
                self.result.captioned += 1
        return self.result

    def _arrived(self, remote: RemoteJob) -> Iterator[tuple[AskedPhoto, Answer]]:
        for custom_id, answer in self._service.answers(remote):
            photo = self._job.photo_of(custom_id)
            if isinstance(answer, DamagedLineError):
                self.result.damaged += 1
            elif photo is None:
                self.result.strays += 1
            else:
                yield photo, answer

    def _judged(self, photo: AskedPhoto, answer: Answer) -> Answer:
        """The answer, or its verdict where it is no caption: of two, a caption is to count."""
        if not isinstance(answer, Caption):
            return answer
        longest = self._service.backend.settings.max_tokens
        asked = self._job.facts.get("prompt")
        try:
            return judge_answer(
                answer,
                self._asked,
                max_tokens=longest,
                image=photo.blank,
                prompt=asked if isinstance(asked, str) else None,
                language=self._job.facts.get("language", "that of an older job"),
            )
        except PhotoError as error:
            return error

    def _records(self, photo: AskedPhoto, answer: Answer) -> list[Record]:
        if isinstance(answer, Caption):
            return self._captioned(photo, answer)
        if isinstance(answer, PhotoError):
            return [self._failed(photo, answer)]
        self.result.unanswered[str(getattr(answer, "code", "") or type(answer).__name__)] += 1
        return []

    def _captioned(self, photo: AskedPhoto, answer: Caption) -> list[Record]:
        usage = self._prices.billed(answer.usage, 1, answer.model_version)
        answer = replace(answer, **usage)
        if names := invented_in(answer, photo.told, None):  # a job is not asked again
            answer = replace(answer, fields={**answer.fields, "suspect": names})
        record = success_record(
            _photo(photo), _seen(photo), answer, self._identity(photo), latency_ms=None
        )
        record = self._of_the_job(record)
        copies = [
            copied_record(copy, _seen(photo)._replace(mtime_ns=copy.mtime_ns), record)
            for copy in self._copies.get(photo.n, ())
        ]
        return [record, *copies]

    def _failed(self, photo: AskedPhoto, error: PhotoError) -> Record:
        error.usage = self._prices.billed(error.usage, 1) if error.usage else error.usage
        if isinstance(error, RefusedInWordsError):
            self._declined_in_words.add(photo.rel_path)
        identity = self._identity(photo)
        return self._of_the_job(
            failure_record(_photo(photo), _seen(photo), error, identity, latency_ms=None)
        )

    def _of_the_job(self, record: Record) -> Record:
        return replace(record, batch=True, batch_job=self._job.id)

    def _identity(self, photo: AskedPhoto) -> Identity:
        facts = self._job.facts
        return Identity(facts["backend"], facts["model"], photo.prompt_sha256, placeholder=False)


_CAPTION = 2


def _worth(answer: Answer) -> int:
    """Which of two answers about one photo counts: a caption, then a verdict, then none."""
    return _CAPTION if isinstance(answer, Caption) else int(isinstance(answer, PhotoError))


def collect(
    service: BatchService,
    journal: Journal,
    ledger: JobLedger,
    job: Job,
    prices: Prices,
    again: Callable[[str], bool],
) -> Collected:
    """Write a job's answers, note that it is collected, and have its files deleted.

    Args:
        again: by the code of its verdict whether the next job is to ask about a photo once more.

    Raises:
        ResultsCutError, JobGoneError, TransientError, FatalError: it is not collected yet.
    """
    try:
        remote = service.look(job.remote_id)
    except JobGoneError:
        if job.state is not JobState.COLLECTED:
            raise
        ledger.note(job.id, JobState.DELETED)
        return Collected()
    if job.state is JobState.ENDED and not remote.ended:
        ledger.note(job.id, JobState.CREATED, status=remote.status, answered=remote.answered)
        raise ResultsCutError(
            f"{service.host} had said that it has ended, and says {remote.status!r} now; nothing "
            "is lost: collect again later"
        )
    collecting = Collecting(service, journal, job, prices)
    found = collecting.run(remote) if job.state is JobState.ENDED else Collected()
    if job.state is JobState.ENDED:
        ledger.note(
            job.id,
            JobState.COLLECTED,
            files=list(remote.files),
            captioned=found.captioned,
            failed=len(found.failed),
            again=[path for path, code in found.failed.items() if again(code)],
            unanswered=found.pending_again,
            cost_usd=None if found.unpriced else round(found.cost_usd, 6),
        )
    _delete_files(service, ledger, job, remote)
    return found


def _delete_files(service: BatchService, ledger: JobLedger, job: Job, remote: RemoteJob) -> None:
    """Have the provider delete what it keeps; where that fails, the next command tries again."""
    sent = str(job.facts.get("file_id") or "")
    files = dict.fromkeys((sent, *remote.files) if sent else remote.files)
    try:
        service.delete(replace(remote, files=tuple(files)))
    except CaptionerError:
        return
    ledger.note(job.id, JobState.DELETED)


def _asked(job: Job) -> FieldsAsked | None:
    """The fields that the job's question asked for; None for captions in plain text."""
    facts = job.facts
    mode: Any = facts.get("vocabulary_mode") or "strict"
    return BackendSettings(
        model=facts["model"],
        fields=tuple(facts.get("fields") or CAPTION_ONLY),
        max_tags=int(facts.get("max_tags") or DEFAULT_MAX_TAGS),
        vocabulary=tuple(facts.get("vocabulary") or ()),
        vocabulary_mode=mode,
    ).asked


def _photo(photo: AskedPhoto) -> Photo:
    return Photo(photo.rel_path, photo.size, photo.mtime_ns)


def _seen(photo: AskedPhoto) -> SeenBytes:
    return SeenBytes(photo.content_sha256, photo.size, photo.mtime_ns, photo.truncated)
