"""Headers of answers: a waiting time and quotas that make sense, or none."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from picture_captioner.backends.http_errors import retry_after_seconds
from picture_captioner.backends.rate_limits import MAX_SECONDS, quotas
from picture_captioner.foreign_text import clean
from picture_captioner.pipeline.asking.concurrency import RateLimiter

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "sk-canary-4711"

SEEDS = (
    b"retry-after: 20\nretry-after-ms: 1500\n",
    b"retry-after: Sat, 21 Nov 2026 12:00:30 GMT\ndate: Sat, 21 Nov 2026 12:00:00 GMT\n",
    b"x-ratelimit-limit-requests: 60\nx-ratelimit-remaining-requests: 59\n"
    b"x-ratelimit-reset-requests: 6m0s\nx-ratelimit-reset-tokens: 120ms\n",
    b"anthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\n"
    b"anthropic-ratelimit-requests-reset: 2026-11-21T12:00:10Z\n"
    b"date: Sat, 21 Nov 2026 12:00:00 -0000\n",
    b'ratelimit: "default";r=50;t=30\nratelimit-policy: "default";q=100;w=60\n',
    b"ratelimit-limit: 100, 100;w=60\nratelimit-remaining: 50\nratelimit-reset: 50\n",
)
WORDS = (
    b"retry-after: ", b"date: ", b"ratelimit-reset: ", b"anthropic-ratelimit-tokens-reset: ",
    b"x-ratelimit-remaining-tokens: ", b"1e999", b"nan", b"-1", b"9" * 400, b" +9999", b" -2359",
    b"31 Dec 9999 23:59:59", b"1 Jan 0001 00:00:00", b"+99999999999999999999", b"1_0", b"\xd9\xa3",
    b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59",
)  # fmt: skip


def read(data: bytes, folder: Path) -> None:
    """No header stops the run; what was understood can be used."""
    text = data.decode("utf-8", "replace")
    pairs = (line.partition(": ") for line in text.split("\n"))
    found = {name.lower(): value for name, _, value in pairs}
    seconds = retry_after_seconds(found, NOW)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
    understood = quotas(found, NOW)
    for quota in understood:
        assert 0 < quota.seconds <= MAX_SECONDS
        assert quota.remaining >= 0
        assert quota.limit is None or quota.limit > 0
    rate = RateLimiter()
    rate.told(understood, 1.0)
    rate.used([{"input_tokens": 10, "output_tokens": 1}])
    rate.started(1.0)
    assert 0 <= rate.wait(1.5) <= 61
    told = clean(f"{text} {KEY}", 300, KEY)
    assert len(told) <= 300
    assert KEY not in told
