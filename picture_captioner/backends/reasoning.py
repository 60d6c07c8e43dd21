"""Takes leaked reasoning and the marks of a chat template out of an answer.

Models that think aloud put it in the answer when the server does not know their template: a
caption must never be a train of thought, and never end in `<|im_end|>`.
"""

from __future__ import annotations

import re

_NAMES = r"(?:think|thinking|thought|reasoning)"
_OPEN = rf"(?:<{_NAMES}>|◁think▷)"
_CLOSE = rf"(?:</{_NAMES}>|◁/think▷)"
_MARKS = re.compile(rf"({_OPEN})|({_CLOSE})", re.IGNORECASE)

_FINAL = re.compile(
    r"<\|channel\|>final\b[^<]{0,80}<\|message\|>|^analysis.*?assistantfinal", re.DOTALL
)
_CHANNEL = "<|channel|>"
_BOX = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.DOTALL)
_TURN = re.compile(
    r"(?:<\|im_start\|>|<\|start\|>|<start_of_turn>|<\|start_header_id\|>)\s{0,9}"
    r"(?:assistant|model)\b(?:<\|end_header_id\|>)?"
)
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
    text = _outside_of_thoughts(text)
    if box := _BOX.search(text):
        text = box[1] or text
    text = _TURN.sub("", text).lstrip()
    for end in _END.finditer(text):
        if text[: end.start()].strip():
            text = text[: end.start()]
            break
    return _CONTROL.sub("", text).strip()


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
