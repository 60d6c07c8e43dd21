"""What each failure of an OpenAI-compatible server means: this photo, a moment, or the run.

The texts that are recognised here were read in providers' documents and in threads about them;
where a provider uses an unexpected status, the line says which one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import openai

from picture_captioner.backends.http_service import NO_PROTOCOL, Provider
from picture_captioner.errors import (
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    FatalError,
    TransientError,
)
from picture_captioner.foreign_text import cut

_REFUSED = re.compile(  # xAI and OpenRouter answer 403, others 400
    r"content_policy|content_filter|content management policy|safety[ _](?:system|check)"
    r"|usage guidelines|input was flagged|moderation_blocked|image_content"
    r"|invalid_prompt|prompt was flagged",
    re.IGNORECASE,
)
_NO_QUOTA = re.compile(  # Google's compatible address says it of a minute's quota as well
    r"exceeded your current quota(?!.*(?:per ?minute|retry in))", re.IGNORECASE | re.DOTALL
)
_BAD_KEY = re.compile(  # xAI answers 400
    r"(?:incorrect|invalid|missing|expired|no)[ _]api[ _]key", re.IGNORECASE
)
_BLIND = re.compile(  # llama.cpp answers 500, OpenRouter 404
    r"image inputs? (?:is|are) not supported|does not support (?:image|vision|multimodal)"
    r"|not a (?:multimodal|vision) model|support image input",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|model\b.{0,120}?(?:not found|does(?: not|n't) exist|is not available)"
    r"|not a valid model|no such model",
    re.IGNORECASE | re.DOTALL,
)
_MOST_PARTS = 100
_NO_TIER = re.compile(r"service[_ ]tier", re.IGNORECASE)
_NO_ROOM = re.compile(  # Ollama and vLLM answer 400, llama.cpp 400 or 500, LM Studio 400
    r"context_length_exceeded|exceed_context_size|maximum context length"
    r"|exceeds? the (?:available |model'?s? )?context|(?:longer|greater) than the context"
    r"|when (?:the )?context (?:the )?overflows",
    re.IGNORECASE,
)
_NO_SUCH_ADDRESS = frozenset({404, 405, 410})
_NO_SUCH_ENDPOINT = frozenset({404, 405, 501})
_BUSY = re.compile("rate_limit|http_")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OpenAIProvider(Provider):
    """Who was asked, and what to do about a model that it does not have."""

    backend: str
    model: str
    missing_model_remedy: str
    context_remedy: str = "choose a model that takes more with --model"


@dataclass(frozen=True)
class HttpFailure:
    """An HTTP error in plain words, wherever the server put it."""

    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def matches(self, pattern: re.Pattern[str]) -> bool:
        """Whether the server's code or words fit."""
        return bool(pattern.search(self.code) or pattern.search(self.text))


def mapped(error: openai.OpenAIError, service: OpenAIProvider) -> CaptionerError:
    """The program's own error for one of the SDK's; its message holds no key and no request."""
    if isinstance(error, openai.APITimeoutError):
        return TransientError(f"{service.host} did not answer in time", code="timeout")
    if isinstance(error, openai.APIConnectionError):
        return service.unconnected(error.__cause__ or error)
    if isinstance(error, openai.APIStatusError):
        return mapped_failure(failure_of(error), service)
    return ApiError(f"the SDK gave up ({type(error).__name__}){service.says(str(error))}")


def asked_for_free(
    request: Callable[[], T], service: OpenAIProvider, unreachable_remedy: str
) -> T | None:
    """The answer to a question about models; None where there is no such endpoint.

    Raises:
        TransientError: the service is busy.
        FatalError: whatever else went wrong.
    """
    try:
        return request()
    except openai.APIStatusError as error:
        if error.status_code in _NO_SUCH_ENDPOINT:
            return None
        fault = mapped(error, service)
    except openai.OpenAIError as error:
        fault = mapped(error, service)
    except NO_PROTOCOL:
        fault = no_completion(service)
    busy = isinstance(fault, TransientError) and _BUSY.match(fault.code)
    if busy or isinstance(fault, FatalError):
        raise fault
    raise BackendUnavailableError(f"{fault}; {unreachable_remedy}")


