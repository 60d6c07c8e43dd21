"""How many input tokens a picture costs, by the rule that each provider publishes.

Pure functions of the size that is sent. A model that no rule names is unknown (None), never free.
The pages behind the numbers, and their own examples, are in tests/backends/test_image_tokens.py.
"""

from __future__ import annotations

import math
import re
from typing import Literal

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
