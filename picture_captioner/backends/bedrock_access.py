"""Who we are at AWS, and boto3's clients: boto3 signs, our own transport sends.

boto3 looks for credentials in many places, some of them on other machines. Left out here are the
metadata service of a rented machine (169.254.169.254), unless `instance_role` asks for it, and
every setting that would send photos to another address than the one that was named
(`AWS_ENDPOINT_URL`, `endpoint_url` in a profile). A profile that signs in with SSO or assumes a
role is answered by AWS's own SSO and STS hosts, which `asks_elsewhere` names.

What boto3 has built and signed goes out through the HTTP client of the other backends: no
redirects, the proxy rules of `endpoint.py`, no header that names the operating system, an answer of
16 MB at most, and a limit on the whole of it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from picture_captioner.backends.bedrock_errors import credentials_problem
from picture_captioner.errors import ConfigurationError
from picture_captioner.foreign_text import keep_secret

if TYPE_CHECKING:
    import httpx2

    from picture_captioner.backends.endpoint import Endpoint

SIGNED = frozenset(
    {
        *("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
        *("range", "if-match"),  # a part of a file in S3, as long as it is the same file
    }
)
"""Headers that AWS needs besides those of any request."""

_TELLING = ("amz-sdk-invocation-id", "amz-sdk-request", "x-amzn-trace-id")
"""Headers that boto3 adds for statistics; taken out before the signature covers them."""


class Account:
    """A profile of AWS (`None`: the default), with its region; nothing is sent to make one."""

    def __init__(self, profile: str | None, region: str | None, *, instance_role: bool) -> None:
        """Read the profile from ~/.aws and the environment.

        Raises:
            ConfigurationError: no such profile, a broken file, or no region.
        """
        core = botocore.session.Session(profile=profile)
        try:
            # boto3 itself reads AWS_DEFAULT_REGION alone; AWS's other SDKs read AWS_REGION.
            region = region or os.environ.get("AWS_REGION") or None
            self._session = boto3.Session(botocore_session=core, region_name=region)
            found = self._session.region_name
            self._facts: dict[str, Any] = core.get_scoped_config()
            if not instance_role:
                core.get_component("credential_provider").remove("iam-role")
        except BotoCoreError as error:
            raise credentials_problem(error, profile) from None
        if not found:
            raise ConfigurationError(
                "Bedrock needs a region: --option region=eu-central-1, the variable AWS_REGION, or "
                "`aws configure`"
            )
        self.region = found
        self.signed_in = False
        self.profile: str = core.profile or "default"

    def asks_elsewhere(self) -> list[str]:
        """AWS's hosts that are asked for credentials, where the profile needs them."""
        facts = self._facts
        hosts = []
        if sso := facts.get("sso_session") or facts.get("sso_start_url"):
            region = facts.get("sso_region") or self._sso_region(str(sso))
            hosts += [f"portal.sso.{region}.amazonaws.com", f"oidc.{region}.amazonaws.com"]
        if facts.get("role_arn"):
            hosts.append(f"sts.{self.region}.amazonaws.com")
        return hosts

    def _sso_region(self, session: str) -> str:
        sessions = self._session._session.full_config.get("sso_sessions", {})
        return str(sessions.get(session, {}).get("sso_region", self.region))

    def sign_in(self) -> None:
        """Find credentials, which may ask SSO or STS.

        Raises:
            AccessDeniedError, ConfigurationError, BackendUnavailableError: there are none, with the
                command that brings them.
        """
        try:
            credentials = self._session.get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
        except BotoCoreError as error:
            raise credentials_problem(error, self.profile) from None
        if frozen is None:
            raise ConfigurationError(
                "no AWS credentials: `aws configure` or `aws sso login`, a profile with --option "
                "profile=NAME, or a Bedrock API key as BEDROCK_API_KEY=... in config.env"
            )
        for secret in (frozen.secret_key, frozen.token):
            keep_secret(secret or "")
        self.signed_in = True

    def client(self, service: str, where: Endpoint, http: httpx2.Client, *, signed: bool) -> Any:
        """A service of AWS at this address; unsigned where an API key goes along instead."""
        config = Config(
            ignore_configured_endpoint_urls=True,
            defaults_mode="legacy",  # `auto` would ask the metadata service for the region
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"},  # the host that was named, not one for each bucket
            request_checksum_calculation="when_required",  # the signature covers the file's bytes
            response_checksum_validation="when_required",
            # UNSIGNED keeps boto3 from asking for credentials that nobody needs.
            **({} if signed else {"signature_version": UNSIGNED}),
        )
        client = self._session.client(
            service, region_name=self.region, endpoint_url=where.url, config=config
        )
        client.meta.events.register_first("before-sign", _take_out_telling_headers)
        client.meta.events.register("before-send", _Transport(http))
        client.meta.events.register("before-call.s3", _stay_in_the_region)
        return client


def _take_out_telling_headers(request: AWSRequest, **_: object) -> None:
    for name in _TELLING:
        if name in request.headers:
            del request.headers[name]


def _stay_in_the_region(context: dict[str, Any], **_: object) -> None:
    """Keep boto3 from asking another region of S3 when a bucket turns out to be there."""
    context.setdefault("s3_redirect", {})["redirected"] = True


class _Transport:
    """A hook of boto3's that sends what it has prepared and returns the answer."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        answer = self._http.request(
            request.method, request.url, headers=headers, content=request.body
        )
        return AWSResponse(
            request.url, answer.status_code, dict(answer.headers), _Body(answer.content)
        )


class _Body(io.BytesIO):
    """The whole body of an answer in the form in which boto3 reads it."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """All of it at once: it was read, and bounded, before."""
        yield self.getvalue()
