"""Captions by Gemini, through Google's `google-genai` SDK (the older google-generativeai is gone).

Retries, function calling and continuation of the SDK are off: one photo is one request. Photos go
inside the request, not through the Files API, which would keep each for 48 hours. A request carries
the photo, the question and the headers in `_HEADERS`; the key is a header and never in a URL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import httpx2
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from picture_captioner.backends.answer_limits import AnswerHook
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
from picture_captioner.backends.endpoint import CONNECT_TIMEOUT, endpoint
from picture_captioner.backends.gemini_protocol import (
    GeminiFailure,
    GeminiRequest,
    read_answer,
    thinking_in,
)
from picture_captioner.backends.http_service import (
    FLEX_TIMEOUT,
    NO_PROTOCOL,
    BareHeaders,
    Provider,
    SchemaBackend,
    SchemaRefusedError,
    quiet_libraries,
    retirement,
)
from picture_captioner.backends.prompt import question
from picture_captioner.backends.reasoning import ROOM, Headroom, least, room_for
from picture_captioner.backends.tokens import expected_tokens, gemini_tokens
from picture_captioner.backends.vocabulary import EnumLimit
from picture_captioner.errors import (
    CaptionerError,
    ConfigurationError,
    TransientError,
)

if TYPE_CHECKING:
    from PIL.Image import Image

API_VERSION = "v1beta"
"""The SDK's default, v1, does not know the `-latest` names (its README)."""
_HEADERS = frozenset(
    {
        "x-goog-api-key",
        # of a file's upload, for a batch job; not among them is the one with the file's name
        "x-goog-upload-protocol",
        "x-goog-upload-command",
        "x-goog-upload-offset",
        "x-goog-upload-header-content-length",
        "x-goog-upload-header-content-type",
    }
)

MAX_IMAGE_BYTES = 7_000_000
"""Largest photo inside a request (Google's page on Gemini 3.5 Flash-Lite, November 2026)."""


