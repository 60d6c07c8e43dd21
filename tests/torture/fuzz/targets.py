"""What is thrown at the parsers of strange bytes, and what they must answer.

Each target takes any bytes and either returns or raises: an `AssertionError` where a promise was
broken, anything else where a parser let an error through that it does not document. Inputs are
grown from the seeds, with words that get past the first check of a format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.torture.fuzz import answers, files, headers, journals, photos


@dataclass(frozen=True)
class Target:
    """`check` is called with the input and an empty folder of its own that may be filled."""

    name: str
    check: Callable[[bytes, Path], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


JSON_WORDS = (
    b"null", b"true", b"1e999", b"-0.0", b"NaN", b"Infinity", b"\\ud83d", b"\\u0000", b'""',
    b"{}", b"[]", b"[" * 2_000, b'{"a":' * 2_000, b"9" * 5_000, b"1" + b"0" * 400, b"\xff",
)  # fmt: skip

TARGETS = (
    Target("journal", journals.reading, journals.SEEDS, (*JSON_WORDS, *journals.WORDS)),
    Target("journal opened", journals.opening, journals.SEEDS, (b"\n", b"\r\n", b"\xef\xbb\xbf")),
    Target("journal compacted", journals.compacting, journals.SEEDS, journals.WORDS),
    Target("journal merged", journals.merging, journals.SEEDS, journals.WORDS),
    Target("hints", files.hints, files.HINTS, (*JSON_WORDS, b'"tags"', b'"rel_path"')),
    Target("prices", files.prices, files.PRICES, (*JSON_WORDS, b'"input_per_million"')),
    Target(
        "vocabulary",
        files.vocabulary,
        files.VOCABULARY,
        (b"\xef\xbb\xbf", b"\xe2\x80\xa8", b">", b"="),
    ),
    Target("file list", files.file_list, files.FILE_LIST, (b"../", b"\0", b"//", b"/")),
    Target("config.env", files.config_file, files.CONFIG, files.CONFIG_WORDS),
    Target("settings", files.flags, files.CONFIG, files.CONFIG_WORDS),
    Target("path filter", files.path_filter, files.PATTERNS, (b"**/", b"[!", b"\\", b"[]-")),
    Target("library.db", files.library, files.LIBRARY, files.LIBRARY_WORDS),
    Target(
        "search words", files.query, files.QUERIES, (b'"', b"NEAR(", b" OR ", b"*", b"^", b"\0")
    ),
    Target("answer", answers.judged, answers.TEXTS, (*JSON_WORDS, *answers.WORDS)),
    Target("fields", answers.fields, answers.TEXTS, (*JSON_WORDS, *answers.WORDS)),
    Target("chat completion", answers.chat, answers.CHATS, (*JSON_WORDS, *answers.CHAT_WORDS)),
    Target("headers", headers.read, headers.SEEDS, headers.WORDS),
    Target("metadata", photos.metadata, photos.METADATA, photos.METADATA_WORDS),
    Target("capture time", photos.times, photos.TIMES, (b"2024:", b"+14:00", b"\xd9\xa3", b"Z")),
)


STEPS = (lambda: None, lambda: None, lambda: None, lambda: None)
"""A line for each byte, so that coverage tells which ones are right."""


def planted(data: bytes, folder: Path) -> None:
    """A fault that the fuzzer must find step by step: four bytes by chance take 4 billion tries."""
    for place, byte in enumerate(b"bug!"):
        if data[place : place + 1] != bytes([byte]):
            return
        STEPS[place]()
    raise KeyError("planted")


BY_NAME = {
    target.name: target for target in (*TARGETS, Target("planted", planted, (b"seed",), (b"word",)))
}
