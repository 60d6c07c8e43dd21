"""What AWS's errors mean: this photo, a moment, or the run.

Read on 2026-11-28 in docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes
and in botocore 1.44's model of Converse (names and statuses); messages in issue threads, of which
the ones that matter are in tests/providers/contracts/bedrock.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from picture_captioner.backends.http_service import Provider
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    FatalError,
)
from picture_captioner.foreign_text import clean, cut

OURS = frozenset(
    {
        "Converse",
        *("CreateModelInvocationJob", "GetModelInvocationJob"),
        *("ListModelInvocationJobs", "StopModelInvocationJob"),
        *("PutObject", "GetObject", "ListObjectsV2", "DeleteObject"),
    }
)
"""What we ask AWS; other operations are boto3's, of SSO or STS, while it signs one of these."""

_EXPIRED = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
_REJECTED = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "InvalidAccessKeyId",  # these two, and RequestTimeTooSkewed, are S3's
        "SignatureDoesNotMatch",
    }
)
_BUSY = frozenset(
    {"ThrottlingException", "ServiceQuotaExceededException", "ModelNotReadyException"}
)
_CLOCK = re.compile(r"signature (?:has )?expired|not yet current|request time", re.IGNORECASE)
_ACTION = re.compile(r"perform: ?([a-z0-9]{1,20}:[A-Za-z]{1,40})")
_NO_JOBS = re.compile(r"batch.{0,80}not.{0,20}support|support.{0,80}batch", re.IGNORECASE)
_ROLE = re.compile(
    r"arn:aws[a-z-]{0,10}:iam::|assume .{0,40}role|(?:iam|service|execution) role", re.IGNORECASE
)
_FOR_TODAY = re.compile(r"per day|daily", re.IGNORECASE)
_FORM = re.compile(r"use case details|FTUFormNotFilled", re.IGNORECASE)
_NEEDS_PROFILE = re.compile(r"on-demand throughput|inference profile", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model identifier is invalid|could not resolve the foundation model|end of its life"
    r"|model .{0,100}?(?:not found|does(?: not|n't) exist|not supported in)|marked .{0,20}legacy",
    re.IGNORECASE,
)
_BLIND = re.compile(
    r"(?:does(?: not|n't)|do not) support (?:the )?(?:image|vision|multimodal)"
    r"|image content block",
    re.IGNORECASE,
)
_NO_TIER = re.compile(r"service[ _]?tier", re.IGNORECASE)
_NO_ROOM = re.compile(r"input is too long|too many input tokens|context (?:window|length)", re.I)
_REFUSED = re.compile(r"content filter|blocked by|harmful|responsible ai", re.IGNORECASE)

FIELDS = {
    "schema": re.compile(
        r"output_?config|text_?format|json_?schema|structured[ _]outputs?", re.IGNORECASE
    ),
    "thinking": re.compile(r"\bthinking\b", re.IGNORECASE),
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
}
"""Parts of a request that some model does not take, by what AWS says of them."""


@dataclass(frozen=True, kw_only=True)
class BedrockProvider(Provider):
    """Who is asked, for which model and as whom."""

    model: str
    region: str
    profile: str


def refused_part(error: ClientError) -> str | None:
    """The part of the request that a ValidationException is about; None for another fault."""
    if _code(error) != "ValidationException":
        return None
    text = _text(error)
    return next((name for name, words in FIELDS.items() if words.search(text)), None)


def mapped(error: ClientError, service: BedrockProvider) -> CaptionerError:
    """The program's own error for an error answer."""
    code, text, status = _code(error), _text(error), _status(error)
    said = service.says(text)
    about_access = _about_access(code, text, service)
    if about_access is not None:
        return about_access
    if code in _BUSY:
        if _FOR_TODAY.search(text):
            return AccessDeniedError(
                f"today's quota for {service.model} at {service.host} is used up; go on tomorrow, "
                f"or ask for more under Service Quotas{said}"
            )
        return service.failed(429, _headers(error), text)
    return _about_the_model(code, text, service) or service.failed(status, _headers(error), text)


def _about_access(code: str, text: str, service: BedrockProvider) -> FatalError | None:
    said = service.says(text)
    if (_CLOCK.search(text) and code in _REJECTED | _EXPIRED) or code == "RequestTimeTooSkewed":
        return ConfigurationError(
            f"{service.host} says that the request is too old or of the future: set this machine's "
            f"clock{said}"
        )
    if code in _EXPIRED:
        return AccessDeniedError(_sign_in_again(service.profile, "have expired"))
    if code in _REJECTED:
        return AccessDeniedError(
            f"{service.host} rejects the credentials of {_of(service.profile)}; check them with "
            f"`aws sts get-caller-identity`{said}"
        )
    if code == "AccessDeniedException":
        action = _ACTION.search(text)
        return AccessDeniedError(
            f"{_of(service.profile)} may not use {service.model} in {service.region}: it needs "
            f"{action[1] if action else 'bedrock:InvokeModel'} for it (docs/bedrock.md has the "
            f"policy){said}"
        )
    return None


