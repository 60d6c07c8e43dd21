"""The journal records of a caption, a failure, a verdict and a copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from picture_captioner.backends.base import Caption
from picture_captioner.backends.fields import OUTSIDE
from picture_captioner.errors import (
    MAX_ERROR_MESSAGE,
    CorruptImageError,
    PhotoError,
    Status,
    TransientError,
    Usage,
)
from picture_captioner.foreign_text import all_without_secrets, clean
from picture_captioner.image_loader import LoadedImage
from picture_captioner.journal import Record, RecordError, utc_now
from picture_captioner.pipeline.asking.prices import usage_of
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo


def success_record(
    photo: Photo, loaded: LoadedImage, caption: Caption, identity: Identity, latency_ms: int
) -> Record:
    """The record of a captioned photo."""
    return Record(
        rel_path=photo.rel_path,
        caption=all_without_secrets(caption.text),
        status=Status.SUCCESS,
        placeholder=identity.placeholder,
        truncated=loaded.truncated,
        backend=identity.backend,
        model=identity.model,
        model_version=all_without_secrets(caption.model_version),
        prompt_sha256=identity.prompt_for(photo.rel_path, loaded.content_sha256),
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        latency_ms=latency_ms,
        created_at=utc_now(),
        extra=_extra(caption),
        **usage_of(caption),
    )


def _extra(caption: Caption) -> dict[str, Any]:
    """The structured fields. Of tags that a vocabulary refused only the number is kept."""
    fields: dict[str, Any] = all_without_secrets(dict(caption.fields))
    if outside := fields.pop(OUTSIDE, None):
        fields[OUTSIDE] = len(outside)
    return fields


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
        error=RecordError(error.code, clean(str(error), MAX_ERROR_MESSAGE)),
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


SAME_BYTES, SAME_SHOT = "same_bytes", "same_shot"
"""Why a caption was copied: the files are one, or a RAW and the JPEG that was taken with it."""


class SeenBytes(NamedTuple):
    """A file's bytes as somebody saw them who did not decode them."""

    content_sha256: str
    size: int
    mtime_ns: int


def copied_record(
    photo: Photo, loaded: LoadedImage | SeenBytes, source: Record, because: str = SAME_BYTES
) -> Record:
    """The caption of a photo with the same bytes, or of the same shot, at no cost."""
    return replace(
        source,
        rel_path=photo.rel_path,
        copied_from=source.rel_path,
        copied_because=because,
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        input_tokens=None,
        output_tokens=None,
        cached_tokens=None,
        cache_write_tokens=None,
        cache_write_1h_tokens=None,
        service_tier=None,
        batch=False,
        batch_job=None,
        cost_usd=None,
        requests=None,
        latency_ms=None,
        created_at=utc_now(),
    )
