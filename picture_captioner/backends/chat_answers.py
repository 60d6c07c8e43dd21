"""Reads a chat completion: the caption in it, what it cost, or why it is not one.

The SDK does not validate answers, and the servers behind the `compatible` backend are many, so
nothing is taken on trust: a field of the wrong type counts as missing.
"""

from __future__ import annotations

import re

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from picture_captioner.backends.base import Caption
from picture_captioner.backends.finish import NOT_WHOLE, Finish, breaks_off, finish_of
from picture_captioner.backends.openai_errors import HttpFailure, error_text
from picture_captioner.backends.reasoning import estimated_thought, without_reasoning
from picture_captioner.backends.usage import count, dollars, name_in, one_request
from picture_captioner.errors import ApiError, ModelError, Usage
from picture_captioner.foreign_text import cut

_DIRECTORIES = re.compile(r"^(?:[A-Za-z]:)?[/\\].*[/\\]")


def is_answer(completion: object) -> bool:
    """Whether this is about a photo at all: it has choices, or a bill.

    What has neither, such as a gateway's `{"status": "starting"}`, may pass.
    """
    if not isinstance(completion, ChatCompletion):
        return False
    choices: object = completion.choices
    return isinstance(choices, list) or isinstance(completion.usage, CompletionUsage)


def caption_from(completion: object, requests: int) -> Caption:
    """The caption in an answer, with its usage; `requests` is how many it took.

    Raises:
        ModelError: `refused`, `truncated`, `unfinished`, `context`, `empty` or `reasoning` (nothing
            but a train of thought).
        ApiError: `malformed`: not a chat completion at all, or one without an answer.
    """
    said = "the server's answer is not a chat completion"
    if not isinstance(completion, ChatCompletion):
        raise ApiError(said, code="malformed")
    usage = _usage(completion, requests)
    choice = _first_choice(completion)
    if choice is None:
        raise ApiError(f"{said}: it has no choice", code="malformed", usage=usage)
    if _prompt_was_cut(completion):
        raise ModelError(
            "the server cut the question, and the photo with it, to fit the model's context; give "
            "the model a larger one (Ollama: num_ctx, llama.cpp: -c) or lower --max-edge",
            code="context",
            usage=usage,
        )
    text = _checked_text(choice, usage)
    version = name_in(completion.model)
    return Caption(
        text,
        model_version=_DIRECTORIES.sub("", version) if version else None,
        **usage,
    )


def _prompt_was_cut(completion: ChatCompletion) -> bool:
    """Whether the server says so: llama.cpp's `truncated`, at the top or in `__verbose`."""
    extra = completion.model_extra or {}
    verbose = extra.get("__verbose")
    said = [extra.get("truncated"), verbose.get("truncated") if isinstance(verbose, dict) else None]
    return True in said


def failure_inside(completion: object) -> HttpFailure | None:
    """The error in an answer with status 200: OpenRouter's, once it has begun to answer.

    Its status is 0 where the error names none.
    """
    extra = getattr(_first_choice(completion) or completion, "model_extra", None) or {}
    error = extra.get("error")
    if not isinstance(error, dict):
        return None
    status = error.get("code")
    if not isinstance(status, int) or not 400 <= status < 600:
        status = 0
    words = [word for name in ("code", "type") if isinstance(word := error.get(name), str)]
    return HttpFailure(status, cut(" ".join(words)), error_text(error))


def thinking_in(completion: object) -> tuple[int, bool]:
    """Tokens that were thought before the caption, and whether the answer ran into the limit."""
    choice = _first_choice(completion)
    if not isinstance(completion, ChatCompletion) or choice is None:
        return 0, False
    reported = completion.usage
    thought = None
    if isinstance(reported, CompletionUsage):
        thought = count(_detail(reported, "completion_tokens_details", "reasoning_tokens"))
    message = choice.message
    aloud = [getattr(message, name, None) for name in ("reasoning", "reasoning_content")]
    answer = _words(getattr(message, "content", None))
    unsaid = answer[: len(answer) - len(without_reasoning(answer))]
    cut_off = finish_of(choice.finish_reason) is Finish.CUT
    return thought or estimated_thought([*aloud, unsaid]), cut_off


