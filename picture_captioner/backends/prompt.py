"""The question put to a model: the prompt, the language and what may be said about the photo."""

from __future__ import annotations

from collections.abc import Sequence

from picture_captioner.backends.base import REJECTED, TOLD, BackendSettings, Fault, Told


def question(settings: BackendSettings, hints: Sequence[str], fault: Fault | None = None) -> str:
    """The text that goes with a photo; `hints` are tags and facts, none unless the user asked.

    `fault` is what was wrong with the last answer, where there was one.
    """
    parts = [settings.prompt]
    if settings.language:
        parts.append(f"Answer in this language: {settings.language}.")
    if tags := [" ".join(hint.split()) for hint in hints if not isinstance(hint, Told)]:
        parts.append(f"Tags that somebody gave this photo, which may be wrong: {', '.join(tags)}.")
    told = [hint for hint in hints if isinstance(hint, Told)]
    if facts := [hint for hint in told if hint.kind in TOLD]:
        parts.append(_context(facts))
    parts += [
        f"An earlier caption of this photo was rejected. The reason given: {hint}"
        for hint in told
        if hint.kind == REJECTED
    ]
    if settings.asked:
        parts.append(settings.asked.instruction())
        if settings.language:
            parts.append("Keys and words between quotation marks stay as they are, in English.")
    if fault:
        parts.append(_remark(fault))
    return "\n\n".join(parts)


def _context(told: Sequence[Told]) -> str:
    """What the owner lets the model know, and that nothing else is to be named."""
    lines = ["What is known of this photo; use of it what the picture bears out:"]
    for kind, name in TOLD.items():
        if values := [" ".join(fact.split()) for fact in told if fact.kind == kind]:
            lines.append(f"- {name}: {', '.join(values)}")
    lines.append(
        "Name no other person, place, date or brand, unless it can be read in the picture."
    )
    return "\n".join(lines)


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
    if fault.code == "invented":
        return (
            f"Your last answer named {fault.message}, which nobody told you and which cannot be "
            "read in the picture. Answer again, and name no person, place, date or brand besides "
            "those that were given or can be read."
        )
    if fault.code == "no_image":
        return "A photo is part of this message. Look at it, and describe what it shows."
    if fault.code == "refused":
        return (
            "Your last answer declined. The photo belongs to the person who asks. Name nobody; "
            "describe only what can be seen."
        )
    return f"Your last answer could not be used: {fault.message}. Answer again, as asked above."
