"""Which words of the library are forms of one, so that the page finds `dog` where `dogs` is sought.

The page has no stemmers. It gets, for each language, the words of its photos that share a stem.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from picture_captioner.library.stems import language_of, stem_of, words_of
from picture_captioner.report.model import ReportPhoto


class WordForms(NamedTuple):
    """The languages, the place of each photo's (-1: no words), and groups of words for each."""

    languages: list[str]
    language: list[int]
    forms: list[list[str]]


def word_forms(photos: Iterable[ReportPhoto]) -> WordForms:
    """The forms that occur; a word that is the only one of its stem is left out."""
    words: dict[str, set[str]] = {}
    spoken: list[str] = []
    for photo in photos:
        parts = (photo.title, photo.caption, *photo.tags, photo.text, photo.more)
        found = words_of(" ".join(filter(None, parts)))
        spoken.append(language_of(found) if found else "")
        words.setdefault(spoken[-1], set()).update(found)
    languages = sorted(name for name in words if name)
    every = set().union(*words.values())
    places = {name: place for place, name in enumerate(languages)}
    return WordForms(
        languages,
        [places.get(name, -1) for name in spoken],
        [_groups(name, every, words[name]) for name in languages],
    )


def _groups(language: str, words: Iterable[str], spoken: Iterable[str]) -> list[str]:
    """Words that share a stem by the rules of a language, one of which its photos have."""
    groups: dict[str, set[str]] = {}
    for word in words:
        stem, plain = stem_of(language, word)
        groups.setdefault(stem, set()).add(plain)
    wanted = {stem_of(language, word)[0] for word in spoken}
    shared = (sorted(group) for stem, group in groups.items() if stem in wanted)
    return sorted(" ".join(group) for group in shared if len(group) > 1)
