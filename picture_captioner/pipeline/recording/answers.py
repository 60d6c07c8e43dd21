"""Judges an answer: a caption that may be stored as finished, or the reason why not.

Small models wrap a caption into a Markdown fence, a label, quotation marks or JSON that nobody
asked for: that comes off (`packaging.py`). Others fall into a loop, or print one token for ever (a
bad quantisation, a wrong chat template): no part of that is a caption (`is_broken`). Nor is what a
proxy or a server says in a model's place: an error page, data (`forms.py`), a sentence about
requests (`refusals.py`).

What is stored is judged by the same rule (`fault_in`): a journal may be older than a part of it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from PIL.Image import Image

from picture_captioner.backends.base import DEFAULT_PROMPT, Caption
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.errors import ModelError, RefusedInWordsError
from picture_captioner.journal.record import says_something
from picture_captioner.pipeline.recording.blank import tells_blank
from picture_captioner.pipeline.recording.forms import LABEL, LOOKED_AT, form_of, may_be_wanted
from picture_captioner.pipeline.recording.packaging import unpacked
from picture_captioner.pipeline.recording.refusals import refusal_in


def judge_answer(
    answer: object,
    asked: FieldsAsked | None = None,
    *,
    asked_before: bool = False,
    max_tokens: int = 0,
    image: Image | bool | None = None,
    prompt: str | None = DEFAULT_PROMPT,
    language: str | None = None,
) -> Caption:
    """A caption that may be stored as finished, with the fields that were asked for.

    Args:
        asked_before: whether a first answer could not be used (`FieldsAsked.check`).
        max_tokens: how long an answer was asked for.
        image: as it was sent, or whether it was blank: of such a one an answer may say so.
        prompt: what was asked, None if that is not known; whoever gives it back captions nothing.
        language: the one that was asked for; None is that of the prompt.

    Raises:
        ModelError: `empty`, `broken`, `refused`, `no_image`, `not_json`, `too_long` or
            `validation`, with what the answer cost; it is never stored as a finished caption.
    """
    if isinstance(answer, str):
        answer = Caption(answer)
    if not isinstance(answer, Caption) or not isinstance(answer.text, str | None):
        raise ModelError("the backend returned neither a text nor a Caption", code="validation")
    _check_writable(answer)
    _check_length(answer, max_tokens)
    if asked is not None:
        answer = _with_fields(answer, asked, asked_before=asked_before)
    ours = prompt == DEFAULT_PROMPT
    said = _behind(prompt, without_reasoning(answer.text or ""))
    text = unpacked(said, alone=ours, english=(language or "en").casefold().startswith("en"))
    if not says_something(text, answer.fields):
        raise ModelError("the model returned an empty caption", code="empty", usage=answer.usage)
    fault = fault_in(text, answer.fields, wants_prose=ours)
    if fault is not None and fault.code in _OF_THE_PHOTO and image and tells_blank(text, image):
        answer, fault = replace(answer, fields={**answer.fields, BLANK: True}), None
    if fault is None and prompt and _echoes(text, prompt):
        fault = ModelError("the model gave the question back", code="broken")
    if fault is None and ours and _BREAKS_OFF.search(text):
        fault = ModelError(f"the answer stops in mid-sentence: {_quoted(text)}", code="truncated")
    if fault is not None:
        fault.usage = answer.usage
        raise fault
    return answer if text == answer.text else replace(answer, text=text or None)


BLANK = "blank"
"""The field that marks the caption of a blank photo: without the picture nobody could judge it."""

_OF_THE_PHOTO = {"no_image", "refused"}

_ECHO = 20
"""Characters from which on an answer that the question begins with is an echo."""

_BREAKS_OFF = re.compile(
    r"(?:,|(?<![:;-])\(|(?<=[^\W\d] )(?:the|its|their|und|oder|et|une))$"
    r"|^(?=(?:An?|The) |.* (?:the|are|with|of) ).*(?<=[^\W\d] )(?:an?|and|or)$"
)
"""No caption ends so; in `Der Hund schaut sie an` and `une bague en or` the words are others."""

_DESCRIPTIONS = ("title", "summary")
"""Fields in which a model speaks; `text_in_image` holds what others wrote."""

_QUOTED = 120
"""Characters of an answer that its verdict quotes."""


def fault_in(
    caption: str | None, fields: Mapping[str, Any], *, wants_prose: bool = False
) -> ModelError | None:
    """Why this is no caption, though it is a text; else None.

    `broken` is what says nothing of a photo, `empty` a label alone; `refused` or `no_image`.

    Args:
        caption: as it is, or would be, stored.
        fields: the other fields of the record; those of no description are passed over.
        wants_prose: whether our own question was asked. Another may want a number, tags or JSON.
    """
    if caption and (form := form_of(caption)) and (wants_prose or not may_be_wanted(form, caption)):
        code = "empty" if form == LABEL or _NO_VALUE.search(caption) else "broken"
        return ModelError(f"the answer is {form} and no caption: {_quoted(caption)}", code=code)
    for text in (caption, *(fields.get(name) for name in _DESCRIPTIONS)):
        if not isinstance(text, str) or not text:
            continue
        if is_broken(text):
            return ModelError(f"the answer is no text: {_quoted(text)}", code="broken")
        refusal = None if fields.get(BLANK) is True else refusal_in(text)
        if refusal == "error":
            return ModelError(f"the answer is an error message: {_quoted(text)}", code="broken")
        if refusal == "no_image":
            return ModelError(f"the model saw no image: {_quoted(text)}", code=refusal)
        if refusal:
            said = _quoted(text)
            return RefusedInWordsError(f"the model declined to describe this photo: {said}")
    return None


def _quoted(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


def _behind(prompt: str | None, text: str) -> str:
    """What follows the question in an answer that begins with it."""
    if prompt and len(prompt) >= _ECHO and text[: len(prompt)].casefold() == prompt.casefold():
        return text[len(prompt) :].strip() or text
    return text


def _echoes(text: str, prompt: str) -> bool:
    """Whether the question begins with all of the answer."""
    if len(text) < _ECHO or text[:1].casefold() != prompt[:1].casefold():
        return False
    question, answer = (re.findall(r"\w+", said.casefold()) for said in (prompt, text))
    return question[: len(answer)] == answer


def _with_fields(answer: Caption, asked: FieldsAsked, *, asked_before: bool) -> Caption:
    """The fields in their normal form, from the text or as the backend took it apart."""
    text = answer.text or ""
    if not answer.fields and not text.strip():
        return answer
    try:
        if answer.fields:
            values = {"caption": answer.text} | answer.fields
            fields = asked.check(values, asked_before=asked_before)
        else:
            fields = asked.read(text, asked_before=asked_before)
    except ModelError as error:
        error.usage = answer.usage
        raise
    return replace(answer, text=fields.pop("caption"), fields=fields)


def _check_writable(answer: Caption) -> None:
    """Refuse what the journal would refuse (a NaN, a set): there it would end the whole run."""
    try:
        msgspec.convert(vars(answer), Caption)
        json.dumps(vars(answer), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"the backend's answer is not valid: {error}", code="validation") from None


_LONGEST = 8_000
"""Characters of an answer, where no more tokens are asked for than `_A_TOKEN` of these each: four
times what a caption's 256 tokens come to."""
_A_TOKEN = 16
"""Characters: four in English, and a repair may allow four times the tokens."""
_LONGEST_OF_ALL = 1_000_000
"""12 MB in the journal's ASCII at the worst: a line of 16 MiB is damage."""


