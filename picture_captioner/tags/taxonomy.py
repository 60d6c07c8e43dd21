"""What to look for in photos: categories of terms, each with the sentences that describe it.

The file is TOML, so that a person can read and replace it; taxonomy.toml beside this one explains
its keys.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from picture_captioner.errors import UsageError
from picture_captioner.foreign_text import faults_of, read_regular

MAX_TERMS = 5_000
MAX_BYTES = 4 << 20
ELSE_PROMPTS = ("a photo.", "a photo of something else.", "a picture.")
"""What CLIP's terms are compared with besides each other."""

_Text = Annotated[str, Field(min_length=1, max_length=200)]


def _both(value: Any) -> Any:
    """One number holds for both kinds of models."""
    return {"softmax": value, "sigmoid": value} if isinstance(value, int | float) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Confidence(_Strict):
    """From which confidence on a term counts, by the kind of model."""

    softmax: float = Field(ge=0, le=1)
    sigmoid: float = Field(ge=0, le=1)


class Category(_Strict):
    """Terms of one kind, looked for in whole photos or in single faces."""

    target: Literal["scene", "face"] = "scene"
    choose: Literal["single", "multi"]
    min_confidence: Annotated[Confidence, BeforeValidator(_both)]
    prompts: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=20)]
    terms: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=100)],
            Annotated[tuple[_Text, ...], BeforeValidator(_listed), Field(min_length=1)],
        ],
        Field(min_length=1),
    ]

    def sentences(self, term: str) -> list[str]:
        """Every prompt about every wording of a term."""
        return [p.replace("{}", wording) for p in self.prompts for wording in self.terms[term]]


@dataclass(frozen=True)
class Taxonomy:
    """All categories by name; `digest` tells the file's bytes from others."""

    categories: dict[str, Category]
    digest: str

    def of(self, target: str) -> dict[str, Category]:
        """The categories that are looked for in whole photos (`scene`), or in faces (`face`)."""
        return {name: one for name, one in self.categories.items() if one.target == target}

    @classmethod
    def read(cls, path: Path | None = None) -> Taxonomy:
        """Read a file, or the one of this package.

        Raises:
            UsageError: it cannot be read or makes no sense; the message says where.
        """
        if path is None:
            return cls._parsed(
                "taxonomy.toml", files(__package__).joinpath("taxonomy.toml").read_bytes()
            )
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(f"--taxonomy {path}: over {MAX_BYTES >> 20} MB")
            return cls._parsed(f"--taxonomy {path}", read_regular(path))
        except OSError as error:
            raise UsageError(f"--taxonomy {path}: {error.strerror}") from error

    @classmethod
    def _parsed(cls, named: str, data: bytes) -> Taxonomy:
        try:
            raw = tomllib.loads(data.decode("utf-8-sig"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise UsageError(f"{named}: no TOML: {error}") from None
        found = {name: _category(named, name, value) for name, value in raw.items()}
        terms = sum(len(category.terms) for category in found.values())
        if not found:
            raise UsageError(f"{named}: it has no category")
        if terms > MAX_TERMS:
            raise UsageError(f"{named}: {terms:,} terms; at most {MAX_TERMS:,}")
        return cls(found, hashlib.sha256(data).hexdigest()[:12])


def _category(named: str, name: str, value: Any) -> Category:
    try:
        category = Category.model_validate(value)
    except ValidationError as error:
        where, fault = faults_of(error)[0]
        raise UsageError(f"{named}: {name}{where and f'.{where}'}: {fault}") from None
    for prompt in category.prompts:
        if "{}" not in prompt:
            raise UsageError(f"{named}: {name}.prompts: {prompt!r} has no {{}} for the term")
    return category
