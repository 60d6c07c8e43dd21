"""A provider that keeps account of what it was paid for, and the journal's side of the account."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

from tests.providers.openai_server import OpenAIServer, Reply, Seen, completion

_PHOTO = re.compile(rb"""[",]([/_]9j[/_][\w+/=-]+)\"""")
"""A JPEG in base64, in a URL or on its own."""


def photo_in(body: bytes) -> str:
    """Which photo a request shows, by its content."""
    found = _PHOTO.search(body)
    assert found, "a request without a photo"
    return hashlib.sha256(found[1]).hexdigest()[:16]


class PaidProvider(OpenAIServer):
    """Captions each photo with the hash of what it was shown, after `delay` seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.asked: list[str] = []
        self._asking = threading.Lock()
        super().__init__()
        self._connections = 0
        self._closed = threading.Condition()
        self._take, self._serve = self._server.process_request, self._server.process_request_thread
        self._server.process_request = self._count  # type: ignore[method-assign]
        self._server.process_request_thread = self._count_off  # type: ignore[method-assign]

    def _count(self, request: object, address: object) -> None:
        with self._closed:
            self._connections += 1
        self._take(request, address)

    def _count_off(self, request: object, address: object) -> None:
        try:
            self._serve(request, address)
        finally:
            with self._closed:
                self._connections -= 1
                self._closed.notify_all()

    def settle(self) -> None:
        """Wait until everything is on the account that a dead run had sent.

        Connections are accepted in their order: once this one is answered, those before it are
        known, and they end when what came through them was read.
        """
        with urllib.request.urlopen(f"{self.base_url}/models") as answer:
            answer.read()
        with self._closed:
            assert self._closed.wait_for(lambda: self._connections == 0, timeout=30)

    def reply_to(self, request: Seen) -> Reply:
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        photo = photo_in(request.body)
        with self._asking:
            self.asked.append(photo)
        time.sleep(self.delay)
        return Reply(body=completion(f"Photo {photo}."))


def captioned(journal: Path) -> Counter[str]:
    """How many records of the journal hold each photo's caption; damaged lines are no records."""
    data = journal.read_bytes() if journal.exists() else b""
    found: Counter[str] = Counter()
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        assert record["status"] == "success", record
        found[record["caption"].removeprefix("Photo ").removesuffix(".")] += 1
    return found
