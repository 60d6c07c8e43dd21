"""Anthropic's Messages and Models API, as far as captions need it, on the loopback interface."""

from __future__ import annotations

from typing import Any

from tests.providers.contracts import contract
from tests.providers.loopback import Loopback, Received, Reply
from tests.providers.strict_schema import answer_by, complaints

ANTHROPIC = contract("anthropic")
KEY, MODEL = ANTHROPIC.key, ANTHROPIC.model
SERVED_AS = ANTHROPIC.answer["model"]


class AnthropicServer(Loopback):
    """Takes one key and knows the models in `models` (name -> what is unusual about it)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models: dict[str, dict[str, Any]] = {MODEL: {}, "claude-sonnet-5-5": {}}
        self.check_reply: Reply | None = None

    def answer(self, request: Received) -> Reply:
        path = request.path.partition("?")[0]
        if path == "/v1/messages":
            return self._if_admitted(request, self.scripted(_answered(request.json)))
        if self.check_reply:
            return self.check_reply
        if path == "/v1/models":
            infos = [model_info(name, **odd) for name, odd in self.models.items()]
            return self._if_admitted(request, Reply({"data": infos, "has_more": False}))
        name = path.removeprefix("/v1/models/")
        if name not in self.models:
            return error(404, "not_found_error", f"model: {name}")
        return self._if_admitted(request, Reply(model_info(name, **self.models[name])))

    def _if_admitted(self, request: Received, reply: Reply) -> Reply:
        if request.headers.get("x-api-key") != KEY:
            return error(401, "authentication_error", "invalid x-api-key")
        return reply


def _answered(request: dict[str, Any]) -> Reply:
    """Structured output where `output_config.format` asks for it, with a schema it takes."""
    refused = ANTHROPIC.complaint(request)
    if refused is not None:
        return Reply(refused[1], refused[0])
    output_format = request.get("output_config", {}).get("format")
    if output_format is None:
        return message("A dog on a beach.")
    assert set(output_format) == {"type", "schema"}
    for complaint in complaints(output_format["schema"]):
        return error(400, "invalid_request_error", f"output_config.format.schema: {complaint}")
    return message(answer_by(output_format["schema"]))


def message(
    text: str | None, stop: str | None = "end_turn", thought: str = "", **usage: int
) -> Reply:
    """An answer; `text` None means no content at all."""
    content: list[dict[str, Any]] = []
    if thought:
        content.append({"type": "thinking", "thinking": thought, "signature": "c2ln"})
    if text is not None:
        content.append({"type": "text", "text": text})
    body = ANTHROPIC.answered()
    body |= {"content": content, "stop_reason": stop}
    body["usage"] |= usage
    return Reply(body)


def error(
    status: int,
    kind: str,
    text: str,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error in Anthropic's envelope."""
    fault: dict[str, Any] = {"type": kind, "message": text}
    if code:
        fault["details"] = {"error_code": code}
    body = {"type": "error", "error": fault, "request_id": "req_01"}
    return Reply(body, status, headers or {})


def model_info(
    name: str,
    *,
    lifecycle: str = "active",
    sees: bool = True,
    structured: bool = True,
    thinking: dict[str, bool] | None = None,
) -> dict[str, Any]:
    """What the Models API says of a model; `thinking` is which ways of thinking it allows."""
    info = ANTHROPIC.model_named(name)
    abilities = info["capabilities"]
    abilities["image_input"]["supported"] = sees
    abilities["structured_outputs"]["supported"] = structured
    for way, allowed in (thinking or {}).items():
        abilities["thinking"]["types"][way] = {"supported": allowed}
    return info | {"lifecycle": lifecycle}