def _usage(completion: ChatCompletion, requests: int) -> Usage:
    """Tokens and cost as the server reported them; a count it does not give is absent."""
    reported = completion.usage
    if not isinstance(reported, CompletionUsage):
        return Usage(requests=requests)
    read, written = _both(reported.prompt_tokens, reported.completion_tokens, reported.total_tokens)
    usage = one_request(
        read,
        None if written is None else written + _reasoning_on_top(reported),
        count(_detail(reported, "prompt_tokens_details", "cached_tokens")),
        count(_detail(reported, "prompt_tokens_details", "cache_write_tokens")),
    )
    usage["requests"] = requests
    if (tier := name_in(completion.service_tier)) is not None:
        usage["service_tier"] = tier
    cost = dollars((reported.model_extra or {}).get("cost"))  # OpenRouter
    if cost is not None:
        usage["cost_usd"] = cost
    return usage


def _both(read: object, written: object, all_of_them: object) -> tuple[int | None, int | None]:
    """What was read and written, one of them by the sum where a server leaves out a count of 0."""
    first, second, whole = count(read), count(written), count(all_of_them)
    if whole is not None and first is not None and written is None and whole >= first:
        second = whole - first
    elif whole is not None and second is not None and read is None and whole >= second:
        first = whole - second
    return first, second


def _reasoning_on_top(usage: CompletionUsage) -> int:
    """Reasoning tokens that `completion_tokens` leaves out, as xAI's do; the total tells."""
    reasoning = count(_detail(usage, "completion_tokens_details", "reasoning_tokens")) or 0
    counts = (usage.total_tokens, usage.prompt_tokens, usage.completion_tokens)
    total, prompt, written = map(count, counts)
    if total is None or prompt is None or written is None:
        return 0
    return reasoning if total == prompt + written + reasoning else 0


def _detail(usage: CompletionUsage, group: str, name: str) -> object:
    return getattr(getattr(usage, group, None), name, None)


def _first_choice(completion: object) -> Choice | None:
    choices = getattr(completion, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Choice) else None


def _checked_text(choice: Choice, usage: Usage) -> str:
    message = choice.message
    refusal = getattr(message, "refusal", None)
    finish = finish_of(choice.finish_reason)
    if finish is Finish.REFUSED or (isinstance(refusal, str) and refusal):
        raise ModelError(
            "the model or its content filter refuses this photo", code="refused", usage=usage
        )
    answer = _words(getattr(message, "content", None))
    text = without_reasoning(answer)
    if finish is Finish.CUT:
        raise ModelError(_cut_off(bool(text), usage), code="truncated", usage=usage)
    if finish is Finish.FAILED:
        broken = f"the server broke the answer off ({choice.finish_reason[:40]})"
        raise ModelError(broken, code="unfinished", usage=usage)
    if text and finish is Finish.UNKNOWN and breaks_off(text):
        raise ModelError(NOT_WHOLE, code="unfinished", usage=usage)
    if text:
        return text
    if answer.strip() or _thought_only(message):
        raise ModelError("the model reasoned and gave no caption", code="reasoning", usage=usage)
    raise ModelError("the model returned an empty caption", code="empty", usage=usage)


def _words(content: object) -> str:
    """A message's content: a string, or a list of parts of which the texts count."""
    if isinstance(content, list):
        return "".join(_words(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _cut_off(began: bool, usage: Usage) -> str:
    spent = usage.get("output_tokens")
    after = f" after {spent} tokens" if spent else ""
    if began:
        return f"the answer was cut off{after}; raise --max-tokens"
    return f"the tokens ran out{after}, before the caption began; raise --max-tokens"


def _thought_only(message: object) -> bool:
    """Whether reasoning was split off: `reasoning` in vLLM, `reasoning_content` elsewhere."""
    fields = (getattr(message, name, None) for name in ("reasoning", "reasoning_content"))
    return any(isinstance(field, str) and field.strip() for field in fields)
