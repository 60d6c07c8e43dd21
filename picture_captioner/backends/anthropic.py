"""Captions by Claude, through Anthropic's SDK.

The SDK's own retries, tracing and debug log are off: retries have one layer
(pipeline/asking/retry.py), and its log would hold every photo in base64. A request carries the
photo, the question and the headers in `_HEADERS`; the SDK would add the operating system, the
processor, the Python version and whatever `ANTHROPIC_CUSTOM_HEADERS` holds.

Temperature is not sent: SDK 2 has no such parameter, and Claude 5.5 refuses it. Cost of a photo is
one token for each started square of 28 pixels (docs "Vision", November 2026).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import anthropic
import httpx2
from anthropic.types import (
    Message,
    MessageParam,
    ModelInfo,
    OutputConfigParam,
    ThinkingConfigParam,
)
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

from picture_captioner.backends.answer_limits import AnswerHook
from picture_captioner.backends.anthropic_answer import is_answer, read_answer
from picture_captioner.backends.base import (
    BackendSettings,
    Caption,
    ExpectedTokens,
    Fault,
    JpegOptions,
)
from picture_captioner.backends.encoding import (
    encode_jpeg,
)
from picture_captioner.backends.endpoint import endpoint
from picture_captioner.backends.http_service import (
    NO_PROTOCOL,
    BareHeaders,
    Provider,
    SchemaBackend,
    SchemaRefusedError,
    quiet_libraries,
    retirement,
)
from picture_captioner.backends.prompt import question
from picture_captioner.backends.tokens import anthropic_tokens, expected_tokens
from picture_captioner.backends.vocabulary import EnumLimit
from picture_captioner.errors import (
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    TransientError,
)
from picture_captioner.foreign_text import cut

if TYPE_CHECKING:
    from PIL.Image import Image

_HEADERS = frozenset({"anthropic-version", "x-api-key"})

MAX_IMAGE_BYTES = 3_750_000
"""The API takes 5 MB of base64 an image."""

_THINKING_ROOM = 2048
"""Tokens on top of the answer for models whose thinking cannot be turned off: it counts as output,
and a caption's 256 would be used up before its first word."""

_CHARACTERS_PER_TOKEN = 2.5
"""Of the tokenizer since Claude 4.7 (models overview, October 2026: 2.5 million in 1M tokens)."""

_WRONG_THINKING = re.compile(r"\bthinking\.|output_config")
_BLOCKED = re.compile(r"blocked by (?:our |the )?content filter", re.IGNORECASE)
_WRONG_FORMAT = re.compile(
    r"output_config\.format|structured[ _]outputs?|json_schema|compiled grammar|schema is too", re.I
)


@dataclass(frozen=True)
class _Thinking:
    """The least thinking that a model allows, as request parameters."""

    config: ThinkingConfigParam | None = None
    effort: Literal["low"] | None = None
    room: int = 0


_OFF = _Thinking({"type": "disabled"})
_ONLY_BETWEEN_TOOLS = _Thinking({"type": "between_tools"})
_ALWAYS_ON = _Thinking(effort="low", room=_THINKING_ROOM)


