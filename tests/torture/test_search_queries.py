"""Whatever somebody types to `search` gets an answer or a sentence: no traceback, no SQL."""

from __future__ import annotations

import json
import random
import re

import pytest

from picture_captioner.cli import caption_app
from picture_captioner.library.selection import KINDS
from picture_captioner.library.store import Library
from tests.library.whole import fill_whole

QUERIES = 300
MANY = 3000
SPEAKS_SQL = re.compile(
    r"Traceback|sqlite|psycopg|fts5|SELECT |MATCH|json_each|no such (column|table)|near \"|"
    r"malformed|unterminated|Exception|object at 0x",
)
WORDS = (
    *("dog", "beach", "Café", "犬", "सागर", "собака", "หมา", "İstanbul", "\u017fnow", "é"),
    "x" * 3000,
)
PIECES = (
    *WORDS,
    *(f"{sign}{kind}:" for kind in KINDS for sign in ("", "-")),
    *('"', "'", '""', "*", "^", "(", ")", "AND", "OR", "NOT", "NEAR(", "NEAR/3", "{caption}"),
    *("caption:", "rowid", "--", "-", "\u2212", "..", "2019..", "..2020", "2019-13", "9999-99..0"),
    *("0000", "٢٠١٩-٠٦", "%", "_", "\\", ";", "'; DROP TABLE captions; --", "\0", "\t", "\n"),
    *("\u202e", "\udce9", "\ud800", "\ufeff", "\U0001f436", "\u200b", "a\u0301", "\u0294en:dog"),
    *("similar:../../etc/passwd", "similar:\udce9", 'tag:"a > b', "person:Anna", "has:face"),
    *("has:", "status:suspect", "camera:%_\\", "place:\u0301", "from:2019..2020", "to:soon"),
    *("date:" + "1" * 500, "https://x/?q=1&r=2#z", "{{7*7}}", "$(id)"),
)


def queries(number, seed=11):
    """Pieces in any order, with and without spaces, and some characters of chance."""
    chance = random.Random(seed)
    for _ in range(number):
        pieces = [chance.choice(PIECES) for _ in range(chance.choice((1, 1, 2, 3, 5, 9, 40)))]
        pieces += ["".join(chr(chance.randrange(1, 0x3000)) for _ in range(chance.randrange(6)))]
        chance.shuffle(pieces)
        yield chance.choice(("", " ", " ", '"', ":")).join(pieces)


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queries")
    with Library.open(folder / "library.db", str) as library:
        fill_whole(library, folder / "captions.jsonl")
    return [f"--captions-jsonl={folder / 'captions.jsonl'}", "--captions-only"]


def test_each_gets_an_answer_or_a_sentence(where, share, tried, capsys):
    codes, number = [], share(QUERIES, MANY)
    for query in queries(number):
        code = caption_app.execute(["search", "--json", *where, "--", query])
        answer = capsys.readouterr()
        codes.append(code)
        assert code in {0, 64}, (query, answer.err)
        assert not SPEAKS_SQL.search(answer.err.replace(query, "")), (query, answer.err)
        assert answer.err.count("\n") <= 4, (query, answer.err)
        if code == 0:
            assert isinstance(json.loads(answer.out), list)
        else:
            assert (answer.out, answer.err.strip() != "") == ("", True), query
    assert min(codes.count(0), codes.count(64)) > number / 10
    tried("a search of pieces and signs by chance", number)
