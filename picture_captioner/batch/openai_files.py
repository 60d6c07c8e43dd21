"""Batch jobs as OpenAI has them: a file goes up, a job refers to it, files with answers come down.

vLLM, Together, Groq and others have the same under `/v1/files` and `/v1/batches`.
Its forms are those of openai 3.56's types (`types/batch.py`); docs/batch.md says where the limits
are from.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import httpx2
import openai

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.backends.http_service import NO_PROTOCOL
from picture_captioner.backends.openai_errors import HttpFailure, error_text, mapped, mapped_failure
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
from picture_captioner.errors import ConfigurationError, JournalError, TransientError
from picture_captioner.foreign_text import clean

MARK = "picture_captioner_job"
"""The key in a job's metadata under which our id stands."""

_ENDPOINT: Final = "/v1/chat/completions"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_NOT_ANSWERED = frozenset({"batch_expired", "batch_cancelled"})


class OpenAIFiles(BatchService):
    """OpenAI's Batch API."""

    limits: ClassVar[Limits] = Limits(
        requests=50_000,
        file_bytes=200_000_000,
        answered_within="24 hours",
        files_kept="for 30 days, unless they are deleted, which 'caption.py batch collect' does",
    )

    def request(self, custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A line of the input file."""
        return {"custom_id": custom_id, "method": "POST", "url": _ENDPOINT, "body": dict(body)}

    def upload(self, job_id: str, body: IO[bytes]) -> str:
        """Send the file, under the job's id."""
        with self.faults():
            body.seek(0)
            file = (f"{job_id}.jsonl", body, "application/jsonl")
            made = self.client.files.create(file=file, purpose="batch")
            return id_in(getattr(made, "id", None))

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """Create the job for the file."""
        with self.faults():
            made = self.client.batches.create(
                input_file_id=file_id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={MARK: job_id},
                timeout=ANSWER_SECONDS,
            )
            return id_in(getattr(made, "id", None))

    def look(self, remote_id: str) -> RemoteJob:
        """Ask for the job."""
        with self.faults():
            return _remote(self.client.batches.retrieve(remote_id, timeout=ANSWER_SECONDS))

    def listed(self) -> Iterator[RemoteJob]:
        """All jobs of the account that the list shows, page by page."""
        try:
            with self.faults():
                pages = self.client.batches.list(limit=100, timeout=ANSWER_SECONDS)
                yield from map(_remote, itertools.islice(pages, MOST_LISTED))
        except JobGoneError:
            raise ConfigurationError(
                f"{self.host} has no batch jobs (HTTP 404 at /batches); run without them, or write "
                "files for 'vllm run-batch' with 'caption.py batch submit --to-files DIR'"
            ) from None

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The lines of the output file, then those of the error file."""
        lines = itertools.chain.from_iterable(map(self._lines, remote.results))
        return self.counted(lines, remote.answered, remote)

    def _lines(self, file_id: str) -> Iterator[Answered]:
        with self.faults(), self.client.files.with_streaming_response.content(file_id) as response:
            try:
                yield from self.answers_in(response.iter_bytes())
            except (httpx2.HTTPError, ValueError) as error:
                raise self.broken_off(error) from None

    def answer_in(self, found: dict[str, Any]) -> Answer:
        """The answer in `response`, or what `error` says."""
        response, error = object_in(found, "response"), found.get("error") or {}
        status, body = response.get("status_code"), response.get("body")
        if object_in(found, "error").get("code") in _NOT_ANSWERED:
            return NotAnsweredError("the job ended before this photo's turn", code="expired")
        if status == 200 and isinstance(body, dict):
            return self.read(body)
        return self._failure(status, body or error)

    def _failure(self, status: object, body: object) -> Answer:
        if not isinstance(status, int) or status < 400:
            said = clean(error_text(body), 200)
            return TransientError(f"{self.host} gave no answer: {said}", code="bad_answer")
        details = body.get("error", body) if isinstance(body, dict) else {}
        details = details if isinstance(details, dict) else {}
        code = f"{details.get('code') or ''} {details.get('type') or ''}".strip()
        failure = HttpFailure(status, code, error_text(body))
        return mapped_failure(failure, self.backend.provider)

    def cancel(self, remote_id: str) -> None:
        """Cancel the job."""
        with self.faults():
            self.client.batches.cancel(remote_id, timeout=ANSWER_SECONDS)

    def delete(self, remote: RemoteJob) -> None:
        """Delete its files; the job itself, a line without photos, cannot be deleted."""
        for file_id in remote.files:
            try:
                with self.faults():
                    self.client.files.delete(file_id, timeout=ANSWER_SECONDS)
            except JobGoneError:
                continue

    @property
    def client(self) -> openai.OpenAI:
        """The SDK's client, which retries nothing."""
        client: openai.OpenAI = self.backend.client
        return client

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        try:
            yield
        except openai.NotFoundError as error:
            said = clean(error_text(error.body), 200)
            raise JobGoneError(f"{self.host} does not have what was asked for: {said}") from None
        except openai.OpenAIError as error:
            raise mapped(error, self.backend.provider) from None
        except httpx2.HTTPError as error:
            raise self.backend.provider.unconnected(error) from None
        except NO_PROTOCOL:
            raise self.backend.provider.unreadable() from None


class CompatibleFiles(OpenAIFiles):
    """The same at any other server; how long it keeps files, nobody knows."""

    limits = Limits(
        requests=50_000,
        file_bytes=200_000_000,
        answered_within="a time that the server sets",
        files_kept="for as long as the server likes; 'caption.py batch collect' asks it to delete "
        "them",
    )


def _remote(batch: Any) -> RemoteJob:
    counts = getattr(batch, "request_counts", None)
    metadata = getattr(batch, "metadata", None)
    ours = metadata.get(MARK) if isinstance(metadata, dict) else None
    named = (batch.output_file_id, getattr(batch, "error_file_id", None))
    results = tuple(name for name in named if isinstance(name, str) and name)
    return RemoteJob(
        id=id_in(getattr(batch, "id", None)),
        status=str(batch.status),
        ended=batch.status in _ENDED,
        ours=str(ours) if ours else None,
        input_file=getattr(batch, "input_file_id", None),
        total=count_in(counts, "total"),
        answered=count_in(counts, "completed"),
        complete=batch.status == "completed",
        created_at=_seconds(getattr(batch, "created_at", None)),
        problem=_problem(batch) if batch.status == "failed" else "",
        files=tuple(filter(None, (getattr(batch, "input_file_id", None), *results))),
        results=results,
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _problem(batch: Any) -> str:
    """Why a job failed, in the provider's words."""
    problems = getattr(getattr(batch, "errors", None), "data", None) or []
    said = "; ".join(f"{p.code or ''} {p.message or ''}".strip() for p in problems[:3])
    return clean(said, 300)


_ANSWERS = ".out.jsonl"


class RunFiles(OpenAIFiles):
    """Jobs that are files in a folder, for a program that works through them: `vllm run-batch`.

    Its input is OpenAI's, a line a request, and so are its answers (vLLM's
    `examples/offline_inference/openai_batch/README.md`; docs/batch.md says when it was read). The
    file holds photos: it is its owner's alone, and gone once its answers are collected.
    """

    limits: ClassVar[Limits] = Limits(
        requests=50_000,
        file_bytes=1_000_000_000,
        answered_within="whatever time it takes you",
        files_kept="until 'caption.py batch collect' deletes them",
    )

    def __init__(self, backend: CaptionBackend, folder: Path) -> None:
        """`backend` writes the requests and reads the answers; nobody is asked."""
        super().__init__(backend)
        self._folder = folder.absolute()

    @property
    def host(self) -> str:
        """Where the files are."""
        return f"the folder {self._folder}"

    def upload(self, job_id: str, body: IO[bytes]) -> str:
        """Write the input file, for its owner alone."""
        path = self._folder / f"{job_id}.jsonl"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                body.seek(0)
                shutil.copyfileobj(body, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise JournalError(f"cannot write {path}: {error.strerror}; nothing is lost") from error
        return path.name

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """The file is the job."""
        return job_id

    def look(self, remote_id: str) -> RemoteJob:
        """It has ended when its answers are there."""
        answers = self._folder / f"{remote_id}{_ANSWERS}"
        ended = answers.is_file() and answers.stat().st_size > 0
        return RemoteJob(
            id=remote_id,
            status="answered" if ended else f"waits for {answers.name}",
            ended=ended,
            ours=remote_id,
            complete=True,
            files=(f"{remote_id}.jsonl", answers.name),
            results=answers,
        )

    def listed(self) -> Iterator[RemoteJob]:
        """The input files in the folder."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if not path.name.endswith(_ANSWERS):
                yield self.look(path.stem)

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The lines of the file of answers."""
        path = Path(remote.results)
        try:
            with path.open("rb") as file:
                yield from self.answers_in(file)
        except OSError as error:
            raise ResultsCutError(f"{path} cannot be read: {error.strerror}") from None

    def broken_off(self, error: object = "") -> ResultsCutError:  # noqa: ARG002
        """For a file that was not copied to its end."""
        return ResultsCutError(
            f"the file of answers in {self._folder} breaks off; what is whole is kept: copy it "
            "once more and collect again"
        )

    def cancel(self, remote_id: str) -> None:
        """Nobody works on it here; the files are deleted."""
        self.delete(self.look(remote_id))

    def delete(self, remote: RemoteJob) -> None:
        """Delete input and answers."""
        for name in remote.files:
            (self._folder / Path(str(name)).name).unlink(missing_ok=True)
