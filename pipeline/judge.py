"""Turns an answer, or the lack of one, into a journal record."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import msgspec

from backends.base import Caption
from backends.fields import FieldsAsked
from errors import (
    MAX_ERROR_MESSAGE,
    CorruptImageError,
    ModelError,
    PhotoError,
    Status,
    TransientError,
    Usage,
)
from image_loader import LoadedImage
from journal import Record, RecordError, utc_now
from pipeline.prices import usage_of
from pipeline.selection import Identity
from pipeline.walk import Photo

_WHITE_SPACE = re.compile(r"\s+")
_PICTURE = r"(?:image|photo|photograph|picture|snapshot)"
_SHOWS = r"(?:shows|depicts|displays|features|captures|portrays|presents|illustrates)"
_OPENING = re.compile(
    rf"^(?:(?:this|the) {_PICTURE} (?:{_SHOWS}|is of|is showing)|in (?:this|the) {_PICTURE},)"
    r"(?: us)?:? +(?=\S)",
    re.IGNORECASE,
)
_URL_QUERY = re.compile(r"(\w+://[^\s?'\"]*)\?[^\s'\"]*")
_QUOTED_PATH = re.compile(r"(?<=['\"])/[^'\"]+(?=['\"])")
_BARE_PATH = re.compile(r"(?<![\w.:/-])(?:/[^\s/'\":]+){2,}/?")


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


def success_record(
    photo: Photo, loaded: LoadedImage, caption: Caption, identity: Identity, latency_ms: int
) -> Record:
    """The record of a captioned photo."""
    return Record(
        rel_path=photo.rel_path,
        caption=caption.text,
        status=Status.SUCCESS,
        placeholder=identity.placeholder,
        truncated=loaded.truncated,
        backend=identity.backend,
        model=identity.model,
        model_version=caption.model_version,
        prompt_sha256=identity.prompt_for(photo.rel_path, loaded.content_sha256),
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        input_tokens=caption.input_tokens,
        output_tokens=caption.output_tokens,
        cached_tokens=caption.cached_tokens,
        cost_usd=caption.cost_usd,
        requests=caption.requests,
        latency_ms=latency_ms,
        created_at=utc_now(),
        extra=dict(caption.fields),
    )


def failure_record(
    photo: Photo,
    loaded: LoadedImage,
    error: PhotoError | TransientError,
    identity: Identity,
    latency_ms: int,
) -> Record:
    """The record of a photo for which the backend gave no caption."""
    status = error.status if isinstance(error, PhotoError) else Status.ERROR_API
    return Record(
        rel_path=photo.rel_path,
        caption=None,
        status=status,
        error=RecordError(error.code, _without_places(str(error))),
        placeholder=identity.placeholder,
        truncated=loaded.truncated,
        backend=identity.backend,
        model=identity.model,
        prompt_sha256=identity.prompt_for(photo.rel_path, loaded.content_sha256),
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        latency_ms=latency_ms,
        created_at=utc_now(),
        **(error.usage if isinstance(error, PhotoError) else Usage()),
    )


def _without_places(message: str) -> str:
    """Exceptions of libraries quote URLs, with keys in their queries, and paths with home names."""
    message = _URL_QUERY.sub(r"\1", message)
    message = _QUOTED_PATH.sub("[path]", message)
    return _BARE_PATH.sub("[path]", message)[:MAX_ERROR_MESSAGE]


def corrupt_record(photo: Photo, error: CorruptImageError) -> Record:
    """The image loader's verdict: real whatever the backend, and made by none."""
    return Record(
        rel_path=photo.rel_path,
        caption=None,
        status=Status.ERROR_CORRUPT,
        error=RecordError.of(error),
        size=photo.size,
        mtime_ns=photo.mtime_ns,
        created_at=utc_now(),
    )


def copied_record(photo: Photo, loaded: LoadedImage, source: Record) -> Record:
    """The caption of a photo with the same bytes, at no cost."""
    return replace(
        source,
        rel_path=photo.rel_path,
        copied_from=source.rel_path,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        input_tokens=None,
        output_tokens=None,
        cached_tokens=None,
        cost_usd=None,
        requests=None,
        latency_ms=None,
        created_at=utc_now(),
    )
