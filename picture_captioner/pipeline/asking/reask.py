"""Asks again about a photo whose answer was no caption.

A model that wrote prose where JSON was asked, stopped short, or said nothing often does better when
it is told so; one that declined in words, or saw no image, is asked once more. A provider's filter
is not argued with. The question is put again here and not in a
backend, so that every request meets the pace, the retries and the ceilings that all requests meet,
and what it cost is in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias

from PIL.Image import Image

from picture_captioner.backends.base import (
    DEFAULT_PROMPT,
    REJECTED,
    TOLD,
    Caption,
    CaptionBackend,
    Fault,
)
from picture_captioner.backends.usage import added
from picture_captioner.errors import (
    ApiError,
    FatalError,
    ModelError,
    PhotoError,
    RefusedInWordsError,
    TransientError,
    Usage,
)
from picture_captioner.pipeline.asking.retry import ATTEMPTS, Retrier, RunStopped
from picture_captioner.pipeline.recording.invention import invented
from picture_captioner.pipeline.selecting.hints import Tags

REPAIRS = 2
"""How often a photo is asked about again, at the most."""

_OF_ANY_ANSWER = frozenset({"empty", "broken", "truncated", "reasoning"})
_OF_FIELDS = frozenset({"not_json", "validation"})

_SPOKEN = ("title", "summary")
"""Fields in which a model speaks."""
_MOST_NAMED = 200

Read: TypeAlias = Sequence[str] | None
"""The lines that were read in a photo; None if nobody read it."""

Answer: TypeAlias = Caption | PhotoError | TransientError


class Reasked(NamedTuple):
    """Answers after the repairs, and the seconds these took.

    `fatal` is what ends the run; the answers are to be recorded all the same: they were billed.
    """

    answers: list[Answer]
    seconds: float
    fatal: FatalError | None


class Reasker:
    """Gives an answer that cannot be used up to two more chances."""

    def __init__(
        self,
        backend: CaptionBackend,
        retrier: Retrier[list[Answer]],
        ask_again: Callable[[Image, Tags, Fault], Answer],
        billed: Callable[[Answer, int], Answer],
    ) -> None:
        """`ask_again` judges what it is answered; `billed` adds the cost of so many requests."""
        codes = _OF_ANY_ANSWER | _OF_FIELDS if backend.settings.asked else _OF_ANY_ANSWER
        self._codes: frozenset[str] = frozenset() if backend.placeholder else codes
        self._minds_names = backend.settings.prompt == DEFAULT_PROMPT
        self._retrier = retrier
        self._ask_again = ask_again
        self._billed = billed

    def reask(
        self, images: Sequence[Image], hints: Sequence[Tags], answers: Sequence[Answer]
    ) -> Reasked:
        """The answers, in their order, with those replaced that could be mended.

        A second answer has the cost of the first added to its own, whatever became of it. Where the
        service fails meanwhile, the verdict on the first answer stands.
        """
        mended, seconds = list(answers), 0.0
        for place, (image, tags) in enumerate(zip(images, hints, strict=True)):
            more_tokens = 1
            for repair in range(REPAIRS):
                first = mended[place]
                if not isinstance(first, ModelError) or not self._may_help(first, repair):
                    break
                more_tokens *= 2 if first.code == "truncated" else 1
                fault = Fault(first.code, str(first), more_tokens)
                try:
                    asked = self._retrier.ask(partial(self._ask_in_a_list, image, tags, fault))
                except RunStopped:
                    return Reasked(mended, seconds, None)
                except FatalError as error:
                    return Reasked(mended, seconds, error)
                except (ApiError, TransientError) as error:
                    sent = error.usage if isinstance(error, ApiError) else Usage(requests=ATTEMPTS)
                    first.usage = added(first.usage, sent)
                    break
                second = self._billed(asked.answer[0], asked.attempts)
                mended[place] = with_cost(second, first.usage)
                seconds += asked.seconds
        return Reasked(mended, seconds, None)

    def check_names(
        self, images: Sequence[Image], hints: Sequence[Tags], reasked: Reasked, read: Sequence[Read]
    ) -> Reasked:
        """The answers, those asked for once more that name what was neither told nor is legible.

        What still does is kept, marked as `suspect`. Asked again only where the prompt was ours or
        facts were told: a person's own prompt may want names.

        Args:
            read: for each photo the lines that were read in it; None if nobody read it.
        """
        answers, seconds, fatal = list(reasked.answers), reasked.seconds, reasked.fatal
        for place, (image, tags, lines) in enumerate(zip(images, hints, read, strict=True)):
            first = answers[place]
            if not isinstance(first, Caption) or not (names := invented_in(first, tags, lines)):
                continue
            asks = self._minds_names or any(getattr(tag, "kind", "") in TOLD for tag in tags)
            if asks and self._codes and fatal is None:
                first, took, fatal = self._ask_without(names, image, tags, first)
                seconds += took
                names = invented_in(first, tags, lines)
            marked = {**first.fields, "suspect": names} if names else first.fields
            answers[place] = replace(first, fields=marked)
        return Reasked(answers, seconds, fatal)

    def _ask_without(
        self, names: Sequence[str], image: Image, tags: Tags, first: Caption
    ) -> tuple[Caption, float, FatalError | None]:
        """The second caption, or the first, with the cost of both; seconds; what ends the run."""
        fault = Fault("invented", ", ".join(names)[:_MOST_NAMED])
        try:
            asked = self._retrier.ask(partial(self._ask_in_a_list, image, tags, fault))
        except RunStopped:
            return first, 0.0, None
        except FatalError as error:
            return first, 0.0, error
        except (ApiError, TransientError) as error:
            sent = error.usage if isinstance(error, ApiError) else Usage(requests=ATTEMPTS)
            return _costing(first, sent), 0.0, None
        second = self._billed(asked.answer[0], asked.attempts)
        if isinstance(second, Caption):
            return _costing(second, first.usage), asked.seconds, None
        if isinstance(second, PhotoError):
            first = _costing(first, second.usage)
        return first, asked.seconds, None

    def _may_help(self, error: ModelError, repair: int) -> bool:
        if isinstance(error, RefusedInWordsError) or error.code == "no_image":
            return repair == 0 and bool(self._codes)
        return error.code in self._codes

    def _ask_in_a_list(self, image: Image, tags: Tags, fault: Fault) -> list[Answer]:
        return [self._ask_again(image, tags, fault)]


def invented_in(caption: Caption, tags: Sequence[str], lines: Read) -> list[str]:
    """The names that nobody told; the model's own transcript counts as read."""
    fields = caption.fields
    texts = [caption.text, *(fields.get(name) for name in _SPOKEN)]
    own = str(fields.get("text_in_image") or "")
    told = [tag for tag in tags if getattr(tag, "kind", "") != REJECTED]
    found = [
        name
        for text in texts
        if isinstance(text, str)
        for name in invented(text, (*told, own), lines)
    ]
    return list(dict.fromkeys(found))


def _costing(caption: Caption, spent: Usage) -> Caption:
    return replace(caption, **added(spent, caption.usage))


def with_cost(answer: Answer, spent: Usage) -> Answer:
    """The answer, with what was spent before added to its cost."""
    if isinstance(answer, PhotoError):
        answer.usage = added(spent, answer.usage)
    elif isinstance(answer, Caption) and spent:
        return _costing(answer, spent)
    return answer
