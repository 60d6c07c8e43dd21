"""Waiting times and certificates: what is read from any provider's HTTP errors."""

import ssl
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.backends.http_errors import (
    certificate_problem,
    retry_after_seconds,
    root_cause,
)

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
KEY = "sk-proj-CANARY0123456789"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "60"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "60"}, 60.0),
        ({"retry-after": "Sat, 21 Nov 2026 08:01:30 GMT"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 08:01:30 -0000"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:01:30 +0100"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 07:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 07:00:30 GMT",
                "date": "Sat, 21 Nov 2026 07:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "in a moment"}, None),
        ({"retry-after": "Sat, 99 Nov 2026 07:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after_seconds(headers, NOW) == seconds


@given(st.text(), st.text())
def test_no_header_is_too_odd_to_read(value, milliseconds):
    seconds = retry_after_seconds({"retry-after": value, "retry-after-ms": milliseconds}, NOW)
    assert seconds is None or seconds >= 0


def chained(*errors):
    """The last error, each caused by the one before it."""
    for cause, error in pairwise(errors):
        error.__cause__ = cause
    return errors[-1]


def test_a_certificate_that_cannot_be_verified_is_found_in_the_chain():
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    error = chained(refused, OSError("connect"), RuntimeError("Connection error."))
    assert certificate_problem(error) == "self-signed certificate"


def test_plain_http_behind_an_https_address_is_named():
    mixed_up = ssl.SSLError(1, "wrong version number")
    mixed_up.reason = "WRONG_VERSION_NUMBER"
    assert "plain http" in certificate_problem(chained(mixed_up, RuntimeError("Connection error.")))


@pytest.mark.parametrize(
    "passing",
    [ssl.SSLEOFError(8, "EOF occurred"), ConnectionResetError(104, "reset"), RuntimeError("?")],
)
def test_a_connection_that_broke_is_no_certificate_problem(passing):
    assert certificate_problem(chained(passing, RuntimeError("Connection error."))) is None


def test_a_chain_that_bites_its_tail_ends():
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert certificate_problem(first) is None
    assert root_cause(first) == "second"


def test_the_root_cause_is_the_innermost():
    refused = ConnectionRefusedError(111, "Connection refused")
    error = chained(refused, RuntimeError("Connection error."))
    assert root_cause(error) == "[Errno 111] Connection refused"


def test_a_root_cause_without_words_is_named_by_its_class():
    assert root_cause(chained(TimeoutError(), RuntimeError("?"))) == "TimeoutError"
