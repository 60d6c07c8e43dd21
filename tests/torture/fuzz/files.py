"""Files and flags that people and other programs write: read well, or refused with a sentence."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from picture_captioner.backends.vocabulary import read_vocabulary
from picture_captioner.config import PREFIX, Settings, load_settings, variable_of
from picture_captioner.declaration import declared
from picture_captioner.errors import ConfigurationError, LibraryError, Usage, UsageError
from picture_captioner.library.migrating import migrate
from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from picture_captioner.pipeline.asking.prices import Prices, read_price_file
from picture_captioner.pipeline.selecting.file_list import read_file_list
from picture_captioner.pipeline.selecting.hints import MAX_TAG_CHARACTERS, MAX_TAGS, read_hints
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.settings import KEYS
from tests.library.filling import caption_of
from tests.pipeline.selecting.trees import KINDS

KEY = "sk-canary-4711"

HINTS = (
    b'{"rel_path": "a.jpg", "tags": ["dog", "beach at night"]}\n',
    b'{"content_sha256": "' + b"ab" * 32 + b'", "tags": ["x"]}\n{"rel_path":"\\udce9","tags":[]}',
)
PRICES = (
    b'{"m": {"input_per_million": 0.25, "output_per_million": 2.0, "as_of": "2026-11-01"}}',
    b'{"m": {"input_per_million": 0, "output_per_million": 1e3}, "n": {}}',
)
VOCABULARY = (
    b"a beach\n# a comment\n\na dog\nbike = bicycle\nAnimal > Dog\n",
    "\ufeffcaf\u00e9\r\nfjord\n".encode(),
)
FILE_LIST = (b"a.jpg\nsub/b.jpg\r\n", b"a.jpg\0sub/../a.jpg\0", b"./a.jpg\nsub//b.jpg\n\n")
CONFIG = (
    b"PHOTOS_DIR=~\x80/Pictures\nCAPTIONS_JSONL=/\nTIMEOUT=1e300\n",
    f"PHOTOS_DIR=~/Pictures\nOPENAI_API_KEY={KEY}\nMAX_WORKERS=4\n".encode(),
    b"export MODEL='gpt' # x\nTIMEOUT=30\nTEMPERATURE=0.3\nLOG_LEVEL=INFO\nLOCAL_ONLY=true\n",
    b'MAX_COST=15\nMAX_REQUESTS=\nPROMPT="a\\nb ${HOME}"\nPRICES_FILE=p.json\nMODELL=x\n',
)
CONFIG_WORDS = (
    *(f"{name.upper()}=".encode() for name in (*sorted(declared(Settings)), *KEYS)),
    b"~nobody-here/", b"~", b"${", b"}", b"nan", b"inf", b"1e999", b"-1", b"\0", b"\r", b"\xff",
    b"9" * 5_000, b"\\x00", b"'", b'"', b"=", b"\n", b"export ",
)  # fmt: skip
PATTERNS = (b"*.jpg", b"2023/**", b"[a-z]/*\\*/", b"**/x/[!a]?")
QUERIES = (b"children on a beach", b'"red car" -dog', "\u6d77 caf\u00e9".encode(), b"a OR b NEAR c")


def _library_file() -> bytes:
    """A library.db with a photo and a caption in it, as bytes."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, None, lambda _: None)
        connection.execute(
            "INSERT INTO photos (content, width, height, taken_at) "
            "VALUES (x'61', 4, 3, '2024-01-31')"
        )
        connection.execute("INSERT INTO files VALUES (x'612e6a7067', 1, 2, x'61')")
        _add_caption(connection)
        connection.commit()
        return connection.serialize()


def _add_caption(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO captions (id, rel_path, placeholder, content, title, caption, tags) "
        "VALUES (1, x'61', 0, x'61', 't', 'a boat', '[]')"
    )
    connection.execute(
        "INSERT INTO caption_words (rowid, title, caption, tags) VALUES (1, 't', 'a boat', '')"
    )


LIBRARY = (_library_file(), b"", b"SQLite format 3\0" + bytes(100), b"no database")
LIBRARY_WORDS = (b"SQLite format 3\0", b"PCCC", b"[]", b"2024-01-31", b"CREATE TABLE")


