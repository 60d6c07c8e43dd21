"""Judges an answer: a caption that may be stored as finished, or the reason why not.

Small models wrap a caption into a Markdown fence, a label, quotation marks or JSON that nobody
asked for: that comes off (`unpacked`). Others fall into a loop, or print one token for ever (a bad
quantisation, a wrong chat template): no part of that is a caption (`is_broken`). Nor is what a
proxy or a server says in a model's place: an error page, data (`forms.py`), a sentence about
requests (`refusals.py`).

What is stored is judged by the same rule (`fault_in`): a journal may be older than a part of it.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from PIL.Image import Image

from picture_captioner.backends.base import DEFAULT_PROMPT, Caption
from picture_captioner.backends.fields import FieldsAsked, find_object
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.errors import ModelError, RefusedInWordsError
from picture_captioner.journal.record import says_something
from picture_captioner.pipeline.recording.blank import tells_blank
from picture_captioner.pipeline.recording.forms import LABEL, LOOKED_AT, form_of, may_be_wanted
from picture_captioner.pipeline.recording.refusals import refusal_in


def judge_answer(
    answer: object,
    asked: FieldsAsked | None = None,
    *,
    asked_before: bool = False,
    max_tokens: int = 0,
    image: Image | bool | None = None,
    prompt: str | None = DEFAULT_PROMPT,
) -> Caption:
    """A caption that may be stored as finished, with the fields that were asked for.

    Args:
        asked_before: whether a first answer could not be used (`FieldsAsked.check`).
        max_tokens: how long an answer was asked for.
        image: as it was sent, or whether it was blank: of such a one an answer may say so.
        prompt: what was asked, None if that is not known; whoever gives it back captions nothing.

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
    text = unpacked(without_reasoning(answer.text or ""))
    if not says_something(text, answer.fields):
        raise ModelError("the model returned an empty caption", code="empty", usage=answer.usage)
    fault = fault_in(text, answer.fields, wants_prose=prompt == DEFAULT_PROMPT)
    if fault is not None and fault.code in _OF_THE_PHOTO and image and tells_blank(text, image):
        answer, fault = replace(answer, fields={**answer.fields, BLANK: True}), None
    if fault is None and prompt and _echoes(text, prompt):
        fault = ModelError("the model gave the question back", code="broken")
    if fault is not None:
        fault.usage = answer.usage
        raise fault
    return answer if text == answer.text else replace(answer, text=text or None)


BLANK = "blank"
"""The field that marks the caption of a blank photo: without the picture nobody could judge it."""

_OF_THE_PHOTO = {"no_image", "refused"}

_ECHO = 20
"""Characters from which on an answer that the question begins with is an echo."""

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


_WRAPPED = 8
"""Wrappings around one another that are taken off."""

_PICTURE = r"(?:image|photo|photograph|picture|snapshot)"
_SHOWS = r"(?:shows|depicts|displays|features|captures|portrays|presents|illustrates)"
_OPENING = re.compile(
    rf"^(?:(?:this|the) {_PICTURE} (?:{_SHOWS}|is showing)|in (?:this|the) {_PICTURE},)"
    r"(?: us)?:? +(?=\S)(?!(?:that|how|why|whether|if|up|off|in|on|at|itself|well|badly|poorly"
    r"|prominently)\b)"
    rf"|^(?:this|the) {_PICTURE} is of +(?!(?:\w+ ){{0,3}}(?:quality|resolution|size|value|interest"
    r"|importance|significance|kind|type|sort|format|nature|origin|beauty|age|standard)\b)(?=\S)",
    re.IGNORECASE,
)
"""What follows it must be a caption by itself: "of poor quality and shows a man" is none."""
_FENCE = re.compile(
    r"^```(?:json|text|txt|plaintext|markdown|md|yaml|xml|html)? ?(.*?) ?```$", re.IGNORECASE
)
_LABEL = re.compile(
    r"^(?:[*_#>-]{1,6} ?)?(?:(?:image|photo|picture|short|suggested|final|generated) ){0,2}"
    r"(?:caption|description|answer|alt text|bildunterschrift|bildbeschreibung|beschreibung|légende"
    r"|leyenda|descripción|pie de foto|didascalia|descrizione|legenda|descrição|подпись|описание"
    r"|图片描述|图片说明|描述|说明|标题|キャプション|説明)(?:[*_]{1,3})? ?[:：]"
    r" ?(?:[*_]{1,3}(?= |$|[\"“]))? ?",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok)[,!.]{0,3} ?)?(?:here(?:'s|’s| is)|below is)"
    r" [^:.!?]{0,60}(?:caption|description|sentence|answer)[^:.!?]{0,60}: ?(?=\S)"
    r"|^(?:hier (?:ist|sind|kommt)|voici|aquí (?:está|tienes|tiene)|ecco|aqui está|segue|вот"
    r"|以下(?:是|は|が))[^:：.!?]{0,40}(?:bildunterschrift|beschreibung|légende|description|leyenda"
    r"|descripción|didascalia|descrizione|legenda|descrição|подпись|описание|描述|说明|キャプション|説明)"
    r"[^:：.!?]{0,20} ?[:：] ?(?=\S)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"^#{1,6} (?:(?:image|photo) )?(?:caption|description|bildunterschrift|beschreibung|légende"
    r"|leyenda|didascalia|legenda)\b[*_]{0,2} (?=\S)",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"^<(caption|description|answer|output|result|p|div|span|b|i|em|strong|figcaption|h[1-6])"
    r"(?: [^<>]*)?> ?(.*\S) ?</\1>$",
    re.IGNORECASE,
)
_NEXT_SPEAKER = re.compile(r"(?<=[.!?\"”]) ?(?:#{2,3} ?)?(?:ASSISTANT|USER|Human|SYSTEM) ?:.*$")
"""A model that was not stopped plays the next turn of the talk."""
_OFFER = re.compile(
    r"(?<=[.!?\"”]) (?:Please )?(?:Let me know if|Would you like (?:me )?|Feel free to ask"
    r"|I hope this|Do you want me)\b(?![^.!?]* (?:written|painted|printed|reads|says))"
    r"[^.!?]{0,120}[.!?]?$"
)
_ROLES = {"assistant", "user", "system", "model", "human"}
_UNSEEN = "\u200b\u2060\ufeff "
_PAIRS = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "`": "`", "**": "**", "__": "__"}
_NAMES = ("caption", "description", "text", "answer", "response", "content")
_NAMED = re.compile(
    r"caption|descri(?!bed)|beschreib|unterschrift|l[ée]gende|leyenda|didascalia|legenda|подпись"
    r"|описание|描述|说明|キャプション|説明|alt_?text|^(?:alt|text|answer|response|content|output|result"
    r"|summary|title)$"
)
_NO_VALUE = re.compile(r"(?:caption|description)s?[\"'] ?: ?(?:null|None|[\"'] ?[\"']|\[ ?\])")
_DEEPEST = 3
_FIRST_LISTED = re.compile(r"^[\[(] ?([\"'])([^\"]+?)\1 ?(?:,.*)?[\])]$")
_UNCLOSED = re.compile(rf'^\{{ ?"(?:{"|".join(_NAMES)})" ?: ?"([^"\\]*[.!?])" ?$', re.IGNORECASE)
"""A last brace is missing, and the sentence is whole."""
_RUN = re.compile(r"([^\s\-=_*#~.])\1{24}")
_LOST = "\ufffd"
_MOST_LOST = 3


