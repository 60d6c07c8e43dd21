"""What `--option NAME=VALUE` may set for OpenAI-compatible providers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, Json, field_validator

from picture_captioner.backends.base import BackendOptions
from picture_captioner.backends.encoding import DEFAULT_JPEG_QUALITY, SMALLEST_JPEG_QUALITY
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.backends.thinking import Effort
from picture_captioner.backends.vocabulary import EnumLimit


class OpenAIOptions(BackendOptions):
    """What `--option NAME=VALUE` may set."""

    detail: Literal["auto", "low", "high"] | None = None
    jpeg_quality: int = Field(default=DEFAULT_JPEG_QUALITY, ge=SMALLEST_JPEG_QUALITY, le=95)
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