def _fresh(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def hints(data: bytes, folder: Path) -> None:
    """Hints, or a `UsageError` that names the line."""
    try:
        found = read_hints(_fresh(folder, "hints.jsonl", data))
    except UsageError as error:
        assert "line" in str(error)
        return
    for tags in (*found._by_path.values(), *found._by_content.values()):
        assert len(tags) <= MAX_TAGS
        for tag in tags:
            assert 0 < len(tag) <= MAX_TAG_CHARACTERS
            assert tag.isprintable()
            tag.encode("utf-8")


def prices(data: bytes, folder: Path) -> None:
    """Prices that make a cost that a journal takes: finite, and not below 0."""
    try:
        found = read_price_file(_fresh(folder, "prices.json", data))
    except ConfigurationError as error:
        assert "prices.json" in str(error)
        return
    for model, price in found.items():
        cost = Prices(None, model, price).cost(Usage(input_tokens=10**6, output_tokens=10**6))
        assert cost is not None
        assert math.isfinite(cost)
        assert cost >= 0


def vocabulary(data: bytes, folder: Path) -> None:
    """Terms, each once, or a `UsageError`."""
    try:
        vocabulary = read_vocabulary(_fresh(folder, "terms.txt", data))
    except UsageError as error:
        assert "--vocabulary" in str(error)
        return
    terms = vocabulary.terms
    assert terms
    assert all(vocabulary.term(name) for name in vocabulary.named)
    assert len(set(terms)) == len(terms)
    assert all(term.strip() == term and term for term in terms)


def file_list(data: bytes, folder: Path) -> None:
    """Photos inside of the directory, or a `UsageError`; whatever `..` and links say."""
    root = folder / "photos"
    (root / "sub").mkdir(parents=True)
    (root / "a.jpg").touch()
    (root / "sub" / "b.jpg").touch()
    (folder / "secret.jpg").touch()
    try:
        found = read_file_list(str(_fresh(folder, "list.txt", data)), root, KINDS)
    except UsageError as error:
        assert "--files-from" in str(error)
        return
    assert {photo.rel_path for photo in found.photos} <= {"a.jpg", "sub/b.jpg"}


def config_file(data: bytes, folder: Path) -> None:
    """Settings, or a `ConfigurationError`; a key that is set as one is never repeated."""
    _fresh(folder, "config.env", data)
    with contextlib.chdir(folder), _no_settings():
        try:
            _usable(settings := load_settings())
            told = " ".join(settings.idle())
        except ConfigurationError as error:
            told = str(error)
    set_as_one = f"\nOPENAI_API_KEY={KEY}\n".encode() in b"\n" + data + b"\n"
    if set_as_one and data.count(KEY.encode()) == 1 and not set(b"\r'\"$\\") & set(data):
        assert KEY not in told


def flags(data: bytes, folder: Path) -> None:
    """`NAME=value` lines as flags, then as the environment."""
    pairs = [line.partition("=") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    known = declared(Settings)
    given = {name.lower(): value for name, _, value in pairs if name.lower() in known}
    with contextlib.chdir(folder), _no_settings():
        with contextlib.suppress(UsageError, ConfigurationError):  # an address with a fault is 78
            _usable(load_settings(**given))
        for name, value in given.items():
            if "\0" not in value:
                os.environ[variable_of(name)] = value
        with contextlib.suppress(ConfigurationError):
            _usable(load_settings())


def _usable(settings: Settings) -> None:
    """Nothing in them fails later, where it would be a crash and no sentence."""
    for name in ("max_cost", "max_photo_cost", "timeout", "temperature"):
        value = getattr(settings, name)
        assert value is None or not math.isnan(value)
    for name in ("photos_dir", "captions_jsonl", "library_db", "log_file", "prices_file"):
        path = getattr(settings, name)
        if path is not None:
            assert "\0" not in str(path)
    assert settings.timeout <= 86_400
    assert settings.library_path.name
    said = " ".join(str(value) for name, value in vars(settings).items() if name != "file")
    if settings.api_key("OPENAI_API_KEY").get_secret_value() and KEY not in said:
        assert KEY not in repr(settings)


@contextlib.contextmanager
def _no_settings() -> Iterator[None]:
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in KEYS or name.lower() in declared(Settings):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def path_filter(data: bytes, folder: Path) -> None:
    """A filter, or a `UsageError`."""
    pattern = data[:40].decode("utf-8", "surrogateescape")
    for kinds in ({"include": [pattern]}, {"exclude": [pattern]}):
        try:
            found = PathFilter(**kinds)
        except UsageError as error:
            assert "clude" in str(error)
            return
        for path in ("a.jpg", "2023/x/a.jpg", "caf\udce9/\n.jpg", pattern.replace("*", "x")):
            found.takes_file(path)
            found.enters(path)


def library(data: bytes, folder: Path) -> None:
    """It opens, whatever it was; what was no library lies beside it. Queries answer or say why."""
    path = _fresh(folder, "library.db", data)
    said: list[str] = []
    try:
        with Library.open(path, said.append) as opened:
            opened.facts.of_file("a.jpg", 1, 2)
            opened.paths_of("a")
            opened.search(Selection.parse("boat"), 5)
            caption_of(opened, "a")
            opened.identities()
            opened.thumbnail("a")
            opened.facts.save_file("b.jpg", 1, 2, "b")
            assert "b.jpg" in opened.paths_of("b")
    except LibraryError as error:
        assert "library.db" in str(error)
    if any("library.db.broken" in text for text in said):  # else rows alone were dropped
        assert (folder / "library.db.broken").read_bytes()[:1] == data[:1]


def query(data: bytes, folder: Path) -> None:
    """Any text is a query, or gets a sentence."""
    with _memory() as opened:
        for errors in ("replace", "surrogateescape"):
            with contextlib.suppress(UsageError):
                opened.search(Selection.parse(data.decode("utf-8", errors)), 5)


def _memory() -> Library:
    opened = Library.in_memory(lambda text: None)
    with opened.database.transaction() as connection:
        _add_caption(connection)
    return opened
