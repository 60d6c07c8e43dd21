"""One provider as its failures are told: shared by the backends whose SDKs raise their own errors.

A vendor's file decides what is special about its service (money, models, refusals) and leaves the
rest to `Service`: no connection, a redirect, a rejected key, a busy server, a refused request.
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from picture_captioner.backends.base import Caption, CaptionBackend, Fault
from picture_captioner.backends.http_errors import (
    account_problem,
    certificate_problem,
    retry_after_seconds,
    root_cause,
)
from picture_captioner.backends.vocabulary import EnumLimit
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    TransientError,
    did_you_mean,
)
from picture_captioner.foreign_text import clean

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger("caption.backend")

FLEX_TIMEOUT = 900.0
"""Seconds for answers at half price, which may take minutes (OpenAI's guide "Flex processing" and
Google's "Flex inference", read on 2026-11-28: 15 and 10 minutes are advised)."""

USER_AGENT = "picture-captioner"
_PLAIN_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length"}
)
MAX_QUOTED = 300
"""Characters of a server's own words that are quoted; room is left for ours within 500."""

_MODEL_NAME = re.compile(r"[A-Za-z0-9._:@/-]+")
_UNREACHABLE = frozenset({"connection", "timeout"})
NO_PROTOCOL = (ValueError, TypeError, AttributeError, RecursionError)
"""What the SDKs raise on an answer of any other form than they expect: they do not validate it."""

_ABOUT_THE_REQUEST = frozenset({400, 413, 414, 415, 422})
"""The only statuses that may be a verdict on a photo. An unexpected one, such as the 402 of an
empty account was, must not be recorded for one photo after the other: it may pass."""

_TRANSIENT_CODES = {408: "timeout", 409: "http_409", 425: "http_425", 429: "rate_limit"}


