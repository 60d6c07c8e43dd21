"""Judges an answer: a caption that may be stored as finished, or the reason why not."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import msgspec

from picture_captioner.backends.base import Caption
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.errors import (
    ModelError,
)
from picture_captioner.pipeline.asking.prices import usage_of

_WHITE_SPACE = re.compile(r"\s+")
_PICTURE = r"(?:image|photo|photograph|picture|snapshot)"
_SHOWS = r"(?:shows|depicts|displays|features|captures|portrays|presents|illustrates)"
_OPENING = re.compile(
    rf"^(?:(?:this|the) {_PICTURE} (?:{_SHOWS}|is of|is showing)|in (?:this|the) {_PICTURE},)"
    r"(?: us)?:? +(?=\S)",
    re.IGNORECASE,
)


def judge_answer(
    answer: object, asked: FieldsAsked | None = None, *, asked_before: bool = False
) -> Caption:
    """A caption that may be stored as finished, with the fields that were asked for.

    `asked_before` is whether a first answer could not be used (`FieldsAsked.check`).

    Raises:
        ModelError: `empty`, `not_json` or `validation`, with what the answer cost; it is never
            stored as a finished caption.
    """
    if isinstance(answer, str):
        answer = Caption(answer)
    if not isinstance(answer, Caption) or not isinstance(answer.text, str | None):
        raise ModelError("the backend returned neither a text nor a Caption", code="validation")
    _check_writable(answer)
    if asked is not None:
        answer = _with_fields(answer, asked, asked_before=asked_before)
    text = without_opening(_WHITE_SPACE.sub(" ", answer.text or "").strip())
    if not text and not answer.fields:
        raise ModelError(
            "the model returned an empty caption", code="empty", usage=usage_of(answer)
        )
    return replace(answer, text=text or None)


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
        error.usage = usage_of(answer)
        raise
    return replace(answer, text=fields.pop("caption"), fields=fields)


def without_opening(text: str) -> str:
    """The caption without the phrase that every caption of some models begins with."""
    rest = _OPENING.sub("", text, count=1)
    return rest[:1].upper() + rest[1:] if rest != text and rest else text


def _check_writable(answer: Caption) -> None:
    """Refuse what the journal would refuse (a NaN, a set): there it would end the whole run."""
    try:
        msgspec.convert(vars(answer), Caption)
        json.dumps(vars(answer), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"the backend's answer is not valid: {error}", code="validation") from None
