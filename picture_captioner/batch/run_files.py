"""Files for a program that works through them elsewhere: `vllm run-batch` on a rented GPU.

Its input is OpenAI's, a line a request, and so are its answers (vLLM's
`examples/offline_inference/openai_batch/README.md`; docs/batch.md says when it was read). The file
holds photos: it is its owner's alone, and gone once its answers are collected.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, ClassVar

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.batch.openai_files import OpenAIFiles
from picture_captioner.batch.service import Answered, Limits, RemoteJob, ResultsCutError
from picture_captioner.errors import JournalError

_ANSWERS = ".out.jsonl"


class RunFiles(OpenAIFiles):
    """Jobs that are files in a folder."""

    limits: ClassVar[Limits] = Limits(
        requests=50_000,
        file_bytes=1_000_000_000,
        answered_within="whatever time it takes you",
        files_kept="until 'batch collect' deletes them",
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
        try:
            with Path(remote.results).open("rb") as file:
                for line in file:
                    if line.strip():
                        yield self._answered(json.loads(line))
        except (OSError, ValueError) as error:
            raise ResultsCutError(
                f"{Path(remote.results).name} breaks off or cannot be read ({error}); what is "
                "whole is kept: copy it once more and collect again"
            ) from None

    def cancel(self, remote_id: str) -> None:
        """Nobody works on it here; the files are deleted."""
        self.delete(self.look(remote_id))

    def delete(self, remote: RemoteJob) -> None:
        """Delete input and answers."""
        for name in remote.files:
            (self._folder / Path(str(name)).name).unlink(missing_ok=True)