def unpacked(text: str) -> str:
    """The caption on one line, without fence, label, quotation marks, JSON and common opening."""
    text = _NEXT_SPEAKER.sub("", " ".join(text.split()).strip(_UNSEEN))
    text = _OFFER.sub("", text)
    for _ in range(_WRAPPED):
        inner = _inner(text)
        if inner == text:
            break
        text = inner
    return text


def _inner(text: str) -> str:
    """The text with one wrapping less; what would leave nothing stays."""
    for pattern in (_ANNOUNCED, _HEADING, _LABEL):
        if rest := pattern.sub("", text, count=1).strip():
            text = rest
    if fence := _FENCE.match(text):
        text = fence[1] or text
    if tagged := _TAGGED.match(text):
        text = tagged[2]
    for left, right in _PAIRS.items():
        if text.startswith(left) and text.endswith(right):
            inner = text[len(left) : -len(right)].strip()
            text = inner if inner and left not in inner else text
    return _without_opening(_from_json(text))


def _from_json(text: str) -> str:
    """The caption in an object that nobody asked for, also where its JSON is nearly right."""
    if text[:1] not in {"{", "[", "("} or len(text) > LOOKED_AT:
        return text
    if listed := _FIRST_LISTED.match(text):
        return listed[2].strip() or text
    said = _said_in(find_object(text), _DEEPEST)
    if said is None and (unclosed := _UNCLOSED.match(text)):
        said = unclosed[1]
    return " ".join(said.split()) or text if said else text


def _said_in(value: object, depth: int) -> str | None:
    """The first text under a name for captions, in an object or one in it; none in a schema."""
    if isinstance(value, list):
        value = next(iter(value), None)
    if isinstance(value, str):
        return value if value.strip() else None
    if not isinstance(value, dict) or not depth or value.get("error") or "properties" in value:
        return None
    named = sorted((n for n in value if _NAMED.search(str(n).lower())), key=_rank)
    nested = (n for n in value if n not in named and isinstance(value[n], dict | list))
    for name in (*named, *(n for n in nested if _objects(value[n]))):
        if (said := _said_in(value[name], depth - 1)) is not None:
            return said
    return None


def _rank(name: str) -> int:
    return _NAMES.index(name) if name in _NAMES else len(_NAMES)


def _objects(value: object) -> bool:
    """Whether an object is in there, and no list of words."""
    return isinstance(value[0] if isinstance(value, list) and value else value, dict)


def _without_opening(text: str) -> str:
    """The caption without the phrase that every caption of some models begins with."""
    rest = _OPENING.sub("", text, count=1)
    if rest == text or not rest or form_of(text) == LABEL:
        return text
    return rest[:1].upper() + rest[1:]


def is_broken(text: str) -> bool:
    """Whether this is no text: marks alone, lost characters, or the same over and over."""
    cut = text[:LOOKED_AT]
    if not any(character.isalnum() or ord(character) > 0x2000 for character in cut):
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
