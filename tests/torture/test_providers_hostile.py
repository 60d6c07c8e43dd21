"""Servers that keep no rule of HTTP: the real SDKs give up in time, in little memory, with a
verdict that blames no photo and quotes no key."""

from __future__ import annotations

import contextlib
import functools
import gzip
import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from picture_captioner.backends.base import Caption, CaptionBackend
from picture_captioner.errors import (
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    TransientError,
)
from tests.providers.hostile import Client, Hostile
from tests.providers.pictures import picture
from tests.torture.hostile_calls import (
    FAMILIES,
    GOOD,
    JSON,
    KEY,
    OK,
    ask,
    check,
    closes_at_once,
    closes_in_the_request,
    connect,
    hangs,
    judged,
    pours,
    resets,
    says_nothing,
    sends,
)

BOMB = gzip.compress(bytes(1 << 26), 9)
PACKED = JSON + b"content-length: 2000000000\r\ncontent-encoding: "
BROKEN: dict[str, Callable[[Client], None]] = {
    "closes at once": closes_at_once,
    "closes in the request": closes_in_the_request,
    "closes after the request": sends(),
    "resets the connection": resets,
    "never reads, never answers": says_nothing,
    "never answers": hangs(),
    "half a status line": hangs(b"HTTP/1."),
    "no HTTP": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "zeros": sends(bytes(4096)),
    "headers that never end": pours(OK, b"x-more: " + b"y" * 1000 + b"\r\n"),
    "one header that never ends": pours(OK + b"x-more: ", b"y" * 65536),
    "a status line that never ends": pours(b"HTTP/1.1 200 ", b"O" * 65536),
    "one header byte at a time": pours(OK + b"x-drip: ", b"y", 0.05),
    "one body byte at a time": pours(JSON + b"content-length: 1000\r\n\r\n", b" ", 0.05),
    "100 Continue for ever": pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints for ever": pours(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 0.01),
    "a gigabyte": pours(JSON + b"content-length: 1073741824\r\n\r\n", b" " * 65536),
    "a body without an end": pours(JSON + b"\r\n", b" " * 65536),
    "chunks without an end": pours(
        JSON + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "chunks of nothing that anybody can count": sends(
        JSON + b"transfer-encoding: chunked\r\n\r\n", b"ffffffffffffffffff\r\n   "
    ),
    "a chunk with no size": sends(JSON + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a gzip bomb": pours(PACKED + b"gzip\r\n\r\n", BOMB),
    "a bomb in a bomb": sends(PACKED + b"gzip, gzip\r\n\r\n", gzip.compress(BOMB, 9)),
    "a deflate bomb": pours(PACKED + b"deflate\r\n\r\n", BOMB),
    "gzip that is cut": sends(PACKED + b"gzip\r\n\r\n", BOMB[:20]),
    "a length that is none": sends(JSON + b"content-length: many\r\n\r\n{}"),
    "a length below zero": sends(JSON + b"content-length: -1\r\n\r\n{}"),
    "two lengths": sends(JSON + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    "a switch of protocols": sends(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
    "no content": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "status 999": sends(b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
    "bytes that are no text": sends(JSON + b"content-length: 4\r\n\r\n\xff\xfe\x00\xd8"),
    "deep JSON": sends(JSON + b"connection: close\r\n\r\n", b"[" * 100_000),
    "a number of a megabyte": sends(
        JSON + b"connection: close\r\n\r\n", b'{"choices": ' + b"9" * (1 << 20) + b"}"
    ),
    "the key in a web page": sends(
        OK + b"content-type: text/html\r\nconnection: close\r\n\r\n<p>" + KEY.encode()
    ),
    "noise": sends(random.Random(1).randbytes(1 << 16)),
}


@pytest.mark.timeout(1200)
def test_a_server_that_breaks_http_costs_neither_time_nor_memory_nor_a_photo(share, tried):
    wrong, times = [], 0
    for number, (name, behaviour) in enumerate(BROKEN.items()):
        chosen = [FAMILIES[number % len(FAMILIES)]]
        for kind in share(chosen, FAMILIES):
            with Hostile(behaviour) as server:
                error, faults = judged(functools.partial(ask, kind, server.url), 10)
                if not isinstance(error, TransientError | BackendUnavailableError):
                    faults.append(f"is {error!r}: a verdict on the photo")
                _, more = judged(functools.partial(check, kind, server.url), 10)
            times += 2
            wrong += [f"{kind.name}, {name}: {fault}" for fault in (*faults, *more)]
    tried("a server that breaks HTTP", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def good(name: str, **how: bytes) -> Callable[[Client], None]:
    """The right answer in an odd dress."""
    body = GOOD[name]
    length = b"content-length: %d\r\n" % len(body)
    dresses = {
        "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body,
        "no reason": b"HTTP/1.1 200\r\ncontent-type: application/json\r\n"
        + length + b"\r\n" + body,
        "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + JSON + length + b"\r\n" + body,
        "until the end": JSON + b"connection: close\r\n\r\n" + body,
        "in chunks of one": JSON + b"transfer-encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n",
        "gzip": JSON + b"content-encoding: gzip\r\nconnection: close\r\n\r\n" + gzip.compress(body),
        "a longer body than it says": JSON + length + b"\r\n" + body + b"and more",
        "two hundred headers": OK + b"".join(b"x-%d: y\r\n" % i for i in range(200))
        + b"content-type: application/json\r\n" + length + b"\r\n" + body,
    }  # fmt: skip
    return sends(dresses[how["dress"].decode()])


DRESSES = (
    "HTTP/1.0", "no reason", "after 100 Continue", "until the end", "in chunks of one", "gzip",
    "a longer body than it says", "two hundred headers",
)  # fmt: skip


def test_a_right_answer_is_taken_in_whatever_dress(share, tried):
    wrong, times = [], 0
    for number, dress in enumerate(DRESSES):
        for kind in share([FAMILIES[number % len(FAMILIES)]], FAMILIES):
            times += 1
            with Hostile(good(kind.name, dress=dress.encode())) as server:
                try:
                    answer = ask(kind, server.url, timeout=5)
                except CaptionerError as error:
                    wrong.append(f"{kind.name}, {dress}: {error!r}")
                else:
                    assert isinstance(answer, Caption)
                    assert answer.text == "A dog on a beach."
    tried("a right answer in an odd dress", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "head",
    [
        JSON + b"content-length: 100000\r\n\r\n",
        OK + b"".join(b"x-%d: %b\r\n" % (i, b"y" * 100) for i in range(10_000)) + b"\r\n",
    ],
    ids=["a shorter body than it says", "ten thousand headers"],
)
def test_an_answer_that_cannot_be_trusted_is_asked_for_again(head, share, tried):
    families = share(FAMILIES[:1], FAMILIES)
    for kind in families:
        with Hostile(sends(head, GOOD[kind.name])) as server:
            error, faults = judged(functools.partial(ask, kind, server.url), 10)
        assert isinstance(error, TransientError), error
        assert not faults
    tried("an answer that ends too early or is nothing but headers", len(families))


ODD_VALUES = ("null", "[]", "{}", "true", "7", "1e999", '"x"', "[null]", "[[]]", '{"a": null}')
NAMES = ("data", "choices", "content", "candidates", "models", "error", "id", "usage", "message")


ANSWERED_IN = {
    "openai": "choices",
    "ollama": "choices",
    "anthropic": "content",
    "gemini": "candidates",
}


def odd_bodies() -> Iterator[str]:
    """JSON of any form but the right one."""
    yield from ODD_VALUES
    for name, value in itertools.product(NAMES, ODD_VALUES):
        yield f'{{"{name}": {value}}}'
    for opening, closing in (("[", "]"), ('{"error":', "}"), ('{"message":[', "]}")):
        yield opening * 400 + "1" + closing * 400
        yield opening * 100_000


def _answered_oddly(kind: type[CaptionBackend], status: int, bodies: list[str]) -> list[str]:
    """What was wrong with the verdicts of one backend, asked twice about each of the bodies."""
    wrong = []
    head = b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n" % status
    body = ""
    with (
        Hostile(lambda client: sends(head, body.encode())(client)) as server,
        contextlib.closing(connect(kind, server.url, timeout=5)) as backend,
    ):
        for body in bodies:
            error, faults = judged(lambda: backend.caption(picture(), []), 10)
            near = ANSWERED_IN[kind.name] in body or '"usage"' in body
            verdict = status in (400, 404) or (status == 200 and near)
            if not verdict and not isinstance(error, TransientError):
                faults.append(f"is {error!r}")
            _, more = judged(backend.check, 10)
            said = f"{kind.name}, {status}, {body[:40]}"
            wrong += [f"{said}: {fault}" for fault in (*faults, *more)]
    return wrong


@pytest.mark.timeout(1200)
def test_json_of_any_other_form_is_no_verdict_on_a_photo(share, tried):
    """Nor an internal error; with status 400 and 404, the verdict may be on the request."""
    bodies = list(odd_bodies())
    wrong: list[str] = []
    times = 0
    for kind, status in itertools.product(FAMILIES, (200, 400, 404, 500)):
        chosen = share(random.Random(f"{kind.name}{status}").sample(bodies, 4), bodies)
        wrong += _answered_oddly(kind, status, chosen)
        times += 2 * len(chosen)
    tried("JSON of an odd form", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_list_of_models_without_an_end_is_not_followed(share, tried):
    page = (
        b'{"data": [{"type": "model", "id": "m"}], "has_more": true, "last_id": "m",'
        b' "models": [{"name": "models/m"}], "nextPageToken": "more"}'
    )
    missing = b'{"error": {"code": 404, "status": "NOT_FOUND", "message": "no such model"}}'

    def behave(client: Client) -> None:
        path = client.request().split(b" ")[1].partition(b"?")[0]
        listed = path.endswith(b"/models")
        client.send(b"HTTP/1.1 200 OK\r\n" if listed else b"HTTP/1.1 404 Not Found\r\n")
        client.send(b"content-type: application/json\r\nconnection: close\r\n\r\n")
        client.send(page if listed else missing)

    asked = []
    for kind in share(FAMILIES[:3], FAMILIES):
        with Hostile(behave) as server:
            error, faults = judged(functools.partial(check, kind, server.url), 10)
            asked.append(server.connections)
        assert isinstance(error, ConfigurationError), error
        assert not faults
    tried("a list of models without an end", len(asked), lost=sum(count > 3 for count in asked))
    assert max(asked) <= 3, asked
