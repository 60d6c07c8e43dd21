"""A provider's batch API on 127.0.0.1 that bills what it answers, and misbehaves when told to.

It checks what real ones check (names, uniqueness, one model, sizes), and answers each photo by what
it shows, so that a test sees whether an answer went to another photo. What it remembers survives a
restart of the program, and `bill` says how often each picture was paid for. The dialects are in
`batch_dialects.py`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOKENS_IN, TOKENS_OUT = 900, 12


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def everything(self) -> bytes:
        return f"{self.method} {self.path}\n{self.headers}".encode() + self.body


@dataclass(frozen=True)
class Reply:
    """An answer. `cut` hangs up in the middle of the body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Batch:
    """A job at the provider."""

    id: str
    ours: str | None
    file: str | None
    requests: list[tuple[str, dict[str, Any]]]
    created_at: float
    outcomes: dict[str, str] = field(default_factory=dict)
    looked_at: int = 0
    cancelled: bool = False
    problem: str = ""
    deleted: bool = False


class BatchServer:
    """The state and the faults; a dialect says which requests there are.

    `outcome(number, picture)` says what becomes of a request: `ok`, `refused`, `broken`,
    `bad_request`, `busy` or `expired`. `faults[operation]` holds what happens to the next requests
    of that kind: `drop` (hang up before doing it), `drop_after`, `500`, `500_after`, `cut`, or
    `fine`. A job has ended when it was looked at `looks` times.
    """

    limits = (50_000, 200_000_000)
    key_variable = ""
    process_faults: tuple[tuple[str, ...], ...] = ()
    """Functions of tests/torture/faults.py that the program is run with against this server."""

    def __init__(self) -> None:
        self.seen: list[Asked] = []
        self.bill: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self.files: dict[str, tuple[str, bytes]] = {}
        self.deleted_files: list[str] = []
        self.batches: dict[str, Batch] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.outcome: Callable[[int, str], str] = lambda number, picture: "ok"
        self.looks = 1
        self.shuffled = True
        self.problem = ""
        self.expires = False
        self.hides_output = False
        self.gone = False
        self.no_jobs = False
        self.damage: Callable[[list[Any]], list[Any]] | None = None
        self.now = time.time()
        self._lock = threading.RLock()
        self._number = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, key: str) -> dict[str, str]:
        """Variables of a person with a key for this provider."""
        return {self.key_variable: key}

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def new_id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number:04d}"

    # --- what a dialect provides ---------------------------------------------------------

    def reply_to(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def operation(self, asked: Asked) -> str:
        raise NotImplementedError

    def picture_of(self, body: dict[str, Any]) -> str:
        """The name of the picture in a request's body: by its bytes."""
        raise NotImplementedError

    # --- the life of a job -----------------------------------------------------------------

    def as_lines(self, found: list[Any]) -> bytes:
        """A file of answers; what `damage` makes of them may be bytes that are no JSON."""
        found = self.damage(found) if self.damage else found
        lines = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in found)
        return b"".join(line + b"\n" for line in lines)

    def refused(self, requests: list[tuple[str, dict[str, Any]]], size: int) -> str | None:
        """Why a file is not taken as a job; None if it is."""
        names = [name for name, _ in requests]
        if not requests:
            return "no requests"
        if len(set(names)) != len(names):
            return "names are not unique"
        if not all(NAME.fullmatch(name) for name in names):
            return "a name is not allowed"
        if len(requests) > self.limits[0] or size > self.limits[1]:
            return "too large"
        if len({body.get("model") for _, body in requests}) != 1:
            return "more than one model"
        return None

    def create(
        self, requests: list[tuple[str, dict[str, Any]]], ours: str | None, file: str | None
    ) -> Batch:
        """Take a job on; it is worked through at once, and shown as ended later."""
        batch = Batch(self.new_id("batch_"), ours, file, requests, self.now)
        batch.problem = self.problem
        self.batches[batch.id] = batch
        for number, (name, body) in enumerate(requests):
            picture = self.picture_of(body)
            outcome = "failed" if batch.problem else self.outcome(number, picture)
            batch.outcomes[name] = outcome
            if outcome in {"ok", "refused", "broken"}:
                self.bill[picture] += 1
        return batch

    def ended(self, batch: Batch) -> bool:
        return batch.looked_at > self.looks or batch.cancelled

    def lines(self, batch: Batch) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Name, outcome and body of each request, in an order of the provider's own."""
        found = [(name, batch.outcomes[name], body) for name, body in batch.requests]
        if self.shuffled:
            random.Random(batch.id).shuffle(found)
        yield from found

    def answer(self, outcome: str, body: dict[str, Any]) -> str:
        """What the model says."""
        picture = self.picture_of(body)
        if outcome == "broken":
            return ""
        return f"A photo of the colour {colour(self.jpeg_of(body))}, number {picture[:8]}."

    def jpeg_of(self, body: dict[str, Any]) -> bytes:
        raise NotImplementedError

    def handle(self, asked: Asked) -> Reply | None:
        """The reply, or None to hang up."""
        with self._lock:
            self.seen.append(asked)
            operation = self.operation(asked)
            fault = self.faults[operation].pop(0) if self.faults[operation] else "fine"
            if fault == "drop":
                return None
            if fault == "500":
                return Reply({"error": {"message": "oops"}}, 500)
            reply = self.reply_to(asked)
        if fault == "drop_after":
            return None
        if fault == "500_after":
            return Reply({"error": {"message": "oops"}}, 500)
        return Reply(reply.body, reply.status, reply.headers, cut=True) if fault == "cut" else reply

    def paid_twice(self) -> dict[str, int]:
        """Pictures that were paid for more than once, jobs and single requests together."""
        both = self.bill + self.live
        return {picture: times for picture, times in both.items() if times > 1}


def colour(jpeg: bytes) -> str:
    """Red, green and blue of the middle of a picture, as words."""
    with Image.open(io.BytesIO(jpeg)) as image:
        assert not image.getexif(), "metadata left with the pixels"
        middle = image.convert("RGB").resize((1, 1))
        return "-".join(str(value // 16) for value in middle.getpixel((0, 0)))


def digest(jpeg: bytes) -> str:
    return hashlib.sha256(jpeg).hexdigest()


def from_data_url(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def _handler_for(server: BatchServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True  # the client was killed

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # killed in the middle of sending it
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.handle(Asked(self.command, self.path, headers, body))
            if reply is None:
                self.close_connection = True
                return
            content = reply.content()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            self.close_connection = self.close_connection or reply.cut

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names that http.server looks for

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    return Handler