class GeminiBackend(SchemaBackend):
    """Gemini, through the Developer API."""

    name = "gemini"
    summary = "Gemini, through Google's API"
    extra = "api"
    writes_fields = True
    enum_limit = EnumLimit(values=250, characters=4_000)
    """No figure is published; long enums are refused as "too many states for serving"."""

    key_env_var = "GEMINI_API_KEY"
    key_form = "AIza... or AQ...."
    default_model = "gemini-3.5-flash-lite"
    default_base_url = "https://generativelanguage.googleapis.com"
    default_workers = 20
    price_provider = "google"
    largest_edge = 3072
    preferred_edge = 768
    """One tile of Gemini 2 (258 tokens); Gemini 3 bills by `media_resolution` whatever the size,
    and what `medium` keeps of a photo is about that large."""

    class Options(JpegOptions):
        """The options that `--option NAME=VALUE` sets."""

        media_resolution: Literal["low", "medium", "high", "default"] = "medium"
        """280, 560 or 1,120 tokens a photo with Gemini 3, whose own default is high."""
        service_tier: Literal["flex"] | None = None
        """Half the price for answers that may take minutes."""
        thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
        """For models that do not take the level chosen by their name."""

    def __init__(self, settings: BackendSettings) -> None:
        """Check the address and prepare the client; nothing is sent.

        Raises:
            ConfigurationError: an address that photos must not be sent to.
        """
        super().__init__(settings)
        quiet_libraries()
        where = endpoint(self.default_base_url, settings)
        key = settings.api_key.get_secret_value()
        self.provider = Provider(where.host, "GEMINI_API_KEY", key)
        self._least = least(self.name, settings.model.removeprefix("models/"))
        self._headroom = Headroom(self._room())
        self._retirement_told = False
        usual = FLEX_TIMEOUT if self._options.service_tier else self.timeout
        seconds = settings.timeout or usual
        self._http_client = where.http_client(seconds, self.max_workers)
        self._http_client.event_hooks = {
            "request": [
                BareHeaders(where.url, _HEADERS, {"x-goog-api-key": key}),
                _cap_connect_timeout,
            ],
            "response": [AnswerHook(self)],
        }
        self.client = genai.Client(
            enterprise=False,
            # Without a key the SDK would look for GOOGLE_API_KEY; `check` refuses an empty one.
            api_key=key or "none",
            http_options=types.HttpOptions(
                base_url=where.url,
                api_version=API_VERSION,
                timeout=math.ceil(seconds * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),
                httpx_client=self._http_client,
            ),
        )

    def check(self) -> None:
        """Ask whether the models endpoint is there, takes the key and knows the model.

        Raises:
            ConfigurationError: no key, or a model that is unknown or writes no text.
            AccessDeniedError: the key is rejected.
            BackendUnavailableError: unreachable, an untrusted certificate, or a redirect.
        """
        super().check()
        self.provider.check_key_form()
        self.provider.check_model_form(self.settings.model)
        try:
            with self.faults_mapped():
                model = self.client.models.get(model=self.settings.model)
        except TransientError as error:
            self.provider.check_failed(error)
            return
        if model.supported_actions and "generateContent" not in model.supported_actions:
            raise ConfigurationError(
                f"{self.settings.model} does not write captions; choose another with --model"
            )
        self.learned = (f"{self.settings.model} is there",)
        if model.input_token_limit:
            self.learned += (f"a context of {model.input_token_limit:,} tokens",)

    def request_body(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> dict[str, Any]:
        """The body of the request for one photo, ready for JSON."""
        return self._request(image, hints, fault).body()

    def read_body(self, body: dict[str, Any]) -> Caption:
        """The caption in the body of an answer; errors as `caption`."""
        return self._read(types.GenerateContentResponse.model_validate(body), requests=1)

    def _request(self, image: Image, hints: Sequence[str], fault: Fault | None) -> GeminiRequest:
        jpeg = encode_jpeg(image, quality=self._options.jpeg_quality, max_bytes=MAX_IMAGE_BYTES)
        parts = [
            types.Part.from_bytes(data=jpeg, mime_type="image/jpeg"),
            types.Part.from_text(text=question(self.settings, hints, fault)),
        ]
        limit = self.settings.max_tokens * (fault.more_tokens if fault else 1)
        return GeminiRequest(types.Content(role="user", parts=parts), self._config(limit))

    def _read(self, response: types.GenerateContentResponse, requests: int) -> Caption:
        if not (response.candidates or response.prompt_feedback or response.usage_metadata):
            raise self.provider.unreadable()
        self._tell_retirement(response.model_status)
        thought, cut_off = thinking_in(response)
        self._headroom.learn(thought, cut_off=cut_off)
        return read_answer(response, requests)

    def _tell_retirement(self, status: types.ModelStatus | None) -> None:
        """Say once when the model will be gone; Google says so in its answers."""
        if status is not None and status.retirement_time and not self._retirement_told:
            self._retirement_told = True
            day = status.retirement_time.date().isoformat()
            self.settings.notice(retirement(self.settings.model, self.provider.host, day))

    def _ask(
        self, image: Image, hints: Sequence[str], fault: Fault | None, requests: int
    ) -> Caption:
        request = self._request(image, hints, fault)
        with self.faults_mapped():
            response = self.client.models.generate_content(
                model=self.settings.model, contents=request.turn, config=request.config
            )
        return self._read(response, requests)

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`; of the room for thinking above `minimal`, a quarter."""
        resolution = self._options.media_resolution
        room = self._headroom.tokens
        return expected_tokens(
            self.settings,
            gemini_tokens(width, height, self.settings.model, resolution),
            thinking=room // 4 if room >= ROOM else 0,
        )

    def close(self) -> None:
        """Close the connections; the backend is not usable afterwards."""
        self._http_client.close()

    @property
    def _options(self) -> Options:
        options = self.settings.options
        return options if isinstance(options, self.Options) else self.Options()

    @property
    def service_tier(self) -> str | None:
        """As in `CaptionBackend`."""
        return self._options.service_tier

    @property
    def answer_room(self) -> int:
        """As in `CaptionBackend`: for thoughts, which count as output."""
        return self._headroom.tokens

    def _room(self) -> int:
        if self._options.thinking_level or self._least is None or self._least.effort:
            return room_for(self._level())
        return ROOM if self._least.budget else 0

    def _level(self) -> str | None:
        return self._options.thinking_level or (self._least.effort if self._least else None)

    def _thinking(self) -> types.ThinkingConfig | None:
        if level := self._level():
            return types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))
        budget = self._least.budget if self._least else None
        return None if budget is None else types.ThinkingConfig(thinking_budget=budget)

    def _config(self, limit: int) -> types.GenerateContentConfig:
        asked = self.settings.asked if self._takes_schema else None
        schema = asked.schema(self._enum_limit) if asked else None
        return types.GenerateContentConfig(
            max_output_tokens=limit + self._headroom.tokens,
            response_mime_type="application/json" if schema else None,
            response_json_schema=schema,
            temperature=self._temperature(),
            thinking_config=self._thinking(),
            media_resolution=self._media_resolution(),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,
            store=False,
            service_tier=types.ServiceTier.FLEX if self._options.service_tier else None,
        )

    def _temperature(self) -> float | None:
        """None from Gemini 3 on, which is made for 1.0 and from 3.5 on ignores anything else."""
        old = re.match(r"(models/)?(gemini-[12]|gemma)", self.settings.model)
        return self.settings.temperature if old else None

    def _media_resolution(self) -> types.MediaResolution | None:
        wanted = self._options.media_resolution
        if wanted == "default":
            return None
        return types.MediaResolution(f"MEDIA_RESOLUTION_{wanted.upper()}")

    @contextmanager
    def faults_mapped(self) -> Iterator[None]:
        """Turn the SDK's errors into ours; `from None`, since theirs hold bodies and requests."""
        try:
            yield
        except genai_errors.APIError as error:
            raise self._meaning(GeminiFailure.read(error)) from None
        except httpx2.HTTPError as error:
            raise self.provider.unconnected(error) from None
        except NO_PROTOCOL:
            raise self.provider.unreadable() from None

    def _meaning(self, failure: GeminiFailure) -> CaptionerError:
        if failure.bad_key:
            return self.provider.denied(failure.status, failure.text)
        account = self.provider.account_error(
            failure.status, failure.reason, failure.text, self.settings.model
        )
        if account is not None:
            return account
        if failure.exhausted:
            return self.provider.exhausted(failure.text)
        if failure.status == 404:
            return self._not_found()
        if failure.status == 400 and failure.about_tier:
            return ConfigurationError(
                f"{self.settings.model} has no such service tier; leave out --service-tier"
                f"{self.provider.says(failure.text)}"
            )
        if failure.about_format:
            return SchemaRefusedError(
                f"{self.settings.model} does not take the request as it is made here"
                f"{self.provider.says(failure.text)}; choose another with --model"
            )
        if failure.about_thinking:
            return ConfigurationError(
                f"{self.settings.model} does not allow so little thinking"
                f"{self.provider.says(failure.text)}; add --option thinking_level=low (or medium)"
            )
        return self.provider.failed(
            failure.status, failure.headers, failure.text, failure.retry_delay
        )

    def _not_found(self) -> CaptionerError:
        try:
            # The first page alone: a server could say for ever that there is one more.
            page = self.client.models.list(config={"page_size": 1000}).page
            names = [model.name or "" for model in page]
        except genai_errors.APIError as error:
            if error.code == 404:
                return self.provider.nothing_there()
            names = []
        except (httpx2.HTTPError, *NO_PROTOCOL):
            names = []  # the model is missing all the same; only the suggestion is lost
        known = [name.removeprefix("models/") for name in names]
        return self.provider.unknown_model(self.settings.model.removeprefix("models/"), known)


def _cap_connect_timeout(request: httpx2.Request) -> None:
    """Give a host that is switched off 10 s; the SDK sets one timeout for everything."""
    timeout = request.extensions["timeout"]
    timeout["connect"] = min(CONNECT_TIMEOUT, timeout["connect"])
