"""The batch APIs of OpenAI, xAI, Anthropic and Gemini, as far as jobs need them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.providers.batch_server import (
    TOKENS_IN,
    TOKENS_OUT,
    Asked,
    Batch,
    BatchServer,
    Reply,
    digest,
    from_data_url,
)

_MULTIPART = re.compile(rb'name="(\w+)"(?:; filename="([^"]*)")?')


class OpenAIBatches(BatchServer):
    """OpenAI's files, batches and chat completions."""

    dialect = "openai"
    key_variable = "OPENAI_API_KEY"
    model = "gpt-5.6-luna"

    def arguments(self) -> list[str]:
        return ["--backend=openai", f"--base-url={self.url}/v1", f"--model={self.model}"]

    def operation(self, asked: Asked) -> str:
        path = urlsplit(asked.path).path
        if path == "/v1/files":
            return "upload"
        if path == "/v1/batches":
            return "create" if asked.method == "POST" else "list"
        if path.startswith("/v1/batches/"):
            return "cancel" if path.endswith("cancel") else self._results_or_look(path)
        if path.startswith("/v1/files/"):
            return "delete" if asked.method == "DELETE" else "results"
        return "live" if path.endswith("/chat/completions") else "models"

    def _results_or_look(self, path: str) -> str:
        return "results" if path.endswith("/results") else "look"

    def reply_to(self, asked: Asked) -> Reply:
        path = urlsplit(asked.path).path
        match self.operation(asked):
            case "upload":
                return self._upload(asked)
            case "create":
                return self._create(asked.json)
            case "list" if self.no_jobs:
                return _missing("page")
            case "list":
                found = sorted(self.batches.values(), key=lambda b: b.id, reverse=True)
                data = [self.shown(batch) for batch in found]
                return Reply({"object": "list", "data": data, "has_more": False})
            case "look" | "cancel" as operation:
                batch = self.batches.get(path.removesuffix("/cancel").rpartition("/")[2])
                if batch is None or self.gone:
                    return _missing("batch")
                batch.looked_at += operation == "look"
                batch.cancelled = batch.cancelled or operation == "cancel"
                return Reply(self.shown(batch))
            case "delete":
                return self._delete(path.rpartition("/")[2])
            case "results":
                return self._content(path.split("/")[3])
            case "live":
                return self._live(asked.json)
        return Reply({"id": self.model, "object": "model", "created": 1, "owned_by": "test",
                      "data": [{"id": self.model, "object": "model"}]})  # fmt: skip

    def _upload(self, asked: Asked) -> Reply:
        boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
        file_id, name, content = self.new_id("file_"), "", b""
        for part in asked.body.split(b"--" + boundary):
            head, _, body = part.partition(b"\r\n\r\n")
            found = _MULTIPART.search(head)
            if found and found[1] == b"file":
                name, content = (found[2] or b"").decode(), body.removesuffix(b"\r\n")
        self.files[file_id] = (name, content)
        return Reply({"id": file_id, "object": "file", "filename": name, "purpose": "batch",
                      "bytes": len(content), "created_at": 1, "status": "processed"})  # fmt: skip

    def _create(self, body: dict[str, Any]) -> Reply:
        if body["input_file_id"] not in self.files:
            return _missing("file")
        content = self.files[body["input_file_id"]][1]
        lines = [json.loads(line) for line in content.split(b"\n") if line.strip()]
        assert all(line["url"] == "/v1/chat/completions" for line in lines)
        requests = [(line["custom_id"], line["body"]) for line in lines]
        if why := self.refused(requests, len(content)):
            return Reply({"error": {"message": why}}, 400)
        ours = self.mark_of(body)
        return Reply(self.shown(self.create(requests, ours, body["input_file_id"])))

    def mark_of(self, body: dict[str, Any]) -> str | None:
        return (body.get("metadata") or {}).get("picture_captioner_job")

    def shown(self, batch: Batch) -> dict[str, Any]:
        ended = self.ended(batch)
        status = "in_progress" if batch.looked_at else "validating"
        if ended:
            status = "expired" if self.expires else "completed"
            status = "cancelled" if batch.cancelled else "failed" if batch.problem else status
        kinds = list(batch.outcomes.values())
        done = sum(kind in {"ok", "refused", "broken"} for kind in kinds) if ended else 0
        shows = ended and not batch.problem and not self.hides_output
        return {
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions",
            "completion_window": "24h", "created_at": int(batch.created_at), "status": status,
            "input_file_id": batch.file, "metadata": {"picture_captioner_job": batch.ours},
            "output_file_id": f"out_{batch.id}" if shows and done else None,
            "error_file_id": (f"err_{batch.id}" if shows and done < len(kinds) else ""),
            "request_counts": {"total": len(kinds) if ended else 0, "completed": done,
                               "failed": len(kinds) - done if ended else 0},
            "errors": {"data": [{"code": "token_limit_exceeded", "message": batch.problem}]}
            if batch.problem else None,
        }  # fmt: skip

    def _content(self, file_id: str) -> Reply:
        kind, _, batch_id = file_id.partition("_")
        batch = self.batches.get(batch_id)
        if batch is None or self.gone or file_id in self.deleted_files:
            return _missing("file")
        lines = [
            self.line(name, outcome, body)
            for name, outcome, body in self.lines(batch)
            if (outcome in {"ok", "refused", "broken"}) == (kind == "out")
        ]
        return Reply(self.as_lines(lines))

    def line(self, name: str, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        failures = {"bad_request": (400, "invalid image"), "busy": (429, "slow down")}
        if outcome == "expired":
            error = {"code": "batch_expired", "message": "not processed in time"}
            return {"id": name, "custom_id": name, "response": None, "error": error}
        if outcome in failures:
            status, message = failures[outcome]
            error = {"message": message, "type": "invalid_request_error"}
            answer: dict[str, Any] = {"error": error}
        else:
            status, answer = 200, self.completion(outcome, body)
        response = {"status_code": status, "request_id": "r", "body": answer}
        return {"id": name, "custom_id": name, "response": response, "error": None}

    def completion(self, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.answer(outcome, body)}
        finish = "content_filter" if outcome == "refused" else "stop"
        return {
            "id": "c", "object": "chat.completion", "created": 1, "model": f"{self.model}-2026-07",
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT,
                      "total_tokens": TOKENS_IN + TOKENS_OUT},
        }  # fmt: skip

    def _live(self, body: dict[str, Any]) -> Reply:
        self.live[self.picture_of(body)] += 1
        return Reply(self.completion("ok", body))

    def _delete(self, file_id: str) -> Reply:
        if file_id in self.deleted_files:
            return _missing("file")
        self.deleted_files.append(file_id)
        self.files.pop(file_id, None)
        return Reply({"id": file_id, "object": "file", "deleted": True})

    def jpeg_of(self, body: dict[str, Any]) -> bytes:
        return from_data_url(body["messages"][0]["content"][0]["image_url"]["url"])

    def picture_of(self, body: dict[str, Any]) -> str:
        return digest(self.jpeg_of(body))


