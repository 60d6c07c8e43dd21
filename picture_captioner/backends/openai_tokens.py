"""How many input tokens a picture costs at OpenAI: tiles for older models, patches for newer.

By the guide "Images and vision" (developers.openai.com/api/docs/guides/images-vision, read in
copies of September and October 2026). Models that it does not list are unknown: gpt-6-luna and
gpt-6.1-sol see pictures, and no page says at what price.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from picture_captioner.backends.image_tokens import patches

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

    Args:
        detail: `low`, `high` or `auto`, which is what is not given.
    """
    rule = _MODELS.get(_SNAPSHOT.sub("", model))
    return rule.tokens(width, height, detail or "auto") if rule is not None else None
