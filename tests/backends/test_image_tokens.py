"""Each provider's own examples, and what others measured, within 10 %; with the page of each.

All pages were read on 2026-11-21 in stored copies (no live page is reachable from here).
"""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from picture_captioner.backends.tokens import (
    _MODELS,
    anthropic_tokens,
    gemini_tokens,
    openai_tokens,
    qwen_tokens,
)

CLAUDE = "https://platform.claude.com/docs/en/build-with-claude/vision, table of sizes by tier"
OPENAI = "https://developers.openai.com/api/docs/guides/images-vision, 'Calculating costs'"
OPENAI_2025 = "the same guide at platform.openai.com in 2025"
MEASURED_5_MINI = (
    "https://community.openai.com/t/1344040, a poster's 'image input tokens' of 2026-06-17, "
    "at https://longform.social/post/did:plc:lk3jfj3zq4k4wxnk474axylu/3moh6hx44k5e2"
)
MEASURED_5_4 = "https://community.openai.com/t/1377015, de-multiplied image tokens of a poster"
MEASURED_4_1 = "https://community.openai.com/t/1281361, billed 2,498 with about 10 of text"
MEASURED_128 = "https://community.openai.com/t/1262691, table for 128x64, less 12 tokens of text"
RESOLUTION = "https://ai.google.dev/gemini-api/docs/media-resolution, 'Token counts'"
UNDERSTANDING = "https://ai.google.dev/gemini-api/docs/image-understanding, 'Token calculation'"
TOKENS = "https://ai.google.dev/gemini-api/docs/tokens, 'Count multimodal tokens'"
QWEN = "https://github.com/QwenLM/Qwen3-VL, demo picture: 98 x 146 patches of 14 pixels"
OLLAMA = "https://github.com/ollama/ollama/issues/11217: 1200x800 becomes 1204x812"

STANDARD, HIGH = "claude-sonnet-4-6", "claude-haiku-5-5"

PUBLISHED = [
    # Claude: width, height, model, tokens
    (anthropic_tokens, (200, 200, STANDARD), 64, CLAUDE),
    (anthropic_tokens, (1000, 1000, STANDARD), 1296, CLAUDE),
    (anthropic_tokens, (1092, 1092, STANDARD), 1521, CLAUDE),
    (anthropic_tokens, (1920, 1080, STANDARD), 1560, CLAUDE),
    (anthropic_tokens, (2000, 1500, STANDARD), 1564, CLAUDE),
    (anthropic_tokens, (3840, 2160, STANDARD), 1560, CLAUDE),
    (anthropic_tokens, (1092, 1092, HIGH), 1521, CLAUDE),
    (anthropic_tokens, (1920, 1080, HIGH), 2691, CLAUDE),
    (anthropic_tokens, (2000, 1500, HIGH), 3888, CLAUDE),
    (anthropic_tokens, (3840, 2160, HIGH), 4784, CLAUDE),
    # OpenAI, patches
    (openai_tokens, (1024, 1024, "gpt-5.4", "high"), 1229, OPENAI),
    (openai_tokens, (2048, 2048, "gpt-5.4", "high"), 3000, OPENAI),
    (openai_tokens, (1024, 1024, "gpt-4.1-mini"), 1024 * 1.62, OPENAI_2025),
    (openai_tokens, (1800, 2400, "o4-mini"), 1452 * 1.72, OPENAI_2025),
    (openai_tokens, (256, 256, "gpt-5-mini"), 77, MEASURED_5_MINI),
    (openai_tokens, (512, 512, "gpt-5-mini"), 308, MEASURED_5_MINI),
    (openai_tokens, (768, 1024, "gpt-5-mini"), 922, MEASURED_5_MINI),
    (openai_tokens, (1280, 720, "gpt-5-mini-2025-08-07"), 1104, MEASURED_5_MINI),
    (openai_tokens, (1024, 1024, "gpt-5-mini"), 1229, MEASURED_5_MINI),
    (openai_tokens, (2048, 768, "gpt-5-mini"), 1844, MEASURED_5_MINI),
    (openai_tokens, (1600, 1600, "gpt-5.4-mini"), 2500 * 1.2, MEASURED_5_4),
    (openai_tokens, (4000, 1474, "gpt-4.1-mini"), 2488, MEASURED_4_1),
    # OpenAI, tiles
    (openai_tokens, (1024, 1024, "gpt-4o", "high"), 765, OPENAI_2025),
    (openai_tokens, (2048, 4096, "gpt-4o", "high"), 1105, OPENAI_2025),
    (openai_tokens, (4096, 8192, "gpt-4o", "low"), 85, OPENAI_2025),
    (openai_tokens, (128, 64, "gpt-4o-2024-11-20"), 255, MEASURED_128),
    (openai_tokens, (128, 64, "gpt-4.1-2025-04-14", "low"), 85, MEASURED_128),
    (openai_tokens, (128, 64, "gpt-4o-mini-2024-07-18"), 8500, MEASURED_128),
    (openai_tokens, (128, 64, "gpt-4o-mini", "low"), 2833, MEASURED_128),
    (openai_tokens, (128, 64, "o3-2025-04-16"), 224, MEASURED_128),
    (openai_tokens, (1024, 1024, "gpt-5"), 70 + 4 * 140, OPENAI),
    # Gemini
    (gemini_tokens, (768, 576, "gemini-3.5-flash-lite", "low"), 280, RESOLUTION),
    (gemini_tokens, (768, 576, "gemini-3.5-flash-lite", "medium"), 560, RESOLUTION),
    (gemini_tokens, (768, 576, "gemini-3-flash-preview", "high"), 1120, RESOLUTION),
    (gemini_tokens, (768, 576, "models/gemini-3.1-pro-preview", "default"), 1120, RESOLUTION),
    (gemini_tokens, (768, 576, "gemini-2.5-flash", "low"), 64, RESOLUTION),
    (gemini_tokens, (768, 576, "gemini-2.5-flash", "medium"), 256, RESOLUTION),
    (gemini_tokens, (960, 540, "gemini-2.5-flash", "default"), 6 * 258, UNDERSTANDING),
    (gemini_tokens, (384, 384, "gemini-2.0-flash", "default"), 258, TOKENS),
    # Qwen-VL
    (qwen_tokens, (2048, 1365, "qwen2.5vl:3b"), 98 * 146 / 4, QWEN),
    (qwen_tokens, (1200, 800, "Qwen/Qwen2.5-VL-7B-Instruct"), 1204 * 812 / 28**2, OLLAMA),
]

