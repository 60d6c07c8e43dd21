"""Full text on a PostgreSQL server: the words that FTS5 finds, in the order that FTS5 gives them.

The server's own parser takes texts apart in another way, and has no bm25. So texts are taken apart
here by FTS5 itself, in memory, and handed over as a `tsvector`; the server finds the rows, and
their scores are computed here by FTS5's formula. Each column has one of the four letters that the
server knows. A word counts 256 times in a row at most, and in its first 16,383 words.

The nearest vectors are found exactly, or by an HNSW index where there are many. It is made after
the vectors are there (`library index`): each that comes later takes some milliseconds more. It
gives its best first; whoever wants more, since filters leave few of those, gets the rest from an
exact scan.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from picture_captioner.errors import count
from picture_captioner.library.home import Connection, Part, Phrase
from picture_captioner.library.postgresql_access import connect, telling
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    from numpy.typing import NDArray

WEIGHTS: Mapping[str, Mapping[str, str]] = {
    "caption_words": {
        "title": "A",
        "caption": "B",
        "tags": "A",
        "text": "C",
        "more": "D",
        "path": "D",
        "stems": "A",
    },
    "text_words": {"text": "B", "stems": "B"},
    "told_words": {"text": "B", "stems": "B"},
}
"""The full-text indexes, their columns, and the letter of each."""

_WORTH = {"A": 2.0, "B": 1.0, "C": 1.0, "D": 0.5}
_LAST_POSITION = 16_383
_LONGEST = 300
"""Letters of a word: the server refuses more than 2,046 bytes."""

_K1, _B = 1.2, 0.75
"""Of bm25, as in FTS5."""

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'"


class _Splitter:
    """FTS5, asked for nothing but the words of texts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.isolation_level = None
        self._connection.execute(
            "CREATE VIRTUAL TABLE texts USING fts5 "
            f"(text, content = '', tokenize = \"{TOKENIZER}\")"
        )
        self._connection.execute("CREATE VIRTUAL TABLE words USING fts5vocab (texts, instance)")

    def split(self, texts: Sequence[str]) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in texts]
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                self._connection.executemany(
                    "INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts)
                )
                rows = self._connection.execute("SELECT doc, offset, term FROM words").fetchall()
            finally:
                self._connection.execute("ROLLBACK")
        for place, _, term in sorted(rows):
            found[place].append(term[:_LONGEST])
        return found


_splitter = _Splitter()


def add(connection: Connection, table: str, rows: Iterable[Sequence[object]]) -> None:
    """Put rows (id, text of each column) into an index."""
    weights = WEIGHTS[table]
    given = [(row[0], [str(text).replace("\0", " ") for text in row[1:]]) for row in rows]
    split = iter(_splitter.split([text for _, texts in given for text in texts]))
    named = ", ".join(weights)
    marks = ", ".join("?" * (len(weights) + 2))
    connection.executemany(
        f"INSERT INTO {table} (rowid, {named}, tokens, terms) "  # noqa: S608
        f"VALUES ({marks}, CAST(? AS tsvector))",
        [
            (number, *texts, *_vector([next(split) for _ in texts], weights.values()))
            for number, texts in given
        ],
    )


def _vector(columns: Sequence[Sequence[str]], letters: Iterable[str]) -> tuple[int, str]:
    """How many words there are, and all of them as a tsvector is written."""
    places: dict[str, list[str]] = defaultdict(list)
    position = 0
    for words, letter in zip(columns, letters, strict=True):
        for word in words:
            position += 1
            if position <= _LAST_POSITION:
                places[word].append(f"{position}{letter}")
        position += 1  # no phrase goes from one column to the next
    count = sum(map(len, columns))
    return count, " ".join(f"{_quoted(word)}:{','.join(at)}" for word, at in places.items())


def _quoted(word: str) -> str:
    doubled = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