def _check_length(answer: Caption, max_tokens: int) -> None:
    """Refuse what is far longer than asked for: a server may send a book, and the journal it is."""
    most = min(max(_LONGEST, _A_TOKEN * max_tokens), _LONGEST_OF_ALL)
    found = len(answer.text or "")
    if found > most:  # only then, since it is long: reasoning may be a part of it
        found = len(without_reasoning(answer.text or ""))
    if answer.fields:
        found += len(json.dumps(answer.fields, ensure_ascii=False))
    if found > most:
        raise ModelError(
            f"the answer has {found:,} characters, far more than were asked for",
            code="too_long",
            usage=answer.usage,
        )


_ROLES = {"assistant", "user", "system", "model", "human"}
_NO_VALUE = re.compile(r"(?:caption|description)s?[\"'] ?: ?(?:null|None|[\"'] ?[\"']|\[ ?\])")
_SAYING = {"So", "Sk"}
"""Signs that may stand for words: emoji. No dash, dot or quotation mark does."""
_RUN = re.compile(r"([^\s\-=_*#~.])\1{24}")
_LOST = "\ufffd"
_MOST_LOST = 3


def is_broken(text: str) -> bool:
    """Whether this is no text: marks alone, lost characters, or the same over and over."""
    cut = text[:LOOKED_AT]
    if not any(one.isalnum() or unicodedata.category(one) in _SAYING for one in cut):
        return True
    if cut.strip().lower() in _ROLES or (len(cut) >= 8 and len(set(cut)) <= 2):
        return True
    if cut.count(_LOST) >= _MOST_LOST or _RUN.search(cut):
        return True
    words = [word.strip(".,;:!?").lower() for word in cut.split()]
    if len(words) * 20 >= len(cut):
        return _loops(words, {1: 8, 2: 6, 3: 5}, 24)
    return _loops(cut, {1: 16, 2: 10, 3: 8, 4: 6, 5: 6}, 40)  # no spaces: Chinese, Japanese, Thai


def _loops(units: Sequence[str], times: dict[int, int], longest: int) -> bool:
    """Whether some units in a row come again at once, `times` or 4 times."""
    # Three more of each unit at least: a caption has few that come again.
    repeated = len(units) - len(set(units))
    for period in range(1, min(longest, len(units) // 2, repeated // 3) + 1):
        needed = (times.get(period, 4) - 1) * period
        same = 0
        for before, unit in zip(units, units[period:], strict=False):
            same = same + 1 if before == unit else 0
            if same >= needed:
                return True
    return False
