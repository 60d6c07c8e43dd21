"""The one model of structured fields, shared by every backend: what each field is and may hold.

What a strict JSON schema cannot say in all providers' dialects (lengths, counts, ranges) is checked
here. Put right without a word: white space, case, duplicates, what is too long or too many. A fault
that only the model can mend raises: nothing said, a wrong type, a number out of its range.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

MAX_TITLE = 100
MAX_SUMMARY = 500
LEAST_TAGS = 3
MAX_PLACES = 3
MAX_ACTIVITIES = 5
MAX_OBJECTS = 10
UNKNOWN = "unknown"


_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text without line breaks, margins, runs of white space and halves of an emoji."""
    return " ".join(_HALF_CHARACTERS.sub("", text).split())


def cut_at_word(text: str, limit: int) -> str:
    """At most `limit` characters, ending with a whole word where there is one."""
    if len(text) <= limit:
        return text
    space = text.rfind(" ", 0, limit + 1)
    cut = text[:space] if space > 0 else text[:limit]
    return cut.rstrip(" ,;:-") or text[:limit]


def clean_tag(tag: str) -> str:
    """A tag in lower case on one line, without the mark of a hashtag; possibly empty."""
    return one_line(tag).lstrip("# ").lower()


def _said(text: str) -> str:
    text = one_line(text)
    if not text:
        raise ValueError("is empty")
    return text


def _distinct(texts: list[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _tags(tags: list[str], info: ValidationInfo) -> list[str]:
    """The context holds `most` and `least`: the least depends on whether it was asked before.

    Where there is a vocabulary, `sort` is its, and `outside` takes what is not in it; of `strict`
    ones none need be there, but a list of nothing else is asked about again.
    """
    context: dict[str, Any] = info.context or {}
    least, most = context.get("least", 1), context.get("most", len(tags))
    sort: Callable[[Iterable[str]], tuple[list[str], list[str]]] | None = context.get("sort")
    if sort is None:
        found = _distinct([clean_tag(tag) for tag in tags])
    else:
        found, outside = sort(one_line(tag).lstrip("# ") for tag in tags)
        context["outside"].extend(outside)
        if context["strict"]:
            if outside and not found and not context["asked_before"]:
                raise ValueError("none of them is one of the words listed; [] if none fits")
            return found[:most]
    if len(found) < least:
        raise ValueError(f"{len(found)} different, {least} to {most} were asked for")
    return found[:most]


def _share(number: float) -> float:
    if not 0 <= number <= 1:  # a NaN is no share either
        raise ValueError("is not between 0 and 1")
    return number


def _count(number: int) -> int:
    if not 0 <= number < 1_000_000:
        raise ValueError("is no number of people")
    return number


def _word(value: object) -> object:
    """Models write `Fall` and `Summer` where no schema holds them to the listed words."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return {"fall": "autumn", "": UNKNOWN}.get(word, word)


def _title(text: str) -> str:
    return cut_at_word(_said(text), MAX_TITLE)


def _summary(text: str) -> str:
    return cut_at_word(_said(text), MAX_SUMMARY)


def _supposed(text: str) -> str:
    return one_line(text) or UNKNOWN


def _at_most(limit: int) -> AfterValidator:
    def cut(values: list[Any]) -> list[Any]:
        return values[:limit]

    return AfterValidator(cut)


Line = Annotated[str, AfterValidator(one_line)]
Said = Annotated[str, AfterValidator(_said)]
Title = Annotated[str, AfterValidator(_title)]
Summary = Annotated[str, AfterValidator(_summary)]
Tags = Annotated[list[str], AfterValidator(_tags)]
Supposed = Annotated[str, AfterValidator(_supposed)]
Share = Annotated[float, AfterValidator(_share)]
Lines = Annotated[list[Line], AfterValidator(_distinct)]
Season = Annotated[
    Literal["spring", "summer", "autumn", "winter", "unknown"], BeforeValidator(_word)
]
TimeOfDay = Annotated[
    Literal["dawn", "morning", "midday", "afternoon", "evening", "night", "unknown"],
    BeforeValidator(_word),
]


class Part(BaseModel):
    """A part of an answer; what was not asked for is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Supposition(Part):
    """What is supposed, and how sure the model is (0 to 1)."""

    value: Supposed
    confidence: Share


class Reading(Part):
    """What is written in the photo; empty if nothing is."""

    value: Line
    confidence: Share


class Count(Part):
    """How many."""

    value: Annotated[int, AfterValidator(_count)]
    confidence: Share


class Activities(Part):
    """What is being done."""

    value: Annotated[Lines, _at_most(MAX_ACTIVITIES)]
    confidence: Share


class Objects(Part):
    """Which things can be seen."""

    value: Annotated[Lines, _at_most(MAX_OBJECTS)]
    confidence: Share


class SeasonGuess(Part):
    """The time of the year."""

    value: Season
    confidence: Share


class TimeOfDayGuess(Part):
    """The time of the day."""

    value: TimeOfDay
    confidence: Share


class Quality(Part):
    """How good the picture is as a photograph."""

    score: Share
    note: Line
    confidence: Share


class PhotoFields(Part):
    """All of `--fields full`; the descriptions are put to the model."""

    caption: Said = Field(description="the description asked for above")
    title: Title = Field(description=f"a title of at most {MAX_TITLE} characters")
    tags: Tags = Field(description="TAGS keywords in lower case, the most telling first")
    summary: Summary = Field(
        description=f"all that can be seen, in at most {MAX_SUMMARY} characters"
    )
    scene: Supposition = Field(description="the kind of place, in one to three words")
    places: Annotated[list[Supposition], _at_most(MAX_PLACES)] = Field(
        description=f"where it may have been taken: up to {MAX_PLACES} guesses, the likeliest "
        "first; [] if nothing tells"
    )
    people_count: Count = Field(description="how many people can be seen")
    activities: Activities = Field(
        description=f"what people or animals do, at most {MAX_ACTIVITIES}; [] if nothing"
    )
    objects: Objects = Field(description=f"the things that matter, at most {MAX_OBJECTS}")
    text_in_image: Reading = Field(
        description="what is written in the photo, word for word; empty if nothing is"
    )
    season: SeasonGuess = Field(description="the season")
    time_of_day: TimeOfDayGuess = Field(description="the time of day")
    date_estimate: Supposition = Field(
        description="when it was taken, as a year or a span such as '1990-1995', or 'unknown'"
    )
    mood: Supposition = Field(description="the mood, in one to three words")
    quality: Quality = Field(
        description="score: how good the photograph is technically; note: why, in a few words"
    )


FIELD_NAMES = tuple(PhotoFields.model_fields)
"""In the order in which they are asked for and written down."""
