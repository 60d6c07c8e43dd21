"""Batch jobs by the Gemini API: a file of requests goes up, a file of answers comes down.

Photos inside the request that creates a job (inline) are limited to 20 MB, so it is always a file.
Its forms are those of google-genai 3.6's `batches.py` and `types.py`; docs/batch.md says where the
limits are from.
"""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, ClassVar, cast

import httpx2
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from picture_captioner.batch.service import (
    MOST_LISTED,
    Answer,
    Answered,
    BatchService,
    JobGoneError,
    Limits,
    RemoteJob,
    id_in,
)
from picture_captioner.foreign_text import clean

_ENDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
_PARTLY = "partially succeeded"
_STATUS_OF = {3: 400, 7: 403, 8: 429, 9: 400, 11: 400, 14: 503, 16: 401}
"""gRPC's codes, which a line's error may have in place of a status. No other is about the request:
1 is cancelled, 4 too late, 10 aborted, 13 internal."""


class GeminiJobs(BatchService):
    """Gemini, through its Batch API."""

    limits: ClassVar[Limits] = Limits(
        requests=200_000,
        file_bytes=2_000_000_000,
        answered_within="24 hours, 48 at the most",
        files_kept="for 48 hours, the answers until they are deleted, which "
        "'caption.py batch collect' does",
    )
    id_field: ClassVar[str] = "key"

    def request(self, custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A line of the input file; `store` is a field of single requests only."""
        return {"key": custom_id, "request": {k: v for k, v in body.items() if k != "store"}}

    def upload(self, job_id: str, body: IO[bytes]) -> str:
        """Send the file, under the job's id."""
        with self.faults():
            body.seek(0)
            made = self.client.files.upload(
                file=cast(io.IOBase, body),
                config=types.UploadFileConfig(display_name=job_id, mime_type="application/jsonl"),
            )
        return id_in(made.name)

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """Create the job for the file."""
        with self.faults():
            made = self.client.batches.create(
                model=self.backend.settings.model,
                src=file_id,
                config=types.CreateBatchJobConfig(display_name=job_id),
            )
        return id_in(made.name)

    def look(self, remote_id: str) -> RemoteJob:
        """Ask for the job."""
        with self.faults():
            return _remote(self.client.batches.get(name=remote_id))

    def listed(self) -> Iterator[RemoteJob]:
        """All jobs of the project, page by page."""
        with self.faults():
            pages = self.client.batches.list(config=types.ListBatchJobsConfig(page_size=100))
            yield from map(_remote, itertools.islice(pages, MOST_LISTED))

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The lines of the file of answers, which goes through a file without a name."""
        if not remote.results:
            if remote.complete or remote.status == _PARTLY:
                raise JobGoneError(f"{self.host} names no file with the answers of {remote.id}")
            return
        with tempfile.TemporaryFile() as file:
            with self.faults():
                self.client.files.download(file=remote.results, destination=cast(io.IOBase, file))
            file.seek(0)
            yield from self.answers_in(file)

    def answer_in(self, found: dict[str, Any]) -> Answer:
        """The content in `response`, or what `error` says."""
        response = found.get("response")
        if isinstance(response, dict):
            return self.read(response)
        return self._failure(found.get("error") or found.get("status"))

    def _failure(self, error: object) -> Answer:
        details = error if isinstance(error, dict) else {}
        code = details.get("code")
        code = code if isinstance(code, int) else 0
        status = code if code >= 400 else _STATUS_OF.get(code, 500)
        return self.verdict(status, "", clean(str(details.get("message") or ""), 300))

    def cancel(self, remote_id: str) -> None:
        """Cancel the job."""
        with self.faults():
            self.client.batches.cancel(name=remote_id)

    def delete(self, remote: RemoteJob) -> None:
        """Delete its files and the job."""
        for name in remote.files:
            with self._unless_gone():
                self.client.files.delete(name=name)
        if remote.id.startswith("batches/"):
            with self._unless_gone():
                self.client.batches.delete(name=remote.id)

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        try:
            with self.faults():
                yield
        except JobGoneError:
            return

    @property
    def client(self) -> genai.Client:
        """The SDK's client, which retries nothing."""
        client: genai.Client = self.backend.client
        return client

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        with self.backend.faults_mapped():
            try:
                yield
            except genai_errors.APIError as error:
                said = str(error.message).lower()  # 403 for a file that may not be there, too
                if error.code == 404 or (error.code == 403 and "not" in said):
                    raise JobGoneError(f"{self.host} does not have what was asked for") from None
                raise
            except httpx2.RemoteProtocolError:
                raise self.broken_off() from None


def _remote(job: types.BatchJob) -> RemoteJob:
    state = job.state.value if job.state else ""
    for prefix in ("JOB_STATE_", "BATCH_STATE_"):  # the SDK knows not all of the API's own names
        state = state.removeprefix(prefix)
    sent = job.src.file_name if job.src else None
    results = job.dest.file_name if job.dest else None
    return RemoteJob(
        id=id_in(job.name),
        status=state.lower().replace("_", " "),
        ended=state in _ENDED,
        ours=job.display_name,
        input_file=sent,
        complete=state == "SUCCEEDED",
        created_at=job.create_time.timestamp() if job.create_time else None,
        problem=clean(str(job.error.message or ""), 300) if job.error else "",
        files=tuple(filter(None, (sent, results))),
        results=results,
    )
