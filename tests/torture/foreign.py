"""A journal from elsewhere: every line is a record, or nearly one, and means no good."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

OUTSIDE = (
    "../secret.jpg", "../outside/secret.jpg", "a/../../outside/secret.jpg", "./../secret.jpg",
    "../../../../../../../../etc/shadow", "/etc/shadow", "/dev/zero", "/dev/tty", "/dev/stdin",
    "/proc/self/environ", "/proc/self/mem", "/proc/1/environ", "/proc/self/fd/0",
    "/sys/power/state", "//etc/shadow", "///dev/zero", "../../../../../../dev/zero",
    "../../../../../proc/self/environ", "escape/shadow", "escape/../../secret.jpg", "dev/zero",
    "pipe.jpg", "pipe.jpg/x", "socket.jpg", "C:\\Windows\\win.ini", "C:/Windows/win.ini",
    "C:secret.jpg", "\\\\host\\share\\x.jpg", "//host/share/x.jpg", "\\\\?\\C:\\x.jpg",
    "..\\secret.jpg", "file:///etc/shadow", "~/secret.jpg", "~root/x.jpg", "$HOME/secret.jpg",
    "http://evil.example/x.jpg", "|id", "`id`", "$(id)", "-rf", "%2e%2e/secret.jpg",
    "..%2fsecret.jpg", ".../x.jpg", "..", ".", "/", "a//b.jpg", "a/./b.jpg", "x" * 300,
    "/".join("d" * 200 for _ in range(40)), "CON", "nul.jpg", "a.jpg:stream", "\ud800.jpg",
    "\udce9.jpg", "\x01\x02.jpg", "\u202egpj.exe", "..\u2215secret.jpg", "\uff0e\uff0e/secret.jpg",
)  # fmt: skip
"""Paths that lead out of the photos directory, to what is no file, or nowhere."""

NUMBERS = (
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 10**4200,
    1e308, -1e308, 5e-324, 0.5, -0.0, 1e22,
)  # fmt: skip
NUMERIC = (
    "size", "mtime_ns", "requests", "cost_usd", "latency_ms", "input_tokens", "output_tokens",
    "cached_tokens",
)  # fmt: skip
WRONG = (
    None,
    True,
    [],
    {},
    "",
    "x",
    [[]],
    [None],
    {"a": {"b": []}},
    "\0",
    "\x1b[2J",
    0,
    1.5,
    "=1+1",
)
FIELDS = (
    "rel_path", "caption", "status", "error", "placeholder", "backend", "model", "model_version",
    "prompt_sha256", "content_sha256", "copied_from", "created_at", "title", "tags", "summary",
    "scene", "places", "quality", "offset", "extra", "__class__", "self",
)  # fmt: skip
TIMES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "now", "\x1b[31m", "0",
    "2026-11-21T06:54:08.123Z", "-1", "2026-W47-6", "20261121T065408Z", "2026-11-21T06:54:60Z",
)  # fmt: skip
HEAD = b'{"rel_path":"%s","caption":"x","status":"success","x":'
RAW = (
    HEAD % b"a.jpg" + b"[" * 100_000 + b"]" * 100_000 + b"}",
    HEAD % b"deep.jpg" + b'{"a":' * 900 + b"1" + b"}" * 901,
    b'{"rel_path":"a.jpg","rel_path":"/dev/zero","caption":"x","status":"success"}',
    b'{"rel_path":"/dev/zero","rel_path":"a.jpg","caption":"x","status":"success"}',
    b'{"rel_path":"a.jpg","caption":"x","status":"error_api","status":"success"}',
    b'{"rel_path":"a.jpg","caption":"x","status":"success","size":' + b"9" * 100_000 + b"}",
    b'{"rel_path":"a.jpg","caption":"x","status":"success","cost_usd":1e999}',
    b'{"rel_path":"a.jpg","caption":"x","status":"success","cost_usd":NaN}',
    b'{"rel_path":"a.jpg","caption":"x","status":"success","latency_ms":-Infinity}',
    b'{"rel_path":"a.jpg","caption":"\xff\xfe","status":"success"}',
    '{"rel_path":"a.jpg","caption":"x","status":"success"}'.encode("utf-16"),
    b"\xef\xbb\xbf" + b'{"rel_path":"bom.jpg","caption":"x","status":"success"}',
    b'{"rel_path":"a.jpg\\u0000/../../x","caption":"x","status":"success"}', b"[]", b"null", b"1",
    b'"x"', b"{}", b"{", b"\0" * 100, b"\x1b[2J", b"=1+1", b"\xff" * 10,
    b'{"rel_path":"\\ud83d\\ude00.jpg","caption":"\\ud83d","status":"success"}',
)  # fmt: skip
"""Lines that no writer of JSON makes."""


def lines(sizes: list[int], hashes: list[str], large: int) -> Iterator[bytes]:
    """The journal; `sizes` and `hashes` are those of real photos, so that copies are looked for."""
    for i, path in enumerate(OUTSIDE):
        real = {"size": sizes[i % len(sizes)], "content_sha256": hashes[i % len(hashes)]}
        wrong = real | {"content_sha256": "0" * 64}
        yield _line(path, status="error_api", caption=None, error={"code": path, "message": path})
        yield _line(path, copied_from=OUTSIDE[-i], **(real if i % 2 else wrong))
        yield _line(f"gone/{path}", **wrong)
    for name in NUMERIC:
        for i, number in enumerate(NUMBERS):
            yield _line(f"number/{name}{i}.jpg", **{name: number})
    for name in FIELDS:
        for i, value in enumerate(WRONG):
            yield _line(**{"rel_path": f"wrong/{name}{i}.jpg", name: value})
    for i, time in enumerate(TIMES):
        yield _line(f"time/{i}.jpg", created_at=time, backend="service", model="service-1")
    yield from (line + b"\n" for line in RAW)
    yield _line("large.jpg", caption="alert " * (large // 6), tags=["x" * 1000] * (large // 10_000))
    yield _line("words.jpg", caption=" ".join(f"w{n}" for n in range(large // 60)))


def shuffled(sizes: list[int], hashes: list[str], large: int, seed: int) -> bytes:
    """The same lines in another order, for what depends on which comes last."""
    found = list(lines(sizes, hashes, large))
    random.Random(seed).shuffle(found)
    return b"".join(found)


def _line(rel_path: Any, **known: Any) -> bytes:
    record = {"rel_path": rel_path, "caption": "a boat alert", "status": "success"} | known
    return json.dumps(record).encode() + b"\n"