class _Wanted(NamedTuple):
    """A phrase as its words; the last may be the beginning of one."""

    words: tuple[str, ...]
    begins: bool

    def query(self, letter: str) -> str:
        marks = [letter] * (len(self.words) - 1) + [("*" if self.begins else "") + letter]
        parts = (f"{_quoted(w)}{m and ':' + m}" for w, m in zip(self.words, marks, strict=True))
        return f"({' <-> '.join(parts)})"


def find(
    connection: Connection,
    table: str,
    phrases: Sequence[Phrase],
    column: str | None,
    *,
    scored: bool,
) -> Part:
    """A query for (rowid, score) of the rows with any of the phrases, by bm25 or 0."""
    letter = WEIGHTS[table][column] if column else ""
    split = _splitter.split([phrase.text for phrase in phrases])
    wanted = [
        _Wanted(tuple(words), phrase.begins)
        for words, phrase in zip(split, phrases, strict=True)
        if words
    ]
    query = " | ".join(phrase.query(letter) for phrase in wanted)
    scores = {}
    if wanted and scored:
        scores = _scores(connection, table, wanted, letter, query)
    elif wanted:
        matching = f"SELECT rowid FROM {table} WHERE terms @@ CAST(? AS tsquery)"  # noqa: S608
        scores = {rowid: 0.0 for (rowid,) in connection.execute(matching, (query,))}
    # Handed back as a list, whose length the server knows: it takes few rows for granted where it
    # has to guess, and one such join with 44,000 photos took more than two minutes.
    return Part(
        "SELECT * FROM unnest(CAST(? AS bigint[]), CAST(? AS double precision[])) "
        "AS hits (rowid, score)",
        (list(scores), list(scores.values())),
    )


def _scores(
    connection: Connection, table: str, wanted: Sequence[_Wanted], letter: str, query: str
) -> dict[int, float]:
    rows, tokens = connection.execute(f"SELECT count(*), sum(tokens) FROM {table}").fetchone()  # noqa: S608
    exact = {word for phrase in wanted for word in phrase.words}
    begun = [phrase.words[-1] for phrase in wanted if phrase.begins]
    found = connection.execute(
        "SELECT rowid, tokens, lexeme, positions, weights "  # noqa: S608
        f"FROM {table}, unnest(terms) AS term (lexeme, positions, weights) "
        "WHERE terms @@ CAST(? AS tsquery) AND (lexeme = ANY (?) "
        "OR EXISTS (SELECT 1 FROM unnest(CAST(? AS text[])) AS begun (word) "
        "WHERE starts_with(lexeme, begun.word)))",
        (query, list(exact), begun),
    ).fetchall()
    lengths: dict[int, int] = {}
    held: dict[int, dict[str, dict[int, str]]] = defaultdict(dict)
    for rowid, length, word, positions, letters in found:
        lengths[rowid] = length
        held[rowid][word] = dict(zip(positions, letters, strict=True))
    times = {rowid: [_times(p, words, letter) for p in wanted] for rowid, words in held.items()}
    hits = [sum(each[place] > 0 for each in times.values()) for place in range(len(wanted))]
    worth = [max(math.log((rows - n + 0.5) / (n + 0.5)), 1e-6) for n in hits]
    mean = (tokens or 1) / max(rows, 1)
    return {
        rowid: sum(
            idf * t * (_K1 + 1) / (t + _K1 * (1 - _B + _B * lengths[rowid] / mean))
            for idf, t in zip(worth, each, strict=True)
        )
        for rowid, each in times.items()
    }


def _times(phrase: _Wanted, words: Mapping[str, Mapping[int, str]], letter: str) -> float:
    """How often a phrase stands in a row, each time by what its column is worth."""
    last = phrase.words[-1]
    ends = dict(words.get(last, {}))
    if phrase.begins:
        for word, places in words.items():
            if word.startswith(last):
                ends.update(places)
    if not ends:
        return 0.0
    before = [words.get(word, {}) for word in reversed(phrase.words[:-1])]
    return sum(
        _WORTH[weight]
        for place, weight in ends.items()
        if (not letter or weight == letter)
        and all(place - back in at for back, at in enumerate(before, start=1))
    )


