"""Where photos may be sent: the address of a provider, checked before anything leaves.

Three rules keep a family's photos and a paid key from going astray: plain http only to this
machine (unless the person insists), `local_only` means this machine and nothing else, and no
redirect is ever followed, so neither key nor photo reaches a host that was not named.

Proxies: `HTTPS_PROXY` and friends are obeyed for https to other machines only, where the proxy
relays an encrypted tunnel and learns no more than the host's name. They are ignored for this
machine and for plain http, where a proxy would read every photo. `SSL_CERT_FILE` and
`SSL_CERT_DIR` are obeyed throughout, and `.netrc` never is.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from picture_captioner.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2

    from picture_captioner.backends.base import BackendSettings

CONNECT_TIMEOUT = 10.0
"""Seconds to reach a host; a switched-off one should not cost a whole request timeout."""

WHOLE_ANSWER = 2
"""Timeouts that a request and its answer may take together, on a slow line that never pauses for
as long as one: a server that sends a byte a second never pauses either."""

# One spelling for which every URL parser agrees on the host: no user, no backslash, no non-ASCII.
_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d+)?"
)


@dataclass(frozen=True)
class Endpoint:
    """A checked base URL. `host` is what people are told, with the port if one was given."""

    url: str
    host: str
    scheme: str
    loopback: bool

    @property
    def may_use_proxy(self) -> bool:
        """Whether proxy variables of the environment are obeyed for this address."""
        return self.scheme == "https" and not self.loopback

    def http_client(self, timeout: float, connections: int) -> httpx2.Client:
        """An HTTP client for this address alone: no redirects, no surprise proxy.

        Args:
            timeout: seconds without an answer before a request is given up; the whole of it may
                take twice as long.
            connections: requests that may be under way at the same time.

        Raises:
            ConfigurationError: a proxy or certificate variable cannot be used.
        """
        import httpx2

        from picture_captioner.backends.answer_limits import keep_deadline

        try:
            client = httpx2.Client(
                follow_redirects=False,
                trust_env=self.may_use_proxy,
                # Built apart, because trust_env=False would ignore SSL_CERT_FILE too.
                verify=httpx2.create_ssl_context(trust_env=True),
                timeout=httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
                limits=httpx2.Limits(
                    max_connections=connections, max_keepalive_connections=connections
                ),
            )
        except ImportError:  # httpx2 needs a package more for them
            raise ConfigurationError(
                "SOCKS proxies are not supported (HTTPS_PROXY or ALL_PROXY): name an http:// proxy "
                "there, or unset the variable"
            ) from None
        except (ValueError, OSError, httpx2.InvalidURL) as error:
            raise ConfigurationError(
                "a proxy or certificate variable of the environment cannot be used (HTTPS_PROXY, "
                f"ALL_PROXY, SSL_CERT_FILE or SSL_CERT_DIR): {type(error).__name__}"
            ) from None
        keep_deadline(client, WHOLE_ANSWER * timeout)
        return client


def endpoint(default_url: str, settings: BackendSettings) -> Endpoint:
    """The address that `settings` lead to: `base_url` if given, else the provider's own.

    Raises:
        ConfigurationError: not an http(s) URL, plain http to another machine without
            `allow_http`, or another machine with `local_only`.
    """
    return checked_endpoint(
        settings.base_url or default_url,
        allow_http=settings.allow_http,
        local_only=settings.local_only,
    )


def checked_endpoint(url: str, *, allow_http: bool = False, local_only: bool = False) -> Endpoint:
    """Check a base URL against the rules of this module.

    The URL is rebuilt from the parts that were checked, so that what is used is what was checked.

    Raises:
        ConfigurationError: as `endpoint`. The message names the host, never the whole URL.
    """
    scheme, host, name, path = _split(url)
    loopback = is_loopback(name)
    if local_only and not loopback:
        raise ConfigurationError(
            f"--local-only: {host} is another machine, so no photo is sent there; use a server on "
            "localhost (--base-url http://localhost:PORT/v1) or leave out --local-only"
        )
    if scheme == "http" and not loopback and not allow_http:
        raise ConfigurationError(
            f"plain http to {host} would show every photo and the key to the network; use https, "
            "or add --allow-http if that network is your own"
        )
    return Endpoint(f"{scheme}://{host}{path.rstrip('/')}", host, scheme, loopback)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine: localhost, 127.0.0.0/8 or ::1.

    Names are not looked up: what resolves to this machine today may be another one tomorrow.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.ip_network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, host with port, bare host name, path."""
    try:
        parts = urlsplit(url.strip())
        name = parts.hostname or ""
        _ = parts.port  # a port above 65535 only raises when it is asked for
    except ValueError:
        raise ConfigurationError(_malformed("it cannot be parsed")) from None
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(_malformed("it must start with https:// or http://"))
    if "@" in parts.netloc:
        raise ConfigurationError(_malformed("it holds a user or password; give the key apart"))
    if parts.query or parts.fragment:
        raise ConfigurationError(_malformed("it has a query or fragment; end it at the path"))
    if not _AUTHORITY.fullmatch(parts.netloc) or "\\" in parts.path:
        raise ConfigurationError(_malformed("its host is not a plain name or address"))
    return parts.scheme, parts.netloc.lower(), name, parts.path


def _malformed(why: str) -> str:
    return f"the base URL is not usable: {why} (example: https://api.example.com/v1)"
