"""What models and servers answer: a caption that the journal takes, or an error with a code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openai._models import construct_type
from openai.types.chat import ChatCompletion

from picture_captioner.backends.base import Caption
from picture_captioner.backends.chat_answers import caption_from, failure_inside
from picture_captioner.backends.fields import FieldsAsked, expand
from picture_captioner.errors import ApiError, ModelError, Status
from picture_captioner.journal.record import Record, parse_entry
from picture_captioner.pipeline.recording.answers import judge_answer

ASKED = (
    FieldsAsked(expand(["caption", "title", "tags", "summary"])),
    FieldsAsked(expand(["full"]), max_tags=1),
)


def _full() -> dict[str, Any]:
    sure = {"value": "a lake", "confidence": 0.5}
    return {
        "caption": "A lake.", "title": "Lake", "tags": ["lake", "#Water", "sky"],
        "summary": "Water.",
        "scene": sure, "places": [sure, sure], "people_count": {"value": 2, "confidence": 1},
        "activities": {"value": ["rowing"], "confidence": 0.1},
        "objects": {"value": ["boat", "boat"], "confidence": 0.9}, "text_in_image": sure,
        "season": {"value": "Fall", "confidence": 0.3},
        "time_of_day": {"value": "", "confidence": 0},
        "date_estimate": sure, "mood": sure,
        "quality": {"score": 0.5, "note": "soft", "confidence": 0.5},
    }  # fmt: skip


TEXTS = (
    b"A lake at dawn.",
    b"<think>hm</think>This image shows a lake.",
    json.dumps(_full()).encode(),
    b"```json\n" + json.dumps(_full(), indent=1).encode() + b"\n```",
    b'Sure! {"caption": "A lake \\ud83d", "title": "x", "tags": ["a", "b", "c"], "summary": "s"}',
)
WORDS = (
    b"<think>", b"</think>", "\u25c1think\u25b7".encode(), b"```json\n", b"```", b"{", b"}",
    b'"caption":', b'"tags":', b'"confidence":', b'"value":', b'"score":', b"This image shows ",
    b"\xed\xa0\xbd", b"\xe2\x80\xa8", b"\0",
)  # fmt: skip
CHATS = (
    b'{"id":"1","model":"m","choices":[{"index":0,"finish_reason":"stop","message":'
    b'{"role":"assistant","content":"A lake."}}],"usage":{"prompt_tokens":9,"completion_tokens":3,'
    b'"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"cost":0.01}}',
    b'{"choices":[{"finish_reason":"length","message":{"content":[{"type":"text","text":"A"}],'
    b'"reasoning":"hm","refusal":null}}],"error":{"code":429,"message":"slow"}}',
    b'{"model":"/models/x.gguf","choices":[],"usage":null}',
)
CHAT_WORDS = (
    b'"choices":', b'"message":', b'"content":', b'"usage":', b'"finish_reason":', b'"error":',
    b'"code":', b'"cost":', b'"length"', b'"content_filter"', b'"prompt_tokens":', b"[{",
)  # fmt: skip


def _text(data: bytes) -> str:
    """Any text a server may send, halves of emoji included: JSON escapes can hold them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _writable(caption: Caption) -> None:
    """The journal takes it, and reads it back."""
    record = Record(
        rel_path="a.jpg", caption=caption.text, status=Status.SUCCESS,
        model_version=caption.model_version, extra=dict(caption.fields), **caption.usage,
    )  # fmt: skip
    line = record.to_line()
    assert b"\n" not in line[:-1]
    parse_entry(line[:-1], 0)


def judged(data: bytes, folder: Path) -> None:
    """A caption that is not empty, or a `ModelError`; judged again it stays as it is."""
    text = _text(data)
    for asked in (None, *ASKED):
        try:
            caption = judge_answer(text, asked)
        except ModelError as error:
            codes = {"empty", "broken", "refused", "no_image", "not_json", "validation"}
            assert error.code in codes
            continue
        assert caption.text or caption.fields
        assert caption.text is None or caption.text == " ".join(caption.text.split())
        _writable(caption)
    values = _json(data)
    if isinstance(values, dict):
        _taken_apart(values)


def _taken_apart(values: dict[str, Any]) -> None:
    """An answer that a backend's SDK took apart; the numbers may be anything too."""
    said = values.pop("caption", None)
    known = {name: values.pop(name) for name in ("input_tokens", "cost_usd") if name in values}
    try:
        caption = judge_answer(Caption(said, fields=values, **known), ASKED[0])
    except ModelError:
        return
    _writable(caption)


def fields(data: bytes, folder: Path) -> None:
    """Fields in their normal form, which is the normal form of itself, or a `ModelError`."""
    text = _text(data)
    for asked in ASKED:
        try:
            found = asked.read(text)
        except ModelError as error:
            assert error.code in {"not_json", "validation"}
            assert len(str(error)) <= 500
            continue
        assert tuple(found) == asked.names
        assert asked.check(found) == found
        assert len(found["tags"]) <= asked.max_tags
        json.dumps(found, allow_nan=False).encode("utf-8")
        json.dumps(found, ensure_ascii=False).encode("utf-8")


def chat(data: bytes, folder: Path) -> None:
    """A caption with a usage that adds up to nothing below 0, or an error with a code."""
    values = _json(data)
    if values is None:
        return
    completion = construct_type(type_=ChatCompletion, value=values)
    failure_inside(completion)
    try:
        caption = caption_from(completion, 1)
    except ModelError as error:
        assert error.code in {"refused", "truncated", "context", "reasoning", "empty"}
        usage = error.usage
    except ApiError as error:
        assert error.code == "malformed"
        return
    else:
        usage = caption.usage
        _writable(judge_answer(caption)) if (caption.text or "").strip() else None
    assert all(value >= 0 for value in usage.values())


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
