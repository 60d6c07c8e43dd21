"""A loopback server that speaks OpenAI's chat completions as far as captions need them."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from tests.providers.contracts import Contract, contract
from tests.providers.strict_schema import answer_by, complaints

MODELS = ("gpt-5.6-luna", "gpt-4o-mini", "qwen2.5vl:3b", "llava:latest", "grok-4.3")
ALIAS = "grok-latest"
OPENAI = contract("openai")
USAGE = OPENAI.answer["usage"]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    def everything(self) -> bytes:
        return f"{self.method} {self.path}\n{self.headers}".encode() + self.body


@dataclass(frozen=True)
class Reply:
    """An answer, or a fault: `hang` never answers, `cut` hangs up in the middle of the body."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    hang: bool = False
    cut: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def completion(text: object = "A dog on a beach.", finish: str = "stop", **message: object) -> dict:
    """A chat completion; `message` holds further fields of the message."""
    body = OPENAI.answered()
    body["choices"][0]["finish_reason"] = finish
    body["choices"][0]["message"] |= {"content": text} | message
    return body


def failure(status: int, message: str, code: str | None = None, **more: object) -> Reply:
    """An error as OpenAI words it; `headers` and `param` may be among `more`."""
    headers = more.pop("headers", {})
    body = {"error": {"message": message, "type": "some_error", "code": code, "param": None} | more}
    return Reply(status, body, dict(headers))


class OpenAIServer:
    """Serves on 127.0.0.1 until it is closed; accepts any key unless `keys` names the good ones.

    `script` holds replies for the next captions; when it is empty, all is well. `contract` is whose
    server it is: fields that are not in it are refused as documented.
    """

    contract: Contract = OPENAI

    models: tuple[str, ...] = MODELS
    keys: tuple[str, ...] | None = None
    models_reply: Reply | None = None
    show: dict | None = None
    """What Ollama's /api/show answers; None for a server that is not Ollama."""
    lm_studio: dict | None = None
    """What LM Studio's /api/v1/models answers; None for a server that is not LM Studio."""

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.script: deque[Reply] = deque()
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            self._server.socket = certificate.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://{self.host}/v1"

    def captions_asked(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.endswith("/chat/completions")]

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()

    def reply_to(self, request: Seen) -> Reply:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.keys is not None and bearer not in self.keys:
            return failure(401, f"Incorrect API key provided: {bearer}.", "invalid_api_key")
        if request.path == "/api/show":
            return Reply(404, "404 page not found") if self.show is None else Reply(body=self.show)
        if request.path == "/api/v1/models" and self.lm_studio is not None:
            return Reply(body=self.lm_studio)
        if request.method == "POST":
            refused = self.contract.complaint(request.json)
            if refused is not None:
                return Reply(*refused)
            return _completed(request.json.get("response_format"), self.contract)
        if self.models_reply is not None:
            return self.models_reply
        if request.path == "/v1/models":
            return Reply(body={"object": "list", "data": [_model(name) for name in self.models]})
        name = unquote(request.path.removeprefix("/v1/models/"))
        if name in (*self.models, ALIAS):
            return Reply(body=_model(name))
        return failure(404, f"The model '{name}' does not exist", "model_not_found")


def _completed(response_format: dict | None, by: Contract) -> Reply:
    """As OpenAI: strict structured output where it is asked for, with a schema that it takes."""
    if response_format is None:
        return Reply(body=by.answered())
    wanted = response_format["json_schema"]
    assert (response_format["type"], wanted["strict"]) == ("json_schema", True)
    for complaint in complaints(wanted["schema"]):
        return failure(400, f"Invalid schema for response_format '{wanted['name']}': {complaint}")
    return Reply(body=completion(answer_by(wanted["schema"])))


def _model(name: str) -> dict:
    return OPENAI.model_named(name)


def _handler_for(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True  # the client gave up, as it should in some tests

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Seen(self.command, self.path, headers, body)
            server.seen.append(request)
            scripted = request.path.endswith("/chat/completions") and server.script
            self.send(server.script.popleft() if scripted else server.reply_to(request))

        do_GET = do_POST = answer  # noqa: N815 - names that http.server looks for

        def send(self, reply: Reply) -> None:
            if reply.hang:
                server.released.wait()
                return
            content = reply.content()
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    return Handler
