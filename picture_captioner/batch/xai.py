"""Batch jobs by xAI: the file goes up as at OpenAI; state and results have a form of their own.

There is no SDK of theirs here, and of docs.x.ai only excerpts could be had; docs/batch.md says what
is known from where.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, ClassVar

from picture_captioner.backends.usage import count
from picture_captioner.batch.openai_files import OpenAIFiles
from picture_captioner.batch.service import (
    ANSWER_SECONDS,
    MOST_LISTED,
    Answer,
    Answered,
    Limits,
    NotAnsweredError,
    RemoteJob,
    object_in,
)
from picture_captioner.errors import TransientError

_PAGE = 100
_TIMED: Any = {"timeout": ANSWER_SECONDS}


class XaiJobs(OpenAIFiles):
    """Grok, through xAI's Batch API."""

    limits: ClassVar[Limits] = Limits(
        requests=100_000,
        file_bytes=200_000_000,
        answered_within="24 hours as a rule",
        files_kept="until they are deleted; 'caption.py batch collect' deletes the file with the "
        "photos",
    )

    id_field: ClassVar[str] = "batch_request_id"

    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:  # noqa: ARG002
        """Create the job for the file."""
        made = self._post("/batches", {"name": job_id, "input_file_id": file_id})
        return _text(made, "batch_id")

    def look(self, remote_id: str) -> RemoteJob:
        """Ask for the job."""
        return _remote(self._get(f"/batches/{remote_id}"))

    def listed(self) -> Iterator[RemoteJob]:
        """All jobs of the team, page by page."""
        for page in self._pages("/batches", MOST_LISTED // _PAGE):
            yield from (_remote(one) for one in _list(page, "batches") if isinstance(one, dict))

    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """The results, page by page."""
        pages = self._pages(f"/batches/{remote.id}/results", None)
        found = (entry for page in pages for entry in _list(page, "results"))
        return self.counted(map(self.answered, found), remote.answered, remote)

    def answer_in(self, found: dict[str, Any]) -> Answer:
        """The completion in `batch_result`, or what its error says."""
        result = object_in(found, "batch_result")
        response = object_in(result, "response").get("chat_get_completion")
        if isinstance(response, dict):
            return self.read(response)
        error = result.get("error") or found.get("error_message") or {}
        if isinstance(error, dict) and str(error.get("code", "")).lower() in {
            "cancelled",
            "expired",
        }:
            return NotAnsweredError("the job ended before this photo's turn", code="expired")
        status = error.get("status_code", error.get("code")) if isinstance(error, dict) else None
        return self._failure(status, {"error": error})

    def cancel(self, remote_id: str) -> None:
        """Cancel the job."""
        self._post(f"/batches/{remote_id}:cancel", {})

    def _pages(self, path: str, most: int | None) -> Iterator[dict[str, Any]]:
        """Each page that the one before it names; one that was there already ends it."""
        token, seen = "", set[str]()
        while most is None or len(seen) < most:
            query = f"?limit={_PAGE}" + (f"&pagination_token={token}" if token else "")
            page = self._get(f"{path}{query}")
            yield page
            token = str(page.get("pagination_token") or "")
            if not token or token in seen:
                return
            seen.add(token)

    def _get(self, path: str) -> dict[str, Any]:
        with self.faults():
            return _object(self.client.get(path, cast_to=object, options=_TIMED))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.faults():
            return _object(self.client.post(path, body=body, cast_to=object, options=_TIMED))


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TransientError("the answer is no JSON object", code="bad_answer")
    return found


def _list(page: dict[str, Any], name: str) -> list[object]:
    found = page.get(name) or []
    return found if isinstance(found, list) else [found]


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise TransientError(f"the answer has no {name}", code="bad_answer")
    return value


def _remote(batch: dict[str, Any]) -> RemoteJob:
    """A job has ended when it has requests and none of them is pending."""
    state = object_in(batch, "state")
    counts = {name: _count(state, f"num_{name}") for name in ("requests", "pending", "success")}
    cancelled = bool(batch.get("cancel_time"))
    ended = counts["requests"] > 0 and counts["pending"] == 0
    sent = batch.get("input_file_id")
    return RemoteJob(
        id=_text(batch, "batch_id"),
        status="cancelled" if cancelled else "ended" if ended else "running",
        ended=ended or cancelled,
        ours=str(batch.get("name") or "") or None,
        input_file=sent if isinstance(sent, str) else None,
        total=counts["requests"],
        answered=counts["success"],
        complete=ended and not cancelled,
        files=(sent,) if isinstance(sent, str) and sent else (),
    )


def _count(state: dict[str, Any], name: str) -> int:
    found = state.get(name)
    if isinstance(found, str) and found.isdecimal():  # protobuf's JSON writes 64 bits as text
        return int(found)
    return count(found) or 0
