"""Who is on the photos, and what is asked about them, as the page unpacks it (assets/people.js)."""

from __future__ import annotations

from collections.abc import Callable

from picture_captioner.report.model import People, Person, Question
from picture_captioner.report.page.columns import Json, integers
from picture_captioner.report.page.thumbnails import NO_THUMBNAIL

Keep = Callable[[bytes | None], bytes]
"""Puts a picture into the page's folder and returns its digest."""


def people_payload(people: People | None, keep: Keep) -> Json:
    """Persons and questions; nothing where nobody is to be shown."""
    if people is None or not people.persons:
        return None
    return {
        "persons": [_person(person, keep) for person in people.persons],
        "questions": [_question(question, keep) for question in people.questions],
        "more": people.more,
    }


def _person(person: Person, keep: Keep) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "faces": person.faces,
        "size": len(person.members),
        "members": integers(person.members),
        "crop": _picture(person.crop, keep),
    }


def _question(question: Question, keep: Keep) -> Json:
    return {
        "about": question.about.value,
        "text": question.text,
        "persons": [*question.persons],
        "photo": question.photo,
        "crop": _picture(question.crop, keep),
        "cosine": question.cosine,
        "answers": [[answer, command] for answer, command in question.answers],
    }


def _picture(webp: bytes | None, keep: Keep) -> str | None:
    digest = keep(webp)
    return None if digest == NO_THUMBNAIL else digest.hex()