TILES = ["gpt-4o", "gpt-4o-mini", "gpt-5", "o3"]
RULES = [
    *[(anthropic_tokens, (model,), most) for model, most in ((STANDARD, 1568), (HIGH, 4784))],
    *[(openai_tokens, (model,), 2500 * 1.2) for model in ("gpt-5-mini", "gpt-5.4-mini", "gpt-5.4")],
    *[(openai_tokens, (model,), 2833 + 8 * 5667) for model in TILES],
    (openai_tokens, ("gpt-5.2",), 6144 * 1.2),
    (gemini_tokens, ("gemini-3.5-flash", "medium"), 560),
    (qwen_tokens, ("qwen2.5vl",), 16_386),
    (qwen_tokens, ("qwen3-vl",), 16_386),
]
sides = st.integers(1, 5000)
# Qwen enlarges what is smaller, and at their limits all shrink to whole squares: either may cost a
# picture a little less than a smaller one.
small = st.integers(256, 1000)


@pytest.mark.parametrize(("rule", "arguments", "tokens", "source"), PUBLISHED)
def test_published_examples(rule, arguments, tokens, source):
    assert rule(*arguments) == pytest.approx(tokens, rel=0.1), source


@settings(max_examples=300)
@given(case=st.sampled_from(RULES), width=sides, height=sides)
def test_every_picture_costs_something_and_no_more_than_the_cap(case, width, height):
    rule, model, most = case
    assert 1 <= rule(width, height, *model) <= most


@settings(max_examples=300)
@given(case=st.sampled_from(RULES), widths=st.tuples(small, small), heights=st.tuples(small, small))
def test_a_larger_picture_costs_no_less(case, widths, heights):
    rule, model, _ = case
    larger = rule(max(widths), max(heights), *model)
    assert larger >= rule(min(widths), min(heights), *model)


@settings(max_examples=300)
@given(case=st.sampled_from(RULES), width=sides, height=sides)
def test_a_picture_costs_the_same_on_its_side(case, width, height):
    rule, model, _ = case
    assert rule(width, height, *model) == rule(height, width, *model)


@given(width=st.integers(1600, 8000), height=st.integers(1600, 8000))
def test_what_the_api_shrinks_costs_nearly_the_cap(width, height):
    assume(max(width, height) <= 2 * min(width, height))
    assert anthropic_tokens(width, height, STANDARD) >= 0.9 * 1568
    assert openai_tokens(width, height, "gpt-5-mini") >= 0.9 * 1.2 * 1536


@pytest.mark.parametrize("model", ["", "gpt-6-luna", "gpt-6.1-sol", "gpt-5-pro", "grok-4.3", "o9"])
def test_a_model_that_openai_does_not_list_is_unknown(model):
    assert openai_tokens(100, 100, model) is None


@pytest.mark.parametrize("rule", [anthropic_tokens, gemini_tokens, qwen_tokens])
@pytest.mark.parametrize(
    "model", ["", "gemini-4-argon", "gemini-flash-latest", "qwen3:4b", "llava"]
)
def test_a_model_without_a_rule_is_unknown(rule, model):
    assert rule(100, 100, model) is None


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-5-haiku-latest", 1568),
        ("claude-opus-4-20250514", 1568),
        ("claude-opus-4-6", 1568),
        ("claude-haiku-4-5-20251001", 1568),
        ("claude-opus-4-7", 4784),
        ("claude-fable-5", 4784),
        ("anthropic.claude-sonnet-5-5", 4784),
    ],
)
def test_the_tier_of_a_claude_follows_from_its_version(model, most):
    assert 0.9 * most < anthropic_tokens(4000, 3000, model) <= most


def test_every_model_of_the_table_has_a_size_for_every_detail():
    for model in _MODELS:
        for detail in (None, "auto", "low", "high"):
            assert openai_tokens(640, 480, model, detail) > 0
