"""Takes leaked reasoning out of an answer.

Models that think aloud put it in the answer when the server does not know their template: a
caption must never be a train of thought.
"""

from __future__ import annotations

import re

_NAMES = r"(?:think|thinking|thought|reasoning)"
_OPEN = rf"(?:<{_NAMES}>|◁think▷)"
_CLOSE = rf"(?:</{_NAMES}>|◁/think▷)"
_MARKS = re.compile(rf"({_OPEN})|({_CLOSE})", re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """The answer outside of `<think>...</think>` and its kin, stripped; possibly empty.

    A block that is never closed reaches to the end. One that is never opened reaches back to the
    beginning: some chat templates (Qwen3.5's) put the opening mark into the prompt.
    """
    kept: list[str] = []
    depth, position = 0, 0
    for mark in _MARKS.finditer(text):
        if depth == 0:
            kept.append(text[position : mark.start()])
        if mark[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()
        position = mark.end()
    if depth == 0:
        kept.append(text[position:])
    return "".join(kept).strip()
