"""What a provider's strict structured output does with a schema: refuse it, or answer by it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

KEYWORDS = {"type", "enum", "items", "properties", "required", "additionalProperties"}
"""What OpenAI's strict mode, Anthropic and Gemini all take; each refuses some of the others."""


def complaints(schema: dict[str, Any], place: str = "schema") -> Iterator[str]:
    """Why a strict mode would refuse this schema."""
    if odd := set(schema) - KEYWORDS:
        yield f"{place}: {sorted(odd)} is not supported"
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield f"{place}: 'additionalProperties' is required to be supplied and to be false"
        if schema.get("required") != list(schema.get("properties", {})):
            yield f"{place}: 'required' is required to include every key in properties"
        for name, part in schema["properties"].items():
            yield from complaints(part, f"{place}.{name}")
    elif schema.get("type") == "array":
        yield from complaints(schema["items"], f"{place}[]")
    elif schema.get("type") not in {"string", "number", "integer"}:
        yield f"{place}: no type"


def answer_by(schema: dict[str, Any]) -> str:
    """JSON that keeps to a schema, as a server with a grammar makes it; every text differs."""
    words = (f"Word {number}" for number in itertools.count(1))
    return json.dumps(_value(schema, words))


def _value(schema: dict[str, Any], words: Iterator[str]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: _value(part, words) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [_value(schema["items"], words) for _ in range(4)]
    return {"string": next(words), "number": 0.75, "integer": 2}[schema["type"]]
