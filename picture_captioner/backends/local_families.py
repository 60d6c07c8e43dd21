"""The families of vision models that run in this process, and what is special about each.

One row for each `config.model_type`. A family differs in how the size of a picture is limited
(visual tokens are what a caption costs) and in how it is asked.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from picture_captioner.errors import ConfigurationError

Processor = Any
"""An `AutoProcessor` of transformers: its classes share no typed base."""


class Sizing(enum.Enum):
    """How a family takes a limit on the pixels of a picture."""

    AREA = "any size; one visual token for each square of `unit` pixels"
    EDGE = "scaled to a longer side, then cut into tiles of `unit` pixels"
    TILES = "cut into at most so many tiles of `unit` pixels"
    FIXED = "always scaled to `unit` pixels on both sides"


class Family(NamedTuple):
    """A row of the table.

    `unit` is in pixels on a side, `tokens` how many visual tokens one such square costs.
    `language` names the part of the model that may be quantised; `task` is the prompt of a model
    that knows tasks instead of questions. `overflows` names the part whose numbers grow beyond
    65,504, the largest of float16: on cards without bfloat16 it computes in 32 bit. `windows` names
    the part that attends inside small windows, one call for each if nobody packs them.
    """

    model_type: str
    title: str
    sizing: Sizing
    unit: int
    tokens: int = 1
    language: str = "language_model"
    task: str | None = None
    overflows: str | None = None
    windows: str | None = None


FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family("qwen2_vl", "Qwen2-VL", Sizing.AREA, 28),
        Family("qwen2_5_vl", "Qwen2.5-VL", Sizing.AREA, 28, overflows="visual", windows="visual"),
        Family("qwen3_vl", "Qwen3-VL", Sizing.AREA, 32),
        Family("qwen3_5", "Qwen3.5", Sizing.AREA, 32),
        Family("idefics3", "SmolVLM", Sizing.EDGE, 384, 81, language="text_model"),
        Family("smolvlm", "SmolVLM2", Sizing.EDGE, 384, 81, language="text_model"),
        Family("internvl", "InternVL", Sizing.TILES, 448, 256),
        Family("gemma3", "Gemma 3", Sizing.FIXED, 896, 256),
        Family("florence2", "Florence-2", Sizing.FIXED, 768, 577, task="<MORE_DETAILED_CAPTION>"),
    )
}

MIN_VISUAL_TOKENS = 16
"""A smaller picture is scaled up to as many: below, models see little more than its colours."""

_TASK = re.compile(r"<[A-Z_]+>")


def family_of(model_type: str) -> tuple[Family, bool]:
    """The row of a model type, and whether it is one of the table.

    A type that transformers itself knows as image-text-to-text is tried without a pixel limit.

    Raises:
        ConfigurationError: transformers has no class for it; the message lists the families.
    """
    if model_type in FAMILIES:
        return FAMILIES[model_type], True
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN,
    )

    if model_type not in KNOWN:
        titles = ", ".join(sorted({family.title for family in FAMILIES.values()}))
        raise ConfigurationError(
            f"a model of type {model_type!r} cannot be run in this process (families: {titles}). "
            "Choose another --model, or serve it with Ollama or vLLM and use --backend ollama or "
            "--backend compatible"
        )
    return Family(model_type, model_type, Sizing.FIXED, 0, tokens=1024), False


def limit_pixels(processor: Processor, family: Family, max_pixels: int) -> dict[str, Any]:
    """What the image processor must be told so that no picture costs more than `max_pixels`.

    `max_pixels` is an area. Pictures are never cut to fit; they are scaled.
    """
    images = processor.image_processor
    if family.sizing is Sizing.AREA:
        square = family.unit**2
        return {"size": {"shortest_edge": MIN_VISUAL_TOKENS * square, "longest_edge": max_pixels}}
    if family.sizing is Sizing.EDGE:
        tile = int(images.max_image_size["longest_edge"])
        edge = max(tile, int(max_pixels**0.5) // tile * tile)
        return {"size": {"longest_edge": min(edge, int(images.size["longest_edge"]))}}
    if family.sizing is Sizing.TILES:
        most = max(1, max_pixels // family.unit**2)
        return {"max_patches": min(most, int(images.max_patches)), "min_patches": 1}
    return {}


def visual_tokens(family: Family, max_pixels: int) -> int:
    """How many visual tokens a photo costs at most."""
    if family.sizing is Sizing.AREA:
        return max(MIN_VISUAL_TOKENS, max_pixels // family.unit**2)
    if family.sizing is Sizing.FIXED:
        return family.tokens
    tiles = max(1, max_pixels // family.unit**2)
    return family.tokens * (tiles + (tiles > 1))  # and the whole picture, small, beside its tiles


def same_length(family: Family, size: tuple[int, int], max_pixels: int) -> Hashable:
    """Pictures for which this is equal cost the same number of tokens.

    That number, where it follows from the size alone (as `limit_pixels` has it scaled: the sides to
    whole squares, the area between its limits); the same for all, or the size itself, elsewhere.
    """
    if family.sizing is Sizing.FIXED:
        return family.tokens
    if family.sizing is not Sizing.AREA:
        return size
    unit, area = family.unit, math.prod(size)
    squares = [round(side / unit) for side in size]
    pixels, least = math.prod(squares) * unit**2, MIN_VISUAL_TOKENS * unit**2
    if pixels > max_pixels:
        shrink = math.sqrt(area / max_pixels)
        squares = [max(1, math.floor(side / shrink / unit)) for side in size]
    elif pixels < least:
        grow = math.sqrt(least / area)
        squares = [math.ceil(side * grow / unit) for side in size]
    return math.prod(squares)


def prompt_text(processor: Processor, family: Family, question: str) -> str:
    """The text that goes into the tokenizer, with the place of the picture marked.

    Raises:
        ConfigurationError: the model comes without a chat template.
    """
    if family.task is not None:
        return question if _TASK.fullmatch(question) else family.task
    content = [{"type": "image"}, {"type": "text", "text": question}]
    if not getattr(processor, "chat_template", None):
        raise ConfigurationError(
            "this model comes without a chat template, so it was not made to answer questions; "
            "choose one whose name ends in Instruct or -it"
        )
    text: str = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=False,
        enable_thinking=False,  # Qwen3.5's template reads it; the others have no such variable
    )
    return text


def prompt_texts(processor: Processor, family: Family, questions: Sequence[str]) -> list[str]:
    """`prompt_text` of each question, rendered once where they are equal."""
    known = {question: prompt_text(processor, family, question) for question in set(questions)}
    return [known[question] for question in questions]