def quiet_libraries() -> None:
    """Keep photos and keys out of the log at DEBUG.

    There the Anthropic SDK and botocore log each request's body, photo and all, and httpcore2 the
    headers of answers, which may echo a key (a redirect's location does).
    """
    for name in ("anthropic", "google_genai", "httpcore2", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("botocore").setLevel(logging.ERROR)  # warns with tracebacks of what we say


def retirement(model: str, host: str, day: str) -> str:
    """The line that says until when a model is there."""
    return f"{host} takes the model {model} out of service on {day[:10]}; choose another by then"


def usable_key(backend: str, key: str) -> str:
    """The key, unless it could not be sent as a header, where errors would show it."""
    if all("!" <= character <= "~" for character in key):
        return key
    raise ConfigurationError(
        f"the key of the {backend} backend holds a space, a line break or a character outside "
        "ASCII: copy it once more"
    )


OTHER_HOST = "the answer leads to another host, which gets neither a photo nor the key"


class SchemaRefusedError(ConfigurationError):
    """The model has no structured output; its backend asks again without."""


class SchemaBackend(CaptionBackend):
    """Base of the backends that hold a model to its fields by a schema, while it lets them.

    A schema may be refused as a whole, or because of a vocabulary of so many words in it. The
    question says the same in words.
    """

    provider: Provider
    _takes_schema = True
    _takes_enum = True

    @property
    def destination(self) -> str:
        """The host that receives the photos."""
        return self.provider.host

    @property
    def _enum_limit(self) -> EnumLimit | None:
        return self.enum_limit if self._takes_enum else None

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """Caption one photo with one request; two where the model refuses structured output.

        Raises:
            ModelError: `refused`, `truncated`, `empty`, `reasoning` or `unfinished`; what it cost
                is in its usage.
            ApiError: the service does not accept this photo.
            TransientError: busy, down or out of reach.
            FatalError: no photo can be captioned.
        """
        requests = 1
        while self.settings.asked is not None and self._takes_schema:
            limit = self._enum_limit
            try:
                return self._ask(image, hints, fault, requests)
            except SchemaRefusedError:
                if self.settings.asked.lists_terms(limit):
                    self._takes_enum = False
                else:
                    self._takes_schema = False
            requests += 1
        return self._ask(image, hints, fault, requests)

    @abstractmethod
    def _ask(
        self, image: Image, hints: Sequence[str], fault: Fault | None, requests: int
    ) -> Caption:
        """Send one request; `requests` is how many it makes for this photo.

        Raises:
            SchemaRefusedError: the model does not take the schema in it.
        """


class BareHeaders:
    """A request hook of httpx2 that leaves only headers which a request needs.

    Vendors' SDKs add the operating system, the Python version, and headers from environment
    variables. They also ask wherever an answer tells them to look (a batch's `results_url`), key
    and all: what would go to another host than `base_url`'s is not sent.
    """

    def __init__(self, base_url: str, kept: Collection[str], forced: Mapping[str, str]) -> None:
        """`kept`: lower-case names besides those of any request; `forced` wins over the SDK."""
        self._where = _place(httpx2.URL(base_url))
        self._kept = _PLAIN_HEADERS | set(kept)
        self._forced = dict(forced)

    def __call__(self, request: httpx2.Request) -> None:
        """Take the others out, before the request is sent.

        Raises:
            httpx2.RequestError: it would go to another host.
        """
        if _place(request.url) != self._where:
            raise httpx2.RequestError(f"{OTHER_HOST} ({request.url.host})", request=request)
        for name in set(request.headers) - self._kept:
            del request.headers[name]
        request.headers.update(
            {"user-agent": USER_AGENT, "accept-encoding": "gzip", **self._forced}
        )


def _place(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@dataclass(frozen=True)
class Provider:
    """Who was asked, as messages name it; `secret` serves only to take the key out of texts."""

    host: str
    key_name: str
    secret: str = field(repr=False)

    def says(self, text: str) -> str:
        """`text`, cleaned, behind a colon; empty if there is nothing to quote."""
        quoted = clean(text, MAX_QUOTED, self.secret)
        return f": {quoted}" if quoted else ""

    def check_key_form(self) -> None:
        """Refuse a key that no header can carry: HTTP libraries quote it in what they raise.

        Raises:
            ConfigurationError: a line break, a space or a character outside ASCII.
        """
        if not self.secret.isascii() or not self.secret.isprintable() or " " in self.secret:
            raise ConfigurationError(
                f"{self.key_name} holds a space, a line break or a character that no key has; "
                "copy it again"
            )

    def check_model_form(self, model: str) -> None:
        """Refuse a model name that could change the address it becomes a part of.

        Raises:
            ConfigurationError: anything but letters, digits and `._:@/-`, or two dots in a row.
        """
        if not _MODEL_NAME.fullmatch(model) or ".." in model:
            raise ConfigurationError(f"'{model[:100]}' is no model name; choose one with --model")

    def unconnected(self, error: BaseException) -> TransientError | BackendUnavailableError:
        """What an HTTP library's exception means; those of httpx2 are found in its chain."""
        problem = certificate_problem(error)
        if problem is not None:
            return BackendUnavailableError(
                f"no safe connection to {self.host}{self.says(problem)}. "
                "If the certificate is your own, point SSL_CERT_FILE to it"
            )
        if isinstance(error, httpx2.DecodingError):
            return self.unreadable()
        if isinstance(error, httpx2.TimeoutException):
            return TransientError(f"{self.host} did not answer in time", code="timeout")
        reason = self.says(root_cause(error))
        return TransientError(f"no connection to {self.host}{reason}", code="connection")

    def unreadable(self) -> TransientError:
        """For an answer that is not what the protocol says, such as a gateway's web page."""
        return TransientError(
            f"{self.host} answered with something that is not its protocol", code="bad_answer"
        )

    def failed(
        self,
        status: int,
        headers: Mapping[str, str],
        text: str,
        retry_after: float | None = None,
    ) -> CaptionerError:
        """What an HTTP status means that says nothing special about this provider.

        Args:
            status: anything but success; without a `location` none leads elsewhere.
            headers: of the response; `retry-after` and `location` are read.
            text: the server's own words, as they came.
            retry_after: seconds to wait, if the body said so; the longer of it and the header wins.
        """
        said = self.says(text)
        if status < 400:
            where = headers.get("location")
            return self._redirected(where) if where else self.unreadable()
        if status in (401, 403):
            return self.denied(status, text)
        if status >= 500 or status not in _ABOUT_THE_REQUEST:
            waits = [w for w in (retry_after_seconds(headers), retry_after) if w is not None]
            return TransientError(
                f"{self.host} answers HTTP {status}{said}",
                code=_TRANSIENT_CODES.get(status, f"http_{status}"),
                retry_after=max(waits, default=None),
            )
        code = "too_large" if status == 413 else "bad_request"
        return ApiError(f"{self.host} does not accept this photo (HTTP {status}){said}", code=code)

    def denied(self, status: int, text: str) -> AccessDeniedError:
        """The key is wrong, or may not do this."""
        return AccessDeniedError(
            f"{self.host} rejects the key (HTTP {status}); check {self.key_name}{self.says(text)}"
        )

    def account_error(
        self, status: int, code: str, text: str, model: str
    ) -> AccessDeniedError | None:
        """What is wrong with the account, by the table of all providers; None if nothing is.

        Args:
            code: the provider's own short words, beside its message `text`.
        """
        sentence = account_problem(status, f"{code} {text}", self.host, model)
        return AccessDeniedError(f"{sentence}{self.says(text)}") if sentence else None

    def exhausted(self, text: str) -> AccessDeniedError:
        """No quota is left, and waiting a minute does not bring it back."""
        return AccessDeniedError(
            f"the account at {self.host} has no credit or quota left{self.says(text)}"
        )

    def unknown_model(self, model: str, known: Collection[str]) -> ConfigurationError:
        """The model does not exist; the nearest name of those that do is suggested."""
        if model in known:
            return ConfigurationError(
                f"{self.host} lists the model '{model}' but does not serve it with this key; "
                "choose another with --model"
            )
        return ConfigurationError(
            f"{self.host} does not know the model '{model[:100]}'{did_you_mean(model, known)}; "
            "choose another with --model"
        )

    def nothing_there(self) -> BackendUnavailableError:
        """Not even a list of models: the address is wrong, not the model."""
        return BackendUnavailableError(
            f"{self.host} offers nothing at this address (HTTP 404); check --base-url"
        )

    def check_failed(self, error: TransientError) -> None:
        """End the run if the service cannot be reached; let it start if it is only busy.

        A restart at four in the morning must not end the night for one 429 or 503: the run retries
        those, and stops by itself if they go on.

        Raises:
            BackendUnavailableError: no connection, or no answer in time.
        """
        if error.code in _UNREACHABLE:
            raise BackendUnavailableError(
                f"{error}; check the network and --base-url, then start again"
            ) from None
        _log.warning("the model could not be checked", extra={"event": "unchecked"})

    def _redirected(self, location: str) -> BackendUnavailableError:
        target = urlsplit(location).netloc.rpartition("@")[2] or "another path of the same host"
        return BackendUnavailableError(
            f"{self.host} redirects to {target[:200]}; redirects are not followed, so that neither "
            "photos nor the key reach a host you did not name. If it is right, put the new address "
            "into --base-url"
        )
