"""What a human changed becomes records that no later run replaces (`edited: true`).

Words come from files that spreadsheets saved. Which encoding a file has is never guessed: a wrong
guess would make a human's words of what nobody wrote.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from picture_captioner.errors import Status, UsageError
from picture_captioner.foreign_text import FORMULA_SIGNS
from picture_captioner.journal.record import Record, RecordError, utc_now

EDITABLE = ("caption", "title", "tags")
PATH_COLUMNS = ("rel_path", "path")
MOST_BYTES = 1 << 30
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""XLSX, ODS and Numbers are zip files, XLS is of Microsoft's older form."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_TEXT = re.compile("[\ud800-\udfff]")
_FORMULA = "'"
_GUARDED = frozenset({*FORMULA_SIGNS, *"\t\r\n", _FORMULA})
BETWEEN_TAGS = "; "
_PARTS_TAGS = re.compile("[;,]")
"""What people write between tags, and an older `export` did."""


def read_edits(
    path: Path, names: Mapping[str, str] | None, encoding: str
) -> Iterator[dict[str, Any]]:
    """The rows of a CSV or JSON Lines file, each with `rel_path` and what may be edited.

    Args:
        names: photos by the cell that the export writes for them: not every name is text.
        encoding: of a file that has no mark of one; UTF-8 unless it is named.

    Raises:
        UsageError: it cannot be read, or no column says which photo a row is about.
    """
    text = read_text(path, MOST_BYTES, encoding)
    if text.lstrip()[:1] == "{":
        yield from _json_lines(path, text)
    else:
        yield from _csv(path, text, names or {})


def read_text(path: Path, most_bytes: int, encoding: str = "") -> str:
    """The text of a file that a spreadsheet or a person saved.

    Raises:
        UsageError: it is not there, too large, or no text in that encoding.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise UsageError(f"{path} has over {most_bytes >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith(_SPREADSHEETS):
        raise UsageError(f"{path} is a spreadsheet program's own file: save it as 'CSV UTF-8'")
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    name = marked or encoding or "utf-8"
    try:
        return data.decode(name)
    except LookupError:
        raise UsageError(
            f"--encoding {name}: no such encoding; Excel's plain CSV is cp1252"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: it is not {name.removesuffix('-sig').upper()} text "
            f"(byte 0x{error.object[error.start]:02x}). Save it as 'CSV UTF-8', or name its "
            "encoding: Excel's plain CSV of western countries has --encoding cp1252"
        ) from None


def _json_lines(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("rel_path"), str):
            raise UsageError(f"{path}, line {number}: it has no rel_path")
        if _NO_TEXT.search(json.dumps([row.get(n) for n in EDITABLE], ensure_ascii=False)):
            raise UsageError(f"{path}, line {number}: there are halves of characters in its words")
        if set(EDITABLE) & set(row):  # else it is of a photo without a caption
            yield {name: row[name] for name in ("rel_path", *EDITABLE) if name in row}


def _csv(path: Path, text: str, photos: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    # Excel of many countries writes semicolons; a header has no other use for one.
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from _rows(path, rows, photos)
    except csv.Error as error:  # such as a quote that nobody closed
        raise UsageError(f"{path}, line {rows.line_num}: it is no CSV: {error}") from None


def _rows(
    path: Path, rows: csv.DictReader[str], photos: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    names = rows.fieldnames or ()
    by = next((name for name in PATH_COLUMNS if name in names), None)
    if by is None or not set(EDITABLE) & set(names):
        raise UsageError(
            f"{path} is no table of captions: its first line must name a column rel_path and one "
            f"of {', '.join(EDITABLE)}; 'caption.py export --format csv' writes one"
        )
    for row in rows:
        if row.get(by):
            cells = {name: _plain(row[name]) for name in EDITABLE if row.get(name) is not None}
            yield {"rel_path": photos.get(row[by]) or _plain(row[by]), **cells}


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from taking a text for a formula."""
    return cell[1:] if cell[:1] == _FORMULA and cell[1:2] in _GUARDED else cell


def edited(
    record: Record, row: Mapping[str, Any], who: str, shown: Callable[[str], str]
) -> Record | None:
    """The record of a human's change; None if the row says what is there already.

    An empty cell changes nothing: a caption is taken away by `reject`.

    Args:
        shown: how the export writes a text into a cell; what still stands so was not changed.
    """
    was = {"caption": record.caption or "", **record.extra}
    was["tags"] = BETWEEN_TAGS.join(_tags(was.get("tags")))
    new = {
        name: value
        for name in EDITABLE
        if (value := _as_it_was(row.get(name), str(was.get(name, "")), shown))
        and value not in (was.get(name), shown(str(was.get(name, ""))))
    }
    caption = _text(new.get("caption")) or record.caption
    extra = dict(record.extra)
    if title := _text(new.get("title")):
        extra["title"] = title
    if (
        tags := _tags(new.get("tags"), _tags(record.extra.get("tags")))
    ) and tags != record.extra.get("tags"):
        extra["tags"] = tags
    if caption == record.caption and extra == record.extra:
        return None
    return human(replace(record, caption=caption, extra=extra), who)


def _as_it_was(value: Any, was: str, shown: Callable[[str], str]) -> Any:
    """A cell with the characters that its text had, where the export wrote them as escapes."""
    if not isinstance(value, str) or value == shown(was):
        return value
    for character in set(was):
        if (escape := shown(character))[:1] == "\\" != character:
            value = value.replace(escape, character)
    # A backslash that would have read as the beginning of an escape.
    return value.replace("\\x5c", "\\") if "\\x5c" in shown(was) else value


def human(record: Record, who: str) -> Record:
    """The same, as a human's word of now, which costs nothing."""
    return replace(
        record.without_cost(),
        status=Status.SUCCESS,
        error=None,
        edited=True,
        withdrawn=False,
        placeholder=False,
        created_at=utc_now(),
        extra={n: v for n, v in record.extra.items() if n != "suspect"} | {"edited_by": who},
    )


def rejected(record: Record, reason: str, who: str) -> Record:
    """A line that takes the caption back; the photo is pending again."""
    why = RecordError("rejected", reason[:500] or "by hand")
    return replace(record.withdrawal(why), extra={"edited_by": who})


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _tags(value: object, known: Sequence[str] = ()) -> list[str]:
    """The tags in a cell or a list; `known` ones may have a separator in them."""
    words = value if isinstance(value, list) else []
    if isinstance(value, str):
        words = [tag for tag in known if _PARTS_TAGS.search(tag) and tag in value]
        for tag in words:
            value = value.replace(tag, "")
        words = [*words, *_PARTS_TAGS.split(value)]
    return list(dict.fromkeys(t for word in words if (t := _text(word))))
