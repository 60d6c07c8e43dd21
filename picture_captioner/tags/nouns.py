"""Nouns for what can be seen, each with the next more general one: an open vocabulary.

nouns.txt beside this file was made from WordNet 3.0 (Princeton University; its licence is there).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

CATEGORY = "noun"
PROMPTS = ("a photo of {}.", "a picture of {}.")


@dataclass(frozen=True)
class Nouns:
    """All nouns; `above` has the next more general one of those that have one."""

    names: tuple[str, ...]
    above: Mapping[str, str]
    digest: str

    @classmethod
    def read(cls) -> Nouns:
        """The nouns of this package."""
        data = files(__package__).joinpath("nouns.txt").read_bytes()
        lines = (line for line in data.decode("utf-8").splitlines() if not line.startswith("#"))
        pairs = [line.partition(" < ") for line in lines if line]
        above = {name: more for name, _, more in pairs if more}
        return cls(tuple(n for n, *_ in pairs), above, hashlib.sha256(data).hexdigest()[:12])

    def sentences(self, name: str) -> list[str]:
        """What is said of a noun."""
        article = "an" if name[0] in "aeiou" else "a"
        return [prompt.replace("{}", f"{article} {name}") for prompt in PROMPTS]

    def more_general(self, name: str) -> Iterator[str]:
        """Those above it, the next one first."""
        seen = {name}
        while (up := self.above.get(name)) is not None and up not in seen:
            yield up
            seen.add(up)
            name = up

    def most_special(self, names: Sequence[str]) -> list[str]:
        """The nouns without those that are above another of them."""
        general = {up for name in names for up in self.more_general(name)}
        return [name for name in names if name not in general]
