"""What a group's captions or tags speak of and others do not, and what the group is called by it.

Keywords are found by class-based TF-IDF (Grootendorst 2022).

M. Grootendorst, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure",
arXiv:2203.05794. A group's captions are one document; the weight of word t in group c is
tf(t, c) * log(1 + A / f(t)), with f the word's frequency in all groups and A the mean number of
words per group.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from picture_captioner.report.model import Indices, ReportPhoto
from picture_captioner.report.words import telling_words

KEYWORDS = 5

COMMON_SHARE = 0.5
"""A word in more than half of all captions is no keyword: the captioner's habit, or a function word
of a language that has no list."""

LEAST_STEM = 4
LONGEST_ENDING = 2
"""`hund`, `hunde`, `hunden`; with shorter words `car` would be `care`."""

ENOUGH_CAPTIONS = 50
"""Fewer say too little about what is common."""


Said: TypeAlias = str | tuple[str, ...]
"""What tells a photo: its caption, or its tags."""

TAGGED_SHARE = 0.5


def what_is_said(photos: Sequence[ReportPhoto], captions: Sequence[str]) -> list[Said]:
    """Of each photo its tags, where most captioned photos have some, else its caption.

    A tag is a noun that somebody chose; of `Tall firs stand close together` each word counts.
    """
    tagged = sum(bool(photo.tags) for photo in photos)
    if tagged < TAGGED_SHARE * max(1, sum(map(bool, captions))):
        return [*captions]
    return [photo.tags or text for photo, text in zip(photos, captions, strict=True)]


def keywords(
    groups: Sequence[Sequence[Said]], count: int = KEYWORDS, *, common_at_need: bool = False
) -> list[tuple[str, ...]]:
    """For each group of captions its most telling words, best first; of equals the first named.

    A word counts once per caption, so that a caption that stammers does not name its group. In a
    group of four captions or more, a word of one caption alone is left out. `common_at_need`: a
    group that has common words alone has those.
    """
    bags = _bags([said for group in groups for said in group])
    frequencies = [Counter(w for _ in group for w in next(bags)) for group in groups]
    total: Counter[str] = Counter()
    for frequency in frequencies:
        total.update(frequency)
    captions = sum(map(len, groups))
    telling = total
    if captions >= ENOUGH_CAPTIONS:
        telling = Counter({w: n for w, n in total.items() if n <= COMMON_SHARE * captions})
    found = []
    for frequency, group in zip(frequencies, groups, strict=True):
        words = _best(frequency, telling, len(groups), len(group), count)
        if common_at_need and not words:
            words = _best(frequency, total, len(groups), len(group), count)
        found.append(words)
    return found


def _bags(said: Sequence[Said]) -> Iterator[list[str]]:
    """Of each photo its tags, whole and in lower case, or the telling words of its caption."""
    captions = iter(telling_words([one for one in said if isinstance(one, str)]))
    for one in said:
        yield (
            next(captions)
            if isinstance(one, str)
            else list(dict.fromkeys(tag.casefold() for tag in one))
        )


def _best(
    frequency: Counter[str], total: Counter[str], groups: int, captions: int, count: int
) -> tuple[str, ...]:
    least = 2 if captions >= 4 else 1
    mean = total.total() / max(1, groups)
    weights = {
        word: number * math.log1p(mean / total[word])
        for word, number in frequency.items()
        if number >= least and word in total
    }
    ranked = sorted(weights, key=lambda word: -weights[word])
    return tuple(_without_overlaps(ranked, count))


def _without_overlaps(ranked: list[str], count: int) -> list[str]:
    """The first words, without other forms of one of them (`boat`, `boats`)."""
    chosen: list[str] = []
    for word in ranked:
        if len(chosen) == count:
            break
        if not any(_one_word(word, other) for other in chosen):
            chosen.append(word)
    return chosen


def _one_word(a: str, b: str) -> bool:
    """Whether the longer is the shorter with an ending; `cathedral` is not a form of `cat`."""
    short, long = sorted((a, b), key=len)
    ending = long.removeprefix(short)
    if ending == long and short:
        return False
    return ending in {"", "s", "es"} or (len(short) >= LEAST_STEM and len(ending) <= LONGEST_ENDING)


LEAST_WORDS = 2


def cluster_names(words_of: Sequence[Sequence[str]]) -> list[str]:
    """For each cluster, the largest first, as few of its keywords as no other is called by.

    Empty for a cluster without keywords.
    """
    taken: set[str] = set()
    return [_claim(_candidates(words), taken) if words else "" for words in words_of]


def speakers_of(members: Sequence[Indices], texts: Sequence[str]) -> list[tuple[int, str]]:
    """For each cluster, the largest first, the photo whose caption speaks for it, and the caption.

    `members` begin with the most typical photo. Where a larger cluster has that caption, the next
    that is nobody's is taken, and the caption with a number if there is none.
    """
    taken: set[str] = set()
    found = []
    for photos in members:
        speaker = next((i for i in photos.tolist() if texts[i] not in taken), int(photos[0]))
        text = texts[speaker]
        found.append((speaker, _claim(_numbered(text), taken) if text else ""))
    return found


def _candidates(words: Sequence[str]) -> Iterator[str]:
    names = [", ".join(words[:n]) for n in range(min(LEAST_WORDS, len(words)), len(words) + 1)]
    yield from (name[:1].upper() + name[1:] for name in names)
    yield from _numbered(names[0][:1].upper() + names[0][1:], 2)


def _numbered(text: str, first: int = 1) -> Iterator[str]:
    number = first
    while True:
        yield text if number == 1 else f"{text} ({number})"
        number += 1


def _claim(candidates: Iterator[str], taken: set[str]) -> str:
    name = next(name for name in candidates if name not in taken)
    taken.add(name)
    return name
