"""What a provider's batch API is to the rest of this room, and which there are.

A service speaks through the backend that captions one photo at a time: its address, its key, its
SDK with retries off, its requests and its reading of answers.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple, TypeAlias

import msgspec

from picture_captioner.backends.base import BackendSettings, Caption, CaptionBackend
from picture_captioner.backends.http_service import NO_PROTOCOL
from picture_captioner.backends.registry import backend_class
from picture_captioner.backends.usage import count
from picture_captioner.errors import (
    BackendUnavailableError,
    CaptionerError,
    TransientError,
    UsageError,
)

TRANSFER_SECONDS = 1200.0
"""Of silence, and twice that for a whole request: 256 MB in 40 minutes are 0.9 Mbit/s. Gemini's
larger files go in pieces of 8 MB, a request each."""
ANSWER_SECONDS = 60.0
"""For every request that carries no file."""
LONGEST_RESULTS = 4 << 30
"""Bytes of all answers of a job; 200,000 requests with the longest captions are under 1 GiB."""
MOST_LISTED = 1_000
"""Jobs of a provider's list that are looked at, the youngest first."""

Answer: TypeAlias = Caption | CaptionerError


@dataclass(frozen=True)
class Limits:
    """What one job may hold, by the provider's documentation (docs/batch.md has the sources)."""

    requests: int
    file_bytes: int
    answered_within: str
    files_kept: str
    least: int = 1
    """Fewer requests are not taken as a job."""


@dataclass(frozen=True)
class RemoteJob:
    """A job as the provider shows it.

    `ours` is the id that we gave it and `input_file` the file that we sent, where the provider
    shows them; `answered` how many requests have an answer that was billed, as far as it says;
    `complete` whether it says that there is a line for every request; `files` what is to be deleted
    in the end.
    """

    id: str
    status: str
    ended: bool
    ours: str | None = None
    input_file: str | None = None
    total: int = 0
    answered: int = 0
    complete: bool = False
    created_at: float | None = None
    problem: str = ""
    files: tuple[str, ...] = ()
    results: Any = None


class Answered(NamedTuple):
    """What came back for one request."""

    custom_id: str
    answer: Answer


class NotAnsweredError(TransientError):
    """Expired or cancelled before the model saw it: not billed, and no verdict on the photo."""


class DamagedLineError(TransientError):
    """What stands among the answers is none of a form that names its request."""


class FormlessError(TransientError):
    """An answer of a form that nobody here knows, which may have been billed."""


class JobGoneError(BackendUnavailableError):
    """The provider does not know the job, or has deleted its answers."""


class ResultsCutError(BackendUnavailableError):
    """Not all answers arrived; those that did are used, and the rest can be asked for again."""


def id_in(found: object) -> str:
    """The id that an answer has.

    Raises:
        TransientError: it has none.
    """
    if not isinstance(found, str) or not found:
        raise TransientError("the answer names no id", code="bad_answer")
    return found


def count_in(counts: object, name: str) -> int:
    """One of an answer's counts; 0 where it makes no sense."""
    return count(getattr(counts, name, None)) or 0


