"""Structured fields: which were asked for, how a model is asked, and how its answer is read.

Every provider has structured output of its own, and each takes another part of JSON schema. The
schema here keeps to what all of them take: objects with all keys required and no others, arrays,
strings, numbers and enums. Anthropic refuses lengths and ranges, OpenAI's strict mode optional
keys; Gemini answers in the order of `required`. (Read in the SDKs: `transform_schema` of anthropic
2.11, `_ensure_strict_json_schema` of openai 3.52, `GenerateContentConfig` of google-genai 3.4.)
The question says the same in words, for servers without such a thing and for lengths and counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError, create_model

from picture_captioner.backends.field_values import (
    FIELD_NAMES,
    LEAST_TAGS,
    MAX_SUMMARY,
    MAX_TITLE,
    Part,
    PhotoFields,
)
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.errors import ModelError

CAPTION_ONLY = ("caption",)
FULL = "full"
CHOICES = ("caption", "title", "tags", "summary", FULL)
"""What `--fields` takes; `full` is all of `PhotoFields`."""

DEFAULT_MAX_TAGS = 5

_TOKENS = {"caption": 256, "title": 64, "summary": 320}
_TOKENS_OF_A_TAG = 16
_TOKENS_OF_THE_REST = 96
"""Room for each other field: twice to three times what English takes, for languages whose words are
many tokens. Only what is used is billed."""

_MAX_STARTS = 20
"""Braces that are tried as the beginning of an answer: prose has few before it."""

_LEAVES = {"string": "text", "integer": "whole number", "number": "0 to 1"}
_FENCE = re.compile(r"```[a-zA-Z]*\s*(\{.*\})\s*```", re.DOTALL)


def expand(words: Iterable[str]) -> tuple[str, ...]:
    """The fields behind the words of `--fields`, in their one order; `caption` is always asked."""
    chosen = set(words)
    if FULL in chosen:
        return FIELD_NAMES
    return tuple(name for name in FIELD_NAMES if name == "caption" or name in chosen)


@dataclass(frozen=True)
class FieldsAsked:
    """The fields of a run and their limits; `names` as `expand` gives them."""

    names: tuple[str, ...]
    max_tags: int = DEFAULT_MAX_TAGS

    @property
    def least_tags(self) -> int:
        """How many tags a first answer must have."""
        return min(LEAST_TAGS, self.max_tags)

    @property
    def limits(self) -> dict[str, int]:
        """What limits the fields asked for; a part of the prompt's hash."""
        known = {"title": MAX_TITLE, "summary": MAX_SUMMARY, "tags": self.max_tags}
        return {name: most for name, most in known.items() if name in self.names}

    @property
    def max_tokens(self) -> int:
        """A token limit for an answer that holds them all."""
        needs = _TOKENS | {"tags": _TOKENS_OF_A_TAG * self.max_tags + 32}
        return sum(needs.get(name, _TOKENS_OF_THE_REST) for name in self.names)

    @property
    def model(self) -> type[BaseModel]:
        """`PhotoFields` with the fields asked for only, their limits unchecked."""
        return _model(self.names)

    def schema(self) -> dict[str, Any]:
        """A JSON schema that every provider's strict mode takes; a new one at each call."""
        schema: dict[str, Any] = json.loads(_schema(self.names))
        return schema

    def instruction(self) -> str:
        """The fields in words, as a part of the question."""
        return _instruction(self)

    def read(self, text: str, *, asked_before: bool = False) -> dict[str, Any]:
        """The fields in a model's answer, caption included; errors as in `check`.

        Reasoning, Markdown fences and talk around the object are passed over.

        Raises:
            ModelError: `not_json` where there is no object.
        """
        found = _find_object(without_reasoning(text))
        if found is None:
            raise ModelError("the answer is not a JSON object", code="not_json")
        return self.check(found, asked_before=asked_before)

    def check(self, values: Mapping[str, Any], *, asked_before: bool = False) -> dict[str, Any]:
        """The fields asked for, in their normal form; others are left out.

        `asked_before`: one tag is enough where the model was told before that it gave too few:
        some photos have no more to say.

        Raises:
            ModelError: `validation`, with what is wrong, but not with what was answered.
        """
        least = 1 if asked_before else self.least_tags
        try:
            checked = _model(self.names).model_validate(
                dict(values), context={"least": least, "most": self.max_tags}
            )
        except ValidationError as error:
            raise ModelError(_faults(error), code="validation") from None
        return checked.model_dump()

    def description(self, name: str) -> str:
        """What a field is, as the model is told."""
        text = PhotoFields.model_fields[name].description or ""
        least, most = self.least_tags, self.max_tags
        return text.replace("TAGS", str(most) if least == most else f"{least} to {most}")


@lru_cache
def _model(names: tuple[str, ...]) -> type[BaseModel]:
    """`PhotoFields` with these fields only."""
    types = get_type_hints(PhotoFields, include_extras=True)
    wanted: dict[str, Any] = {name: (types[name], ...) for name in names}
    return create_model("PhotoFields", __base__=Part, **wanted)


@lru_cache  # every request holds it, and making it takes 4 ms
def _schema(names: tuple[str, ...]) -> str:
    raw = _model(names).model_json_schema()
    return json.dumps(_strict(raw, raw.get("$defs", {})))


@lru_cache
def _instruction(asked: FieldsAsked) -> str:
    properties = asked.schema()["properties"]
    lines = [
        f'"{name}": {_shape(properties[name])} - {asked.description(name)}' for name in asked.names
    ]
    if any('"confidence"' in line for line in lines):
        lines.append("confidence is how sure you are, from 0 (a guess) to 1 (certain).")
    head = "Answer with one JSON object on one line, and nothing else. Its keys:"
    return "\n".join([head, *lines])


def _strict(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema without references, titles and whatever else a strict mode may refuse."""
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]] | node
    kept: dict[str, Any] = {key: node[key] for key in ("type", "enum") if key in node}
    if "items" in node:
        kept["items"] = _strict(node["items"], definitions)
    if "properties" in node:
        properties = node["properties"]
        kept["properties"] = {k: _strict(v, definitions) for k, v in properties.items()}
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    return kept


def _shape(schema: dict[str, Any]) -> str:
    """What a value looks like, as one would write it on paper."""
    if "enum" in schema:
        return " | ".join(f'"{word}"' for word in schema["enum"])
    if "properties" in schema:
        parts = [f'"{name}": {_shape(part)}' for name, part in schema["properties"].items()]
        return f"{{{', '.join(parts)}}}"
    if "items" in schema:
        return f"[{_shape(schema['items'])}, ...]"
    return _LEAVES[schema["type"]]


def _find_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text: all of it, inside of a fence, or between words."""
    fenced = _FENCE.search(text)
    for candidate in (text, fenced[1] if fenced else ""):
        if isinstance(found := _loaded(candidate), dict):
            return found
    starts = [match.start() for match in re.finditer(r"\{", text)][:_MAX_STARTS]
    objects = (_loaded(text[start:], whole=False) for start in starts)
    return next((found for found in objects if isinstance(found, dict) and found), None)


def _loaded(text: str, *, whole: bool = True) -> object:
    try:
        return json.loads(text) if whole else json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _faults(error: ValidationError) -> str:
    """The first faults in plain words; the values, which come from the photo, are not quoted."""
    told = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:3]:
        reason = fault["msg"].removeprefix("Value error, ")
        told.append(f"{'.'.join(map(str, fault['loc']))}: {reason[:1].lower()}{reason[1:]}")
    return "; ".join(told)
