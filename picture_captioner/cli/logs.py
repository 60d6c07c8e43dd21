"""caption.log: JSON lines for machines, one per failure and per phase, never with a key in it."""

from __future__ import annotations

import io
import logging
import os
import re
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from picture_captioner.cli.terminal import Verbosity, say
from picture_captioner.errors import ConfigurationError
from picture_captioner.foreign_text import without_secrets
from picture_captioner.journal.durable import is_another

_HTTP_LIBRARIES = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "urllib3",
    "openai",
    "anthropic",
    "google_genai",
    "huggingface_hub",
    "filelock",
    "asyncio",
)
_FIELDS = ("asctime", "levelname", "name", "message")
_BEGINNING = re.compile(rb'(?!SQLite format|\{"rel_path")[^\x00-\x08\x80-\xff]')
"""Of a log and whatever else a shell put there, but of no journal, database or photo."""


class _RedactingFormatter(JsonFormatter):
    """Replaces secrets, whoever logged them: libraries log request headers at DEBUG."""

    def __init__(self) -> None:
        super().__init__(
            _FIELDS,
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class _PrivateFileHandler(logging.FileHandler):
    """A log file that only its owner may read; a full disk costs log lines, not the run."""

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        return io.TextIOWrapper(io.FileIO(descriptor, "a"), encoding="utf-8", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - overrides
        """Drop the line: the journal is what must not fail, and it says so itself."""


class _TerminalHandler(logging.Handler):
    """What is logged before there is a log, or by a command that keeps none: sentences, escaped.

    Python's own last resort writes messages and tracebacks to the terminal as they are.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, line by line."""
        for line in self.format(record).split("\n"):
            say(line)


def escape_what_is_not_logged() -> None:
    """Let nothing that a file or a service said reach the terminal past `say`."""
    logging.lastResort = _TerminalHandler(logging.WARNING)


def configure_logging(path: Path, level: str) -> None:
    """Send everything that is logged, warnings too, to the file, but for the keys.

    Raises:
        ConfigurationError: the file cannot be opened, or is something else.
    """
    try:
        if is_another(path, _BEGINNING):
            raise ConfigurationError(
                f"{path} is there and is no log of this program: set LOG_FILE to another file"
            )
        handler = _PrivateFileHandler(path)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the log {path}: {error.strerror}; set LOG_FILE in config.env"
        ) from error
    handler.setFormatter(_RedactingFormatter())
    handlers: list[logging.Handler] = [handler]
    if Verbosity.verbose:
        handlers.append(_TerminalHandler())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(True)
    if logging.getLogger().level > logging.DEBUG:  # a line a request, which says nothing of photos
        for name in _HTTP_LIBRARIES:
            logging.getLogger(name).setLevel(logging.WARNING)
    aloud = logging.getLogger("caption.aloud")
    if not aloud.handlers:
        aloud.addHandler(_TerminalHandler(logging.WARNING))
