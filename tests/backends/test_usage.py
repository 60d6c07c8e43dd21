"""Every count of every usage object is priced or known not to matter; genai-prices agrees."""

import botocore.session
import genai_prices
import pytest
from anthropic.types import Message
from anthropic.types import Usage as AnthropicUsage
from google.genai.types import GenerateContentResponse, GenerateContentResponseUsageMetadata
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails

from picture_captioner.backends.anthropic_answer import read_answer as read_anthropic
from picture_captioner.backends.bedrock import read_answer as read_bedrock
from picture_captioner.backends.chat_answers import caption_from
from picture_captioner.backends.gemini_protocol import read_answer as read_gemini
from picture_captioner.backends.usage import one_request
from picture_captioner.pipeline.asking.prices import Prices

PRICED = {
    CompletionUsage: {"prompt_tokens", "completion_tokens"},
    PromptTokensDetails: {"cached_tokens", "cache_write_tokens"},
    CompletionTokensDetails: {"reasoning_tokens"},
    AnthropicUsage: {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "service_tier",
    },
    GenerateContentResponseUsageMetadata: {
        "prompt_token_count",
        "candidates_token_count",
        "thoughts_token_count",
        "cached_content_token_count",
        "tool_use_prompt_token_count",
    },
}
UNPRICED = {
    CompletionUsage: {
        "total_tokens": "a sum",
        "completion_tokens_details": "read below",
        "prompt_tokens_details": "read below",
    },
    PromptTokensDetails: {
        "text_tokens": "part of prompt_tokens, at the same price",
        "image_tokens": "part of prompt_tokens, at the same price",
        "audio_tokens": "no audio is sent",
    },
    CompletionTokensDetails: {
        "text_tokens": "part of completion_tokens",
        "accepted_prediction_tokens": "nothing is predicted",
        "rejected_prediction_tokens": "part of completion_tokens",
        "audio_tokens": "no audio is asked for",
    },
    AnthropicUsage: {
        "output_tokens_details": "part of output_tokens",
        "server_tool_use": "no tools are offered",
        "inference_geo": "unknown: no region is asked for, which costs the list price",
        "speed": "unknown: fast mode is not asked for",
    },
    GenerateContentResponseUsageMetadata: {
        "total_token_count": "a sum",
        "cache_tokens_details": "parts of cached_content_token_count",
        "candidates_tokens_details": "parts of candidates_token_count",
        "prompt_tokens_details": "parts of prompt_token_count, at one price without audio",
        "tool_use_prompt_tokens_details": "parts of tool_use_prompt_token_count",
        "traffic_type": "not supported in the Gemini API",
    },
}


@pytest.mark.parametrize("kind", PRICED, ids=lambda kind: kind.__qualname__)
def test_an_sdk_that_grows_a_count_fails_here(kind):
    """Decide how it is billed, price it or name it, and add it to one of the tables."""
    assert set(kind.model_fields) == PRICED[kind] | UNPRICED[kind].keys()


def test_a_botocore_that_grows_a_count_fails_here():
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    priced = {"inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"}
    assert set(model.shape_for("TokenUsage").members) == priced | {"cacheDetails", "totalTokens"}
    assert set(model.shape_for("CacheDetail").members) == {"ttl", "inputTokens"}


def openai(cached=0, written=0, reasoning=0, tier=None):
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5.6-luna",
        "service_tier": tier,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A."}}
        ],
        "usage": {
            "prompt_tokens": 4000,
            "completion_tokens": 700,
            "total_tokens": 4700,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


def xai(reasoning=0):
    answer = openai(reasoning=reasoning) | {"model": "grok-4.3"}
    return answer | {"usage": answer["usage"] | {"total_tokens": 4700 + reasoning}}


def anthropic(read=0, five_minutes=0, hour=0, thinking=0):
    return {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "A."}],
        "usage": {
            "input_tokens": 1000,
            "output_tokens": 700,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": five_minutes + hour,
            "cache_creation": {
                "ephemeral_5m_input_tokens": five_minutes,
                "ephemeral_1h_input_tokens": hour,
            },
            "output_tokens_details": {"thinking_tokens": thinking},
            "service_tier": "standard",
        },
    }


def gemini(cached=0, thoughts=0, tools=0):
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "A."}]}}],
        "modelVersion": "gemini-3.5-flash-lite",
        "usageMetadata": {
            "promptTokenCount": 4000,
            "candidatesTokenCount": 60,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": cached,
            "toolUsePromptTokenCount": tools,
        },
    }


BEDROCK = "global.anthropic.claude-haiku-5-5"


def bedrock(read=0, five_minutes=0, hour=0):
    written = {"5m": five_minutes, "1h": hour}
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "A."}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 1000,
            "outputTokens": 60,
            "totalTokens": 1060 + read + five_minutes + hour,
            "cacheReadInputTokens": read,
            "cacheWriteInputTokens": five_minutes + hour,
            "cacheDetails": [{"ttl": t, "inputTokens": n} for t, n in written.items() if n],
        },
    }


READERS = {
    "aws": read_bedrock,
    "openai": lambda body: caption_from(ChatCompletion.construct(**body), 1),
    "x-ai": lambda body: caption_from(ChatCompletion.construct(**body), 1),
    "anthropic": lambda body: read_anthropic(Message.construct(**body)),
    "google": lambda body: read_gemini(GenerateContentResponse.model_validate(body)),
}
SHAPES = {
    "aws": [bedrock(), bedrock(read=500, five_minutes=300, hour=200)],
    "openai": [
        openai(),
        openai(cached=1024),
        openai(written=3000),
        openai(cached=900, written=3000, reasoning=600),
    ],
    "x-ai": [xai(), xai(reasoning=500)],
    "anthropic": [
        anthropic(),
        anthropic(read=2000),
        anthropic(five_minutes=2000),
        anthropic(hour=2000),
        anthropic(read=500, five_minutes=300, hour=200, thinking=400),
    ],
    "google": [gemini(), gemini(cached=2000), gemini(thoughts=300), gemini(tools=50)],
}
CASES = [(provider, body) for provider, bodies in SHAPES.items() for body in bodies]


@pytest.mark.parametrize(("provider", "body"), CASES)
def test_a_cost_is_genai_prices_own_sum(provider, body):
    flavor = "chat" if provider in ("openai", "x-ai") else "default"
    theirs = genai_prices.extract_usage(body, provider_id=provider, api_flavor=flavor)
    caption = READERS[provider](body)
    model = caption.model_version or BEDROCK  # Bedrock does not say who answered
    cost = Prices(provider, model).cost(caption.usage)
    price = genai_prices.calc_price(theirs.usage, model, provider_id=provider).total_price
    assert cost == pytest.approx(float(price), abs=1e-9, rel=0)
    assert cost > 0


def test_a_tier_is_priced_as_billed():
    prices = Prices("openai", "gpt-5.6-luna")
    usual, flex = (
        prices.cost(READERS["openai"](openai(tier=tier)).usage) for tier in ("default", "flex")
    )
    assert flex == pytest.approx(usual / 2)
    unknown = READERS["openai"](openai(tier="tomorrows"))
    assert prices.cost(unknown.usage) is None


@pytest.mark.parametrize("counted", [(0, 0), (0, 30), (0, None)])
def test_an_input_of_nothing_is_no_count(counted):
    """A gateway that counts nothing sent zeros: each photo was free, and --max-cost never held."""
    assert one_request(*counted, cached=0) == {"requests": 1}


def test_an_output_of_nothing_is_one():
    counted = one_request(900, 0, None)
    assert counted == {"requests": 1, "input_tokens": 900, "output_tokens": 0}