def object_in(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object in a field; an empty one where there is something else."""
    value = found.get(name)
    return value if isinstance(value, dict) else {}


class BatchService(ABC):
    """A provider's batch API."""

    limits: ClassVar[Limits]
    head: ClassVar[bytes] = b""
    between: ClassVar[bytes] = b"\n"
    tail: ClassVar[bytes] = b"\n"
    """What stands before, between and behind the requests in a job's body."""
    shows_our_ids: ClassVar[bool] = True
    """Whether its list of jobs says which are ours."""
    sends_file_first: ClassVar[bool] = True
    id_field: ClassVar[str] = "custom_id"
    """Where an answer says which request it is for."""

    def __init__(self, backend: CaptionBackend) -> None:
        """`backend`: as `transport` makes it."""
        self.backend: Any = backend

    @property
    def host(self) -> str:
        """Who gets the photos."""
        return self.backend.destination or "this machine"

    def check(self) -> None:  # noqa: B027 - most need nothing but the backend
        """Look for what a job needs besides the backend, before the first photo.

        Raises:
            TransientError, FatalError: no job can be made.
        """

    @abstractmethod
    def request(self, custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request of a job."""

    def line(self, custom_id: str, body: Mapping[str, Any]) -> bytes:
        """One request as it stands in the job's body."""
        return msgspec.json.encode(self.request(custom_id, body))

    def file_named(self, job_id: str) -> str:  # noqa: ARG002
        """The name of a job's file where we choose it; empty where the provider does."""
        return ""

    def upload(self, job_id: str, body: IO[bytes]) -> str:
        """Send the body's file and return the provider's name of it; nothing is billed for that.

        Raises:
            TransientError: it may be tried again. FatalError: it may not.
        """
        raise NotImplementedError

    @abstractmethod
    def create(self, job_id: str, file_id: str, body: IO[bytes]) -> str:
        """Create the job; the provider's id of it. What could make a second one is not repeated.

        Raises:
            TransientError: it may have been created or not.
            PhotoError, FatalError: it was not created.
        """

    @abstractmethod
    def look(self, remote_id: str) -> RemoteJob:
        """How far a job is.

        Raises:
            JobGoneError: the provider does not know it.
            TransientError, FatalError: it cannot be asked.
        """

    @abstractmethod
    def listed(self) -> Iterator[RemoteJob]:
        """The account's jobs, the youngest first, at most `MOST_LISTED`."""

    def owner(self, remote: RemoteJob) -> str | None:
        """The id that we gave an ended job whose list does not show it; None if we gave none."""
        return remote.ours

    @abstractmethod
    def answers(self, remote: RemoteJob) -> Iterator[Answered]:
        """What came back, in any order.

        Raises:
            ResultsCutError: not all of it arrived.
            JobGoneError: it was deleted.
        """

    @abstractmethod
    def answer_in(self, found: dict[str, Any]) -> Answer:
        """What an entry of the answers says of its photo."""

    @abstractmethod
    def cancel(self, remote_id: str) -> None:
        """Ask the provider to stop; what is answered by then is billed and can be collected."""

    @abstractmethod
    def delete(self, remote: RemoteJob) -> None:
        """Delete what the provider keeps of a job; what is gone already is passed over."""

    def discard(self, job_id: str, file_id: str) -> None:
        """Delete the file of a job that was not made; where that fails, it is left to expire."""
        if file_id:
            with contextlib.suppress(CaptionerError):
                self.delete(RemoteJob(job_id, "", ended=True, files=(file_id,)))

    def counted(
        self, answers: Iterable[Answered], said: int, remote: RemoteJob
    ) -> Iterator[Answered]:
        """These answers, which the provider says are `said` at the least.

        Raises:
            ResultsCutError: they are fewer.
        """
        arrived = 0
        for answered in answers:
            arrived += not isinstance(answered.answer, NotAnsweredError)
            yield answered
        if arrived < said:
            raise ResultsCutError(
                f"{self.host} handed out {arrived:,} of {said:,} answers of {remote.id}; "
                "collect again later"
            )

    def answers_in(self, pieces: Iterable[bytes]) -> Iterator[Answered]:
        """The answers in a file of lines; a damaged line holds up none of those behind it.

        Raises:
            ResultsCutError: the last one ends in the middle.
        """
        for line in filter(bytes.strip, _lines(pieces)):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                if not line.endswith(b"\n") and line.lstrip().startswith(b"{"):
                    raise self.broken_off() from None
                found = None
            yield self.answered(found)

    def answered(self, found: object) -> Answered:
        """One entry of the answers, whatever it is."""
        name = found.get(self.id_field) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(name, str):
            return Answered("", DamagedLineError(f"{self.host} sent a line that is no answer"))
        try:
            return Answered(name, self.answer_in(found))
        except NO_PROTOCOL:  # nobody validated it
            return Answered(name, self.formless())

    def formless(self) -> FormlessError:
        """For an answer that cannot be read."""
        return FormlessError(f"{self.host} gave no answer of its form", code="bad_answer")

    def broken_off(self, error: object = "") -> ResultsCutError:
        """For answers that end in the middle of one."""
        why = f" ({type(error).__name__})" if error else ""
        return ResultsCutError(
            f"the answers from {self.host} broke off{why}; those that arrived are kept, collect "
            "again for the rest"
        )

    def verdict(self, status: int, kind: str, text: str) -> CaptionerError:
        """What a request of a job says by the HTTP status that a single one would have had."""
        provider, model = self.backend.provider, self.backend.settings.model
        account = provider.account_error(status, kind, text, model)
        failed: CaptionerError = account or provider.failed(status, {}, text)
        return failed

    def read(self, body: dict[str, Any]) -> Answer:
        """The caption in an answer's body, or the verdict that it stands for."""
        try:
            caption: Caption = self.backend.read_body(body)
        except CaptionerError as error:
            return error
        except NO_PROTOCOL:  # nobody validated it
            return self.formless()
        return caption

    def close(self) -> None:
        """Close the connections."""
        self.backend.close()


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that comes in pieces, each with its end, if it has one."""
    begun: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun) + b"\n"
            begun = [other]
    yield b"".join(begun)


_SERVICES = {
    "openai": "picture_captioner.batch.openai_files:OpenAIFiles",
    "compatible": "picture_captioner.batch.openai_files:CompatibleFiles",
    "xai": "picture_captioner.batch.xai:XaiJobs",
    "anthropic": "picture_captioner.batch.anthropic:AnthropicJobs",
    "gemini": "picture_captioner.batch.gemini:GeminiJobs",
    "bedrock": "picture_captioner.batch.bedrock:BedrockJobs",
}


def service_for(backend: CaptionBackend, folder: Path | None = None) -> BatchService:
    """The batch API behind a backend, with connections of its own; or files in a folder.

    Raises:
        UsageError: there is none; the message names those that have one.
    """
    if folder is not None:
        from picture_captioner.batch.openai_files import RunFiles

        return RunFiles(_transport(backend), folder)
    target = _SERVICES.get(backend.name)
    if target is None:
        raise UsageError(
            f"the {backend.name} backend has no batch jobs; these have: {', '.join(_SERVICES)}"
        )
    if type(backend) is not backend_class(backend.name):
        raise UsageError("batch jobs go to one address: give a single --base-url")
    module, _, name = target.partition(":")
    kind: type[BatchService] = getattr(importlib.import_module(module), name)
    return kind(_transport(backend))


def _transport(backend: CaptionBackend) -> CaptionBackend:
    """The same backend with time and room for whole files."""
    settings: BackendSettings = replace(backend.settings, timeout=TRANSFER_SECONDS)
    transport = type(backend)(settings)
    transport.longest_answer = LONGEST_RESULTS
    return transport