class XaiBatches(OpenAIBatches):
    """xAI's: the same file, other jobs, results in pages."""

    dialect = "xai"
    key_variable = "XAI_API_KEY"
    model = "grok-4.3"
    page = 3

    def arguments(self) -> list[str]:
        return ["--backend=xai", f"--base-url={self.url}/v1", f"--model={self.model}"]

    def operation(self, asked: Asked) -> str:
        return "cancel" if asked.path.endswith(":cancel") else super().operation(asked)

    def mark_of(self, body: dict[str, Any]) -> str | None:
        return body.get("name")

    def reply_to(self, asked: Asked) -> Reply:
        parts = urlsplit(asked.path)
        operation = self.operation(asked)
        if operation == "list":
            return Reply({"batches": [self.shown(b) for b in self.batches.values()]})
        if operation == "cancel":
            self.batches[parts.path.rpartition("/")[2].removesuffix(":cancel")].cancelled = True
            return Reply({})
        if operation == "results":
            batch = self.batches[parts.path.split("/")[3]]
            return self._page(batch, int(parse_qs(parts.query).get("pagination_token", ["0"])[0]))
        return super().reply_to(asked)

    def shown(self, batch: Batch) -> dict[str, Any]:
        ended = self.ended(batch)
        kinds = list(batch.outcomes.values())
        done = sum(kind in {"ok", "refused", "broken"} for kind in kinds)
        return {
            "batch_id": batch.id, "name": batch.ours, "input_file_id": batch.file,
            "cancel_time": "2026-11-28T00:00:00Z" if batch.cancelled else None,
            "state": {"num_requests": len(kinds), "num_pending": 0 if ended else len(kinds),
                      "num_success": done if ended else 0},
        }  # fmt: skip

    def _page(self, batch: Batch, first: int) -> Reply:
        lines = list(self.lines(batch))
        page = [self.line(*line) for line in lines[first : first + self.page]]
        page = self.damage(page) if self.damage else page
        more = first + self.page < len(lines)
        token = {"pagination_token": str(first + self.page)} if more else {}
        return Reply({"results": page, **token})

    def line(self, name: str, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        plain = super().line(name, outcome, body)
        if outcome in {"ok", "refused", "broken"}:
            response = {"chat_get_completion": plain["response"]["body"]}
            return {"batch_request_id": name, "batch_result": {"response": response}}
        status = {"bad_request": 400, "busy": 429}.get(outcome, "expired")
        error = {"code": status, "message": "no"}
        return {"batch_request_id": name, "batch_result": {"error": error}}


class AnthropicBatches(BatchServer):
    """Anthropic's message batches and messages."""

    dialect = "anthropic"
    key_variable = "ANTHROPIC_API_KEY"
    model = "claude-haiku-5-5"
    limits = (100_000, 256_000_000)
    results_host: str | None = None

    def arguments(self) -> list[str]:
        return ["--backend=anthropic", f"--base-url={self.url}", f"--model={self.model}"]

    def operation(self, asked: Asked) -> str:
        path = urlsplit(asked.path).path
        if path == "/v1/messages":
            return "live"
        if path == "/v1/messages/batches":
            return "create" if asked.method == "POST" else "list"
        if path.startswith("/v1/messages/batches/"):
            if asked.method == "DELETE":
                return "delete"
            last = path.rpartition("/")[2]
            return last if last in {"results", "cancel"} else "look"
        return "models"

    def reply_to(self, asked: Asked) -> Reply:
        operation, path = self.operation(asked), urlsplit(asked.path).path
        if operation == "live":
            self.live[self.picture_of(asked.json)] += 1
            return Reply(self.message("ok", asked.json))
        if operation == "create":
            found = asked.json["requests"]
            assert list(asked.json) == ["requests"]
            requests = [(one["custom_id"], one["params"]) for one in found]
            if why := self.refused(requests, len(asked.body)):
                return _failed(400, why)
            return Reply(self.shown(self.create(requests, None, None)))
        if operation == "list":
            data = [self.shown(batch) for batch in reversed(self.batches.values())]
            return Reply({"data": data, "has_more": False, "first_id": None, "last_id": None})
        if operation == "models":
            return Reply({"id": self.model, "type": "model", "display_name": "x",
                          "created_at": "2026-01-01T00:00:00Z"})  # fmt: skip
        return self._of_a_batch(operation, path.split("/")[4])

    def _of_a_batch(self, operation: str, batch_id: str) -> Reply:
        batch = self.batches.get(batch_id)
        if batch is None or batch.deleted or self.gone:
            return _failed(404, "not found")
        if operation == "delete":
            batch.deleted = True
            return Reply({"id": batch.id, "type": "message_batch_deleted"})
        if operation == "results":
            lines = [self.line(*line) for line in self.lines(batch)]
            return Reply(self.as_lines(lines),
                         headers={"Content-Type": "application/x-jsonl"})  # fmt: skip
        batch.looked_at += operation == "look"
        batch.cancelled = batch.cancelled or operation == "cancel"
        return Reply(self.shown(batch))

    def shown(self, batch: Batch) -> dict[str, Any]:
        ended = self.ended(batch)
        kinds = list(batch.outcomes.values())
        succeeded = sum(kind in {"ok", "refused", "broken"} for kind in kinds)
        expired = kinds.count("expired")
        counts = {"processing": 0 if ended else len(kinds), "succeeded": succeeded if ended else 0,
                  "errored": len(kinds) - succeeded - expired if ended else 0, "canceled": 0,
                  "expired": expired if ended else 0}  # fmt: skip
        url = f"{self.results_host or self.url}/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id, "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress", "request_counts": counts,
            "created_at": iso(batch.created_at), "expires_at": iso(batch.created_at + 86400),
            "results_url": url if ended and not self.gone else None,
        }  # fmt: skip

    def line(self, name: str, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        errors = {"bad_request": "invalid_request_error", "busy": "overloaded_error"}
        if outcome == "expired":
            result: dict[str, Any] = {"type": "expired"}
        elif outcome in errors:
            error = {"type": errors[outcome], "message": "no"}
            result = {"type": "errored", "error": {"type": "error", "error": error}}
        else:
            result = {"type": "succeeded", "message": self.message(outcome, body)}
        return {"custom_id": name, "result": result}

    def message(self, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": "m", "type": "message", "role": "assistant", "model": f"{self.model}-2026",
            "content": [{"type": "text", "text": self.answer(outcome, body)}],
            "stop_reason": "refusal" if outcome == "refused" else "end_turn",
            "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
        }  # fmt: skip

    def jpeg_of(self, body: dict[str, Any]) -> bytes:
        return base64.b64decode(body["messages"][0]["content"][0]["source"]["data"])

    def picture_of(self, body: dict[str, Any]) -> str:
        return digest(self.jpeg_of(body))


class GeminiBatches(BatchServer):
    """Gemini's files, batches and generateContent."""

    dialect = "gemini"
    key_variable = "GEMINI_API_KEY"
    model = "gemini-3.5-flash-lite"
    limits = (200_000, 2_000_000_000)
    upload_host: str | None = None

    def arguments(self) -> list[str]:
        return ["--backend=gemini", f"--base-url={self.url}", f"--model={self.model}"]

    def operation(self, asked: Asked) -> str:
        path = urlsplit(asked.path).path
        if "/upload/" in path:
            return "upload"
        if path.endswith(":batchGenerateContent"):
            return "create"
        if path.endswith(":generateContent"):
            return "live"
        if path.endswith("/batches"):
            return "list"
        if path.endswith(":download"):
            return "results"
        if "/batches/" in path:
            if asked.method == "DELETE":
                return "delete"
            return "cancel" if path.endswith(":cancel") else "look"
        return "delete" if asked.method == "DELETE" else "models"

    def reply_to(self, asked: Asked) -> Reply:
        operation, path = self.operation(asked), unquote(urlsplit(asked.path).path)
        match operation:
            case "upload":
                return self._upload(asked, path)
            case "create":
                return self._create(asked.json["batch"])
            case "live":
                self.live[self.picture_of(asked.json)] += 1
                return Reply(self.content("ok", asked.json))
            case "list":
                return Reply({"operations": [self.shown(b) for b in self.batches.values()]})
            case "results":
                return self._results(path.rpartition("/")[2].removesuffix(":download"))
            case "look" | "cancel":
                batch = self.batches.get(path.rpartition("/")[2].removesuffix(":cancel"))
                if batch is None or self.gone:
                    return _failed(404, "entity was not found")
                batch.looked_at += operation == "look"
                batch.cancelled = batch.cancelled or operation == "cancel"
                return Reply(self.shown(batch))
            case "delete":
                self.deleted_files.append(path.rpartition("v1beta/")[2])
                self.files.pop(path.rpartition("v1beta/")[2], None)
                return Reply({})
        return Reply({"name": f"models/{self.model}",
                      "supportedGenerationMethods": ["generateContent"]})  # fmt: skip

    def _upload(self, asked: Asked, path: str) -> Reply:
        if asked.headers.get("x-goog-upload-command") == "start":
            name = f"files/{self.new_id('f')}"
            self.files[name] = (asked.json["file"].get("display_name", ""), b"")
            headers = {"x-goog-upload-url": f"{self.upload_host or self.url}/upload/v1beta/{name}",
                       "x-goog-upload-status": "active"}  # fmt: skip
            return Reply({}, headers=headers)
        name = path.partition("/upload/v1beta/")[2]
        self.files[name] = (self.files[name][0], self.files[name][1] + asked.body)
        final = "finalize" in asked.headers["x-goog-upload-command"]
        headers = {"x-goog-upload-status": "final" if final else "active"}
        return Reply({"file": {"name": name, "sizeBytes": str(len(self.files[name][1]))}},
                     headers=headers)  # fmt: skip

    def _create(self, body: dict[str, Any]) -> Reply:
        file = body["inputConfig"]["fileName"]
        if file not in self.files:
            return _failed(404, "file not found")
        content = self.files[file][1]
        lines = [json.loads(line) for line in content.split(b"\n") if line.strip()]
        requests = [(line["key"], line["request"]) for line in lines]
        if why := self.refused(requests, len(content)):
            return _failed(400, why)
        return Reply(self.shown(self.create(requests, body.get("displayName"), file)))

    def shown(self, batch: Batch) -> dict[str, Any]:
        ended = self.ended(batch)
        state = "BATCH_STATE_RUNNING"
        if ended:
            state = "BATCH_STATE_EXPIRED" if self.expires else "BATCH_STATE_SUCCEEDED"
            state = "BATCH_STATE_FAILED" if batch.problem else state
            state = "BATCH_STATE_CANCELLED" if batch.cancelled else state
        metadata = {
            "name": f"batches/{batch.id}", "displayName": batch.ours, "state": state,
            "model": f"models/{self.model}", "createTime": iso(batch.created_at),
            "inputConfig": {"fileName": batch.file},
        }  # fmt: skip
        if ended and not batch.problem:
            metadata["output"] = {"responsesFile": f"files/out_{batch.id}"}
        return {"name": f"batches/{batch.id}", "metadata": metadata, "done": ended}

    def _results(self, name: str) -> Reply:
        batch = self.batches.get(name.removeprefix("out_"))
        if batch is None or self.gone:
            return _failed(404, "file not found")
        lines = [self.line(*line) for line in self.lines(batch)]
        return Reply(self.as_lines(lines))

    def line(self, name: str, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        codes = {"bad_request": 3, "busy": 8, "expired": 4}
        if outcome in codes:
            return {"key": name, "error": {"code": codes[outcome], "message": "no"}}
        return {"key": name, "response": self.content(outcome, body)}

    def content(self, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        parts = [{"text": self.answer(outcome, body)}]
        finish = "SAFETY" if outcome == "refused" else "STOP"
        return {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}],
            "modelVersion": f"{self.model}-001",
            "usageMetadata": {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT},
        }  # fmt: skip

    def jpeg_of(self, body: dict[str, Any]) -> bytes:
        part = body["contents"][0]["parts"][0]
        inline = part.get("inlineData") or part.get("inline_data")
        data = inline["data"]
        return base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_")

    def picture_of(self, body: dict[str, Any]) -> str:
        return digest(self.jpeg_of(body))

    def refused(self, requests: list[tuple[str, dict[str, Any]]], size: int) -> str | None:
        why = super().refused([(name, {**body, "model": 1}) for name, body in requests], size)
        return why or next(
            (f"unknown field {key}" for _, body in requests for key in body
             if key not in {"contents", "generationConfig", "serviceTier"}), None
        )  # fmt: skip


DIALECTS = (OpenAIBatches, XaiBatches, AnthropicBatches, GeminiBatches)


def _missing(what: str) -> Reply:
    return Reply({"error": {"message": f"No such {what}", "type": "invalid_request_error"}}, 404)


def _failed(status: int, message: str) -> Reply:
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    error = {"type": kind, "message": message, "code": status, "status": kind}
    return Reply({"type": "error", "error": error}, status)


def iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