def _about_the_model(code: str, text: str, service: BedrockProvider) -> CaptionerError | None:
    said = service.says(text)
    if _FORM.search(text) or _FORM.search(code):
        return ConfigurationError(
            "Anthropic asks once for each AWS account what its models are used for: open "
            f"{service.model} in the Bedrock console's model catalog and send the form{said}"
        )
    if code not in ("ValidationException", "ResourceNotFoundException"):
        return None
    if _NO_JOBS.search(text):
        return ConfigurationError(
            f"{service.model} has no batch jobs in {service.region}; choose another with --model, "
            f"or 'caption.py run' without --batch{said}"
        )
    if _ROLE.search(text):
        return ConfigurationError(
            "the role of --option role= is not one that Bedrock can work as: docs/bedrock.md has "
            f"its two policies{said}"
        )
    if _NEEDS_PROFILE.search(text):
        return ConfigurationError(
            f"{service.model} is served through an inference profile only: put the profile's "
            f"prefix before it, such as --model {_prefix(service.region)}.{service.model}{said}"
        )
    if code == "ResourceNotFoundException" or _NO_MODEL.search(text):
        return ConfigurationError(
            f"{service.host} does not know the model {service.model}; choose another with --model "
            f"(docs/bedrock.md lists some){said}"
        )
    if _BLIND.search(text):
        return ConfigurationError(
            f"{service.model} cannot see images; choose another with --model{said}"
        )
    if _NO_TIER.search(text):
        return ConfigurationError(
            f"{service.model} has no such service tier; leave out --service-tier{said}"
        )
    if _NO_ROOM.search(text):
        return ConfigurationError(
            f"the photo and the question do not fit into {service.model}: send smaller pictures "
            f"with --max-edge 768{said}"
        )
    if _REFUSED.search(text):
        return ApiError(f"{service.host} refuses this photo{said}", code="refused")
    return None


def credentials_problem(error: BotoCoreError, profile: str | None) -> FatalError:
    """Why there are no credentials, in a sentence with the command that brings them."""
    told = clean(str(error), 200)
    match error:
        case aws.ProfileNotFound():
            return ConfigurationError(
                f"~/.aws has no profile {profile!r}: `aws configure list-profiles` lists them"
            )
        case aws.SSOTokenLoadError() | aws.UnauthorizedSSOTokenError() | aws.TokenRetrievalError():
            return AccessDeniedError(_sign_in_again(profile, "are not signed in any more"))
        case aws.LoginError():
            return AccessDeniedError(
                f"the sign-in of {_of(profile)} is over: aws login{_flag(profile)}, then run again"
            )
        case aws.PartialCredentialsError():
            return ConfigurationError(f"the credentials of {_of(profile)} are incomplete: {told}")
        case aws.NoCredentialsError():
            return ConfigurationError(f"no AWS credentials for {_of(profile)}: `aws configure`")
        case aws.ConnectionError() | aws.HTTPClientError():
            return BackendUnavailableError(
                f"AWS cannot be asked for the credentials of {_of(profile)}: {told}"
            )
        case aws.CredentialRetrievalError() | aws.SSOError():
            return AccessDeniedError(f"no credentials for {_of(profile)}: {told}")
    return ConfigurationError(f"the AWS settings of {_of(profile)} cannot be used: {told}")


def denied_sign_in(error: ClientError, profile: str | None) -> FatalError:
    """For an error of SSO or STS while credentials were asked for."""
    told = clean(_text(error), 200)
    over = _EXPIRED | {"UnauthorizedException", "InvalidGrantException"}
    if _status(error) == 401 or _code(error) in over:
        return AccessDeniedError(_sign_in_again(profile, "are not signed in any more"))
    if _status(error) >= 500 or _status(error) == 429:
        return BackendUnavailableError(
            f"AWS cannot be asked for the credentials of {_of(profile)} (HTTP {_status(error)})"
        )
    return AccessDeniedError(f"AWS gives no credentials to {_of(profile)}: {told}")


def _sign_in_again(profile: str | None, what: str) -> str:
    return (
        f"the credentials of {_of(profile)} {what}: aws sso login{_flag(profile)} (or make new "
        "keys), then run again"
    )


def _of(profile: str | None) -> str:
    return f"the AWS profile {profile!r}" if profile else "the default AWS profile"


def _flag(profile: str | None) -> str:
    return f" --profile {profile}" if profile and profile != "default" else ""


def _prefix(region: str) -> str:
    """Of the inference profiles that are there in a region (us., eu., ...), by its name."""
    area = region.partition("-")[0]
    return {"us": "us", "eu": "eu", "ap": "apac"}.get(area, "global")


def _code(error: ClientError) -> str:
    return str(_part(error, "Error").get("Code", ""))


def _text(error: ClientError) -> str:
    return cut(str(_part(error, "Error").get("Message", "")))


def _status(error: ClientError) -> int:
    status = _part(error, "ResponseMetadata").get("HTTPStatusCode")
    return status if isinstance(status, int) else 500


def _headers(error: ClientError) -> Mapping[str, str]:
    headers = _part(error, "ResponseMetadata").get("HTTPHeaders")
    return headers if isinstance(headers, Mapping) else {}


def _part(error: ClientError, name: str) -> Mapping[str, Any]:
    part = error.response.get(name)
    return part if isinstance(part, Mapping) else {}
