"""A provider on 127.0.0.1 that says what a test wrote into its script, however wrong.

The vendor's real SDK talks to it through a real socket, so whatever would reach a provider is in
`received`, byte for byte. What a provider's protocol looks like is in the subclasses.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["hang", "disconnect", "cut"]


@dataclass(frozen=True)
class Reply:
    """An HTTP response; `fault` keeps it from arriving.

    `hang` sends nothing and keeps the line open, `disconnect` closes it at once, `cut` closes it
    in the middle of the body.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None

    def encoded(self) -> tuple[bytes, str]:
        """The bytes of the body and their type."""
        if isinstance(self.body, bytes):
            return self.body, "application/json"
        if isinstance(self.body, str):
            return self.body.encode(), "text/html"
        return json.dumps(self.body).encode(), "application/json"


@dataclass(frozen=True)
class Received:
    """A request as it came in; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Loopback:
    """A scripted server; use it as a context manager.

    Each captioning request takes the next `Reply` of `script`, and the last one is kept for all
    that follow. An empty script means that the provider is well.
    """

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.script: deque[Reply] = deque()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.loopback = self
        if certificate:
            # Not during accept(): a client that breaks the handshake off would stop the server.
            self._server.socket = certificate.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._scheme = "https" if certificate else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.host}"

    def answer(self, request: Received) -> Reply:
        """The reply to a request: what the subclass's protocol says, or what is in the script."""
        raise NotImplementedError

    def scripted(self, otherwise: Reply) -> Reply:
        if not self.script:
            return otherwise
        return self.script.popleft() if len(self.script) > 1 else self.script[0]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Elsewhere(Loopback):
    """A host that nobody named: nothing should ever arrive here."""

    def answer(self, request: Received) -> Reply:
        return Reply({})


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for them, so no socket outlives its test
    request_queue_size = 128
    loopback: Loopback

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up or rejects the certificate is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        loopback = self.server.loopback
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body)
        loopback.received.append(request)
        self._send(loopback.answer(request))

    def _send(self, reply: Reply) -> None:
        if reply.fault == "hang":
            self.server.loopback.closing.wait(20)
        if reply.fault in ("hang", "disconnect"):
            return
        body, kind = reply.encoded()
        self.send_response(reply.status)
        for name, value in {"content-type": kind, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if reply.fault == "cut" else body)

    def log_message(self, *arguments: object) -> None:
        """Quiet: pytest shows `received` when a test fails."""
