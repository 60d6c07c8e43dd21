"""Message Batches by Anthropic: all requests in the body of the one that creates the job.

Its list does not say which jobs are ours; the results of one that has ended do, by the names of
their requests. Its forms are those of anthropic 2.11's types (`types/messages/`); docs/batch.md
says where the limits are from.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, ClassVar
from urllib.parse import urlsplit

import anthropic
import httpx2
from anthropic.types.messages import MessageBatch

from picture_captioner.backends.answer_limits import STATUS_OF_ERROR
from picture_captioner.backends.http_service import OTHER_HOST
from picture_captioner.batch.service import (
    ANSWER_SECONDS,
    MOST_LISTED,
    Answer,
    Answered,
    BatchService,
    JobGoneError,
    Limits,
    NotAnsweredError,
    RemoteJob,
    ResultsCutError,
    count_in,
    id_in,
    object_in,
)
from picture_captioner.errors import BackendUnavailableError, TransientError
from picture_captioner.foreign_text import clean


class AnthropicJobs(BatchService):
    """Claude, through Message Batches."""

    limits: ClassVar[Limits] = Limits(
        requests=100_000,
        file_bytes=256_000_000,
        answered_within="24 hours",
        files_kept="for 29 days, unless they are deleted, which 'caption.py batch collect' does; "
        "zero data retention does not cover batches",
    )
    head: ClassVar[bytes] = b'{"requests":['
    between: ClassVar[bytes] = b","
    tail: ClassVar[bytes] = b"]}"
    shows_our_ids: ClassVar[bool] = False
    sends_file_first: ClassVar[bool] = False

    def request(self, custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """An element of `requests`."""
        return {"custom_id": custom_id, "params": dict(body)}

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """Create the job, with its body from the file: `batches.create` holds it three times."""
        with self.faults():
            body.seek(0)
            made = self.client.post("/v1/messages/batches", content=body, cast_to=MessageBatch)
            return id_in(getattr(made, "id", None))

    def look(self, remote_id: str) -> RemoteJob:
        """Ask for the job."""
        with self.faults():
            return _remote(self.client.messages.batches.retrieve(remote_id, timeout=ANSWER_SECONDS))

    def listed(self) -> Iterator[RemoteJob]:
        """All jobs of the workspace, page by page."""
        with self.faults():
            pages = self.client.messages.batches.list(limit=100, timeout=ANSWER_SECONDS)
            yield from map(_remote, itertools.islice(pages, MOST_LISTED))

    def owner(self, remote: RemoteJob) -> str | None:
        """The job in the name of the first request; None for jobs whose results are gone."""
        try:
            for answered in self._results(remote):
                if answered.custom_id:
                    return answered.custom_id.rpartition("-")[0]
        except (JobGoneError, ResultsCutError):
            return None
        return None

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The lines behind `results_url`, which has to be at the host that gets the key."""
        return self.counted(self._results(remote), remote.answered, remote)

    def _results(self, remote: RemoteJob) -> Iterator[Answered]:
        self._check_url(remote.results)
        with self.faults():
            try:  # the SDK's own decoder ends at the first damaged line
                with contextlib.closing(
                    self.client.messages.batches.results(remote.id).http_response
                ) as response:
                    yield from self.answers_in(response.iter_bytes())
            except (httpx2.HTTPError, ValueError) as error:
                raise self.broken_off(error) from None

    def _check_url(self, url: object) -> None:
        """Refuse to ask another host for results: the SDK would send it the key.

        Raises:
            JobGoneError: there is no address any more. BackendUnavailableError: at another host.
        """
        if not isinstance(url, str) or not url:
            raise JobGoneError(f"{self.host} has no results of this job (any more)")
        own = urlsplit(str(self.client.base_url))
        if "//" in url and urlsplit(url)[:2] != own[:2]:
            raise BackendUnavailableError(f"{self.host}: {OTHER_HOST} ({urlsplit(url).hostname})")

    def answer_in(self, found: dict[str, Any]) -> Answer:
        """The message in `result`, or what became of the request."""
        result = object_in(found, "result")
        kind = result.get("type")
        if kind == "succeeded":
            return self.read(object_in(result, "message"))
        if kind == "errored":
            return self._failure(object_in(result, "error"))
        if kind in {"expired", "canceled"}:
            return NotAnsweredError("the job ended before this photo's turn", code=str(kind))
        return TransientError(f"{self.host} gave no result of its form", code="bad_answer")

    def _failure(self, error: dict[str, Any]) -> Answer:
        inner = object_in(error, "error") or error
        kind, text = str(inner.get("type", "")), str(inner.get("message", ""))
        return self.verdict(STATUS_OF_ERROR.get(kind, 500), kind, clean(text, 300))

    def cancel(self, remote_id: str) -> None:
        """Cancel the job."""
        with self.faults():
            self.client.messages.batches.cancel(remote_id, timeout=ANSWER_SECONDS)

    def delete(self, remote: RemoteJob) -> None:
        """Delete the job with its requests and results."""
        with self.faults():
            try:
                self.client.messages.batches.delete(remote.id, timeout=ANSWER_SECONDS)
            except anthropic.NotFoundError:
                return

    @property
    def client(self) -> anthropic.Anthropic:
        """The SDK's client, which retries nothing."""
        client: anthropic.Anthropic = self.backend.client
        return client

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        with self.backend.faults_mapped():
            try:
                yield
            except anthropic.NotFoundError:
                raise JobGoneError(f"{self.host} does not have what was asked for") from None


def _remote(batch: Any) -> RemoteJob:
    counts = getattr(batch, "request_counts", None)
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    tally = {name: count_in(counts, name) for name in names}
    status = str(getattr(batch, "processing_status", ""))
    return RemoteJob(
        id=id_in(getattr(batch, "id", None)),
        status=status.replace("_", " "),
        ended=status == "ended",
        total=sum(tally.values()),
        answered=tally["succeeded"],
        complete=status == "ended",
        created_at=_seconds(getattr(batch, "created_at", None)),
        results=getattr(batch, "results_url", None),
    )


def _seconds(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value.timestamp() if isinstance(value, datetime) else None
