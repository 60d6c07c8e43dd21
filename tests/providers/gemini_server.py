"""The Gemini Developer API, as far as captions need it, on the loopback interface."""

from __future__ import annotations

from typing import Any

from tests.providers.contracts import contract
from tests.providers.loopback import Loopback, Received, Reply
from tests.providers.strict_schema import answer_by, complaints

GEMINI = contract("gemini")
KEY, MODEL = GEMINI.key, GEMINI.model
RPC = "type.googleapis.com/google.rpc."


class GeminiServer(Loopback):
    """Takes one key and knows the models in `models` (name -> what it can do)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models: dict[str, list[str]] = {
            MODEL: ["generateContent"],
            "gemini-2.5-flash-lite": ["generateContent"],
            "gemini-embedding-2": ["embedContent"],
        }
        self.check_reply: Reply | None = None

    def answer(self, request: Received) -> Reply:
        path = request.path.partition("?")[0].removeprefix("/v1beta/")
        if path.endswith(":generateContent"):
            return self._if_admitted(request, self.scripted(_answered(request.json)))
        if self.check_reply:
            return self.check_reply
        if path == "models":
            infos = [_info(name, actions) for name, actions in self.models.items()]
            return self._if_admitted(request, Reply({"models": infos}))
        name = path.removeprefix("models/")
        if name not in self.models:
            return error(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta")
        return self._if_admitted(request, Reply(_info(name, self.models[name])))

    def _if_admitted(self, request: Received, reply: Reply) -> Reply:
        if request.headers.get("x-goog-api-key") != KEY:
            return bad_key()
        return reply


def _answered(request: dict[str, Any]) -> Reply:
    """Structured output where `responseJsonSchema` asks for it, with a schema it takes."""
    refused = GEMINI.complaint(request)
    if refused is not None:
        return Reply(refused[1], refused[0])
    config = request.get("generationConfig", {})
    schema = config.get("responseJsonSchema")
    if schema is None:
        return response("A dog on a beach.")
    if config.get("responseMimeType") != "application/json":
        return error(400, "INVALID_ARGUMENT", "response_schema needs response_mime_type JSON")
    for complaint in complaints(schema):
        return error(400, "INVALID_ARGUMENT", f"Invalid response_json_schema: {complaint}")
    return response(answer_by(schema))


def response(
    text: str | None, finish: str | None = "STOP", thought: str = "", **usage: int
) -> Reply:
    """An answer; `text` None means a candidate without content."""
    parts: list[dict[str, Any]] = []
    if thought:
        parts.append({"text": thought, "thought": True})
    if text is not None:
        parts.append({"text": text})
    candidate: dict[str, Any] = {"index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    if finish:
        candidate["finishReason"] = finish
    body = GEMINI.answered()
    body["usageMetadata"] |= usage
    return Reply(body | {"candidates": [candidate]})


def blocked(reason: str) -> Reply:
    """The prompt was blocked: there is no candidate, and the input is billed."""
    usage = GEMINI.answered()["usageMetadata"] | {"candidatesTokenCount": 0}
    return Reply({"promptFeedback": {"blockReason": reason}, "usageMetadata": usage})


def error(
    status: int,
    reason: str,
    text: str,
    *details: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error as Google's APIs write it (google.rpc.Status)."""
    fault = {"code": status, "status": reason, "message": text, "details": list(details)}
    return Reply({"error": fault}, status, headers or {})


def bad_key() -> Reply:
    """What Google says to a key that it does not know: 400, not 401."""
    rejected = GEMINI.errors["a rejected key"]
    return Reply(rejected["body"], rejected["status"])


def quota(quota_id: str, value: str = "15", delay: str | None = "31.4s") -> Reply:
    """429; the name of the quota says whether it passes within the minute or within the day."""
    violation = {"quotaId": quota_id, "quotaValue": value, "quotaMetric": "requests"}
    details: list[dict[str, Any]] = [{"@type": RPC + "QuotaFailure", "violations": [violation]}]
    if delay:
        details.append({"@type": RPC + "RetryInfo", "retryDelay": delay})
    text = "You exceeded your current quota, please check your plan and billing details."
    return error(429, "RESOURCE_EXHAUSTED", text, *details)


def _info(name: str, actions: list[str]) -> dict[str, Any]:
    return GEMINI.model_named(name) | {"supportedGenerationMethods": actions}
