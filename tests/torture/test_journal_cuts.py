"""Files that end anywhere, and files in which a bit has flipped."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from picture_captioner.cli.commands.journal import check_journal
from picture_captioner.cli.flags import Flags
from picture_captioner.errors import ExitCode
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.writing import Journal
from tests.journal.support import append, failure, is_done, photo, write_lines

ODD = photo("caf\udce9 \u202e/\u2028 'x'\n.jpg", 'caf\u00e9 "\u2028" \\ \n \t \U0001f6a3')
LASTS = {
    "escaped": [ODD],
    "multi-byte": [
        '{"rel_path":"é 山.jpg","caption":"\u2028 \x85 🚣","status":"success"}\n'.encode()
    ],
    "nuls": [ODD.to_line()[:20] + b"\0" * 40 + b"\n"],
    "error": [failure("2.jpg", requests=1, cost_usd=0.25, created_at="2026-11-21T07:00:00Z")],
    "group": [photo("2.jpg"), ODD, photo("3.jpg", "\u00e9" * 30)],
    "fields": [photo("2.jpg", extra={"tags": ["\u00e9", "\U0001f6a3"], "scene": {"value": "山"}})],
}  # fmt: skip


def bytes_of(lines) -> bytes:
    return b"".join(x if isinstance(x, bytes) else x.to_line() for x in lines)


@pytest.mark.parametrize("last", LASTS)
def test_a_file_cut_at_any_byte_resumes(journal_path: Path, share, tried, last: str):
    before, tail, after = photo("1.jpg").to_line(), bytes_of(LASTS[last]), photo("9.jpg")
    lost, broken = [], b""
    cuts = sorted({*range(0, len(tail), share(7, 1)), len(tail) - 1})
    for cut in cuts:
        journal_path.write_bytes(before + tail[:cut])
        append(journal_path, after)
        whole = tail[:cut].rpartition(b"\n")[0]
        kept = before + (whole + b"\n" if whole else b"")
        torn = tail[len(kept) - len(before) : cut]
        broken += torn + b"\n" if torn else b""
        if journal_path.read_bytes() != kept + after.to_line():
            lost.append(f"cut at {cut}: {journal_path.read_bytes()[-400:]!r}")
    tried(f"journal cut at a byte of its last write ({last}), then resumed", len(cuts),
          lost=len(lost))  # fmt: skip
    assert lost == []
    assert journal_path.with_name("captions.jsonl.broken").read_bytes() == broken


# -- bits that flip --------------------------------------------------------------------------------

RECORDS = [
    photo("2024/a b.jpg", "A boat on a lake.", model="m", cost_usd=0.25, requests=1, size=12345),
    ODD,
    failure("2.jpg", requests=1, created_at="2026-11-21T07:00:00Z"),
    photo("3.jpg", "JZ*", placeholder=True, extra={"tags": ["a", "b"]}),
    photo("4.jpg", "B", content_sha256="ab" * 32, mtime_ns=1_700_000_000_000_000_000),
]
STATUSES = {"success", "error_corrupt", "error_api", "error_model"}


def bad_lines(data: bytes) -> set[int]:
    """The lines that json and the three required fields refuse: not the reader's own code."""
    lines = data.split(b"\n")
    return {n for n, line in enumerate(lines[:-1], 1) if line.strip() and not is_json_record(line)}


def is_json_record(line: bytes) -> bool:
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=int)
    except ValueError:
        return False
    return (
        isinstance(found, dict)
        and isinstance(found.get("rel_path"), str)
        and found["rel_path"] not in {"", "\0"}
        and isinstance(found.get("caption", 0), str | None)
        and found.get("status") in STATUSES
    )


def flips(data: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """Every `step`-th single-bit change: the byte it is in, and the changed file."""
    for bit in range(0, 8 * len(data), step):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        yield bit // 8, bytes(changed)


def test_every_flipped_bit_that_breaks_a_line_is_located(journal_path: Path, share, tried):
    data = bytes_of(RECORDS)
    starts = [0, *(i + 1 for i, byte in enumerate(data) if byte == 0x0A)]
    wrong, broke, unseen = [], 0, 0
    for byte, changed in flips(data, share(29, 1)):
        journal_path.write_bytes(changed)
        index = read_index(journal_path)
        told = {damage.line for damage in index.damage}
        line = sum(start <= byte for start in starts)
        broken = bad_lines(changed)
        # More is refused than json would: a wrong type in a field that is remembered.
        if not broken <= told <= broken | {line} or (told and line not in told):
            wrong.append(f"byte {byte}: told {told}, broken {broken}, flipped in {line}")
        whole = len(changed.split(b"\n")) - 1
        if index.records + len(told) != whole or (index.torn_bytes > 0) != (changed[-1:] != b"\n"):
            wrong.append(f"byte {byte}: {index.records} records of {whole} lines")
        broke += bool(told or index.torn)
        unseen += not (told or index.torn)
    tried("bits flipped that break a line: each line is named", broke, lost=len(wrong))
    tried("bits flipped that leave another valid record: not noticed, by design", unseen)
    assert wrong == []
    assert min(broke, unseen) > 0


def test_journal_check_names_the_lines_of_flipped_bits(journal_path: Path, share, capsys):
    data, chance = bytes_of(RECORDS), random.Random(5)
    for _ in range(share(40, 2_000)):
        byte, changed = chance.choice(range(len(data))), bytearray(data)
        changed[byte] ^= 1 << chance.randrange(8)
        journal_path.write_bytes(changed)
        code, shown = (
            check_journal(Flags(given={"captions_jsonl": journal_path})),
            capsys.readouterr().out,
        )
        named = {int(row.split()[1]) for row in shown.splitlines()}
        index = read_index(journal_path)
        torn = {index.torn.line} if index.torn else set()
        assert named == {damage.line for damage in index.damage} | torn
        assert code == (ExitCode.IO_FAILED if index.damage else ExitCode.DONE)


def test_a_lost_line_end_is_located_by_journal_check(journal_path: Path, capsys):
    data = photo("1.jpg").to_line() + photo("2.jpg").to_line()
    write_lines(journal_path, data[:-1] + b"\x0b")
    assert (
        check_journal(Flags(given={"captions_jsonl": journal_path})) == ExitCode.DONE
    )  # a run that was killed leaves the same
    assert capsys.readouterr().out.startswith("line 2 (byte ")
    with Journal(journal_path) as journal:
        assert is_done(journal, "1.jpg")
        assert not is_done(journal, "2.jpg")
