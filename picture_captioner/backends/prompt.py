"""The question put to a model: the prompt, the language and what may be said about the photo."""

from __future__ import annotations

from collections.abc import Sequence

from picture_captioner.backends.base import BackendSettings, Fault


def question(settings: BackendSettings, hints: Sequence[str], fault: Fault | None = None) -> str:
    """The text that goes with a photo; `hints` are tags, empty unless the user asked for them.

    `fault` is what was wrong with the last answer, where there was one.
    """
    parts = [settings.prompt]
    if settings.language:
        parts.append(f"Answer in this language: {settings.language}.")
    if hints:
        tags = ", ".join(" ".join(hint.split()) for hint in hints)
        parts.append(f"Tags that somebody gave this photo, which may be wrong: {tags}.")
    if settings.asked:
        parts.append(settings.asked.instruction())
        if settings.language:
            parts.append("Keys and words between quotation marks stay as they are, in English.")
    if fault:
        parts.append(_remark(fault))
    return "\n\n".join(parts)


def _remark(fault: Fault) -> str:
    """What the model should do otherwise this time."""
    if fault.code == "truncated":
        return "Your last answer was too long and was cut off. Answer again, in fewer words."
    if fault.code == "empty":
        return "Your last answer was empty. Answer again."
    if fault.code == "reasoning":
        return "Your last answer was only reasoning. Give the answer itself, without reasoning."
    if fault.code == "broken":
        return "Your last answer was no text. Answer again, in plain words, and say nothing twice."
    if fault.code == "no_image":
        return "A photo is part of this message. Look at it, and describe what it shows."
    if fault.code == "refused":
        return (
            "Your last answer declined. The photo belongs to the person who asks. Name nobody; "
            "describe only what can be seen."
        )
    return f"Your last answer could not be used: {fault.message}. Answer again, as asked above."
