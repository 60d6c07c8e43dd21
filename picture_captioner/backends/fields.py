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
import string
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
from picture_captioner.backends.vocabulary import EnumLimit, Vocabulary
from picture_captioner.errors import ModelError
from picture_captioner.foreign_text import faults_of

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

_MAX_READ = 200_000
"""Characters of an answer: more than any token limit allows."""

_MAX_BRACES = 64
_MAX_REPAIRED = 16_000
"""Limits of what is repaired; all fields with their values have 20 braces and 3,000 characters."""

_TAG_END = re.compile(r"[,;\n\u3001\uff0c]|\s(?=#)")

OUTSIDE = "tags_outside"
"""Beside the fields of an answer: its tags that are not in the vocabulary."""

_LISTED = (
    "up to MOST of the words listed below, written as they are there, the most telling first; "
    "[] if none fits"
)

_LEAVES = {"string": "text", "integer": "whole number", "number": "0 to 1"}


def expand(words: Iterable[str]) -> tuple[str, ...]:
    """The fields behind the words of `--fields`, in their one order; `caption` is always asked."""
    chosen = set(words)
    if FULL in chosen:
        return FIELD_NAMES
    return tuple(name for name in FIELD_NAMES if name == "caption" or name in chosen)


@dataclass(frozen=True)
class FieldsAsked:
    """The fields of a run and their limits; `names` as `expand` gives them.

    `vocabulary`: the words that tags may be.
    """

    names: tuple[str, ...]
    max_tags: int = DEFAULT_MAX_TAGS
    vocabulary: Vocabulary | None = None

    @property
    def least_tags(self) -> int:
        """How many tags a first answer must have."""
        return min(LEAST_TAGS, self.max_tags)

    @property
    def limits(self) -> dict[str, int | str]:
        """What limits the fields asked for; a part of the prompt's hash."""
        known = {"title": MAX_TITLE, "summary": MAX_SUMMARY, "tags": self.max_tags}
        found: dict[str, int | str] = {n: most for n, most in known.items() if n in self.names}
        return found | ({"vocabulary": self.vocabulary.digest} if self.vocabulary else {})

    @property
    def max_tokens(self) -> int:
        """A token limit for an answer that holds them all."""
        needs = _TOKENS | {"tags": _TOKENS_OF_A_TAG * self.max_tags + 32}
        return sum(needs.get(name, _TOKENS_OF_THE_REST) for name in self.names)

    @property
    def model(self) -> type[BaseModel]:
        """`PhotoFields` with the fields asked for only, their limits unchecked."""
        return _model(self.names)

    def schema(self, limit: EnumLimit | None = None) -> dict[str, Any]:
        """A JSON schema that every provider's strict mode takes; a new one at each call.

        `limit`: tags are an enum of the vocabulary's terms, where it is strict and within that.
        """
        schema: dict[str, Any] = json.loads(_schema(self.names))
        if self.lists_terms(limit) and self.vocabulary:
            schema["properties"]["tags"]["items"]["enum"] = [*self.vocabulary.named]
        return schema

    def lists_terms(self, limit: EnumLimit | None) -> bool:
        """Whether `schema` holds the vocabulary's terms."""
        return self.vocabulary is not None and self.vocabulary.fits(limit)

    def instruction(self) -> str:
        """The fields in words, as a part of the question."""
        return _instruction(self)

    def read(self, text: str, *, asked_before: bool = False) -> dict[str, Any]:
        """The fields in a model's answer, caption included; errors as in `check`.

        Reasoning, Markdown fences and talk around the object are passed over, and JSON that is
        nearly right is repaired.

        Raises:
            ModelError: `not_json` where there is no object.
        """
        found = _find_object(without_reasoning(text[:_MAX_READ]))
        if found is None:
            raise ModelError("the answer is not a JSON object", code="not_json")
        return self.check(found, asked_before=asked_before)

    def check(self, values: Mapping[str, Any], *, asked_before: bool = False) -> dict[str, Any]:
        """The fields asked for, in their normal form; others are left out. `OUTSIDE` may be there.

        `asked_before`: one tag is enough where the model was told before that it gave too few:
        some photos have no more to say.

        Raises:
            ModelError: `validation`, with what is wrong, but not with what was answered.
        """
        least = 1 if asked_before else self.least_tags
        outside: list[str] = []
        context: dict[str, Any] = {"least": least, "most": self.max_tags, "outside": outside}
        if self.vocabulary is not None:
            context |= {"sort": self.vocabulary.sort, "strict": self.vocabulary.mode == "strict"}
            context["asked_before"] = asked_before
        try:
            checked = _model(self.names).model_validate(_shaped(values), context=context)
        except ValidationError as error:
            faults = "; ".join(": ".join(fault) for fault in faults_of(error)[:3])
            raise ModelError(faults, code="validation") from None
        return checked.model_dump() | ({OUTSIDE: outside} if outside else {})

    def description(self, name: str) -> str:
        """What a field is, as the model is told."""
        text = PhotoFields.model_fields[name].description or ""
        if name == "tags" and self.vocabulary and self.vocabulary.told:
            strict = self.vocabulary.mode == "strict"
            text = _LISTED if strict else f"{text}; if they fit, words of the list below"
        least, most = self.least_tags, self.max_tags
        text = text.replace("TAGS", str(most) if least == most else f"{least} to {most}")
        return text.replace("MOST", str(most))


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
    if asked.vocabulary and asked.vocabulary.told:
        lines.append(f"The words for tags: {'; '.join(asked.vocabulary.named)}")
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


