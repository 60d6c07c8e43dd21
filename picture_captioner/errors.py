"""Every error the program knows, and the exit code or journal status it stands for.

    CaptionerError
    |-- PhotoError                a verdict on one photo: journal it, go on
    |   |-- CorruptImageError     error_corrupt: the file cannot be turned into pixels
    |   |   |-- EmptyFileError            empty_file
    |   |   |-- UnknownFormatError        unknown_format
    |   |   |-- TruncatedImageError       truncated
    |   |   |-- ImageTooLargeError        too_large
    |   |   |-- DecoderCrashError         decoder_crash
    |   |   `-- DecoderTimeoutError       decoder_timeout
    |   |-- ModelError            error_model: the model gave no usable answer
    |   |   `-- RefusedInWordsError       refused
    |   `-- ApiError              error_api: the service refuses this photo
    |-- PhotoSkipped              no verdict: nothing is journalled, the photo stays pending
    |   |-- UnreadableFileError           gone, no permission, the disk does not answer
    |   |-- FormatUnavailableError        the extra for this format is not installed
    |   `-- SidecarError                  a sidecar is left alone: no XMP, read-only, a full disk
    |       |-- LeftAloneError                not ours to change: a link, a folder
    |       `-- NotEmbeddableError            a photo cannot hold words; a sidecar will
    |-- TransientError            may pass by itself: retry, bounded
    `-- FatalError                stop the run with an exit code
        |-- CeilingReachedError           3
        |-- UsageError                    64
        |-- NoPhotosError                 66
        |-- BackendUnavailableError       69
        |   `-- DeviceLostError           69
        |-- JournalError                  74
        |-- JournalLockedError            75
        |-- OutputError                   74
        |-- LibraryError                  74
        |   |-- LibraryLockedError        75
        |   |-- LibraryNewerError         78
        |   |-- LibraryUnreachableError   69
        |   |-- LibraryDeniedError        77
        |   `-- LibrarySetupError         78
        |-- AccessDeniedError             77
        `-- ConfigurationError            78
            `-- ModelMissingError         78

Messages are written for the person who reads them at seven in the morning: what happened, to
which file or flag, what to do next. They hold no key, no URL query and, where they can reach the
journal, no absolute path.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Collection, Iterator
from typing import ClassVar, TypedDict

MAX_ERROR_MESSAGE = 500
"""Characters of an error message that a journal record keeps."""


class ExitCode(enum.IntEnum):
    """Process exit codes; docs/exit-codes.md says what each means, and what run_loop.sh does."""

    DONE = 0
    MORE_TO_DO = 2
    CEILING = 3
    USAGE = 64
    NO_PHOTOS = 66
    UNAVAILABLE = 69
    IO_FAILED = 74
    LOCKED = 75
    DENIED = 77
    CONFIGURATION = 78


class Status(enum.StrEnum):
    """The four values of a record's `status` (docs/journal-format.md)."""

    SUCCESS = "success"
    ERROR_CORRUPT = "error_corrupt"
    ERROR_API = "error_api"
    ERROR_MODEL = "error_model"

    __hash__ = str.__hash__  # Enum's own is Python: half a second for a million records

    @property
    def was_answered(self) -> bool:
        """Whether a model has worked for it; what a service refuses is not billed."""
        return self is Status.SUCCESS or self is Status.ERROR_MODEL


class CaptionerError(Exception):
    """Base of every error that the program raises on purpose."""


class Usage(TypedDict, total=False):
    """What an answer cost, as the provider reported it.

    `input_tokens` include what was read from a cache (`cached_tokens`) and written into one
    (`cache_write_tokens`, of these for an hour `cache_write_1h_tokens`); `output_tokens` include
    reasoning. `unpriced_requests` are those whose cost nobody knows. `service_tier` is there where
    the provider says at which it was billed.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    service_tier: str
    cost_usd: float
    requests: int
    unpriced_requests: int


class PhotoError(CaptionerError):
    """A verdict on one photo.

    `code` is a short word for statistics; the message is for people. `usage` is what a failure
    cost that was billed.
    """

    status: ClassVar[Status]
    code: str = "error"

    def __init__(
        self, message: str, *, code: str | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(message[:MAX_ERROR_MESSAGE])
        if code is not None:
            self.code = code
        self.usage = usage or Usage()


class CorruptImageError(PhotoError):
    """The file cannot be turned into pixels."""

    status = Status.ERROR_CORRUPT
    code = "corrupt"


class EmptyFileError(CorruptImageError):
    """The file has no bytes."""

    code = "empty_file"


class UnknownFormatError(CorruptImageError):
    """No allowed decoder recognises the bytes."""

    code = "unknown_format"


class TruncatedImageError(CorruptImageError):
    """The picture ends before its header says it should."""

    code = "truncated"


class ImageTooLargeError(CorruptImageError):
    """More pixels or memory than the limits allow (a decompression bomb looks like this)."""

    code = "too_large"


class DecoderCrashError(CorruptImageError):
    """The decoder process died on this file, twice."""

    code = "decoder_crash"


class DecoderTimeoutError(CorruptImageError):
    """The decoder did not finish in time, also when it had the machine to itself."""

    code = "decoder_timeout"


class ModelError(PhotoError):
    """No usable answer: `empty`, `refused`, `no_image`, `truncated`, `not_json`, ..."""

    status = Status.ERROR_MODEL
    code = "model"


class RefusedInWordsError(ModelError):
    """The answer declines in words, and may not when asked again; a content filter's is final."""

    code = "refused"