def no_completion(service: OpenAIProvider) -> TransientError:
    """For what is no answer at all, such as the login page of a network: it may pass."""
    return TransientError(
        f"{service.host} answers, but not with a chat completion; is --base-url right?",
        code="bad_answer",
    )


def failure_of(error: openai.APIStatusError) -> HttpFailure:
    """Status, code, words and headers of an error response."""
    return HttpFailure(
        status=error.status_code,
        code=f"{error.code or ''} {error.type or ''}".strip(),
        text=error_text(error.body),
        headers=error.response.headers,
    )


def error_text(body: object, deepest: int = 8) -> str:
    """The words in an error body: OpenAI's, FastAPI's (`detail`), or a bare string.

    What is nested deeper than `deepest` is nobody's form of an error.
    """
    if isinstance(body, str):
        return cut(body)
    if deepest == 0:
        return ""
    if isinstance(body, list):  # FastAPI's list of problems quotes the request in `input`
        parts = (error_text(part, deepest - 1) for part in body[:_MOST_PARTS])
        return cut("; ".join(filter(None, parts)))
    if isinstance(body, dict):
        for name in ("message", "detail", "msg", "error"):
            if body.get(name):
                return error_text(body[name], deepest - 1)
    return ""


def mapped_failure(failure: HttpFailure, service: OpenAIProvider) -> CaptionerError:
    """The program's own error for an HTTP error, or for one in an answer with another status."""
    if not failure.status:
        told = replace(failure, status=400)
        return (
            _denied(told, service)
            or _misconfigured(told, service)
            or TransientError(
                f"{service.host} answers with an error in place of a caption"
                f"{service.says(failure.text)}",
                code="bad_answer",
            )
        )
    return (
        _denied(failure, service)
        or _misconfigured(failure, service)
        or service.failed(failure.status, failure.headers, failure.text)
    )


def _denied(failure: HttpFailure, service: OpenAIProvider) -> CaptionerError | None:
    said = service.says(failure.text)
    if failure.status in (400, 403) and failure.matches(_REFUSED):
        return ApiError(f"{service.host} refuses this photo{said}", code="refused")
    account = service.account_error(failure.status, failure.code, failure.text, service.model)
    if account is not None:
        return account
    if failure.status in (400, 403, 429) and failure.matches(_NO_QUOTA):
        return service.exhausted(failure.text)
    if failure.status == 400 and failure.matches(_BAD_KEY):
        return service.denied(failure.status, failure.text)
    return None


def _misconfigured(failure: HttpFailure, service: OpenAIProvider) -> CaptionerError | None:
    said = service.says(failure.text)
    if failure.status == 400 and failure.matches(_NO_TIER):
        return ConfigurationError(
            f"{service.host} does not offer this service tier for {service.model}; leave out "
            f"--service-tier, or choose another with --model{said}"
        )
    if failure.matches(_NO_ROOM):
        return ConfigurationError(
            f"the photo and the question do not fit into the context of {service.model} at "
            f"{service.host}: {service.context_remedy}, or send smaller pictures with --max-edge "
            f"768{said}"
        )
    if failure.matches(_BLIND):
        return ConfigurationError(
            f"the model {service.model} at {service.host} cannot see images; choose another with "
            f"--model{said}"
        )
    if failure.status in (400, 404) and failure.matches(_NO_MODEL):
        return ConfigurationError(
            f"{service.host} does not know the model {service.model}; "
            f"{service.missing_model_remedy}{said}"
        )
    if failure.status in _NO_SUCH_ADDRESS:
        return BackendUnavailableError(
            f"{service.host} offers nothing at this address (HTTP {failure.status}); most base "
            f"URLs end in /v1{said}"
        )
    return None
