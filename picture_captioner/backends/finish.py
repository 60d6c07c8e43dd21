"""Whether an answer is whole: by the word that a server ends it with, else by its own last words.

OpenAI's protocol knows `stop`, `length`, `content_filter` and `tool_calls`; the servers that speak
it say more. Read on 2026-11-29: vLLM's `abort`, `error` and `repetition` (issue 57082 there: an
aborted answer comes with status 200), SGLang's `abort`, Hugging Face's `eos_token` and
`stop_sequence`, LM Studio's `eosFound`, `maxPredictedTokensReached` and others of its SDK,
DeepSeek's `insufficient_system_resource`, Mistral's `model_length`, watsonx's `time_limit`, and
Google's own, which gateways hand on. Other words are here for what they plainly say.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import enum


class Finish(enum.Enum):
    """How an answer ended."""

    WHOLE = enum.auto()
    CUT = enum.auto()
    """At the limit of tokens or of the context."""
    REFUSED = enum.auto()
    """By a filter."""
    FAILED = enum.auto()
    """The server broke it off."""
    UNKNOWN = enum.auto()
    """It does not say, or in a word of its own; `tool_calls`, too, since no tool was offered."""


_WORDS = {
    Finish.WHOLE: "stop eos eos_token eosfound end_of_text end_turn stop_sequence stopstringfound "
    "complete completed",
    Finish.CUT: "length max_tokens max_output_tokens max_length model_length token_limit "
    "model_context_window_exceeded maxpredictedtokensreached contextlengthreached",
    Finish.REFUSED: "content_filter content_filtered safety recitation refusal sensitive "
    "error_toxic blocklist prohibited_content spii guardrail_intervened",
    Finish.FAILED: "error abort aborted cancel canceled cancelled timeout failed repetition "
    "network_error insufficient_system_resource error_limit time_limit userstopped modelunloaded",
}
_FINISHES = {word: finish for finish, words in _WORDS.items() for word in words.split()}


def finish_of(word: object) -> Finish:
    """What a server's `finish_reason` means, however it is written."""
    if not isinstance(word, str):
        return Finish.UNKNOWN
    first = word.partition(":")[0]  # Google's compatible address: `content_filter: SAFETY`
    return _FINISHES.get(first.strip().lower().replace("-", "_"), Finish.UNKNOWN)


NOT_WHOLE = "nobody says that the answer is whole, and it ends in the middle of a sentence"

_ENDS = frozenset(".!?…。！？｡．।॥؟۔։።៕။།~`}])”’»」』*_\"'")
"""What ends a sentence in some script, a quotation, an object of JSON or a fence."""


def ends_whole(text: str) -> bool:
    """Whether a text ends as a sentence would; Thai and its kin end with no sign."""
    last = text.rstrip()[-1:]
    return last in _ENDS if not "\u0e00" <= last <= "\u0eff" else True
