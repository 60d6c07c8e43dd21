"""The body of one job: requests, in a file without a name, up to the provider's limits.

The file is made without a name in the journal's directory, readable by its owner only: whatever
ends this process, the photos in it are gone. Requests are written as they come, so a job of 200 MB
takes no memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from picture_captioner.batch.ledger import AskedPhoto, Copy, custom_id
from picture_captioner.batch.service import BatchService
from picture_captioner.errors import JournalError


class Part:
    """A job while it is filled."""

    def __init__(self, service: BatchService, job_id: str, folder: Path, most_tokens: int) -> None:
        """`most_tokens`: of all requests together, as expected; 0 for any number."""
        self._service = service
        self.job_id = job_id
        self._most_tokens = most_tokens
        self.photos: list[AskedPhoto] = []
        self.copies: list[Copy] = []
        self.tokens = 0
        self.reserved_usd = 0.0
        try:
            self.body: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by exit
            self.size = self.body.write(service.head)
        except OSError as error:
            raise _no_room(error, folder) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.body.close()

    def line(self, body: Mapping[str, Any]) -> bytes:
        """A request as it will stand in the body, with the number that is next."""
        return self._service.line(custom_id(self.job_id, len(self.photos)), body)

    def has_room(self, line: bytes, tokens: int) -> bool:
        """Whether it takes this request too; the first is always taken."""
        limits = self._service.limits
        if not self.photos:
            return True
        size = self.size + len(self._service.between) + len(line) + len(self._service.tail)
        fits = size <= limits.file_bytes and len(self.photos) < limits.requests
        return fits and (not self._most_tokens or self.tokens + tokens <= self._most_tokens)

    def add(self, photo: AskedPhoto, line: bytes, tokens: int, dollars: float) -> None:
        """Write the request.

        Raises:
            JournalError: the disk is full.
        """
        try:
            if self.photos:
                self.size += self.body.write(self._service.between)
            self.size += self.body.write(line)
        except OSError as error:
            raise _no_room(error) from error
        self.photos.append(photo)
        self.tokens += tokens
        self.reserved_usd += dollars

    def finish(self) -> None:
        """Write what stands behind the last request."""
        try:
            self.size += self.body.write(self._service.tail)
            self.body.flush()
            self.body.seek(0)
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError, folder: Path | None = None) -> JournalError:
    where = f" in {folder}" if folder else ""
    return JournalError(
        f"the body of a job cannot be written{where}: {error.strerror}. It needs the room of one "
        "job beside the journal; nothing was sent of it"
    )
