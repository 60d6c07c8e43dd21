"""Judges an answer: a caption that may be stored as finished, or the reason why not.

What is stored is judged by the same rule (`fault_in`): a journal may be older than a part of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from picture_captioner.backends.base import Caption
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.errors import ModelError, RefusedInWordsError
from picture_captioner.pipeline.asking.prices import usage_of
from picture_captioner.pipeline.recording.packaging import is_broken, unpacked
from picture_captioner.pipeline.recording.refusals import refusal_in


def judge_answer(
    answer: object, asked: FieldsAsked | None = None, *, asked_before: bool = False
) -> Caption:
    """A caption that may be stored as finished, with the fields that were asked for.

    `asked_before` is whether a first answer could not be used (`FieldsAsked.check`).

    Raises:
        ModelError: `empty`, `broken`, `refused`, `no_image`, `not_json` or `validation`, with what
            the answer cost; it is never stored as a finished caption.
    """
    if isinstance(answer, str):
        answer = Caption(answer)
    if not isinstance(answer, Caption) or not isinstance(answer.text, str | None):
        raise ModelError("the backend returned neither a text nor a Caption", code="validation")
    _check_writable(answer)
    if asked is not None:
        answer = _with_fields(answer, asked, asked_before=asked_before)
    text = unpacked(without_reasoning(answer.text or ""))
    if not text and not answer.fields:
        raise ModelError(
            "the model returned an empty caption", code="empty", usage=usage_of(answer)
        )
    if fault := fault_in(text, answer.fields):
        fault.usage = usage_of(answer)
        raise fault
    return replace(answer, text=text or None)


_DESCRIPTIONS = ("title", "summary")
"""Fields in which a model speaks; `text_in_image` holds what others wrote."""

_QUOTED = 120
"""Characters of an answer that its verdict quotes."""


def fault_in(caption: str | None, fields: Mapping[str, Any]) -> ModelError | None:
    """Why this is no caption, though it is a text: `broken`, `refused` or `no_image`; else None.

    Args:
        caption: as it is, or would be, stored.
        fields: the other fields of the record; those of no description are passed over.
    """
    for text in (caption, *(fields.get(name) for name in _DESCRIPTIONS)):
        if not isinstance(text, str) or not text:
            continue
        said = text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
        if is_broken(text):
            return ModelError(f"the answer is no text: {said}", code="broken")
        refusal = refusal_in(text)
        if refusal == "no_image":
            return ModelError(f"the model saw no image: {said}", code=refusal)
        if refusal:
            return RefusedInWordsError(f"the model declined to describe this photo: {said}")
    return None


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


def _check_writable(answer: Caption) -> None:
    """Refuse what the journal would refuse (a NaN, a set): there it would end the whole run."""
    try:
        msgspec.convert(vars(answer), Caption)
        json.dumps(vars(answer), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"the backend's answer is not valid: {error}", code="validation") from None
