"""What providers say of their limits, in three dialects, and nonsense in each."""

from datetime import UTC, datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.backends.rate_limits import MAX_SECONDS, Quota, quotas

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def openai_headers(limit="5000", remaining="4999", reset="12ms", unit="requests"):
    names = (f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset"))
    return dict(zip(names, (limit, remaining, reset), strict=True))


def anthropic_headers(limit="1000", remaining="999", reset="2026-11-21T12:00:30Z", unit="requests"):
    names = (f"anthropic-ratelimit-{unit}-{what}" for what in ("limit", "remaining", "reset"))
    return dict(zip(names, (limit, remaining, reset), strict=True))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1),
        ("7.66s", 7.66),
        ("6m0s", 360),
        ("2m59.56s", 179.56),
        ("1h0m1s", 3601),
        ("1d2h", 93_600),
        ("1m30ms", 60.03),
        ("42", 42),
        (" 0.5 ", 0.5),
    ],
)
def test_durations(reset, seconds):
    (quota,) = quotas(openai_headers(reset=reset))
    assert quota.unit == "requests"
    assert (quota.limit, quota.remaining) == (5000, 4999)
    assert quota.seconds == pytest.approx(seconds)


def test_requests_and_tokens():
    found = quotas(openai_headers() | openai_headers("150000", "149000", "400ms", "tokens"))
    assert [quota.unit for quota in found] == ["requests", "tokens"]
    assert found[1] == Quota("tokens", 150_000, 149_000, 0.4)


def test_anthropics_moments_are_told_by_its_own_clock():
    an_hour_off = {"date": "Sat, 21 Nov 2026 11:00:00 GMT"}
    headers = anthropic_headers(reset="2026-11-21T11:00:30Z") | an_hour_off
    assert quotas(headers, NOW) == (Quota("requests", 1000, 999, 30),)
    assert quotas(anthropic_headers(), NOW) == (Quota("requests", 1000, 999, 30),)


def test_every_kind_of_anthropics_tokens():
    headers = anthropic_headers()
    for unit in ("tokens", "input-tokens", "output-tokens"):
        headers |= anthropic_headers("80000", "100", "2026-11-21T14:01:00+02:00", unit)
    found = quotas(headers, NOW)
    assert [quota.unit for quota in found] == [
        *("requests", "tokens", "input_tokens", "output_tokens")
    ]
    assert {quota.seconds for quota in found[1:]} == {60}


@pytest.mark.parametrize(
    "headers",
    [
        {"ratelimit-limit": "100", "ratelimit-remaining": "40", "ratelimit-reset": "9"},
        {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "40", "ratelimit-reset": "9"},
        {"ratelimit": "limit=100, remaining=40, reset=9"},
        {"ratelimit": '"default";r=40;t=9', "ratelimit-policy": '"default";q=100;w=60'},
    ],
)
def test_the_ietf_draft_in_its_revisions(headers):
    assert quotas(headers) == (Quota("requests", 100, 40, 9),)


def test_names_are_found_whatever_their_case():
    response = httpx2.Response(200, headers={"X-RateLimit-Remaining-Requests": "3"})
    response.headers["X-Ratelimit-Reset-Requests"] = "2s"
    assert quotas(response.headers) == (Quota("requests", None, 3, 2),)


@pytest.mark.parametrize("odd", ["", "-1", "nan", "inf", "1e999", "soon", "0x10", "s", "5 minutes"])
def test_nonsense_is_passed_over(odd):
    assert quotas(openai_headers(remaining=odd)) == ()
    assert quotas(openai_headers(reset=odd)) == ()
    assert quotas(anthropic_headers(reset=odd), NOW) == ()
    assert quotas(openai_headers(limit=odd))[0].limit is None


@pytest.mark.parametrize("reset", ["0", "0s", "-5s", "1790000000", "99999d"])
def test_a_reset_that_is_past_or_years_away_says_nothing(reset):
    assert quotas(openai_headers(reset=reset)) == ()


def test_a_moment_that_has_passed_says_nothing():
    assert quotas(anthropic_headers(reset="2026-11-21T11:59:59Z"), NOW) == ()


@given(st.dictionaries(st.sampled_from(sorted(openai_headers() | anthropic_headers())), st.text()))
def test_no_header_raises_or_gives_a_number_that_is_none(headers):
    for quota in quotas(headers | {"date": headers.get("date", "")}, NOW):
        assert quota.remaining >= 0
        assert 0 < quota.seconds <= MAX_SECONDS