class AnthropicBackend(SchemaBackend):
    """Claude, through the Messages API."""

    name = "anthropic"
    summary = "Claude, through Anthropic's API"
    extra = "api"
    writes_fields = True
    enum_limit = EnumLimit(values=250, characters=4_000)
    """No figure is published. A grammar that is too large is refused, which users of the API
    report from some hundred values on."""

    key_env_var = "ANTHROPIC_API_KEY"
    key_form = "sk-ant-..."
    default_model = "claude-haiku-5-5"
    default_base_url = "https://api.anthropic.com"
    default_workers = 8
    price_provider = "anthropic"
    largest_edge = 2576
    """The service shrinks what is larger (older models: than 1,568), after it was uploaded."""
    preferred_edge = 1008
    """36 patches of 28 pixels: 36 x 27 = 972 tokens for a 4:3 photo, against 1,568 at the largest
    size, no patch half empty, and a 4032-pixel JPEG decodes at exactly a quarter."""

    Options = JpegOptions

    def __init__(self, settings: BackendSettings) -> None:
        """Check the address and prepare the client; nothing is sent.

        Raises:
            ConfigurationError: an address that photos must not be sent to.
        """
        super().__init__(settings)
        quiet_libraries()
        where = endpoint(self.default_base_url, settings)
        key = settings.api_key.get_secret_value()
        self.provider = Provider(where.host, "ANTHROPIC_API_KEY", key)
        self._thinking = _OFF
        http_client = where.http_client(settings.timeout or self.timeout, self.max_workers)
        http_client.event_hooks = {
            "request": [BareHeaders(where.url, _HEADERS, {"x-api-key": key})],
            "response": [AnswerHook(self)],
        }
        self.client = anthropic.Anthropic(
            api_key=key,
            base_url=where.url,
            max_retries=0,
            timeout=http_client.timeout,
            http_client=http_client,
            open_telemetry=False,
        )

    def check(self) -> None:
        """Ask whether the models endpoint is there, takes the key and has a model that sees.

        Raises:
            ConfigurationError: no key, or a model that is unknown, retired or blind.
            AccessDeniedError: the key is rejected.
            BackendUnavailableError: unreachable, an untrusted certificate, or a redirect.
        """
        super().check()
        self.provider.check_key_form()
        self.provider.check_model_form(self.settings.model)
        try:
            with self.faults_mapped():
                info = self.client.models.retrieve(self.settings.model)
        except TransientError as error:
            self.provider.check_failed(error)
            return
        if not isinstance(info, ModelInfo):
            raise BackendUnavailableError(f"{self.provider.unreadable()}; check --base-url")
        self._thinking = _least_thinking(info)
        self._takes_schema = _supports(info, "structured_outputs") is not False
        _check_usable(info)
        self.learned = (f"{info.id} is there",)
        if _supports(info, "image_input"):
            self.learned += (f"{info.id} sees",)
        day = getattr(info, "retires_at", None)
        if isinstance(day, datetime):
            told = retirement(info.id, self.provider.host, day.date().isoformat())
            self.settings.notice(told)

    def request_body(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> MessageCreateParamsNonStreaming:
        """The body of the request for one photo, ready for JSON."""
        jpeg = encode_jpeg(image, quality=self._options.jpeg_quality, max_bytes=MAX_IMAGE_BYTES)
        limit = self.settings.max_tokens * (fault.more_tokens if fault else 1)
        body: MessageCreateParamsNonStreaming = {
            "model": self.settings.model,
            "max_tokens": limit + self._thinking.room,
            "messages": [_photo_and_text(jpeg, question(self.settings, hints, fault))],
        }
        if self._thinking.config is not None:
            body["thinking"] = self._thinking.config
        if output := self._output_config():
            body["output_config"] = output
        return body

    def read_body(self, body: dict[str, Any]) -> Caption:
        """The caption in the body of an answer; errors as `caption`."""
        return self._read(Message.construct(**body), requests=1)

    def _read(self, message: object, requests: int) -> Caption:
        if not is_answer(message):
            raise self.provider.unreadable()
        return read_answer(message, requests)

    def _ask(
        self, image: Image, hints: Sequence[str], fault: Fault | None, requests: int
    ) -> Caption:
        with self.faults_mapped():
            message = self.client.messages.create(**self.request_body(image, hints, fault))
        return self._read(message, requests)

    def _output_config(self) -> OutputConfigParam:
        config: OutputConfigParam = {}
        if self._thinking.effort is not None:
            config["effort"] = self._thinking.effort
        if self.settings.asked is not None and self._takes_schema:
            config["format"] = {
                "type": "json_schema",
                "schema": self.settings.asked.schema(self._enum_limit),
            }
        return config

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`; a quarter of the room for thinking, once `check` found any."""
        return expected_tokens(
            self.settings,
            anthropic_tokens(width, height, self.settings.model),
            characters_per_token=_CHARACTERS_PER_TOKEN,
            thinking=self._thinking.room // 4,
        )

    @property
    def answer_room(self) -> int:
        """As in `CaptionBackend`: for models that always think, and what the answers have shown."""
        return self._thinking.room

    def close(self) -> None:
        """Close the connections; the backend is not usable afterwards."""
        self.client.close()

    @property
    def _options(self) -> JpegOptions:
        options = self.settings.options
        return options if isinstance(options, self.Options) else self.Options()

    @contextmanager
    def faults_mapped(self) -> Iterator[None]:
        """Turn the SDK's errors into ours; `from None`, since theirs hold bodies and requests."""
        try:
            yield
        except anthropic.APIStatusError as error:
            raise self._meaning(error) from None
        except anthropic.APIConnectionError as error:
            raise self.provider.unconnected(error.__cause__ or error) from None
        except (anthropic.AnthropicError, httpx2.HTTPError, *NO_PROTOCOL):
            raise self.provider.unreadable() from None

    def _meaning(self, error: anthropic.APIStatusError) -> CaptionerError:
        status, text = error.status_code, _text(error)
        code = f"{error.error_code or ''} {error.type or ''}"
        account = self.provider.account_error(status, code, text, self.settings.model)
        if account is not None:
            return account
        if status == 404:
            return self._not_found()
        if status == 400 and _BLOCKED.search(text):
            return ApiError(
                f"{self.provider.host} refuses this photo{self.provider.says(text)}",
                code="refused",
            )
        if status == 400 and _WRONG_FORMAT.search(text):
            return SchemaRefusedError(self._unsuited(text))
        if status == 400 and _WRONG_THINKING.search(text):
            return ConfigurationError(self._unsuited(text))
        return self.provider.failed(status, error.response.headers, text)

    def _unsuited(self, text: str) -> str:
        return (
            f"{self.settings.model} does not take the request as it is made here"
            f"{self.provider.says(text)}; choose another with --model"
        )

    def _not_found(self) -> CaptionerError:
        try:
            # The first page alone: a server could say for ever that there is one more.
            known = [info.id for info in self.client.models.list(limit=1000).data]
        except anthropic.NotFoundError:
            return self.provider.nothing_there()
        except (anthropic.AnthropicError, httpx2.HTTPError, *NO_PROTOCOL):
            known = []  # the model is missing all the same; only the suggestion is lost
        return self.provider.unknown_model(self.settings.model, known)


def _photo_and_text(jpeg: bytes, text: str) -> MessageParam:
    """One user turn; the photo comes first, which Anthropic found to work better."""
    data = base64.b64encode(jpeg).decode("ascii")
    return {
        "role": "user",
        "content": [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": data},
            },
            {"type": "text", "text": text},
        ],
    }


def _least_thinking(info: ModelInfo) -> _Thinking:
    """Claude 5 and later think unless told not to, and each model allows another way of saying so.

    A gateway may not say what its models can do: then `disabled` is tried, which most take.
    """
    if _supports(info, "thinking", "types", "disabled") is not False:
        return _OFF
    between = _supports(info, "thinking", "types", "between_tools")
    return _ONLY_BETWEEN_TOOLS if between else _ALWAYS_ON


def _check_usable(info: ModelInfo) -> None:
    if getattr(info, "lifecycle", None) == "retired":
        raise ConfigurationError(f"{info.id} is retired; choose another with --model")
    if _supports(info, "image_input") is False:
        raise ConfigurationError(f"{info.id} cannot see images; choose another with --model")


def _supports(info: ModelInfo, *path: str) -> bool | None:
    """A leaf of the model's capabilities; None where a gateway leaves it out."""
    node: object = info
    for name in ("capabilities", *path, "supported"):
        node = getattr(node, name, None)
    return node if isinstance(node, bool) else None


def _text(error: anthropic.APIStatusError) -> str:
    """The server's words; a body that is not its protocol is not quoted."""
    return cut(error.api_message) if isinstance(error.api_message, str) else ""
