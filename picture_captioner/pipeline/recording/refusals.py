"""Tells a refusal, and a model that saw no image, from a caption. In words: no provider marks them.

Both open with a few set phrases, and what sounds like them in a caption stands between quotation
marks or behind a verb (`A sign says: I'm sorry, we are closed`). So each sentence is looked at from
its beginning only, without what is quoted, after the apologies in front of it are taken away.
Linear: the text is cut first, every gap in a pattern has a limit, and none begins with one.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import re
from typing import Literal

from picture_captioner.pipeline.recording.refusal_phrases import (
    DESCRIBES,
    LEADS,
    NO_IMAGE,
    NO_IMAGE_ANYWHERE,
    REFUSED,
    REFUSED_AFTER_A_LEAD,
    REFUSED_ANYWHERE,
    WRITTEN_IN_THE_PICTURE,
)

Refusal = Literal["refused", "no_image"]

LOOKED_AT = 600
"""Characters: nobody describes a photo for so long before they decline to."""

_SENTENCES = 4
_LEADS = 5
"""In front of one sentence: `Hello, unfortunately, I'm sorry, but as an AI, ...`."""

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|『[^』]*』|‹[^›]*›')
_QUOTES = frozenset("\"“”„«»'‘’「」")
_SENTENCE_END = re.compile(r"[.!?…。！？|।\n]+\s*")
_LEAD = re.compile(
    rf"(?:{LEADS})(?:(?<=[ '])|(?=\W|$|[\u0e00-\u0e7f\u3000-\u9fff\uac00-\ud7ff]))[\s,:;،、，—–-]*",
    re.IGNORECASE,
)
_WRITTEN = re.compile(WRITTEN_IN_THE_PICTURE, re.IGNORECASE)
_REFUSES = re.compile("|".join(REFUSED), re.IGNORECASE)
_REFUSES_AFTER = re.compile("|".join(REFUSED_AFTER_A_LEAD), re.IGNORECASE)
_DESCRIBES_STILL = re.compile(
    r", (?:but|though|yet) (?:it|he|she|they|there|these|this|the|an?|two|three|several) "
    r"(?!(?:image|photo|picture|request)\b)",
    re.IGNORECASE,
)
"""`I can't identify the exact bird, but it is a small brown one on a branch.`"""
_BLIND = re.compile("|".join(NO_IMAGE), re.IGNORECASE)
_DESCRIBES = re.compile(DESCRIBES, re.IGNORECASE)
_REFUSES_ANYWHERE = re.compile("|".join(REFUSED_ANYWHERE), re.IGNORECASE)
_BLIND_ANYWHERE = re.compile("|".join(NO_IMAGE_ANYWHERE), re.IGNORECASE)


def refusal_in(text: str) -> Refusal | None:
    """Whether a text declines to describe (`refused`), or says that there was no image."""
    text = text.strip()
    if text[:1] in _QUOTES and text[-1:] in _QUOTES:
        text = text[1:-1]  # all of it is between quotation marks, which then mean nothing
    said = _QUOTED.sub(" ", text[:LOOKED_AT].replace("’", "'"))
    found: Refusal | None = None
    described = shown = False
    for sentence in _SENTENCE_END.split(said)[:_SENTENCES]:
        rest, led = _without_leads(sentence.strip(" \t-—*#\"'"))
        shown = shown or _DESCRIBES.match(sentence.strip()) is not None
        blind = _BLIND.match(rest) or (not shown and _BLIND_ANYWHERE.search(sentence))
        declines = (
            _REFUSES.match(rest)
            or (led and _REFUSES_AFTER.match(rest))
            or (not shown and _REFUSES_ANYWHERE.search(sentence))
        )
        if (blind or declines) and _WRITTEN.search(sentence):
            return found
        if blind:
            return "no_image"
        if declines and not described and not _DESCRIBES_STILL.search(sentence):
            found = "refused"
        described = described or bool(rest and found is None)
    return found


def _without_leads(sentence: str) -> tuple[str, bool]:
    """The sentence behind apologies and the like, and whether there were any."""
    rest = sentence
    for _ in range(_LEADS):
        lead = _LEAD.match(rest)
        if lead is None or lead.end() == 0:
            break
        rest = rest[lead.end() :]
    return rest, rest != sentence
