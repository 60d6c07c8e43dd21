"""From pending photos to jobs: decoded as in any run, written into bodies, promised, sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from picture_captioner.backends.base import REJECTED
from picture_captioner.batch.ledger import AskedPhoto, Copy, Job, JobLedger, JobState
from picture_captioner.batch.parts import Part
from picture_captioner.batch.service import BatchService
from picture_captioner.errors import (
    BackendUnavailableError,
    CaptionerError,
    CeilingReachedError,
    ConfigurationError,
    PhotoError,
    TransientError,
    Usage,
    count,
)
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.captioning import told
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.asking.spending import Ceilings
from picture_captioner.pipeline.decoding.decode_ahead import Decoding
from picture_captioner.pipeline.recording.blank import is_blank
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes
from picture_captioner.pipeline.runner import RunOptions
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.selection import SelectionRules, Sources
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.threads import Stop, ThreadGroup
from picture_captioner.pipeline.work_queue import Buffer, DecodedPhoto, WorkQueue

_UPLOADS = 3
"""Times that a file is sent which does not arrive: nothing is billed for it."""
_LOOKS = (0.0, 1.0, 3.0)
"""Seconds before each look for a job whose creation was not confirmed."""


@dataclass(frozen=True)
class JobTerms:
    """What every job of a submission is made with."""

    question: dict[str, object]
    """What the ledger says of the question: `backend`, `model`, `fields`, ..."""
    prices: Prices
    ceilings: Ceilings
    most_tokens: int = 0


class Submission:
    """Sends pending photos as jobs. `made` has the jobs' ids; `abandoned` as in `CaptionRun`."""

    def __init__(
        self,
        service: BatchService,
        chosen: ChosenBackend,
        journal: Journal,
        ledger: JobLedger,
        photos: Sequence[Photo],
        sources: Sources,
        rules: SelectionRules,
        options: RunOptions,
        outcomes: Outcomes,
        hints: Hints,
        terms: JobTerms,
    ) -> None:
        self._service, self._chosen = service, chosen
        self._journal, self._ledger = journal, ledger
        self._options, self._outcomes = options, outcomes
        self._hints, self._terms = hints, terms
        self.stop = Stop()
        self.made: list[str] = []
        self.abandoned = False
        self._decoding = decoding = Decoding(
            WorkQueue(photos),
            photos,
            sources,
            [chosen],
            journal,
            rules,
            options,
            outcomes,
            Buffer(max(options.decoders, 4)),
        )
        self._backend: Any = chosen.backend  # with what a live photo taught it
        self._part: Part | None = None
        self._asked: dict[str, tuple[str, int]] = {}
        jobs = ledger.jobs()
        for job in jobs.values():
            if job.is_out and _same_question(job, terms):
                self._asked.update({p.content_sha256: (job.id, p.n) for p in job.photos.values()})
        self._out = [job for job in jobs.values() if job.is_out]
        self.stop.on_stop(decoding.queue.stop)
        self.stop.on_stop(lambda: decoding.ready.close(discard=True))

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Send all, or until `interrupted` says so; a body that is not full then is discarded.

        Raises:
            FatalError: what stopped it; jobs that were made before are in the ledger.
        """
        group = ThreadGroup(self.stop, interrupted, self._options.grace_seconds)
        self.abandoned = not self._decoding.run_with(group, self._write, 1)
        if self.stop.error is not None:
            raise self.stop.error

    def _write(self) -> None:
        try:
            while taken := self._decoding.ready.take(1):
                self._add(taken[0])
            if self._part is not None and not self.stop.requested:
                self._send()
        finally:
            if self._part is not None:
                self._part.body.close()

    def _add(self, decoded: DecodedPhoto) -> None:
        item, loaded, _ = decoded
        followers = self._decoding.content.resolve(loaded.size, loaded.content_sha256, None)
        known = self._asked.get(loaded.content_sha256)
        copies = followers if known is None else [item, *followers]
        if known is None:
            known = self._ask(decoded)
        self._copy(*known, [f.photo for f in copies])
        for _ in (*followers, item):
            self._decoding.queue.settle()

    def _ask(self, decoded: DecodedPhoto) -> tuple[str, int]:
        """Put a photo into the body; its job and number."""
        item, loaded, image = decoded
        rel_path = item.photo.rel_path
        tags = told(self._chosen, self._hints.tags(rel_path, loaded.content_sha256))
        body = self._backend.request_body(image, tags)
        tokens, dollars = self._expected(image.size)
        part = self._part or self._new_part()
        line = part.line(body)
        if not part.has_room(line, tokens):
            if len(part.photos) < self._service.limits.least:
                raise CeilingReachedError(
                    f"stopped at --job-tokens {self._terms.most_tokens}: a job of "
                    f"{self._service.host} has {count(self._service.limits.least)} at least, and "
                    f"that is room for {len(part.photos)}"
                )
            self._send()
            part = self._new_part()
            line = part.line(body)
        try:
            self._reserve(part, tokens, dollars)
        except CaptionerError:
            if part.photos:
                self._send()
            raise
        photo = AskedPhoto(
            n=len(part.photos),
            rel_path=rel_path,
            content_sha256=loaded.content_sha256,
            size=loaded.size,
            mtime_ns=loaded.mtime_ns,
            prompt_sha256=self._chosen.identity.prompt_for(rel_path, loaded.content_sha256),
            truncated=loaded.truncated,
            blank=is_blank(image),
            told=tuple(str(tag) for tag in tags if getattr(tag, "kind", "") != REJECTED),
        )
        part.add(photo, line, tokens, dollars)
        self._asked[loaded.content_sha256] = part.job_id, photo.n
        return part.job_id, photo.n

    def _copy(self, job_id: str, n: int, photos: Sequence[Photo]) -> None:
        copies = [Copy(n=n, rel_path=photo.rel_path, mtime_ns=photo.mtime_ns) for photo in photos]
        if not copies:
            return
        if self._part is not None and self._part.job_id == job_id:
            self._part.copies += copies
            return
        self._ledger.add_copies(job_id, copies)
        for _ in copies:
            self._outcomes.settle(Outcome.SUBMITTED)

    def _new_part(self) -> Part:
        folder = self._ledger.path.parent
        self._part = Part(self._service, self._ledger.new_job_id(), folder, self._terms.most_tokens)
        return self._part

    def _expected(self, size: tuple[int, int]) -> tuple[int, float]:
        """Tokens and US dollars that a photo may take at the most, as far as a rule says."""
        backend = self._chosen.backend
        expected = backend.expected_tokens(*size)
        if expected is None:
            return 0, self._unknown_price()
        longest = backend.settings.max_tokens + backend.answer_room
        cost = self._terms.prices.cost(Usage(input_tokens=expected.input, output_tokens=longest))
        return expected.input + longest, self._unknown_price() if cost is None else cost

    def _unknown_price(self) -> float:
        if self._terms.ceilings.max_cost is None or self._terms.prices.free:
            return 0.0
        raise ConfigurationError(
            "--max-cost: what a photo may cost in a batch job is not known here, so nothing can be "
            "reserved; leave it out, or run without a job"
        )

    def _reserve(self, part: Part, tokens: int, dollars: float) -> None:
        """Refuse a photo with which jobs and journal could pass a ceiling.

        Raises:
            CeilingReachedError: the photos before it are sent all the same.
        """
        ceilings, index = self._terms.ceilings, self._journal.index
        promised = sum(float(job.facts.get("reserved_usd") or 0.0) for job in self._out)
        identity = self._chosen.identity
        dollars *= 1 + index.unpriced[identity.backend, identity.model]
        dollars += index.cost_usd + promised + part.reserved_usd
        if ceilings.max_cost is not None and dollars > ceilings.max_cost:
            raise CeilingReachedError(
                f"stopped at --max-cost {ceilings.max_cost:g}: with one more photo this journal "
                f"and its jobs may cost {dollars:.4f} USD"
            )
        requests = index.requests + sum(len(job.photos) for job in self._out) + len(part.photos)
        if ceilings.max_requests is not None and requests >= ceilings.max_requests:
            raise CeilingReachedError(
                f"stopped at --max-requests {ceilings.max_requests}: this journal and its jobs "
                f"have taken {requests}"
            )
        waiting = sum(int(job.facts.get("tokens") or 0) for job in self._out)
        most = self._terms.most_tokens
        if most and part.photos == [] and waiting and waiting + tokens > most:
            raise CeilingReachedError(
                f"stopped at --job-tokens {most}: jobs that wait at {self._service.host} hold "
                f"about {count(waiting, 'token')}. Submit again when they are collected"
            )

    def _send(self) -> None:
        """Promise the body's photos in the ledger, then send them, once."""
        part, self._part = self._part, None
        if part is None:
            return
        if len(part.photos) < self._service.limits.least:
            part.body.close()
            self._outcomes.notice(
                f"Left: {count(len(part.photos))}. {self._service.host} takes no job of fewer "
                f"than {self._service.limits.least}; the same command again asks about them one at "
                "a time"
            )
            return
        with part:
            part.finish()
            self._ledger.intend(
                part.job_id,
                part.photos,
                part.copies,
                **self._terms.question,
                host=self._service.host,
                file_id=self._service.file_named(part.job_id),
                bytes=part.size,
                tokens=part.tokens,
                reserved_usd=round(part.reserved_usd, 6),
            )
            file_id = self._upload(part)
            self._ledger.note(part.job_id, JobState.CREATING, file_id=file_id)
            remote_id = self._create(part, file_id)
            self._ledger.note(part.job_id, JobState.CREATED, remote_id=remote_id)
        self.made.append(part.job_id)
        promised = {"reserved_usd": part.reserved_usd, "tokens": part.tokens}
        self._out.append(Job(part.job_id, promised, {photo.n: photo for photo in part.photos}))
        self._outcomes.notice(
            f"Job {part.job_id}: {count(len(part.photos))} at {self._service.host} ({remote_id})"
        )
        for _ in (*part.photos, *part.copies):
            self._outcomes.settle(Outcome.SUBMITTED)

    def _upload(self, part: Part) -> str:
        if not self._service.sends_file_first:
            return ""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(_UPLOADS),
            wait=tenacity.wait_exponential(max=10),
            sleep=self.stop.wait,
            reraise=True,
        )
        try:
            return retrying(self._service.upload, part.job_id, part.body)
        except CaptionerError as error:
            raise self._abandoned(part, self._service.file_named(part.job_id), error) from error

    def _create(self, part: Part, file_id: str) -> str:
        try:
            return self._service.create(part.job_id, file_id, part.body)
        except TransientError as error:
            if remote_id := self._find(part.job_id, file_id):
                return remote_id
            raise BackendUnavailableError(
                f"{self._service.host} did not say whether it took job {part.job_id} ({error}). "
                "Nothing is sent twice: its photos wait until 'caption.py batch status' has found "
                "out"
            ) from error
        except CaptionerError as error:
            raise self._abandoned(part, file_id, error) from error

    def _abandoned(self, part: Part, file_id: str, error: CaptionerError) -> CaptionerError:
        """Note that a job was not made, and leave no photos of it at the provider."""
        self._ledger.note(part.job_id, JobState.ABANDONED, problem=str(error))
        self._service.discard(part.job_id, file_id)
        return _refused(part.job_id, error)

    def _find(self, job_id: str, file_id: str) -> str | None:
        """A job that was created although nobody said so."""
        for seconds in _LOOKS:
            time.sleep(seconds)
            try:
                for remote in self._service.listed():
                    if remote.ours == job_id or (file_id and remote.input_file == file_id):
                        return remote.id
            except CaptionerError:
                continue  # the next look, or the next command, finds out
        return None


def _same_question(job: Job, terms: JobTerms) -> bool:
    names = ("backend", "model", "prompt_sha256")
    return all(job.facts.get(name) == terms.question.get(name) for name in names)


def _refused(job_id: str, error: CaptionerError) -> CaptionerError:
    """What ends a submission; a verdict on "this photo" is one on the job here."""
    if isinstance(error, PhotoError | TransientError):
        said = str(error).replace("this photo", "this job")
        return BackendUnavailableError(f"job {job_id} was not made, nothing is billed: {said}")
    return error
