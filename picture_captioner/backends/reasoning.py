"""Reasoning: how little each model can be made to, the room it needs, and leaks in an answer.

Models that think aloud put it in the answer when the server does not know their template: a
caption must never be a train of thought, and never end in `<|im_end|>`. Thinking costs output
tokens before the first word of a caption. One table is for the models of all providers whose API
does not say how little they can be made to think (Anthropic's does); what is not in it is found out
from the first answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

_NAMES = r"(?:\w{1,9}:)?(?:think|thinking|thoughts?|reasoning)"
_OPEN = (
    rf"(?:<{_NAMES}(?: [^<>]{{0,80}})?>|◁think▷|<\|channel>(?:thought|analysis)?|\A\s*\[THINK\]"
    r"|<\|(?:think|start_thinking|begin_of_thought)\|>)"
)
_CLOSE = (
    rf"(?:</{_NAMES}>|◁/think▷|<channel\|>|\[/THINK\]"
    r"|<\|(?:/think|end_thinking|end_of_thought)\|>)"
)
"""Of Qwen, GLM and most; Seed and MiniMax (`<mm:think>`), Kimi, Gemma 4, Magistral, Cohere."""
_MARKS = re.compile(rf"({_OPEN})|({_CLOSE})", re.IGNORECASE)

_ALOUD = re.compile(
    r"(?:(?:okay|ok|alright|hmm+|got it|well|so|now|wait)\b[,.!…]{0,3}\s+)?(?:so,?\s+)?"
    r"(?:the user (?:wants|needs|asks|asked|is asking|requests"
    r"|has (?:asked|provided|uploaded|given))"
    r"|(?=[^\n]{0,200}\b(?:(?:the|this|that|an?|each|these|user's) (?:\w+ )?"
    r"(?:images?|photos?|pictures?)\b"
    r"(?! (?:walls?|frames?|albums?|books?|booths?|galler|postcards?|exhibit|windows?|collages?))"
    r"|(?:captions?|descri\w+|prompts?)\b))"
    r"(?:let(?:['\u2019]s| me| us) (?:look|analy[sz]e|describe|think|see|examine|start|break|draft)"
    r"|(?:i|we) (?:need|have|must|should|are asked)\b(?: to)? (?:describe|write|produce|create"
    r"|caption|generate|provide|look|come up|give|analy[sz]e)))\b",
    re.IGNORECASE,
)
"""How models begin to think that nobody told to be silent, of a photo or of what to say of it:
`Let's see who catches the bigger fish` is a caption."""
_THOUGHTS = re.compile(
    r"[*#\s]{0,6}(?:(?P<process>here(?:['\u2019]s| is| are) (?:an? |my |the )?"
    r"(?:thinking|thought|reasoning)\b[^\n:]{0,60}"
    r"|(?:thinking|thought|reasoning) (?:process|steps?)|chain[ -]of[ -]thought)"
    r"|thinking|thoughts?|reasoning)\s?\*{0,2}:",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    r"(?:^|\n)[*#\s]{0,6}(?:final |my |suggested )?(?:answer|caption|response|description)"
    r"\*{0,2}:\*{0,2}|\[BEGIN FINAL RESPONSE\]|\bhere is my response:",
    re.IGNORECASE,
)
_STEP = re.compile(r"^\s{0,9}(?:[*•-]|\d{1,2}\.)\s", re.MULTILINE)
_BARE = "thought\n"
"""What is left of Gemma 4's mark where a server drops special tokens, with or without thoughts."""

_FINAL = re.compile(
    r"<\|channel\|>final\b[^<]{0,80}<\|message\|>|^analysis.*?assistantfinal", re.DOTALL
)
_CHANNEL = "<|channel|>"
_BOX = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.DOTALL)
_TURN = re.compile(
    r"(?:<\|im_start\|>|<\|start\|>|<start_of_turn>|<\|start_header_id\|>)\s{0,9}"
    r"(?:assistant|model)\b(?:<\|end_header_id\|>)?"
)
_PROMPTED = re.compile(
    r"\A.*\[/INST\](?=.*\w)"
    r"|\A\s{0,9}(?:<\|im_start\|>|<\|start\|>|<start_of_turn>|<\|start_header_id\|>)\s{0,9}"
    r"(?:system|user)\b.*(?:<\|im_start\|>|<\|start\|>|<start_of_turn>|<\|start_header_id\|>)\s{0,9}"
    r"(?:assistant|model)\b(?:<\|end_header_id\|>)?(?=.*\w)",
    re.DOTALL,
)
"""The question, where the server gives back all that the model was shown."""
_END = re.compile(
    r"<\|(?:im_end|endoftext|end_of_text|eot_id|end|return|eom_id|im_start|start)\|>"
    r"|<(?:end_of_turn|start_of_turn|eos)>|</s>|<\uff5cend\u2581of\u2581sentence\uff5c>"
)
_CONTROL = re.compile(
    r"<\|/?\w{1,40}\|>|<\uff5c[^\uff5c<>]{1,40}\uff5c>|</?(?:s|pad|unk|bos|eos|answer)>|\[/?INST\]"
)


def without_reasoning(text: str) -> str:
    """The answer itself: no reasoning, no control tokens, stripped; possibly empty.

    OpenAI's open models write in channels, of which only `final` is an answer; GLM puts it into a
    box. What comes after the mark that ends a turn was not asked for.
    """
    if _CHANNEL in text or text.startswith("analysis"):
        text = _of_final_channel(text)
    text = _behind_what_is_thought_aloud(_outside_of_thoughts(text))
    if box := _BOX.search(text):
        text = box[1] or text
    text = _TURN.sub("", _PROMPTED.sub("", text, count=1)).lstrip()
    for end in _END.finditer(text):
        if text[: end.start()].strip():
            text = text[: end.start()]
            break
    return _CONTROL.sub("", text).strip()


def _behind_what_is_thought_aloud(text: str) -> str:
    """The answer where a model thinks without marks; nothing if it does not say where that ends.

    An object in JSON is found by its braces, whatever stands before it.
    """
    thoughts, bare = _THOUGHTS.match(text), text.startswith(_BARE)
    if "{" in text or not (thoughts or bare or _ALOUD.match(text)):
        return text
    if given := list(_GIVEN.finditer(text)):
        return text[given[-1].end() :].removesuffix("[END FINAL RESPONSE]").strip()
    rest = (text[thoughts.end() :] if thoughts else text.removeprefix(_BARE)).strip()
    if _ALOUD.match(rest) or _STEP.search(rest):
        return ""
    if thoughts and (thoughts["process"] or "\n" in rest):
        return ""
    return rest if bare else text


def _of_final_channel(text: str) -> str:
    """What follows the last mark of the final channel; nothing if all of it is another one's."""
    marks = list(_FINAL.finditer(text))
    if marks:
        return text[marks[-1].end() :]
    return text.partition(_CHANNEL)[0].removesuffix("<|start|>assistant")


def _outside_of_thoughts(text: str) -> str:
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
"""The first row that matches the beginning of the name counts.

Sources, read on 2026-11-28: OpenAI's model pages and its guides "Reasoning" and "Deployment
checklist" (GPT-6 Luna and Sol take `none`, Astra and 6.1 begin at `low`), xAI's "Reasoning",
Google's "Thinking", python-genai issue 2936 (Gemini 3 refuses a budget of 0). For GPT-6.1 no page
lists the levels; the safe reading is `low`.
"""


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
