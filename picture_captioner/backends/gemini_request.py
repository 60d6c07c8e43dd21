"""A request to Gemini as JSON: what of the SDK's config belongs where in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.genai import types

_BESIDE_CONFIG = ("store", "serviceTier")
_ONLY_FOR_THE_SDK = ("automaticFunctionCalling", "automaticContinuation")
"""Parts of the SDK's config that are beside `generationConfig` in a request, or nowhere in it."""


@dataclass(frozen=True)
class GeminiRequest:
    """One photo with its question, and how it is to be answered."""

    turn: types.Content
    config: types.GenerateContentConfig

    def body(self) -> dict[str, Any]:
        """The JSON that goes to `generateContent`, or into a line of a batch job."""
        plain = self.config.model_dump(mode="json", by_alias=True, exclude_none=True)
        top = {name: plain.pop(name) for name in _BESIDE_CONFIG if name in plain}
        for name in _ONLY_FOR_THE_SDK:
            plain.pop(name, None)
        turn = self.turn.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"contents": [turn], "generationConfig": plain, **top}
