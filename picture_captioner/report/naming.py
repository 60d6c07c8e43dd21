"""What clusters are called: a few words and a caption each, none of them twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from picture_captioner.report.model import Indices

LEAST_WORDS = 2


def cluster_names(keywords: Sequence[Sequence[str]]) -> list[str]:
    """For each cluster, the largest first, as few of its keywords as no other is called by.

    Empty for a cluster without keywords.
    """
    taken: set[str] = set()
    return [_claim(_candidates(words), taken) if words else "" for words in keywords]


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
