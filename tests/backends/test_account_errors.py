"""Every account error that a provider documents gets its sentence, and nothing else does."""

import pytest

from picture_captioner.backends.http_errors import account_problem

OPENAI = "You exceeded your current quota, please check your plan and billing details."
DOCUMENTED = {
    "openai, credits": (429, f"credit_balance_exhausted insufficient_quota {OPENAI}", "no credit"),
    "openai, project": (
        429,
        f"project_spend_limit_exceeded insufficient_quota {OPENAI}",
        "project",
    ),
    "openai, organisation": (
        429,
        f"organization_spend_limit_exceeded insufficient_quota {OPENAI}",
        "the spending limit at",
    ),
    "openai, tier": (
        429,
        f"organization_usage_limit_exceeded insufficient_quota {OPENAI}",
        "this organisation",
    ),
    "openai, country": (
        403,
        "unsupported_country_region_territory Country, region, or territory not supported",
        "the country",
    ),
    "openai, model": (
        403,
        "model_not_found Project `proj_1` does not have access to model `gpt-6-luna`",
        "may not use the model gpt-6-luna",
    ),
    "anthropic, credits": (
        400,
        "Your credit balance is too low to access the Anthropic API.",
        "no credit",
    ),
    "anthropic, billing": (402, "billing_error Payment required", "no credit"),
    "anthropic, own limit": (
        400,
        "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
        "the spending limit at",
    ),
    "anthropic, workspace": (
        400,
        "You have reached your specified workspace API usage limits.",
        "project",
    ),
    "anthropic, tier": (
        429,
        "enforced_spend_limit_reached rate_limit_error Rate limited",
        "the spending limit at",
    ),
    "google, prepaid": (
        402,
        "RESOURCE_EXHAUSTED Your prepayment credits are depleted.",
        "no credit",
    ),
    "google, before August": (
        429,
        "RESOURCE_EXHAUSTED Your prepayment credits are depleted.",
        "no credit",
    ),
    "google, cap": (
        429,
        "RESOURCE_EXHAUSTED Your project has exceeded its monthly spending cap.",
        "project",
    ),
    "google, interactions": (402, "payment_required", "no credit"),
    "google, country": (
        400,
        "FAILED_PRECONDITION User location is not supported for the API use.",
        "the country",
    ),
    "xai": (
        403,
        "Your team has either used all available credits or reached its limit.",
        "no credit",
    ),
    "openrouter": (402, "Insufficient credits. Add more.", "no credit"),
    "anybody's 402": (402, "", "no credit"),
}

PASSING = {
    "openai, rate": (
        429,
        "rate_limit_exceeded Rate limit reached for gpt-6-luna. You can increase your limit by "
        "adding a payment method at https://platform.openai.com/account/billing.",
    ),
    "openai, slow down": (429, "slow_down rate_limit_error Please slow down"),
    "google, a minute's quota": (429, f"RESOURCE_EXHAUSTED {OPENAI}"),
    "openrouter, under way": (402, "in_flight_budget_exhausted"),
    "anthropic, rate": (
        429,
        "rate_limit_error This would exceed your rate limit of 50,000",
    ),
    "a photo of credits": (500, "insufficient credits"),
}


@pytest.mark.parametrize(("status", "said", "words"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_each_documented_error_gets_its_sentence(status, said, words):
    sentence = account_problem(status, said, "api.example.com", "gpt-6-luna")
    assert sentence is not None
    assert words in sentence
    assert "api.example.com" in sentence


@pytest.mark.parametrize(("status", "said"), PASSING.values(), ids=PASSING)
def test_what_passes_by_itself_is_no_matter_of_the_account(status, said):
    assert account_problem(status, said, "api.example.com", "gpt-6-luna") is None
