"""How little each model can be made to think, and how much room it needs when it does.

Thinking costs output tokens before the first word of a caption. One table for the models of all
providers whose API does not say it itself (Anthropic's does); what is not in it is found out from
the first answers. Sources, read on 2026-11-28: OpenAI's model pages and its guides "Reasoning" and
"Deployment checklist" (GPT-6 Luna and Sol take `none`, Astra and 6.1 begin at `low`), xAI's
"Reasoning", Google's "Thinking", python-genai issue 2936 (Gemini 3 refuses a budget of 0). For
GPT-6.1 no page lists the levels; the safe reading is `low`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Effort = Literal["none", "minimal", "low", "medium", "high"]

LADDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high")
"""From the least to the most."""

ROOM = 1024
"""Tokens that are added to the answer's for a model that thinks: 256 would be gone before its first
word."""

LITTLE_ROOM = 256
"""For the little that models think at `minimal`."""

MOST_ROOM = 16_384


class Row(NamedTuple):
    """What the models of a family take at the least; `effort` None: they know no such setting."""

    provider: str
    models: re.Pattern[str]
    effort: Effort | None
    budget: int | None = None


def _row(provider: str, models: str, effort: Effort | None, budget: int | None = None) -> Row:
    return Row(provider, re.compile(models), effort, budget)


_PLAIN = r"(?:-(?:mini|nano|luna|terra|sol|\d{4}-\d{2}-\d{2}))*$"
"""Members of a generation; -chat, -pro, -codex and -search take other parameters or none."""

TABLE: tuple[Row, ...] = (
    _row("openai", r"o\d\b", "low"),
    _row("openai", r"gpt-5(?:\.0)?" + _PLAIN, "minimal"),
    _row("openai", r"gpt-6-astra", "low"),
    _row("openai", r"gpt-(?:6\.[1-9]|[7-9]|\d\d)", "low"),
    _row("openai", r"gpt-(?:5\.[1-9]|6)(?:\.\d+)?" + _PLAIN, "none"),
    _row("xai", r"grok-4\.3(?!\d)", "none"),
    _row("xai", r"grok-(?:4\.[4-9]|[5-9])(?!\d)", "low"),
    _row("gemini", r"gemini-(?:1|2\.0)|gemini-(?:pro|flash)-1|gemma", None),
    _row("gemini", r"gemini-2\.5-pro", None, budget=128),  # the smallest that it takes
    _row("gemini", r"gemini-2\.5", None, budget=0),
    _row("gemini", r".*flash-lite", "minimal"),
    _row("gemini", r"gemini-3(?:\.[0-6])?-flash", "minimal"),
    _row("gemini", r"", "low"),  # Flash from 3.7 on and all Pro models refuse `minimal`
)
"""The first row that matches the beginning of the name counts."""


def least(provider: str, model: str) -> Row | None:
    """The row of a model; None where the table does not know it."""
    rows = (row for row in TABLE if row.provider == provider and row.models.match(model))
    return next(rows, None)


def next_effort(refused: str, words: str) -> Effort | None:
    """The level to try after one that was refused; None if there is none.

    Args:
        words: of the refusal; providers list there what they take ("Supported values are: 'low',
            'medium', and 'high'").
    """
    rest = LADDER[LADDER.index(refused) + 1 :] if refused in LADDER else ()
    listed = set(re.findall(r"['\"`](\w+)['\"`]", words.partition("upported values")[2]))
    return next((effort for effort in rest if not listed or effort in listed), None)


class Headroom:
    """Tokens added to an answer's own for thinking, remembered from photo to photo.

    Only the first photo is asked about twice where nobody knew that its model thinks. Any thread
    may learn and read: the worst of a race is one more answer that is cut off.
    """

    def __init__(self, tokens: int = 0) -> None:
        self.tokens = tokens

    def learn(self, thought: int, *, cut_off: bool) -> None:
        """Take note of an answer: the tokens it thought, and whether it ran into the limit."""
        if cut_off and thought:
            self.tokens = min(max(ROOM, 2 * self.tokens), MOST_ROOM)
        elif thought > self.tokens:
            self.tokens = min(2 * thought, MOST_ROOM)


def room_for(effort: str | None) -> int:
    """The room for a level that was chosen; none for `none`."""
    if effort in (None, "none"):
        return 0
    return LITTLE_ROOM if effort == "minimal" else ROOM


def estimated_thought(texts: Sequence[object]) -> int:
    """Tokens of thoughts that came as text, where the server does not count them."""
    return sum(len(text) // 4 + 1 for text in texts if isinstance(text, str) and text.strip())
