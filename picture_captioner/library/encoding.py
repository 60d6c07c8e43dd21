"""How text from file names and journals is kept in SQLite, which takes no lone surrogates."""

from __future__ import annotations


def to_key(text: str) -> bytes:
    """A path or hash as bytes, whatever it holds; `from_key` gives back the same text."""
    return text.encode("utf-8", "surrogatepass")


def from_key(key: bytes) -> str:
    """The text of a key; bytes that are no such text come back as the names of files do."""
    try:
        return key.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # this program never wrote it
        return key.decode("utf-8", "surrogateescape")


def to_text(text: str) -> str:
    """Text that is for reading: what is no character is replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
