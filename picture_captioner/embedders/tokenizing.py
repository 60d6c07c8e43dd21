"""Tokenizers, and texts as they can take them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

from picture_captioner.errors import ConfigurationError


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read tokenizer.json of a model, without padding.

    Raises:
        ConfigurationError: it is missing or broken.
    """
    try:
        tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigurationError(
            f"tokenizer.json of {folder.name} cannot be read: fetch it again"
        ) from error
    tokenizer.no_padding()
    return tokenizer


def encodable(texts: Iterable[str]) -> list[str]:
    """Replace what UTF-8 cannot hold: a model may answer with half of a surrogate pair."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
