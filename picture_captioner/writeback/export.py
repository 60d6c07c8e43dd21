"""A line for each photo, for other programs and spreadsheets: its caption and what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from picture_captioner.journal.record import Record
from picture_captioner.library.facts import PhotoFacts

GROUPS: Mapping[str, tuple[str, ...]] = {
    "caption": (
        "caption", "title", "tags", "text", "backend", "model", "prompt_sha256", "edited",
        "placeholder", "created_at",
    ),
    "metadata": (
        "width", "height", "captured_at", "captured_from", "camera", "latitude", "longitude",
        "sharpness", "perceptual_hash", "people", "written", "picture_tags",
    ),
    "embedding": ("embedding", "embedding_model"),
}  # fmt: skip
"""What `--only` may name."""
ALWAYS = ("rel_path", "content_sha256")
SPREADSHEET = (
    "rel_path", "caption", "title", "tags", "picture_tags", "captured_at", "camera",
    "content_sha256",
)  # fmt: skip
"""The columns of the CSV: those that `import` reads, and what one needs to know the photo by. Tags
by 'tag' stand apart: else `import` would take them for a human's change."""


def row_of(
    record: Record,
    path: Path | None,
    facts: PhotoFacts | None,
    wanted: Iterable[str],
    embedding: tuple[str, list[float]] | None,
    found: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is known of a photo, without what is not; `wanted` are groups.

    Args:
        path: where it lies; None if no photos directory is known.
        found: what models found in the picture: a caption's own words are not replaced by it.
    """
    row: dict[str, Any] = {"rel_path": record.rel_path} | ({"path": str(path)} if path else {})
    row |= {name: value for name, value in vars_of(record).items() if value is not None}
    row = {name: value for name, value in (found or {}).items() if value} | row
    if facts is not None:
        row |= _facts(facts)
    if embedding is not None:
        row["embedding_model"], row["embedding"] = embedding
    groups = list(wanted)
    names = {name for group in groups or GROUPS for name in GROUPS[group]}
    # By content alone, a patch finds its photo wherever somebody else keeps it.
    keep = names | set(ALWAYS) | ({"path"} if not groups else set())
    known = {name for group in GROUPS.values() for name in group} | {*ALWAYS, "path"}
    return {k: v for k, v in row.items() if k in keep or (k not in known and not groups)}


def vars_of(record: Record) -> dict[str, Any]:
    """The fields of a record that say something of the photo, structured ones included."""
    return {
        "content_sha256": record.content_sha256,
        "caption": record.caption,
        "backend": record.backend,
        "model": record.model,
        "prompt_sha256": record.prompt_sha256,
        "edited": record.edited or None,
        "placeholder": record.placeholder or None,
        "created_at": record.created_at,
        **record.extra,
    }


def _facts(facts: PhotoFacts) -> dict[str, Any]:
    bits = facts.perceptual_hash
    found = {
        "content_sha256": facts.content_sha256,
        "width": facts.width,
        "height": facts.height,
        "captured_at": facts.captured_at,
        "captured_from": str(facts.taken_from) if facts.taken_from else None,
        "camera": facts.camera,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
        "sharpness": facts.sharpness,
        "perceptual_hash": None if bits is None else f"{bits & (2**64 - 1):016x}",
        "written": {
            name: value
            for name in ("exif", "xmp", "iptc")
            if (value := getattr(facts.metadata, name))
        },
    }
    return {name: value for name, value in found.items() if value not in (None, {})}


def identity_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """By which a line counts as written already: the photo, its bytes and the caption's time."""
    return tuple(str(row.get(name, "")) for name in ("rel_path", "content_sha256", "created_at"))
