"""What may be set for OpenAI-compatible providers, and what a server was found to take of it.

Models come out faster than releases of this program. A field that a server complains about is left
out for the rest of the run, a level of reasoning that it does not take is replaced by the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import openai
from pydantic import Field, Json, field_validator

from picture_captioner.backends.base import JpegOptions
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.backends.openai_errors import failure_of
from picture_captioner.backends.reasoning import Effort, next_effort
from picture_captioner.backends.vocabulary import EnumLimit


class OpenAIOptions(JpegOptions):
    """What `--option NAME=VALUE` may set."""

    detail: Literal["auto", "low", "high"] | None = None
    reasoning_effort: Effort | Literal["default"] | None = None
    service_tier: Literal["flex"] | None = None
    """Half the price for answers that may take minutes (OpenAI)."""
    deployed_model: str | None = None
    """The model behind a deployment of Azure OpenAI, whose own name tells nothing about it."""
    extra_body: Json[dict[str, Any]] = Field(default_factory=dict)
    """Further fields of the request, as JSON: `{"chat_template_kwargs": {"enable_thinking":
    false}}` for vLLM, `{"provider": {"data_collection": "deny"}}` for OpenRouter."""

    @field_validator("extra_body")
    @classmethod
    def _beside_the_photo(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := {"model", "messages", "stream", "n"} & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be set here")
        return value


def response_format(asked: FieldsAsked | None, limit: EnumLimit | None) -> dict[str, Any]:
    """OpenAI's strict structured output; local servers hold a model to it by a grammar."""
    if asked is None:
        return {}
    schema = {"name": "photo", "strict": True, "schema": asked.schema(limit)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


_EFFORT = "reasoning_effort"
_TOKEN_LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the same limit; a server that rejects one may take the other."""
_SPELLINGS = {_EFFORT: r"(?i)reason|\bthink", "max_tokens": r"\bmax_tokens\b"}
_ABOUT_THE_FORMAT = re.compile(
    r"response[_ ]format|json[_ ]?schema|structured[_ ]outputs?|guided[_ ]|\bgrammar\b"
    r"|\benum values\b|schema is too (?:complex|large)",
    re.IGNORECASE,
)
"""LM Studio complains without a word of refusal ("must be ..."), llama.cpp and vLLM about the
grammar that they make of the schema."""
_COMPLAINT = re.compile(
    r"(?:not|n't|un)[ -]?(?:supported|support|recognized|known|permitted|allowed)"
    r"|invalid|unexpected|extra",
    re.IGNORECASE,
)
_ABOUT_THE_VALUE = re.compile(r"\bvalues?\b|must be|one of|expected", re.IGNORECASE)


class AcceptedFields:
    """The fields that may be sent, as far as the server's complaints have shown. Thread-safe."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()
        self.effort: str | None = None
        """The level of reasoning that takes the place of one that was refused."""
        self.enums = True
        """Whether a vocabulary's terms may be in the schema."""

    def fitted(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the wanted fields that the server takes, under the names that it takes."""
        fields = dict(wanted)
        for name, other in _TOKEN_LIMITS.items():
            if name in fields and name in self._refused:
                fields[other] = fields.pop(name)
                break
        if self.effort and _EFFORT in fields:
            fields[_EFFORT] = self.effort
        return {name: value for name, value in fields.items() if name not in self._refused}

    def learn(self, error: openai.APIStatusError, sent: Mapping[str, Any]) -> bool:
        """Take note of a complaint about a field; whether it is worth asking again."""
        name = _refused_field(error, sent)
        if name in (None, "service_tier"):  # without it the price would double, unasked
            return False
        words = failure_of(error).text
        if name == _EFFORT and _ABOUT_THE_VALUE.search(words):
            self.effort = next_effort(str(sent[name]), words)
            if self.effort is not None:
                return True
        if name == "response_format" and self.enums and '"enum"' in _tags_schema(sent):
            self.enums = False  # with fewer values it may be taken
            return True
        self._refused |= {name}
        return True


def _tags_schema(sent: Mapping[str, Any]) -> str:
    """The schema of tags, as a text; empty without one."""
    schema = sent["response_format"].get("json_schema", {}).get("schema", {})
    return json.dumps(schema.get("properties", {}).get("tags", {}))


def _refused_field(error: openai.APIStatusError, sent: Mapping[str, Any]) -> str | None:
    """The tuning field that a 400 or 422 complains about; None if it is about something else."""
    if error.status_code not in (400, 422):
        return None
    if error.param in sent:
        return error.param
    text = failure_of(error).text
    if "response_format" in sent and _ABOUT_THE_FORMAT.search(text):
        return "response_format"
    if not _COMPLAINT.search(text):
        return None
    return next((name for name in sent if re.search(_SPELLINGS.get(name, name), text)), None)
