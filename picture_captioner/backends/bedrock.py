"""Captions by the models of Amazon Bedrock, through its Converse API and boto3.

boto3 knows AWS's profiles and signatures; what it prepares is sent by our own transport
(bedrock_access.py). One photo is one request, and nothing but the photo, the question and the
settings of the answer is in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import httpx2
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from picture_captioner.backends.answer_limits import AnswerHook
from picture_captioner.backends.base import (
    BackendOptions,
    BackendSettings,
    Caption,
    CaptionBackend,
    ExpectedTokens,
    Fault,
    JpegOptions,
)
from picture_captioner.backends.bedrock_access import SIGNED, Account
from picture_captioner.backends.bedrock_errors import (
    OURS,
    BedrockProvider,
    credentials_problem,
    denied_sign_in,
    mapped,
    refused_part,
)
from picture_captioner.backends.encoding import (
    encode_jpeg,
)
from picture_captioner.backends.endpoint import Endpoint, endpoint
from picture_captioner.backends.http_service import (
    FLEX_TIMEOUT,
    NO_PROTOCOL,
    BareHeaders,
    quiet_libraries,
    usable_key,
)
from picture_captioner.backends.prompt import question
from picture_captioner.backends.reasoning import ROOM, without_reasoning
from picture_captioner.backends.tokens import anthropic_tokens, expected_tokens
from picture_captioner.backends.usage import count, name_in, one_request, total
from picture_captioner.errors import CaptionerError, ModelError, Usage
from picture_captioner.foreign_text import keep_secret

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_IMAGE_BYTES = 3_750_000
"""Of one picture (docs.aws.amazon.com, API_runtime_Message, read on 2026-11-28)."""

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
"""AWS's own name for a Bedrock API key; ours, for config.env, is BEDROCK_API_KEY."""

PASSED_ON = {
    "global": "AWS regions anywhere in the world",
    "us": "AWS regions in the United States",
    "us-gov": "AWS GovCloud regions",
    "eu": "AWS regions in Europe",
    "apac": "AWS regions in Asia and the Pacific",
    "jp": "AWS regions in Japan",
    "au": "AWS regions in Australia",
    "ca": "AWS regions in Canada",
}
"""Where an inference profile computes, by what stands before the first dot of its name (user guide,
"Supported Regions and models for inference profiles", read on 2026-11-28)."""

BUCKET_AND_FOLDER = r"^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](/[-!_*'().a-z0-9A-Z]+)*/?$"
"""The form of botocore's `S3Uri`, without `s3://`."""

_NAMED: set[str] = set()
"""Hosts for credentials that this process has named: `batch wait` asks them every minute."""

_STOPPED = {
    "guardrail_intervened": ("a guardrail of this account blocks this photo", "refused"),
    "content_filtered": ("the model refuses to describe this photo", "refused"),
    "refusal": ("the model refuses to describe this photo", "refused"),
    "max_tokens": ("the caption was cut off; allow more with --max-tokens", "truncated"),
    "model_context_window_exceeded": ("the caption was cut off; send a smaller photo", "truncated"),
}


class BedrockOptions(JpegOptions):
    """What `--option NAME=VALUE` may set."""

    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    profile: str | None = None
    service_tier: Literal["flex"] | None = None
    deployed_model: str | None = None
    """The model behind an application inference profile, whose ARN tells nothing about it."""
    instance_role: bool = False
    """Ask the metadata service of a rented AWS machine (169.254.169.254) for credentials."""
    bucket: str | None = Field(default=None, pattern=BUCKET_AND_FOLDER)
    """The S3 bucket, or BUCKET/FOLDER, through which batch jobs go."""
    role: str | None = Field(default=None, pattern=r"^arn:aws(-[^:]+)?:iam::\d{12}:role/.+$")
    """The ARN of the role as which Bedrock reads and writes there."""
    job_hours: int = Field(default=24, ge=24, le=168)
    """After that Bedrock gives a batch job up."""
    jobs_url: str | None = None
    s3_url: str | None = None
    """Addresses of VPC endpoints for batch jobs, as `--base-url` is for single photos."""


