"""What every OpenAI-compatible provider has in common, on the openai SDK.

A provider is a subclass: an address, a default model, and what its API is documented to accept.
The SDK's own retries are off (pipeline/asking/retry.py is the one layer that retries), redirects
are not followed, and a request carries no header beyond those it needs: the SDK would add the
operating system, the Python version and whatever `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` and
`OPENAI_CUSTOM_HEADERS` hold, for xAI and a local server just as for OpenAI.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import openai
from openai.types.chat import ChatCompletion

from picture_captioner.backends.answer_limits import AnswerHook
from picture_captioner.backends.base import (
    BackendOptions,
    BackendSettings,
    Caption,
    CaptionBackend,
    ExpectedTokens,
    Fault,
)
from picture_captioner.backends.chat_answers import (
    caption_from,
    failure_inside,
    is_answer,
    thinking_in,
)
from picture_captioner.backends.encoding import (
    encode_jpeg,
    json_data_url,
)
from picture_captioner.backends.endpoint import Endpoint, endpoint
from picture_captioner.backends.http_service import (
    FLEX_TIMEOUT,
    NO_PROTOCOL,
    BareHeaders,
    retirement,
    usable_key,
)
from picture_captioner.backends.local_server import ServedModel, not_local
from picture_captioner.backends.openai_errors import (
    OpenAIProvider,
    asked_for_free,
    mapped,
    mapped_failure,
    no_completion,
)
from picture_captioner.backends.openai_options import (
    AcceptedFields,
    OpenAIOptions,
    response_format,
)
from picture_captioner.backends.prompt import question
from picture_captioner.backends.reasoning import Headroom, least, room_for
from picture_captioner.backends.tokens import cut_notice, expected_tokens, qwen_tokens
from picture_captioner.backends.vocabulary import EnumLimit
from picture_captioner.errors import (
    BackendUnavailableError,
    ConfigurationError,
    TransientError,
    count,
    did_you_mean,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger("caption.backend")

_LISTED = 12
"""Model names that a message lists; OpenRouter knows over 900."""

_PATH = "/chat/completions"


class OpenAIFamilyBackend(CaptionBackend):
    """Base of the backends that speak OpenAI's chat completions."""

    extra: ClassVar[str | None] = "api"
    writes_fields: ClassVar[bool] = True
    enum_limit = EnumLimit(values=950, characters=15_000)
    """OpenAI takes 1,000 in a schema, our other fields' included, and these characters in one
    enum; servers of one's own make a grammar of any length of it."""

    default_workers: ClassVar[int] = 8
    limit_field: ClassVar[str] = "max_tokens"
    max_image_bytes: ClassVar[int] = 20 * 1024 * 1024
    key_optional: ClassVar[bool] = False
    lists_models: ClassVar[bool] = True
    unreachable_remedy: ClassVar[str] = "check the network and --base-url, then run again"
    missing_model_remedy: ClassVar[str] = "choose another with --model"
    context_remedy: ClassVar[str] = "choose a model that takes more with --model"

    Options: ClassVar[type[BackendOptions]] = OpenAIOptions

    def __init__(self, settings: BackendSettings) -> None:
        """Check the address and prepare the client; nothing is sent.

        Raises:
            ConfigurationError: the address or the key cannot be used.
        """
        super().__init__(settings)
        self._model = settings.model
        self._endpoint = endpoint(self.default_base_url, settings)
        self._key = usable_key(self.name, settings.api_key.get_secret_value())
        self._http = self._endpoint.http_client(self._seconds, connections=self.max_workers)
        self._http.event_hooks = {
            "request": [_headers(self._endpoint, self._key)],
            "response": [AnswerHook(self)],
        }
        self.client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=self._endpoint.url,
            http_client=self._http,
            timeout=self._http.timeout,
            max_retries=0,
        )
        self._accepted = AcceptedFields()
        self._cut_noticed = False
        self._headroom = Headroom(
            room_for(self._options.reasoning_effort or self.reasoning_effort())
        )
        self._passed_on_to: str | None = None

    @property
    def destination(self) -> str | None:
        """The host that receives the photos, and the one that it passes them on to, if it says."""
        if self._passed_on_to is None:
            return self._endpoint.host
        return f"{self._endpoint.host}, which passes them on to {self._passed_on_to}"

    def check(self) -> None:
        """Ask the server for its models: it is there, it takes the key, it has the model.

        Raises:
            ConfigurationError: no key, or the server does not know the model.
            AccessDeniedError: the key is rejected.
            BackendUnavailableError: no server, no answer, or none that makes sense. One that is
                only busy (429, 5xx) lets the run start: it retries, and stops if that goes on.
        """
        if not self.key_optional:
            super().check()
        try:
            known = self._model_names()
            if known is not None:
                self._find_model(known)
            self._look_at(self._served())
        except TransientError:
            _log.warning("the model could not be checked", extra={"event": "unchecked"})

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """Send one photo and read the answer; errors as in `CaptionBackend.caption`."""
        message = self._message(image, hints, fault)
        completion, requests = self._complete(message, fault.more_tokens if fault else 1)
        return self._read(completion, requests)

    def request_body(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> dict[str, Any]:
        """The body of the request for one photo, for `msgspec.json.encode`."""
        message = self._message(image, hints, fault)
        return self._body(message, self._request_fields(fault.more_tokens if fault else 1))

    def read_body(self, body: dict[str, Any]) -> Caption:
        """The caption in the body of an answer; errors as `caption`."""
        return self._read(ChatCompletion.construct(**body), requests=1)

    def _read(self, completion: object, requests: int) -> Caption:
        failure = failure_inside(completion)
        if failure is not None:
            raise mapped_failure(failure, self.provider)
        if not is_answer(completion):
            raise no_completion(self.provider)
        thought, cut_off = thinking_in(completion)
        self._headroom.learn(thought, cut_off=cut_off)
        caption = caption_from(completion, requests)
        read = caption.input_tokens
        line = cut_notice(self._endpoint.host, read, self.settings, self.context_remedy)
        if line and not self._cut_noticed:
            self._cut_noticed = True
            self.settings.notice(line)
        return caption

    def close(self) -> None:
        """Close the connections; the backend is not usable afterwards."""
        self.client.close()

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`; open models are known by their name."""
        return expected_tokens(self.settings, qwen_tokens(width, height, self._model))

    def tuning(self) -> dict[str, Any]:
        """Request fields besides the model and the photo that this provider documents."""
        return {
            self.limit_field: self.settings.max_tokens,
            "temperature": self.settings.temperature,
        }

    @property
    def service_tier(self) -> str | None:
        """As in `CaptionBackend`."""
        return self._options.service_tier

    @property
    def priced_model(self) -> str:
        """The model behind a deployment, if there is one."""
        return self._options.deployed_model or self._model

    def reasoning_effort(self) -> str | None:
        """The least effort that this model takes; None to say nothing."""
        row = least(self.name, self.priced_model)
        return row.effort if row else None

    @property
    def answer_room(self) -> int:
        """As in `CaptionBackend`: for thinking, as known or as the answers have shown."""
        return self._headroom.tokens

    @property
    def _effort(self) -> str | None:
        """The level of reasoning that is asked for; None to say nothing."""
        wanted = self._options.reasoning_effort or self.reasoning_effort()
        return None if wanted == "default" else wanted

    @property
    def _options(self) -> OpenAIOptions:
        given = self.settings.options
        return given if isinstance(given, OpenAIOptions) else OpenAIOptions()

    @property
    def _seconds(self) -> float:
        usual = FLEX_TIMEOUT if self._options.service_tier else self.timeout
        return self.settings.timeout or usual

    @property
    def provider(self) -> OpenAIProvider:
        """Who is asked, as its failures are told."""
        return OpenAIProvider(
            backend=self.name,
            host=self._endpoint.host,
            model=self._model,
            key_name=self.key_env_var or "the key",
            missing_model_remedy=self.missing_model_remedy.replace("MODEL", self._model),
            context_remedy=self.context_remedy,
            secret=self._key,
        )

    def _message(self, image: Image, hints: Sequence[str], fault: Fault | None) -> dict[str, Any]:
        options = self._options
        jpeg = encode_jpeg(
            image, quality=options.jpeg_quality, max_bytes=self.max_image_bytes * 3 // 4
        )
        picture: dict[str, Any] = {"url": json_data_url(jpeg)}
        if options.detail:
            picture["detail"] = options.detail
        content = [
            {"type": "image_url", "image_url": picture},
            {"type": "text", "text": question(self.settings, hints, fault)},
        ]
        return {"role": "user", "content": content}

    def _body(self, message: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        return {"model": self._model, "messages": [message], **fields}

    def _request_fields(self, more_tokens: int) -> dict[str, Any]:
        limit = self.enum_limit if self._accepted.enums else None
        wanted = self.tuning() | response_format(self.settings.asked, limit)
        wanted[self.limit_field] = wanted[self.limit_field] * more_tokens + self._headroom.tokens
        if self._options.service_tier:
            wanted["service_tier"] = self._options.service_tier
        if self._effort:
            wanted["reasoning_effort"] = self._effort
        return self._accepted.fitted(wanted | self._options.extra_body)

    def _complete(self, message: dict[str, Any], more_tokens: int) -> tuple[object, int]:
        """The answer, and how many requests it took.

        Where the server rejects a field that tunes the answer, it is asked again without. Each pass
        leaves out one more, or raises the effort by a step, so it comes to an end.

        `post` and not `chat.completions.create`, which looks at every character of the photo twice
        and holds the interpreter for a millisecond meanwhile: a fifth of what a photo takes.
        """
        requests = 0
        while True:
            requests += 1
            fields = self._request_fields(more_tokens)
            body = msgspec.json.encode(self._body(message, fields))
            try:
                return self.client.post(_PATH, content=body, cast_to=ChatCompletion), requests
            except openai.APIStatusError as error:
                healed = self._accepted.learn(error, fields)
                fault = mapped(error, self.provider)
            except openai.OpenAIError as error:
                healed, fault = False, mapped(error, self.provider)
            except NO_PROTOCOL:
                healed, fault = False, no_completion(self.provider)
            if not healed:
                raise fault
            self._headroom.tokens = max(self._headroom.tokens, room_for(self._accepted.effort))

    def _model_names(self) -> list[str] | None:
        page = asked_for_free(self.client.models.list, self.provider, self.unreachable_remedy)
        models = getattr(page, "data", None)
        if isinstance(models, list):
            self._tell_shutdown(models)
            found = [getattr(model, "id", None) for model in models]
            names = [name for name in found if isinstance(name, str)]
            self.learned = (count(len(names), "model"),)
            return names
        if self.lists_models:
            raise BackendUnavailableError(
                f"{self._endpoint.host} answers, but lists no models; most base URLs end in /v1"
            )
        self.learned = ("lists no models",)
        return None

    def _served(self) -> ServedModel | None:
        """What the server itself says about the model; most say nothing."""
        return None

    def _look_at(self, served: ServedModel | None) -> None:
        """Act on what the server says about the model.

        Raises:
            ConfigurationError: it is blind, or runs elsewhere with `--local-only`.
        """
        if served is None:
            return
        if served.sees is False:
            raise ConfigurationError(
                f"the model {self._model} at {self._endpoint.host} cannot see images; choose one "
                "that can with --model"
            )
        if served.elsewhere is not None:
            if self.settings.local_only:
                raise ConfigurationError(not_local(self._model, self._endpoint.host, served))
            self._passed_on_to, self.free = served.elsewhere, False
        if served.sees:
            self.learned += (f"{self._model} sees",)
        if served.context:
            self.learned += (f"a context of {served.context:,} tokens",)

    def _tell_shutdown(self, models: Sequence[object]) -> None:
        """Say when the model will be gone, if the provider says it (OpenAI's `shutdown_date`)."""
        for model in models:
            day = getattr(model, "shutdown_date", None)
            if getattr(model, "id", None) == self.priced_model and isinstance(day, str) and day:
                self.settings.notice(retirement(self.priced_model, self._endpoint.host, day))

    def _find_model(self, known: Sequence[str]) -> None:
        if self._model in known or self._options.deployed_model:
            return  # Azure lists models, and not what they are deployed as
        # An alias such as grok-4-latest is served without being listed.
        named = partial(self.client.models.retrieve, self._model)
        if asked_for_free(named, self.provider, self.unreachable_remedy) is not None:
            return
        some = ", ".join(sorted(known)[:_LISTED]) + (", ..." if len(known) > _LISTED else "")
        raise ConfigurationError(
            f"{self._endpoint.host} does not know the model {self._model}"
            f"{did_you_mean(self._model, known)}; {self.provider.missing_model_remedy} "
            f"(it has: {some or 'none'})"
        )


def _headers(where: Endpoint, key: str) -> BareHeaders:
    """`host` is set too: behind a shared front end, `OPENAI_CUSTOM_HEADERS` could redirect."""
    forced = {"host": where.host} | ({"authorization": f"Bearer {key}"} if key else {})
    return BareHeaders(where.url, (), forced)
