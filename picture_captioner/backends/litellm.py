"""Any provider that LiteLLM knows (Bedrock, Azure, Groq, Mistral, ...); fields through Instructor.

LiteLLM brings the transport, so the promises of `Endpoint` are kept as far as it lets them be:
no redirect is followed, nothing is retried, its price table is not fetched and nothing is reported
home, but its requests carry headers that name the SDK, the operating system and Python's version.
Both packages are pinned in an extra of their own: releases of LiteLLM have carried a program that
stole keys (1.82.7, 1.82.8), and they hold the openai SDK back to an older major version.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # read at import: the table is not fetched

import httpx
import instructor
import litellm
import openai
from instructor.core.exceptions import InstructorRetryException
from litellm.llms.custom_httpx import http_handler
from openai.types.chat import ChatCompletion
from pydantic import Field, Json, ValidationError

from picture_captioner.backends.base import (
    BackendOptions,
    BackendSettings,
    Caption,
    CaptionBackend,
    Fault,
)
from picture_captioner.backends.chat_answers import caption_from
from picture_captioner.backends.encoding import DEFAULT_JPEG_QUALITY, data_url, encode_jpeg
from picture_captioner.backends.endpoint import endpoint
from picture_captioner.backends.openai_errors import (
    HttpFailure,
    OpenAIProvider,
    error_text,
    failure_of,
    mapped,
    mapped_failure,
)
from picture_captioner.backends.prompt import question
from picture_captioner.backends.reasoning import Effort, least
from picture_captioner.errors import (
    CaptionerError,
    ConfigurationError,
    TransientError,
    causes,
)
from picture_captioner.foreign_text import cut, keep_secrets_of

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_IMAGE_BYTES = 3_750_000
"""Bedrock's limit for a picture, the lowest of those LiteLLM's documents name."""


class LiteLLMBackend(CaptionBackend):
    """Captions by `--model PROVIDER/MODEL`, named as LiteLLM names them."""

    name: ClassVar[str] = "litellm"
    summary: ClassVar[str] = "any provider that LiteLLM knows: Bedrock, Azure, Groq, Mistral"
    extra: ClassVar[str | None] = "litellm"
    writes_fields: ClassVar[bool] = True
    key_env_var: ClassVar[str | None] = "LITELLM_API_KEY"
    default_model: ClassVar[str] = ""
    default_workers: ClassVar[int] = 8
    check_asks: ClassVar[bool] = False

    class Options(BackendOptions):
        """The options that `--option NAME=VALUE` sets."""

        reasoning_effort: Effort | Literal["default"] | None = None
        extra_body: Json[dict[str, Any]] = Field(default_factory=dict)

    def __init__(self, settings: BackendSettings) -> None:
        """Find out who will be asked; nothing is sent.

        Raises:
            ConfigurationError: no model, an unknown provider, or an address that is not allowed.
        """
        keep_secrets_of(os.environ)  # LiteLLM reads the providers' own variables
        super().__init__(settings)
        _quiet()
        self._host, self._url = _route(settings)
        self._key = settings.api_key.get_secret_value()
        self._service = OpenAIProvider(
            backend=self.name,
            host=self._host,
            model=settings.model,
            key_name="the provider's key",
            missing_model_remedy="choose another with --model",
            secret=self._key,
        )

    @property
    def destination(self) -> str | None:
        """The host that receives the photos, or the provider's name where LiteLLM chooses it."""
        return self._host

    @property
    def ready_jpeg(self) -> int | None:
        """Photos are sent as JPEGs of this quality."""
        return DEFAULT_JPEG_QUALITY

    def check(self) -> None:
        """Ask LiteLLM which keys the provider needs; the first photo is the first request.

        Raises:
            ConfigurationError: a key is missing; the message names its variable.
        """
        self.learned = ("its keys are set; nothing is asked before the first photo",)
        if self._key or self.settings.base_url:
            return
        missing = litellm.validate_environment(self.settings.model)["missing_keys"]
        if missing:
            raise ConfigurationError(
                f"{self._host} needs {', '.join(missing)} in the environment, or its key in "
                "LITELLM_API_KEY (also in config.env)"
            )

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """Send one photo and read the answer; errors as in `CaptionBackend.caption`."""
        try:
            completion = self._complete(self._request(image, hints, fault))
        except openai.OpenAIError as error:  # LiteLLM's errors are subclasses of the SDK's
            raise self._mapped(error) from None
        return self._read(completion)

    def _request(self, image: Image, hints: Sequence[str], fault: Fault | None) -> dict[str, Any]:
        picture = {"url": data_url(encode_jpeg(image, max_bytes=MAX_IMAGE_BYTES * 3 // 4))}
        content = [
            {"type": "image_url", "image_url": picture},
            {"type": "text", "text": question(self.settings, hints, fault)},
        ]
        options = self.settings.options
        options = options if isinstance(options, self.Options) else self.Options()
        effort = options.reasoning_effort or _least_effort(self.settings.model)
        more: dict[str, Any] = {"extra_body": options.extra_body} if options.extra_body else {}
        if effort and effort != "default":
            more["reasoning_effort"] = (
                effort  # dropped for models that LiteLLM knows not to take it
            )
        return {
            **more,
            "model": self.settings.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.settings.max_tokens * (fault.more_tokens if fault else 1),
            "temperature": self.settings.temperature,
            "timeout": self.settings.timeout or self.timeout,
            "api_base": self._url,
            "api_key": self._key or ("none" if self.settings.base_url else None),
            "drop_params": True,
            "num_retries": 0,
            "max_retries": 0,
        }

    def _complete(self, request: dict[str, Any]) -> Any:
        """The completion; with fields, as Instructor asks for them, whether they fit or not."""
        asked = self.settings.asked
        if asked is None:
            return litellm.completion(**request)
        client = instructor.from_litellm(litellm.completion, mode=instructor.Mode.JSON_SCHEMA)
        create = client.chat.completions.create_with_completion
        try:
            return create(response_model=asked.model, **request)[1]
        except InstructorRetryException as error:
            if error.last_completion is not None:
                return error.last_completion  # judged, and mended, as any other answer
            cause = error.__cause__ or error
            if isinstance(cause, openai.OpenAIError):  # raised again it would forget what it is of
                raise self._mapped(cause) from None
            raise

    def _read(self, completion: Any) -> Caption:
        try:
            answer = ChatCompletion.model_validate(completion.model_dump())
        except ValidationError:
            raise self._service.unreadable() from None
        return caption_from(answer, requests=1)

    def _mapped(self, error: openai.OpenAIError) -> CaptionerError:
        """What an error of LiteLLM's means, by the HTTP answer that it was made of.

        Its own classes do not tell: of a status that it has no class for (402, 302, 529) it makes
        an APIError, and of a web page in an answer's place an APIConnectionError or a status 422.
        """
        failure = _failure_behind(error)
        if failure is not None:
            return mapped_failure(failure, self._service)
        if isinstance(error, openai.APITimeoutError):
            return mapped(error, self._service)
        if _is_unconnected(error):
            return self._service.unconnected(error)
        status = getattr(error, "status_code", None)
        if status in _SAID_IN_AN_ANSWER:
            return mapped_failure(HttpFailure(status, *_words_of(error)), self._service)
        return TransientError(
            f"{self._host} answers with what LiteLLM cannot read as a completion"
            f"{self._service.says(_words_of(error)[1])}",
            code="bad_answer",
        )


_SAID_IN_AN_ANSWER = frozenset({401, 402, 403, 429})
"""Of an error in a body whose own status was 200; other numbers LiteLLM makes up."""

_WHOSE = re.compile(r"\w*Exception(?: \w+Error)? - ?")
"""LiteLLM's words before those of the provider."""


def _failure_behind(error: openai.OpenAIError) -> HttpFailure | None:
    """The HTTP error that LiteLLM's own was made of; None if there was none."""
    for cause in causes(error):
        litellms = type(cause).__module__.startswith("litellm.")
        if isinstance(cause, openai.APIStatusError) and not litellms:
            return failure_of(cause)
        if isinstance(cause, httpx.HTTPStatusError):
            response = cause.response
            return HttpFailure(response.status_code, *_words_of(error), response.headers)
    return None


def _is_unconnected(error: openai.OpenAIError) -> bool:
    return any(isinstance(cause, httpx.TransportError | OSError) for cause in causes(error))


def _words_of(error: openai.OpenAIError) -> tuple[str, str]:
    """The provider's own code and words, in LiteLLM's message."""
    *_, said = _WHOSE.split(cut(getattr(error, "message", str(error))), maxsplit=1)
    try:
        body, _ = json.JSONDecoder().raw_decode(said)
    except (ValueError, RecursionError):
        return "", said.partition("\nTraceback")[0]
    told = body.get("error", body) if isinstance(body, dict) else body
    code = told.get("code") or told.get("type") or "" if isinstance(told, dict) else ""
    return str(code), error_text(body)


def _least_effort(model: str) -> str | None:
    """The least that the model thinks, where its provider is one of our own table."""
    provider, _, name = model.partition("/")
    row = least({"azure": "openai"}.get(provider, provider), name)
    return row.effort if row and provider != "gemini" else None  # those LiteLLM calls otherwise


def _route(settings: BackendSettings) -> tuple[str, str | None]:
    """Who receives the photos, and the address if LiteLLM is told one."""
    if not settings.model:
        raise ConfigurationError(
            "the litellm backend needs a model: --model PROVIDER/MODEL, such as "
            "groq/MODEL or bedrock/MODEL"
        )
    try:
        _, provider, _, url = litellm.get_llm_provider(settings.model, api_base=settings.base_url)
    except litellm.exceptions.BadRequestError:
        raise ConfigurationError(
            f"LiteLLM knows no provider for {settings.model!r}; --model takes PROVIDER/MODEL"
        ) from None
    if url is None:  # LiteLLM would follow these without a word
        named = (f"{provider.upper()}_{name}" for name in ("BASE_URL", "API_BASE"))
        url = next((os.environ[name] for name in named if os.environ.get(name)), None)
    if url is None and not settings.local_only:
        return f"{provider} (where LiteLLM sends it)", None
    where = endpoint(url or f"https://{provider}.invalid", settings)
    return where.host, where.url


def _quiet() -> None:
    """No banners on stdout, no reports home, no photos in the log, no redirects."""
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in ("LiteLLM", "instructor", "httpx", "httpcore", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if litellm.client_session is None:
        litellm.client_session = httpx.Client(follow_redirects=False)
        # There is no setting for the client that LiteLLM makes for providers without an SDK.
        http_handler.HTTPHandler.create_client = _without_redirects(
            http_handler.HTTPHandler.create_client
        )


def _without_redirects(create: Callable[[Any], httpx.Client]) -> Callable[[Any], httpx.Client]:
    def create_client(handler: Any) -> httpx.Client:
        handler.follow_redirects = False
        return create(handler)

    return create_client
