"""Tells refusals, models that saw no image, and errors from captions, where only words tell them.

Set phrases found 59 of 100 refusals that nobody here had seen, so this is a logistic regression
over the words of an answer and the letters in them. It learned from the answers in
`tests/pipeline/recording/answers.tsv`, in 35 languages; `python -m benchmarks.refusals --write`
made `refusals.tsv` of them, which says what each feature adds.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

Refusal = Literal["refused", "no_image", "error"]
"""`error`: what a server says whose proxy passes it on as an answer ("Service Unavailable")."""

LOOKED_AT = 400
"""Characters: nobody describes a photo for so long before they decline to."""

LONGEST = 5
"""Letters of a feature within a word; six found no more."""

SURE = 0.7
"""Probability from which on an answer is a refusal. One that is taken for it is asked for again."""

BIAS = "*"
"""The first line of the weights, in place of a feature."""

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|『[^』]*』|‹[^›]*›')
_QUOTES = frozenset('"“”„«»‘「」')
_NO_ANSWER = re.compile(
    r"\W*(?:n/?a|nan|nil|null|undefined|\[object object\]|<image>|\[image\]"
    r"|no (?:caption|description))\W*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[«?!]")
_LONGEST_WORD = 20


def refusal_in(text: str) -> Refusal | None:
    """Whether a text declines to describe (`refused`), saw no image, or is a server's error."""
    if _NO_ANSWER.fullmatch(text):
        return "refused"
    weights, words = _weights(), _words(text)
    found = {pair for pair in _pairs(words) if pair in weights}.union(*map(_telling_runs, words))
    known = [weights[feature] for feature in found]
    length = math.hypot(*[rarity for rarity, *_ in known]) or 1.0
    _, declines, saw_nothing, failed = weights[BIAS]
    if declines + sum([each[1] for each in known]) / length < math.log(SURE / (1 - SURE)):
        return None
    blind = saw_nothing + sum([each[2] for each in known]) / length
    error = failed + sum([each[3] for each in known]) / length
    if max(blind, error) <= 0:
        return "refused"
    return "error" if error > blind else "no_image"


def features(text: str) -> set[str]:
    """What an answer is judged by: runs of letters in words, and words that follow each other."""
    words = _words(text)
    return {run for word in words for run in _runs(word)}.union(_pairs(words))


def _words(text: str) -> list[str]:
    """The words of an answer.

    What stands between quotation marks is read in the picture: one mark stands for it. But where
    all is between them, they mean nothing.
    """
    text = text.strip()
    if text[:1] in _QUOTES and text[-1:] in _QUOTES:
        text = text[1:-1]
    said = unicodedata.normalize("NFKC", text[:LOOKED_AT]).replace("’", "'")
    return _WORD.findall(re.sub(r"\d+", "0", _QUOTED.sub(" « ", said).casefold()))


def _pairs(words: Sequence[str]) -> Iterator[str]:
    return map(" ".join, pairwise(word[:_LONGEST_WORD] for word in words))


def _runs(word: str) -> Iterator[str]:
    padded = f" {word} "
    for size in range(2, LONGEST + 1):
        yield from (padded[start : start + size] for start in range(len(padded) - size + 1))


@lru_cache(maxsize=20_000)
def _telling_runs(word: str) -> frozenset[str]:
    """The runs that have a weight; captions share words, and nearly all the time was in here."""
    return frozenset(_weights().keys() & set(_runs(word)))


@cache
def _weights() -> dict[str, tuple[float, float, float, float]]:
    """By feature: how rare it is, what it adds for no caption, and then for `no_image`, `error`."""
    lines = Path(__file__).with_name("refusals.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {
        name: (float(rare), float(no), float(blind), float(error))
        for name, rare, no, blind, error in rows
    }
