"""The question put to a model: the prompt, the language and what may be said about the photo."""

from __future__ import annotations

from collections.abc import Sequence

from backends.base import BackendSettings


def question(settings: BackendSettings, hints: Sequence[str]) -> str:
    """The text that goes with a photo; `hints` are tags, empty unless the user asked for them."""
    parts = [settings.prompt]
    if settings.language:
        parts.append(f"Answer in this language: {settings.language}.")
    if hints:
        tags = ", ".join(" ".join(hint.split()) for hint in hints)
        parts.append(f"Tags that somebody gave this photo, which may be wrong: {tags}.")
    return "\n\n".join(parts)