def find_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, nearly right or in an envelope, by lower-case keys."""
    found = _find_object(text)
    return None if found is None else _shaped(found)


def _find_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text: all of it, inside of a fence, or between words.

    One with a caption in it is preferred: in JSON that is nearly right, only a part may be valid.
    """
    fenced = text[text.find("```") + 3 : text.rfind("```")].lstrip(string.ascii_letters)
    for candidate in (text, fenced.strip()):
        if isinstance(found := _loaded(candidate), dict):
            return found
    starts = [match.start() for match in re.finditer(r"\{", text)][:_MAX_STARTS]
    objects = (_loaded(text[start:], whole=False) for start in starts)
    valid = [found for found in objects if isinstance(found, dict) and found]
    whole = next((found for found in valid if "caption" in _shaped(found)), None)
    return whole or _repaired(text) or next(iter(valid), None)


def _repaired(text: str) -> dict[str, Any] | None:
    """The object in JSON with single quotes, a comma too many, no quotes, ...; None without one.

    Not of an answer that breaks off: half a caption would be taken for one. Braces are counted,
    because the parser's time grows with their square.
    """
    from json_repair import repair_json

    cut = text[text.find("{") : text.rfind("}") + 1]
    opened = cut.count("{")
    if not 0 < opened <= cut.count("}") <= _MAX_BRACES or len(cut) > _MAX_REPAIRED:
        return None
    try:
        found = repair_json(cut, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):  # what is left over behind the object makes a list
        found = next((part for part in found if isinstance(part, dict)), None)
    return found if isinstance(found, dict) else None


def _shaped(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys as they were asked for: `{"Photo": {"Caption": ...}}` is meant well.

    Tags in one string are taken apart. Nothing is made up: what is missing stays so.
    """
    shaped = {str(key).strip().lower().replace(" ", "_"): value for key, value in values.items()}
    if len(shaped) == 1 and not shaped.keys() & set(FIELD_NAMES):
        (only,) = shaped.values()
        if isinstance(only, list) and len(only) == 1:
            (only,) = only
        if isinstance(only, dict):
            shaped = {str(key).strip().lower().replace(" ", "_"): only[key] for key in only}
    tags = shaped.get("tags")
    if isinstance(tags, str):
        shaped["tags"] = _TAG_END.split(tags)
    return shaped


def _loaded(text: str, *, whole: bool = True) -> object:
    try:
        # not strict: a raw line break in a string is no reason to ask again
        decoder = json.JSONDecoder(strict=False)
        return decoder.decode(text) if whole else decoder.raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None