class ApiError(PhotoError):
    """The service does not caption this photo, and the service itself is up."""

    status = Status.ERROR_API
    code = "api"


class PhotoSkipped(CaptionerError):
    """No verdict on the photo could be reached: nothing is journalled and it stays pending."""

    code: ClassVar[str] = "skipped"


class UnreadableFileError(PhotoSkipped):
    """The file is gone, forbidden, or its disk does not answer (ENOENT, EACCES, EIO, ESTALE)."""

    code = "unreadable"


class FormatUnavailableError(PhotoSkipped):
    """The format needs an extra that is not installed."""

    code = "extra_missing"


class SidecarError(PhotoSkipped):
    """A photo's sidecar cannot be read or written; it was left as it is."""

    code = "sidecar"


class LeftAloneError(SidecarError):
    """A file that is not ours to change, such as a link; the others go on."""


class NotEmbeddableError(SidecarError):
    """Nothing can be written into this photo, or not without loss: its words go into a sidecar."""


class TransientError(CaptionerError):
    """The service may be down: connection refused, timeout, 429, 5xx.

    `code` goes into the record; `retry_after` is how many seconds the service asked to be left
    alone, if it said so.
    """

    def __init__(
        self, message: str, *, code: str = "unavailable", retry_after: float | None = None
    ) -> None:
        super().__init__(message[:MAX_ERROR_MESSAGE])
        self.code = code
        self.retry_after = retry_after


class FatalError(CaptionerError):
    """Stop the run; `exit_code` tells the caller why."""

    exit_code: ClassVar[ExitCode]


class CeilingReachedError(FatalError):
    """`--max-cost` or `--max-requests` is reached, or one photo billed far more than it should."""

    exit_code = ExitCode.CEILING


class UsageError(FatalError):
    """A flag or its value makes no sense."""

    exit_code = ExitCode.USAGE


class NoPhotosError(FatalError):
    """There is nothing to caption where the person pointed, or it went away."""

    exit_code = ExitCode.NO_PHOTOS


class BackendUnavailableError(FatalError):
    """The model or service cannot be used at all."""

    exit_code = ExitCode.UNAVAILABLE


class DeviceLostError(BackendUnavailableError):
    """The device failed and can no longer be used by this process; another process may."""


class JournalError(FatalError):
    """The journal cannot be read or written as promised."""

    exit_code = ExitCode.IO_FAILED


class JournalLockedError(FatalError):
    """Another process is writing to the journal."""

    exit_code = ExitCode.LOCKED


class OutputError(FatalError):
    """What was asked for cannot be written to stdout or the file that was named: a full disk."""

    exit_code = ExitCode.IO_FAILED


class LibraryError(FatalError):
    """library.db cannot be read or written: no room, read-only, a disk error, or it is damaged."""

    exit_code = ExitCode.IO_FAILED


class LibraryLockedError(LibraryError):
    """Another process kept library.db locked for longer than we wait."""

    exit_code = ExitCode.LOCKED


class LibraryNewerError(LibraryError):
    """A later version of this program wrote library.db: its tables may mean something else."""

    exit_code = ExitCode.CONFIGURATION


class LibraryUnreachableError(LibraryError):
    """The database server of the library is down, or nothing gets through to it."""

    exit_code = ExitCode.UNAVAILABLE


class LibraryDeniedError(LibraryError):
    """The database server takes no such password or role, or the role lacks a right."""

    exit_code = ExitCode.DENIED


class LibrarySetupError(LibraryError):
    """The database server lacks something that an administrator sets up."""

    exit_code = ExitCode.CONFIGURATION


class AccessDeniedError(FatalError):
    """The provider rejects the key, the account is empty, or permission is missing."""

    exit_code = ExitCode.DENIED


class ConfigurationError(FatalError):
    """A setting, directory, key, extra or price is missing; the message names the cure."""

    exit_code = ExitCode.CONFIGURATION


class ModelMissingError(ConfigurationError):
    """A model is not on this machine; `model` is what `models download` takes.

    Only a person decides that it is downloaded: by that command, or a yes in a terminal.
    """

    def __init__(self, model: str, message: str) -> None:
        super().__init__(message)
        self.model = model


def did_you_mean(word: str, valid: Collection[str], shared: str = "") -> str:
    """`; did you mean 'x'?` for a word close to a valid one, else an empty string.

    Args:
        shared: a beginning that would make all alike, so it is not compared.
    """
    originals = {v.removeprefix(shared).lower(): v for v in valid}
    nearest = difflib.get_close_matches(word.removeprefix(shared).lower(), originals, n=1)
    return f"; did you mean '{originals[nearest[0]]}'?" if nearest else ""


def count(number: int, noun: str = "photo", plural: str = "") -> str:
    """`1 photo`, `1,240 photos`, `2 people`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it, the innermost last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
