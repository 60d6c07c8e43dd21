"""One line of the journal: what is written, and what is remembered of it.

The format and its rules are in docs/journal-format.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, TypeGuard

import msgspec

from picture_captioner.errors import MAX_ERROR_MESSAGE, PhotoError, Status
from picture_captioner.journal.json_lines import read_fields, to_json_line

MOST = 2**63 - 1
"""Of bytes, tokens, requests and milliseconds: what a file system and an array can hold."""

MOST_DOLLARS = 1e12
"""Nobody's photo cost that; a million records of it still add up to a number."""


class RecordError(NamedTuple):
    """Why a photo has no caption: a short code for statistics and a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: PhotoError) -> RecordError:
        """The journal's form of a verdict."""
        return cls(error.code, str(error)[:MAX_ERROR_MESSAGE])

    @classmethod
    def from_json(cls, value: object) -> RecordError:
        """The error of a line; what another program wrote in its own form becomes the message."""
        if not isinstance(value, dict):
            return cls("unknown", str(value)[:MAX_ERROR_MESSAGE])
        return cls(str(value.get("code", "unknown")), str(value.get("message", "")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A journal record; fields that are None, False or empty are left out of the line.

    `extra` holds structured fields (`title`, `tags`, ...) and fields this version does not know;
    they stand beside the others in the line.
    """

    rel_path: str
    caption: str | None
    status: Status
    error: RecordError | None = None
    placeholder: bool = False
    dry_run: bool = False
    edited: bool = False
    withdrawn: bool = False
    truncated: bool = False
    backend: str | None = None
    model: str | None = None
    model_version: str | None = None
    prompt_sha256: str | None = None
    content_sha256: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    copied_from: str | None = None
    copied_because: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    service_tier: str | None = None
    batch: bool = False
    batch_job: str | None = None
    cost_usd: float | None = None
    requests: int | None = None
    unpriced_requests: int | None = None
    latency_ms: int | None = None
    created_at: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str | None:
        """The title, if there is one."""
        title = self.extra.get("title")
        return title if isinstance(title, str) and title.strip() else None

    @property
    def tags(self) -> list[str]:
        """The tags; other programs write other things, and what is no list of words is none."""
        tags = self.extra.get("tags")
        return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []

    @property
    def text_in_image(self) -> str:
        """What the model read in the photo, as one text."""
        return " ".join(_texts(self.extra.get("text_in_image")))

    @property
    def more(self) -> str:
        """What the model said besides caption, title and tags, as one text to look words up in."""
        return " ".join(text for name in _MORE for text in _texts(self.extra.get(name)))

    def to_line(self) -> bytes:
        """The record as one ASCII line with its newline; lone surrogates survive as escapes.

        Raises:
            ValueError: a number is NaN or infinite, which JSON has no word for.
            TypeError: `extra` holds something else that JSON cannot say.
        """
        line: dict[str, Any] = {
            "rel_path": self.rel_path,
            "caption": self.caption,
            "status": str(self.status),
        }
        if self.error is not None:
            line["error"] = self.error._asdict()
        line.update((k, v) for k, v in self.extra.items() if k not in _NAMES)
        for name in _OPTIONAL:
            value = getattr(self, name)
            if value is not None and value is not False:
                line[name] = value
        return to_json_line(line)

    def withdrawal(self, why: RecordError, status: Status = Status.ERROR_MODEL) -> Record:
        """The line that takes this record's caption back; the photo is pending again."""
        return Record(
            rel_path=self.rel_path,
            caption=None,
            status=status,
            error=why,
            withdrawn=True,
            backend=self.backend,
            model=self.model,
            content_sha256=self.content_sha256,
            created_at=utc_now(),
        )

    def without_cost(self) -> Record:
        """The same, as a line that cost nothing: what was billed stands in another one."""
        nothing: dict[str, Any] = dict.fromkeys(_BILLED)
        return replace(self, **nothing)

    def carried(self, content_sha256: str, size: int, mtime_ns: int) -> Record:
        """The line for the same photo after other metadata were written into its file.

        Its picture is the same, so the caption holds; its bytes have another hash.
        """
        extra = {**self.extra, "carried_from": self.content_sha256}
        return replace(
            self.without_cost(),
            batch=False,
            batch_job=None,
            content_sha256=content_sha256,
            size=size,
            mtime_ns=mtime_ns,
            extra=extra,
        )

    @classmethod
    def from_mapping(cls, line: dict[str, Any]) -> Record:
        """The record in a parsed line; `line` has passed `parse_entry`."""
        known = {k: v for k, v in line.items() if k in _NAMES}
        known["status"] = Status(known["status"])
        if (error := known.get("error")) is not None:
            known["error"] = RecordError.from_json(error)
        extra = {k: v for k, v in line.items() if k not in _NAMES}
        return cls(**known, extra=extra)


_MORE = ("summary", "scene", "places", "activities", "objects", "mood")
"""Fields of `--fields full` in which a word can be found."""


def _texts(value: object) -> list[str]:
    """The texts in a field's value: a text, a list of them, or `{"value": ...}`."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, str):
        return [value]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []


_BILLED = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "service_tier",
    "cost_usd",
    "requests",
    "unpriced_requests",
    "latency_ms",
)

_NAMES = frozenset(f.name for f in fields(Record)) - {"extra"}
_OPTIONAL = tuple(
    f.name
    for f in fields(Record)
    if f.name not in {"rel_path", "caption", "status", "error", "extra"}
)


class Entry(msgspec.Struct, gc=False):
    """What the index remembers of a line; about 600 bytes, so a million photos fit in memory.

    The same struct validates a line: a wrong type, an unknown status or a missing field is
    damage. `caption` is dropped after that; it is read again from `offset` when it is needed.
    """

    rel_path: Annotated[str, msgspec.Meta(min_length=1)]
    caption: str | None
    status: Status
    placeholder: bool = False
    dry_run: bool = False
    edited: bool = False
    withdrawn: bool = False
    backend: str | None = None
    model: str | None = None
    prompt_sha256: str | None = None
    content_sha256: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    copied_from: str | None = None
    cost_usd: float | None = None
    requests: int | None = None
    unpriced_requests: int | None = None
    created_at: str | None = None
    # The name keeps a field `offset` of another program from being taken for this one.
    offset: int = msgspec.field(default=-1, name="(byte offset in the journal)")

    @property
    def success(self) -> bool:
        """Whether this record carries a caption."""
        return self.status is Status.SUCCESS and not self.withdrawn


_decoder = msgspec.json.Decoder(Entry)
_REMEMBERED = frozenset(Entry.__struct_fields__) - {"offset"}


def parse_entry(line: bytes, offset: int) -> Entry:
    """Validate one line (without its newline) and keep what the index needs.

    Raises:
        ValueError: the line is not a record; the message says why.
    """
    try:
        return parse_entries([line], offset)[0]
    except msgspec.DecodeError:
        if b"\\u" not in line:
            raise
    # msgspec refuses lone surrogates, which names that are not UTF-8 turn into.
    known = {k: v for k, v in read_fields(line).items() if k in _REMEMBERED}
    entry = msgspec.convert(known, Entry)
    _require_words(entry, line)
    return _trimmed(entry, offset)


def parse_entries(lines: Sequence[bytes], offset: int) -> list[Entry]:
    """`parse_entry` for consecutive lines, the first at byte `offset`, in one go.

    Raises:
        ValueError: one of them is not a record, or names its photo with a lone surrogate.
    """
    entries = list(map(_decoder.decode, lines))
    for entry, line in zip(entries, lines, strict=True):
        if not line.isascii():
            line.decode("utf-8")  # msgspec does not look into the fields that it skips
        if not entry.caption or entry.caption.isspace():
            _require_words(entry, line)
        _trimmed(entry, offset)
        offset += len(line) + 1
    return entries


def says_something(caption: str | None, fields: Mapping[str, Any]) -> bool:
    """Whether a success is one: it has a caption, or what describes a photo in its stead."""
    if caption and not caption.isspace():
        return True
    said = (text for name in ("title", "tags", *_MORE) for text in _texts(fields.get(name)))
    return any(text.strip() for text in said)


def _require_words(entry: Entry, line: bytes) -> None:
    """Refuse the success of another program that has no caption: it would be done for ever.

    Raises:
        ValueError: it is one.
    """
    if entry.success and not says_something(entry.caption, read_fields(line)):
        raise ValueError("a success without a caption")


def _trimmed(entry: Entry, offset: int) -> Entry:
    """The entry without what nobody asks the index for.

    One copy is kept of the values that every record repeats (saves 200 bytes a record).
    """
    if not is_rel_path(entry.rel_path):
        raise ValueError(f"rel_path {entry.rel_path[:100]!r} is no path below the photos directory")
    entry.caption = None
    entry.offset = offset
    _drop_absurd(entry)
    if entry.backend:
        entry.backend = sys.intern(entry.backend)
    if entry.model:
        entry.model = sys.intern(entry.model)
    if entry.prompt_sha256:
        entry.prompt_sha256 = sys.intern(entry.prompt_sha256)
    return entry


def is_rel_path(path: str) -> bool:
    """Whether a text is a path below the photos directory, as a walk of it gives them.

    What is absolute or has an empty part, a `.` or a `..` in it is not: a line from elsewhere must
    not lead a command to files of somebody else.
    """
    framed = f"/{path}/"
    return not ("//" in framed or "/./" in framed or "/../" in framed or "\0" in framed)


def _drop_absurd(entry: Entry) -> None:
    """Forget numbers that nothing can have: one of them would make sums infinite or too large."""
    if entry.size is not None and not 0 <= entry.size <= MOST:
        entry.size = None
    if entry.requests is not None and not 0 <= entry.requests <= MOST:
        entry.requests = None
    if entry.cost_usd is not None and not 0 <= entry.cost_usd < MOST_DOLLARS:
        entry.cost_usd = None


def is_count(value: object) -> TypeGuard[int]:
    """Whether a field of a line, which another program may have written, can be counted with."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def utc_now() -> str:
    """The time now, as a record writes it."""
    return utc_text(datetime.now(UTC))


def utc_text(time: datetime) -> str:
    """A time as a record writes it: `2026-11-21T06:54:08.123Z`."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An ISO 8601 time as an aware datetime; without a zone it is UTC.

    Raises:
        ValueError: the text is not a time.
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def time_of(record: Record | Entry) -> datetime | None:
    """When a record was written; None where another program wrote something else there."""
    try:
        return parse_time(record.created_at or "")
    except ValueError:
        return None