LEAST_VECTORS = 100_000
"""Of one model, for an index: an exact scan takes 0.1 s there, and 1.1 s for a million."""

_BY_INDEX = 2_000
"""Of the index's best that are asked for: a search takes a thousand."""

_CANDIDATES = 1_000
"""That the index keeps at a time, the most that pgvector allows."""

_MEMORY = "1GB"
"""For the graph while it is made: 2.6 times as slow where it does not fit."""


def nearest(
    raw: psycopg.Connection[Any], model: int, query: NDArray[np.float32]
) -> Iterator[tuple[bytes, float]]:
    """All keys of a model with their products with `query`, best first."""
    # Cast to 32 bits: half of the query's would rank otherwise than library.db does.
    product = "-(CAST(vector AS vector) <#> CAST(%s AS vector))"
    wanted = f"[{','.join(map(repr, query.tolist()))}]"
    given: set[bytes] = set()
    if _is_indexed(raw, model):
        raw.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), "
            "set_config('hnsw.iterative_scan', 'strict_order', true)",
            (str(_CANDIDATES),),
        )
        half = f"halfvec({len(query)})"
        by_index = (
            f"SELECT key, {product} AS product FROM (SELECT key, vector FROM vectors "  # noqa: S608
            f"WHERE model = {model} ORDER BY CAST(vector AS {half}) <#> CAST(%s AS {half}) "
            f"LIMIT {_BY_INDEX}) AS near ORDER BY product DESC, key"
        )
        for key, found in raw.execute(by_index.encode(), (wanted, wanted), binary=True):
            given.add(key)
            yield key, found
    exact = (
        f"SELECT key, {product} AS product FROM vectors WHERE model = {model} "  # noqa: S608
        "ORDER BY product DESC, key"
    )
    with raw.cursor(name="nearest") as cursor:  # few are fetched as a rule
        cursor.itersize = _BY_INDEX
        for key, found in cursor.execute(exact.encode(), (wanted,), binary=True):
            if key not in given:
                yield key, found


def _name(model: int) -> str:
    return f"vectors_near_{model}"


def _is_indexed(raw: psycopg.Connection[Any], model: int) -> bool:
    row = raw.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (_name(model),)
    ).fetchone()
    return bool(row and row[0])


def index_vectors(address: ServerAddress) -> Iterator[str]:
    """Index the models that have many vectors and no index; a sentence for each.

    Others may write meanwhile. What a kill leaves half made is made again the next time.

    Raises:
        LibraryError: it cannot be made.
    """
    with telling(address), contextlib.closing(connect(address)) as raw:
        raw.autocommit = True
        raw.execute(f'SET search_path TO "{address.collection}", public'.encode())
        raw.execute("SELECT set_config('maintenance_work_mem', %s, false)", (_MEMORY,))
        models = raw.execute(
            "SELECT id, identity, dimension, (SELECT count(*) FROM vectors WHERE model = id) "
            "FROM models ORDER BY id"
        ).fetchall()
        for model, identity, dimension, number in models:
            if number < LEAST_VECTORS:
                few = count(number, "vector")
                yield f"{identity}: {few}, no index needed: an exact scan is fast"
            elif _is_indexed(raw, model):
                yield f"{identity}: {number:,} vectors are indexed"
            else:
                yield f"{identity}: indexing {number:,} vectors, which takes minutes"
                raw.execute(f"DROP INDEX IF EXISTS {_name(model)}".encode())
                raw.execute(
                    f"CREATE INDEX CONCURRENTLY {_name(model)} ON vectors USING hnsw "
                    f"(CAST(vector AS halfvec({dimension})) halfvec_ip_ops) "
                    f"WHERE model = {model}".encode()
                )
        raw.execute("ANALYZE vectors")  # else the index is not thought to be worth it
