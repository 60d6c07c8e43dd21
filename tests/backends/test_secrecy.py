"""Whatever goes wrong, neither the key nor the photo is told: not in errors, not in the log."""

from __future__ import annotations

import gzip
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.errors import MAX_ERROR_MESSAGE
from tests.providers.loopback import Loopback, Reply
from tests.providers.pictures import picture
from tests.providers.vendors import Provider, with_headers


def faults(provider: Provider) -> Iterator[Reply]:
    """Every kind of failure, each with the key in what the server says."""
    told = f"you sent {provider.key} to https://u:p@host/v1?key={provider.key} " + "A" * 4000
    for status in (300, 302, 307, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 529):
        yield with_headers(provider.error(status, told), location=f"http://x/?key={provider.key}")
        yield Reply(told, status)
    yield Reply(told)
    yield Reply({"unexpected": told})
    yield Reply(gzip.compress(told.encode())[:40], headers={"content-encoding": "gzip"})
    yield Reply(told, headers={"content-type": "application/json"})
    yield Reply(told, fault="cut")
    yield Reply(told, fault="disconnect")
    yield Reply(told, fault="hang")


def test_no_fault_tells_the_key_or_the_photo(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    vendors = [logging.getLogger(name) for name in ("anthropic", "google_genai", "httpcore2")]
    for logger in vendors:  # as ANTHROPIC_LOG=debug would, before the backend is made
        logger.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    fates = list(faults(provider))
    told = []
    with provider.server() as server:
        backend = provider.connect(server.url, timeout=0.5)
        for fate in fates:
            server.check_reply = fate
            server.script.clear()
            server.script.append(fate)
            told += [outcome(backend.check), outcome(lambda: backend.caption(picture(), []))]
    raised = [text for text in told if text]
    assert len(raised) >= 1.5 * len(fates)
    everything = "\n".join(raised) + caplog.text
    assert "HTTP Request" in caplog.text, "the log was not at DEBUG"
    assert provider.key not in everything
    assert "/9j/" not in everything, "a JPEG in base64 begins with this"
    assert "AAAAAAAAAA" not in everything
    assert "u:p@" not in everything
    for logger in vendors:
        logger.setLevel(logging.NOTSET)


def outcome(ask: Callable[[], object]) -> str:
    """The traceback of what `ask` raises, as a crash report would show it."""
    try:
        ask()
    except Exception as error:
        assert len(str(error)) <= MAX_ERROR_MESSAGE
        return repr(error) + "".join(traceback.format_exception(error))
    return ""


def test_the_key_is_not_in_what_a_debugger_prints(
    provider: Provider, server: Loopback, backend: CaptionBackend
) -> None:
    shown = "".join(map(repr, [backend, *vars(backend).values()]))
    assert provider.key not in shown
