"""Whether an answer is whole: by the word that a server ends it with, else by its own last word.

OpenAI's protocol knows `stop`, `length`, `content_filter` and `tool_calls`; the servers that speak
it say more. Read on 2026-11-29: vLLM's `abort`, `error` and `repetition` (issue 57082 there: an
aborted answer comes with status 200), SGLang's `abort`, Hugging Face's `eos_token` and
`stop_sequence`, LM Studio's `eosFound`, `maxPredictedTokensReached` and others of its SDK,
DeepSeek's `insufficient_system_resource`, Mistral's `model_length`, watsonx's `time_limit`, and
Google's own, which gateways hand on. Other words are here for what they plainly say.
"""

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

_NO_ENDS = (
    "a an and as beside between from his into its my of or our the their very which while with "
    "am beim das dem den der des die eine einem einen einer im und vom von zum zur "
    "au aux avec dans de des du et le les sur un une del el los las y "
    "che da dei della di gli il lo nel à ao com do em na no o os uma"
)
_ENDS_NOTHING = frozenset(_NO_ENDS.split())
"""Words after which more has to come, in six languages; `turned on` and `steigt ein` are whole."""


def breaks_off(text: str) -> bool:
    """Whether a text plainly ends in the middle of a sentence.

    That there is no full stop is no sign of it: models of captions write none, and small servers
    say nothing of how an answer ended.
    """
    last = (text.split() or [""])[-1].lower()
    return last in _ENDS_NOTHING or last[-1:] in {",", "(", "-", "\u2013"}
