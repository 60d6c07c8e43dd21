"""What the lines of a photo add up to, against a model that looks at all of them at once.

    python -m tests.journal.test_fold

writes the table of cases in docs/journal-format.md, which a test here compares.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picture_captioner.errors import Status
from picture_captioner.journal.fold import Fold, fold
from picture_captioner.journal.maintenance import compact
from picture_captioner.journal.reading import JournalIndex, read_index
from picture_captioner.journal.record import Record
from picture_captioner.library.store import Library
from tests.journal.support import ROOT, photo, write_lines
from tests.library.filling import caption_of

A, B = "a" * 64, "b" * 64


def line(text: str) -> Record:
    """A record in shorthand: what it is, then what else holds of it."""
    kind, *marks = text.split()
    caption = {"success": "", "edit": "", "refused": None, "corrupt": None, "withdrawn": None}
    status = {"corrupt": Status.ERROR_CORRUPT, "success": Status.SUCCESS, "edit": Status.SUCCESS}
    hashes = {"A": A, "B": B}
    return photo(
        "a.jpg",
        caption[kind] if caption[kind] is None else text,
        status=status.get(kind, Status.ERROR_MODEL),
        edited=kind == "edit",
        withdrawn=kind == "withdrawn",
        placeholder="placeholder" in marks,
        dry_run="dry-run" in marks,
        content_sha256=next((hashes[mark] for mark in marks if mark in hashes), None),
    )


KINDS = ["success", "edit", "refused", "corrupt", "withdrawn"]
LINES = st.builds(
    lambda kind, of, mark: f"{kind} {of} {mark}".strip(),
    st.sampled_from(KINDS),
    st.sampled_from("AB"),
    st.sampled_from(["", "", "placeholder", "placeholder dry-run", "dry-run"]),
) | st.sampled_from(["success", "refused", "corrupt", "refused placeholder"])


def model(lines: list[str]) -> tuple[str | None, str | None]:
    """The last line that says something, and the one whose caption holds, in the contract's words.

    Not step by step, but from all the lines at once.
    """
    # A dry run's lines count for nothing, but for what is corrupt.
    said = [text for text in lines if "dry-run" not in text or "corrupt" in text]
    # A caption that was withdrawn is as if it had never been.
    withdrawals = [n for n, text in enumerate(said) if text.startswith("withdrawn")]
    withdrawn = said[withdrawals[-1]] if withdrawals else None
    said = said[withdrawals[-1] + 1 :] if withdrawals else said
    # Placeholders count only where there is nothing else.
    real = [text for text in said if text.startswith("edit") or "placeholder" not in text]
    said = real or said
    if not said:
        return withdrawn, None

    def ended(n: int, before: int) -> bool:
        later = "".join(said[n + 1 : before])
        of = next((letter for letter in "AB" if letter in said[n]), None)
        return of is not None and {"A": "B", "B": "A"}[of] in later

    captions = [n for n, text in enumerate(said) if text.startswith(("success", "edit"))]
    for n in reversed(captions):
        outranked = any(
            said[m].startswith("edit") and not ended(m, n + 1) for m in captions if m < n
        )
        if said[n].startswith("edit") or not outranked:
            return said[-1], None if ended(n, len(said)) else said[n]
    return said[-1], None


def folded(lines: list[str]) -> Fold[Record]:
    """The rule, step by step."""
    known: Fold[Record] = Fold()
    for record in map(line, lines):
        known = fold(known, record)
    return known


@settings(max_examples=1000)
@given(st.lists(LINES, max_size=7))
@example(["edit A", "success", "refused B"])
def test_the_fold_is_what_the_contract_says(lines: list[str]):
    last, caption = model(lines)
    known = folded(lines)
    assert known == (last and line(last), caption and line(caption))


@settings(max_examples=60)
@given(st.lists(LINES, max_size=7))
def test_index_search_and_compact_go_by_it(lines: list[str]):
    last, caption = model(lines)
    records = list(map(line, lines))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "captions.jsonl")
        write_lines(path, *records)
        before = what_holds(read_index(path), path)
        assert before == (last and line(last).to_line(), caption and line(caption).to_line())
        with Library.in_memory(pytest.fail) as library:
            library.follow_journal(path)
            hit = caption_of(library, "a.jpg")
        assert (hit.caption if hit else "") == (caption or "")
        compact(path)
        assert what_holds(read_index(path), path) == before


def what_holds(index: JournalIndex, path: Path) -> tuple[bytes | None, bytes | None]:
    """The lines behind the last entry and the caption's."""
    known, data = index.fold("a.jpg"), path.read_bytes()
    first, second = (
        None if entry is None else data[entry.offset :].partition(b"\n")[0] + b"\n"
        for entry in known
    )
    assert [e.offset for e in index.captions()] == ([known.caption.offset] if known.caption else [])
    return first, second


@given(st.lists(LINES, max_size=7), st.integers(0, 7))
def test_search_goes_on_where_it_left_off(lines: list[str], cut: int):
    records = list(map(line, lines))
    with tempfile.TemporaryDirectory() as directory, Library.in_memory(pytest.fail) as library:
        path = Path(directory, "captions.jsonl")
        for part in (records[:cut], records[cut:]):
            with path.open("ab") as stream:
                stream.writelines(record.to_line() for record in part)
            library.follow_journal(path)
        hit = caption_of(library, "a.jpg")
    assert (hit.caption if hit else "") == (model(lines)[1] or "")


CASES = [
    "success A",
    "refused A",
    "success A, refused A",
    "success A, corrupt",
    "success A, refused B",
    "success A, refused A, success A",
    "success A, success B",
    "edit A, success A",
    "edit A, success A, refused A",
    "edit A, success B",
    "edit A, edit A",
    "success A, withdrawn A",
    "edit A, withdrawn A",
    "success A, withdrawn A, refused A",
    "success A, withdrawn A, success A",
    "success A placeholder",
    "success A placeholder, refused A",
    "success A, success A placeholder",
    "success A placeholder dry-run",
    "corrupt dry-run",
    "success A, corrupt dry-run",
    "success A placeholder, success A placeholder dry-run",
]


def table() -> str:
    """The cases as Markdown: lines, the caption that holds, the last attempt, the state."""
    rows = [
        "| lines of a photo, in their order | caption | last attempt | state |",
        "|---|---|---|---|",
    ]
    for case in CASES:
        lines = case.split(", ")
        known = folded(lines)
        caption = "" if known.caption is None else _numbered(lines, known.caption)
        attempt = "" if known.attempt is None else _numbered(lines, known.attempt)
        state = "pending" if known.status is None else f"`{known.status}`"
        if known.caption is not None:
            state = "captioned, redo failed" if known.redo_failed else "captioned"
        rows.append(f"| {case} | {caption} | {attempt} | {state} |")
    return "\n".join(rows)


def _numbered(lines: list[str], record: Record) -> str:
    records = list(map(line, lines))
    return str(len(lines) - records[::-1].index(record))


def test_the_table_of_the_document_is_made_from_these_cases():
    assert table() in (ROOT / "docs" / "journal-format.md").read_text("utf-8")


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