class BedrockBackend(CaptionBackend):
    """Any model of Bedrock that sees, through Converse."""

    name: ClassVar[str] = "bedrock"
    summary: ClassVar[str] = "models of Amazon Bedrock, paid per token; photos leave this machine"
    extra: ClassVar[str | None] = "bedrock"
    writes_fields: ClassVar[bool] = True
    key_env_var: ClassVar[str | None] = "BEDROCK_API_KEY"
    key_form: ClassVar[str] = "a Bedrock API key"
    default_model: ClassVar[str] = "global.anthropic.claude-haiku-5-5"
    default_base_url: ClassVar[str] = "https://bedrock-runtime.REGION.amazonaws.com"
    default_workers: ClassVar[int] = 8
    price_provider: ClassVar[str | None] = "aws"
    largest_edge: ClassVar[int] = 2576
    preferred_edge: ClassVar[int] = 1008
    check_asks: ClassVar[bool] = False

    Options: ClassVar[type[BackendOptions]] = BedrockOptions

    def __init__(self, settings: BackendSettings) -> None:
        """Read the profile and check the address; nothing is sent.

        Raises:
            ConfigurationError: no region, no such profile, or an address that is not allowed.
        """
        super().__init__(settings)
        quiet_libraries()
        options = self.options
        self._account = Account(
            options.profile, options.region, instance_role=options.instance_role
        )
        self._where = self._address("bedrock-runtime", settings.base_url)
        self._key = usable_key(
            self.name, settings.api_key.get_secret_value() or os.environ.get(BEARER, "")
        )
        keep_secret(self._key)
        self._service = BedrockProvider(
            host=self._where.host,
            key_name="BEDROCK_API_KEY",
            secret=self._key,
            model=settings.model,
            region=self._account.region,
            profile=self._account.profile,
        )
        self._https: list[httpx2.Client] = []
        self._client: Any = None
        self._refused: frozenset[str] = frozenset()

    @property
    def destination(self) -> str:
        """The host that receives the photos, and where an inference profile may compute."""
        area = PASSED_ON.get(self.settings.model.partition(".")[0])
        return f"{self._where.host}, which passes them on to {area}" if area else self._where.host

    @property
    def service_tier(self) -> str | None:
        """As in `CaptionBackend`."""
        return self.options.service_tier

    @property
    def priced_model(self) -> str:
        """The model's name without the ARN of an inference profile around it."""
        return self.options.deployed_model or self.settings.model.rpartition("/")[2]

    @property
    def answer_room(self) -> int:
        """As in `CaptionBackend`: for a model that would not be kept from thinking."""
        return ROOM if "thinking" in self._refused else 0

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`; the rule for a picture is published for Anthropic's models."""
        _, found, name = self.priced_model.partition("anthropic.")
        tokens = anthropic_tokens(width, height, name) if found else None
        return expected_tokens(self.settings, tokens, characters_per_token=2.5)

    def check(self) -> None:
        """Find credentials; whether they may use the model is found out by the first photo.

        AWS has no free question about a model at this address, and the least that a key needs to be
        allowed, `bedrock:InvokeModel`, does not include one elsewhere.

        Raises:
            ConfigurationError, AccessDeniedError, BackendUnavailableError: there are none.
        """
        self._service.check_model_form(self.settings.model)
        if not self._key:
            self._sign_in()
        self._client = self._connect("bedrock-runtime", self._where, with_key=True)
        of_profile = f"credentials of the AWS profile {self._account.profile}"
        whose = "credentials: an API key" if self._key else of_profile
        self.learned = (f"there are {whose}; nothing is asked before the first photo",)

    def connect(self, service: str, url: str | None) -> tuple[Any, str]:
        """boto3's client of another AWS service in this region, and its host; for batch jobs.

        An API key is for Bedrock alone, so this one signs.

        Raises:
            ConfigurationError, AccessDeniedError, BackendUnavailableError: there are no
                credentials, or the address is not allowed.
        """
        where = self._address(service, url)
        if not self._account.signed_in:
            self._sign_in()
        return self._connect(service, where, with_key=False), where.host

    def _address(self, service: str, url: str | None) -> Endpoint:
        region = self._account.region
        suffix = ".cn" if region.startswith("cn-") else ""
        default = f"https://{service}.{region}.amazonaws.com{suffix}"
        return endpoint(default, replace(self.settings, base_url=url))

    def _sign_in(self) -> None:
        for host in set(self._account.asks_elsewhere()) - _NAMED:
            _NAMED.add(host)
            self.settings.notice(f"Asking {host} for AWS credentials; no photo is sent there")
        try:
            self._account.sign_in()
        except ClientError as error:
            raise denied_sign_in(error, self._account.profile) from None

    def _connect(self, service: str, where: Endpoint, *, with_key: bool) -> Any:
        tier = self.options.service_tier
        seconds = self.settings.timeout or (FLEX_TIMEOUT if tier else self.timeout)
        http = where.http_client(seconds, self.max_workers)
        self._https.append(http)
        key = {"authorization": f"Bearer {self._key}"} if self._key and with_key else {}
        http.event_hooks = {
            "request": [BareHeaders(where.url, SIGNED, key)],
            "response": [AnswerHook(self)],
        }
        return self._account.client(service, where, http, signed=not key)

    def request_body(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> dict[str, Any]:
        """Converse's JSON about a photo, as a line of a batch job has it; the JPEG is bytes."""
        parameters = self._parameters(image, hints, fault)
        return {k: v for k, v in parameters.items() if k not in ("modelId", "serviceTier")}

    def read_body(self, body: Mapping[str, Any]) -> Caption:
        """The caption in Converse's JSON; errors as in `caption`."""
        return read_answer(body)

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """Send one photo and read the answer; errors as in `CaptionBackend.caption`.

        A part of the request that the model does not take (the schema, the temperature, the word
        that keeps it from thinking) is left out from then on, and the photo asked about again.
        """
        if self._client is None:
            self.check()
        requests = 0
        while True:
            requests += 1
            try:
                answer = self._client.converse(**self._parameters(image, hints, fault))
            except ClientError as error:
                part = refused_part(error)
                if part is None or part in self._refused:
                    raise self.meaning(error) from None
                self._refused |= {part}
                continue
            except (BotoCoreError, httpx2.HTTPError, *NO_PROTOCOL) as error:
                raise self.lost(error) from None
            said = isinstance(answer.get("stopReason"), str) or answer.get("usage")
            if not said:  # what is no JSON comes back empty
                raise self._service.unreadable()
            return read_answer(answer, requests)

    def close(self) -> None:
        """Close the connections; the backend is not usable afterwards."""
        if self._client is not None:
            self._client.close()
        for http in self._https:
            http.close()

    @property
    def options(self) -> BedrockOptions:
        """What `--option` has set."""
        given = self.settings.options
        return given if isinstance(given, BedrockOptions) else BedrockOptions()

    def _parameters(
        self, image: Image, hints: Sequence[str], fault: Fault | None
    ) -> dict[str, Any]:
        jpeg = encode_jpeg(image, quality=self.options.jpeg_quality, max_bytes=MAX_IMAGE_BYTES)
        content = [
            {"image": {"format": "jpeg", "source": {"bytes": jpeg}}},
            {"text": question(self.settings, hints, fault)},
        ]
        more_tokens = fault.more_tokens if fault else 1
        inference: dict[str, Any] = {
            "maxTokens": self.settings.max_tokens * more_tokens + self.answer_room
        }
        claude = "anthropic." in self.priced_model
        if not claude and "temperature" not in self._refused:  # Claude 5.5 refuses it
            inference["temperature"] = self.settings.temperature
        parameters: dict[str, Any] = {
            "modelId": self.settings.model,
            "messages": [{"role": "user", "content": content}],
            "inferenceConfig": inference,
        }
        if claude and "thinking" not in self._refused:  # Claude 5 and later think unless told
            parameters["additionalModelRequestFields"] = {"thinking": {"type": "disabled"}}
        if self.settings.asked is not None and "schema" not in self._refused:
            schema = {"name": "photo", "schema": json.dumps(self.settings.asked.schema())}
            text_format = {"type": "json_schema", "structure": {"jsonSchema": schema}}
            parameters["outputConfig"] = {"textFormat": text_format}
        if self.options.service_tier:
            parameters["serviceTier"] = {"type": self.options.service_tier}
        return parameters

    def meaning(self, error: ClientError, host: str | None = None) -> CaptionerError:
        """What an error answer of AWS means; `host`: who gave it, if not the one for photos."""
        if error.operation_name not in OURS:  # SSO or STS, where credentials had to be renewed
            return denied_sign_in(error, self._account.profile)
        service = replace(self._service, host=host or self._service.host)
        text = str(error.response.get("Error", {}).get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        account = service.account_error(status, "", text, self.settings.model)
        return account or mapped(error, service)

    def lost(self, error: Exception, host: str | None = None) -> CaptionerError:
        """What it means that no answer came, or none that can be read; `host` as above."""
        service = replace(self._service, host=host or self._service.host)
        if isinstance(error, httpx2.HTTPError):
            return service.unconnected(error)
        if isinstance(error, BotoCoreError) and not _about_the_answer(error):
            return credentials_problem(error, self._account.profile)
        return service.unreadable()


def _about_the_answer(error: BotoCoreError) -> bool:
    return type(error).__name__ in {"ResponseParserError", "UnknownServiceStyle"}


def read_answer(answer: Mapping[str, Any], requests: int = 1) -> Caption:
    """The caption in an answer of Converse, thoughts left out.

    Raises:
        ModelError: `refused`, `truncated`, `unfinished`, `reasoning` or `empty`, with its usage.
    """
    usage = _usage(answer) | Usage(requests=requests)
    reason = answer.get("stopReason")
    if reason not in ("end_turn", "stop_sequence"):
        default = ("the model did not finish its answer", "unfinished")
        message, code = _STOPPED.get(str(reason), default)
        raise ModelError(message, code=code, usage=usage)
    content = answer.get("output", {}).get("message", {}).get("content") or []
    raw = "".join(block["text"] for block in content if isinstance(block.get("text"), str))
    text = without_reasoning(raw)
    if not text:
        thoughts = raw.strip() or any("text" not in block for block in content)
        code = "reasoning" if thoughts else "empty"
        raise ModelError("the model returned no caption", code=code, usage=usage)
    return Caption(text, **usage)


def _usage(answer: Mapping[str, Any]) -> Usage:
    """Input is everything that was read, cached or not, as other providers count it."""
    reported = answer.get("usage") or {}
    cached, kept = reported.get("cacheReadInputTokens"), reported.get("cacheWriteInputTokens")
    read = total(reported.get("inputTokens"), cached, kept)
    details = [one for one in reported.get("cacheDetails") or () if one.get("ttl") == "1h"]
    for_an_hour = total(*(one.get("inputTokens") for one in details))
    output = count(reported.get("outputTokens"))
    usage = one_request(read, output, count(cached), count(kept), for_an_hour)
    tier = name_in((answer.get("serviceTier") or {}).get("type"))
    if tier is not None and tier != "default":
        usage["service_tier"] = tier
    return usage
