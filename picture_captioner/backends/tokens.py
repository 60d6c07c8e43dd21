"""Tokens: what a photo is expected to take before any was billed, and what an answer says it took.

A picture is counted by the rule that its provider publishes, of the size that is sent; a model that
no rule names is unknown (None), never free. The pages behind the numbers, and their own examples,
are in tests/backends/test_image_tokens.py. Text is estimated from its length, since each vendor's
tokenizer is a package of its own, and a prompt is a twentieth of what the picture takes. What the
model will write is an assumption. What an answer cost is read leniently: a gateway may leave counts
out or write nonsense there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from picture_captioner.backends.base import BackendSettings, ExpectedTokens
from picture_captioner.backends.prompt import question

MediaResolution = Literal["low", "medium", "high", "default"]

_CLAUDE = re.compile(r"\bclaude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")
_CLAUDE_PATCH = 28
_CLAUDE_STANDARD = (1568, 1568)
"""Longer side in pixels, and tokens. Both limits hold; what is larger is shrunk to fit them."""
_CLAUDE_HIGH = (2576, 4784)
"""From Claude 4.7 on."""

_GEMINI = re.compile(r"gemini-([23])(?![0-9])")
_GEMINI_3 = {"low": 280, "medium": 560, "high": 1120, "default": 1120}
_GEMINI_TILE_TOKENS = 258
_GEMINI_2_FLAT = {"low": 64, "medium": 256}

_QWEN_VL = re.compile(r"qwen-?(\d)(?:\.\d)?-?vl")
_QWEN_MARKS = 2
"""One token before the picture and one behind it."""


def patches(width: int, height: int, side: int) -> int:
    """Squares of `side` pixels that cover the picture."""
    return math.ceil(width / side) * math.ceil(height / side)


def anthropic_tokens(width: int, height: int, model: str) -> int | None:
    """Claude: one token for each started square of 28 pixels, after the API shrank the picture."""
    named = _CLAUDE.search(model)
    if named is None:
        return None
    version = (int(named[1]), int(named[2] or 0))
    edge, most = _CLAUDE_HIGH if version >= (4, 7) else _CLAUDE_STANDARD
    return patches(*_claude_size(width, height, edge, most), _CLAUDE_PATCH)


def _claude_size(width: int, height: int, edge: int, most: int) -> tuple[int, int]:
    """The largest size of the same shape within both limits (Anthropic's reference algorithm)."""
    longer, shorter = max(width, height), min(width, height)

    def shrunk(side: int) -> tuple[int, int]:
        return side, max(1, round(shorter * side / longer))

    low, high = 1, min(longer, edge)
    while low < high:
        middle = (low + high + 1) // 2
        fits = patches(*shrunk(middle), _CLAUDE_PATCH) <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return shrunk(low)


def gemini_tokens(
    width: int, height: int, model: str, resolution: MediaResolution = "default"
) -> int | None:
    """Gemini 3: what `media_resolution` allows, whatever the size. Gemini 2: 258 a tile.

    For low and medium resolution Gemini 2 has flat counts. For the others the tiles are counted
    with an edge of 768 pixels at most, as Google's older page has it; the newer one leaves that
    out, which gives fewer tiles for pictures of over 1,152 pixels on the shorter side.
    """
    named = _GEMINI.match(model.removeprefix("models/"))
    if named is None:
        return None
    if named[1] == "3":
        return _GEMINI_3[resolution]
    return _GEMINI_2_FLAT.get(resolution) or _gemini_tiles(width, height) * _GEMINI_TILE_TOKENS


def _gemini_tiles(width: int, height: int) -> int:
    if max(width, height) <= 384:
        return 1
    return patches(width, height, min(max(int(min(width, height) / 1.5), 256), 768))


def qwen_tokens(width: int, height: int, model: str) -> int | None:
    """Qwen-VL, by name, on whatever server: one token a square of 28 pixels (Qwen3-VL: 32).

    Sides are rounded to whole squares, as the models' own processor does. Servers may set a lower
    limit: Ollama shrinks to a million pixels, which is 1,280 tokens with squares of 28.
    """
    named = _QWEN_VL.search(model.lower())
    if named is None:
        return None
    side, least, most = (28, 4, 16_384) if int(named[1]) < 3 else (32, 64, 16_384)
    across, down = max(1, round(width / side)), max(1, round(height / side))
    if not least <= across * down <= most:
        turn = math.floor if across * down > most else math.ceil
        limit = most if across * down > most else least
        scale = math.sqrt(limit * side * side / (width * height))
        across, down = (max(1, turn(edge * scale / side)) for edge in (width, height))
    return across * down + _QWEN_MARKS


_PATCH = 32
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class _Tiles:
    """A base, and so much for each square of 512 pixels; low detail is the base alone."""

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        if detail == "low":
            return self.base
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        squares = patches(max(1, int(width * scale)), max(1, int(height * scale)), 512)
        return self.base + squares * self.tile


@dataclass(frozen=True)
class _Patches:
    """A factor for each square of 32 pixels, after the API shrank the picture.

    `sizes`: for a level of detail the longer side in pixels and the most patches; levels that are
    not there are sized as `auto`.
    """

    factor: float
    sizes: Mapping[str, tuple[int, int | None]]

    def tokens(self, width: int, height: int, detail: str) -> int:
        edge, most = self.sizes.get(detail, self.sizes["auto"])
        scale = min(1.0, edge / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        if most is not None and patches(width, height, _PATCH) > most:
            width, height = _within(width, height, most)
        return math.ceil(patches(width, height, _PATCH) * self.factor)


def _within(width: int, height: int, most: int) -> tuple[int, int]:
    """Shrink to at most so many patches, then on to whole patches on one side (OpenAI's rule)."""
    scale = math.sqrt(_PATCH**2 * most / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    return max(1, int(width * scale)), max(1, int(height * scale))


_OLD = {"auto": (2048, 1536)}
_LARGE = {"auto": (2048, 6144)}
_GPT_5_4 = {"auto": (2048, 2500), "low": (2048, 6144)}
_GPT_5_5 = {"auto": (6000, 10_000), "high": (2048, 2500), "low": (512, None)}
_GPT_5_6 = {"auto": (65_535, None), "high": (2048, 2500), "low": (512, None)}

_MODELS: Mapping[str, _Tiles | _Patches] = {
    "gpt-4o": _Tiles(85, 170),
    "gpt-4.1": _Tiles(85, 170),
    "gpt-4o-mini": _Tiles(2833, 5667),
    "gpt-5": _Tiles(70, 140),
    "gpt-5-chat-latest": _Tiles(70, 140),
    "gpt-5.1": _Tiles(70, 140),
    "o1": _Tiles(75, 150),
    "o1-pro": _Tiles(75, 150),
    "o3": _Tiles(75, 150),
    # The guide gave these 1.62 and 2.46 until 2026, while 1.2 and 1.5 were billed.
    "gpt-5-mini": _Patches(1.2, _OLD),
    "gpt-5-nano": _Patches(1.5, _OLD),
    "o4-mini": _Patches(1.72, _OLD),
    "gpt-4.1-nano": _Patches(2.46, _OLD),
    "gpt-4.1-mini": _Patches(1.62, _LARGE),
    "gpt-5.2": _Patches(1.2, _LARGE),
    "gpt-5.4": _Patches(1.2, _GPT_5_4),
    "gpt-5.4-mini": _Patches(1.2, _GPT_5_4),
    "gpt-5.4-nano": _Patches(1.2, _GPT_5_4),
    "gpt-5.5": _Patches(1.2, _GPT_5_5),
    "gpt-5.6-sol": _Patches(1.2, _GPT_5_6),
    "gpt-5.6-terra": _Patches(1.2, _GPT_5_6),
    "gpt-5.6-luna": _Patches(1.2, _GPT_5_6),
    "gpt-6-astra": _Patches(1.2, _GPT_5_6),  # the factor is OpenAI's, the sizes second-hand
}


def openai_tokens(width: int, height: int, model: str, detail: str | None = None) -> int | None:
    """Tokens of a picture of this size; None for a model that the guide does not list.

    Tiles for older models, patches for newer, by the guide "Images and vision" (developers.openai
    .com/api/docs/guides/images-vision, read in copies of September and October 2026). gpt-6-luna
    and gpt-6.1-sol see pictures, and no page says at what price.

    Args:
        detail: `low`, `high` or `auto`, which is what is not given.
    """
    rule = _MODELS.get(_SNAPSHOT.sub("", model))
    return rule.tokens(width, height, detail or "auto") if rule is not None else None


OUTPUT_TOKENS = {"caption": 60, "title": 15, "tags": 30, "summary": 100}
"""Assumed for each field: two sentences are 30 to 45 words, at 1.3 to 1.5 tokens a word."""

_OTHER_FIELD = 30
FRAME = 10
"""Tokens that mark where a message begins and ends and who speaks."""


def expected_tokens(
    settings: BackendSettings,
    image_tokens: int | None,
    *,
    characters_per_token: float = 4.0,
    thinking: int = 0,
) -> ExpectedTokens | None:
    """Picture, question and answer together; None if the picture's share is unknown.

    Args:
        image_tokens: what the provider's rule says.
        characters_per_token: of English text; 4 by Google's and OpenAI's own rule of thumb.
        thinking: output tokens on top of the answer, where the model cannot be kept from them.
    """
    if image_tokens is None:
        return None
    answer = sum(OUTPUT_TOKENS.get(field, _OTHER_FIELD) for field in settings.fields)
    return ExpectedTokens(
        image=image_tokens,
        text=text_tokens(question(settings, ()), characters_per_token) + FRAME,
        output=min(answer, settings.max_tokens) + thinking,
    )


def text_tokens(text: str, characters_per_token: float = 4.0) -> int:
    """Tokens of a text by its length; characters outside ASCII count as one each."""
    plain = sum(character.isascii() for character in text)
    return math.ceil(plain / characters_per_token) + len(text) - plain


def cut_notice(
    host: str, counted: int | None, settings: BackendSettings, remedy: str
) -> str | None:
    """A line for when a server read fewer tokens than the question alone should take, else None."""
    expected = text_tokens(question(settings, ()))
    if counted is None or counted >= expected // 2:
        return None
    return (
        f"{host} counted {counted} tokens for a photo and a question, which alone has about "
        f"{expected}: it may have cut the question. If captions are odd, {remedy}"
    )
