"""Text that others wrote (servers, models, libraries), before it is shown, logged or recorded.

Servers quote what they were sent: the key, the photo, addresses, paths. And what they send may be
made to hurt: an error text of 200,000 letters met a pattern whose time grew with its square, and
the run stood still for minutes, deaf to Ctrl+C, since Python's patterns let no other thread run.
So foreign text is cut first, and whatever then looks at it takes time in proportion to its length
(`tests/test_foreign_text.py` measures that for every function that foreign text comes to).
"""

from __future__ import annotations

import base64
import errno
import functools
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from pydantic import ValidationError

MAX_LOOKED_AT = 4_000
"""Characters of a foreign text that anything looks at; ten times what is told of it."""

FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the beginning of a formula, full-width forms included (OWASP)."""

LEAST_SECRET = 6
"""Characters of a key that is taken out of captions and logs: servers of one's own are given keys
such as `x` or `EMPTY`, and a caption may hold those."""

_LONGEST_PLAIN_WORD = 20
_LEAST_BODY = 12
"""Letters and digits of a key that no text holds by chance, so that what is between them and how
they are written may be passed over."""
_LEAST_PREFIX = 6

_SECRET_NAMES = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.IGNORECASE)
_PREFIX = re.compile(r"AIza|[A-Za-z0-9]{1,8}[-_]")
_PLAIN = re.compile(r"[A-Za-z0-9]")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9]+")
_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_ENCODED = re.compile(r"(?:data:[\w/;]+,)?[A-Za-z0-9+/=_-]{80,}")
_KEY_LIKE = re.compile(
    r"\b(?:sk|xai|hf|gsk)-[\w*-]{6,}|\bAIza[\w-]{20,}|\bBearer\s+\S+", re.IGNORECASE
)
# Not `\w+://`: a run of letters would be read again from each of its letters.
_URL = re.compile(r"://(?:[^\s/'\"]*@)?([^\s?#'\"]*)(?:[?#][^\s'\"]*)?")
_QUOTED_PATH = re.compile(r"(?<=['\"])(?:[A-Za-z]:[\\/]|/)[^'\"\n]*[\\/]([^'\"\\/\n]+)(?=['\"])")
_UNIX_PATH = re.compile(r"(?<![\w.:/-])(?:/[^\s/'\":,;()]+)+/([^\s/'\":,;()]+)")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\(?:[^\s\\'\"]+\\)*([^\s\\'\"]+)")

_keys: set[str] = set()
"""The keys of this process."""

T = TypeVar("T")


def keep_secret(key: str) -> None:
    """Let `without_secrets` take this key out of whatever is shown, logged or recorded.

    Keys that a caption could hold by chance are left: short ones, and plain words.
    """
    key = key.strip()
    word = key.isalpha() and key.islower() and len(key) < _LONGEST_PLAIN_WORD
    if len(key) >= LEAST_SECRET and not word:
        _keys.add(key)


def keep_secrets_of(variables: Mapping[str, str | None]) -> None:
    """`keep_secret` for the values of all variables that are named like a secret."""
    for name, value in variables.items():
        if value and _SECRET_NAMES.search(name):
            keep_secret(value)


@functools.cache
def forms_of(secret: str) -> tuple[str, ...]:
    """The secret and its bodies: as they are, reversed, in base64, in hex, in a URL and in JSON."""
    found: set[str] = set()
    for text in (secret, *_bodies(secret)[1:]):
        data = text.encode("utf-8", "surrogateescape")
        found |= {text, text[::-1], quote(text, safe=""), json.dumps(text)[1:-1]}
        found |= {data.hex(), data.hex().upper()}
        for before in range(3):
            # Only what no byte before or after it can change.
            first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            encoded = base64.b64encode(bytes(before) + data).decode("ascii")[first:end]
            found |= {encoded, encoded.translate(str.maketrans("+/", "-_"))}
    return tuple(sorted(found, key=len, reverse=True))


def _bodies(secret: str) -> list[str]:
    """The secret, and what is left without its prefixes (`sk-`, `sk-ant-`), while that is long."""
    found = [secret]
    while (prefix := _PREFIX.match(found[-1])) and _plain(found[-1][prefix.end() :]):
        found.append(found[-1][prefix.end() :])
    return found


def _plain(text: str) -> str:
    """The letters and digits of a key or its body; empty where a text may hold them by chance."""
    plain = _NOT_PLAIN.sub("", text).lower()
    told_apart = any(map(str.isdigit, plain)) or len(plain) >= _LONGEST_PLAIN_WORD
    return plain if len(plain) >= _LEAST_BODY and told_apart else ""


@functools.cache
def _forms_of_all(secrets: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """All forms of these, and those of letters and digits alone; the longest first.

    Two keys may have a part in common.
    """
    forms = {form for secret in secrets for form in forms_of(secret)}
    plain = {_plain(body) for secret in secrets for body in _bodies(secret)} - {""}
    plain |= {form[::-1] for form in plain}
    return sorted(forms, key=len, reverse=True), sorted(plain, key=len, reverse=True)


def without_secrets(text: str) -> str:
    """The text with `[key]` for every key that was told to `keep_secret`, in every form."""
    return _replaced(text, tuple(_keys))


def _replaced(text: str, secrets: tuple[str, ...]) -> str:
    forms, plain_forms = _forms_of_all(secrets)
    for form in forms:
        if form in text:
            text = text.replace(form, "[key]")
    plain = _NOT_PLAIN.sub("", text).lower() if plain_forms else ""
    for form in plain_forms:
        if form in plain:  # its letters are spaced out, joined otherwise, or over several lines
            text = _replaced_loosely(text, plain, form)
            plain = _NOT_PLAIN.sub("", text).lower()
    return text


def _replaced_loosely(text: str, plain: str, form: str) -> str:
    """The text without `form`, which `plain`, its letters and digits in a row, holds."""
    places = [match.start() for match in _PLAIN.finditer(text)]
    kept, after, found = [], 0, plain.find(form)
    while found >= 0:
        kept += [text[after : places[found]], "[key]"]
        after = places[found + len(form) - 1] + 1
        found = plain.find(form, found + len(form))
    return "".join(kept) + text[after:]


def all_without_secrets(value: T) -> T:
    """`without_secrets` for every text in lists and dictionaries, their keys included."""
    if not _keys:
        return value
    return _cleaned(value)  # type: ignore[return-value]


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, Mapping):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    return value


def cut(text: str) -> str:
    """As much of a foreign text as anybody looks at."""
    return text if len(text) <= MAX_LOOKED_AT else text[:MAX_LOOKED_AT]


def clean(text: str, limit: int, secret: str = "") -> str:
    """A foreign text fit for a message: cut, on one line, and with nothing private.

    Gone are `secret`, the keys of this process and whatever looks like one, long encoded data, the
    user and query of URLs, and the directories of absolute paths. A web page in place of an error
    becomes an empty string. At most `limit` characters, an ellipsis where there was more.
    """
    if _MARKUP.match(text, 0, MAX_LOOKED_AT):
        return ""
    known = (*_keys, *([secret] if secret else []))
    looked_at = _replaced(cut(text), known)
    if len(text) > MAX_LOOKED_AT:
        looked_at = _without_beginning_of(looked_at, known)
    shown = _KEY_LIKE.sub("[key]", _ENCODED.sub("[data]", looked_at))
    cleaned = " ".join(_without_places(shown).split())
    more = len(cleaned) > limit or len(text) > MAX_LOOKED_AT
    return f"{cleaned[: limit - 1]}…" if more else cleaned


def _without_places(text: str) -> str:
    text = _URL.sub(r"://\1", text)
    return _WINDOWS_PATH.sub(r"\1", _UNIX_PATH.sub(r"\1", _QUOTED_PATH.sub(r"\1", text)))


def _without_beginning_of(text: str, known: tuple[str, ...]) -> str:
    """The text without the beginning of a secret at its end, where it was cut."""
    for start in _beginnings(text, known):
        return text[:start]
    return text


def _beginnings(text: str, known: tuple[str, ...]) -> Iterator[int]:
    for form in (form for key in known for form in forms_of(key)):
        for length in range(min(len(form) - 1, len(text)), _LEAST_PREFIX - 1, -1):
            if text.endswith(form[:length]):
                yield len(text) - length


_PLAINLY = {
    "bool_parsing": "input should be true or false",
    "int_parsing": "input should be a whole number, such as 5",
    "int_from_float": "input should be a whole number, such as 5",
    "float_parsing": "input should be a number, such as 1.5",
}
"""What is allowed, where pydantic says that it cannot interpret or parse what is there."""


def faults_of(error: ValidationError) -> list[tuple[str, str]]:
    """Where pydantic found each fault, `fields.3.name`, and what it is, in plain words.

    The values, which may be a key or come from a photo, are not quoted.
    """
    told = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        reason = _PLAINLY.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
        told.append((".".join(map(str, fault["loc"])), f"{reason[:1].lower()}{reason[1:]}"))
    return told


def read_regular(path: Path) -> bytes:
    """All of a file that a flag names; a pipe that nobody writes to would be waited for.

    Raises:
        OSError: it cannot be read, or is a pipe or a device.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        empty = os.path.samestat(status, os.stat(os.devnull))  # noqa: PTH116 - how one says: none
        if not stat.S_ISREG(status.st_mode) and not empty:
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read()
