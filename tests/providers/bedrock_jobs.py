"""Bedrock's batch jobs on 127.0.0.1: the control plane is ours, and misbehaves; S3 is moto's.

Every request's signature is computed again, a job reads its file from the bucket and writes its
answers there, and `actions` has what IAM would be asked about each request.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests
from moto import mock_aws

from tests.providers.batch_dialects import iso
from tests.providers.batch_server import (
    TOKENS_IN,
    TOKENS_OUT,
    Asked,
    Batch,
    BatchServer,
    Reply,
    digest,
)
from tests.providers.bedrock_server import REGION, environment, signed_well

BUCKET, FOLDER, ACCOUNT = "photos-of-a-test", "captions", "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/captions-batch"
MODEL = "eu.anthropic.claude-haiku-5-5"
_STATES = {"fine": "Completed", "expires": "PartiallyCompleted"}


class BedrockJobsServer(BatchServer):
    """The three services of Amazon's that a job needs, at one address."""

    dialect = "bedrock"
    model = MODEL
    process_faults = (("bedrock_takes_small_jobs",),)

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[tuple[str, str]] = []
        self.denied = ""
        self.bucket_region = REGION
        self.answers_at: str | None = None
        self.create_refused: tuple[int, str, str] | None = None
        self._aws = mock_aws(config={"core": {"mock_credentials": False}})

    def __enter__(self):
        self._aws.start()
        where = f"<LocationConstraint>{REGION}</LocationConstraint>"
        form = f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>"
        self.s3("PUT", f"/{BUCKET}", form.encode())
        return super().__enter__()

    def __exit__(self, *about: object) -> None:
        super().__exit__(*about)
        self._aws.stop()

    def arguments(self) -> list[str]:
        options = {"region": REGION, "bucket": f"{BUCKET}/{FOLDER}", "role": ROLE,
                   "jobs_url": self.url, "s3_url": self.url}  # fmt: skip
        given = [f"--option={name}={value}" for name, value in options.items()]
        return ["--backend=bedrock", f"--base-url={self.url}", f"--model={MODEL}", *given]

    def environment(self, key: str) -> dict[str, str]:
        return environment()

    def s3(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Ask moto, as the owner of the bucket."""
        owner = {
            "authorization": f"AWS4-HMAC-SHA256 Credential=A/20260101/{REGION}/s3/aws4_request"
        }
        given = {k: v for k, v in (headers or {}).items() if k in {"range", "if-match"}} | owner
        url = f"https://s3.{REGION}.amazonaws.com{path}"
        answer = requests.request(method, url, data=body, headers=given, timeout=10)
        kept = {k: v for k, v in answer.headers.items() if k.lower() in {"etag", "content-range"}}
        kind = answer.headers.get("content-type", "application/xml")
        return Reply(answer.content, answer.status_code, {"Content-Type": kind, **kept})

    def operation(self, asked: Asked) -> str:
        path = urlsplit(asked.path).path
        if path.endswith("/converse"):
            return "live"
        if path == "/model-invocation-jobs":
            return "list"
        if path.startswith("/model-invocation-job"):
            kind = "cancel" if path.endswith("/stop") else "look"
            return "create" if path == "/model-invocation-job" else kind
        if path.count("/") == 1:
            return "files"
        return {"PUT": "upload", "DELETE": "delete"}.get(asked.method, "results")

    def reply_to(self, asked: Asked) -> Reply:
        if not signed_well(asked, self.url):
            return _failed(403, "InvalidSignatureException", "the signature does not match")
        operation, path = self.operation(asked), unquote(urlsplit(asked.path).path)
        if operation in {"upload", "files", "results", "delete"}:
            return self._in_s3(operation, path, asked)
        if (action := self._action_of(operation, path)) == self.denied:
            who = f"User: arn:aws:iam::{ACCOUNT}:user/captions"
            text = f"{who} is not authorized to perform: {action} on resource: *"
            return _failed(403, "AccessDeniedException", text)
        match operation:
            case "live":
                self.live[self.picture_of(asked.json)] += 1
                return Reply(self.answered("ok", asked.json))
            case "create":
                return self._create(asked.json)
            case "list":
                found = [self.shown(batch) for batch in reversed(self.batches.values())]
                return Reply({"invocationJobSummaries": found})
        batch = self._batch_of(path)
        if batch is None or self.gone:
            return _failed(404, "ResourceNotFoundException", "no such job")
        batch.looked_at += operation == "look"
        batch.cancelled = batch.cancelled or operation == "cancel"
        if self.ended(batch) and not self.hides_output:
            self._write_answers(batch)
        return Reply(self.shown(batch) if operation == "look" else {})

    def _batch_of(self, path: str) -> Batch | None:
        arn = path.removeprefix("/model-invocation-job/").removesuffix("/stop")
        return self.batches.get(arn)

    def _action_of(self, operation: str, path: str) -> str:
        job = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/*"
        names = {"create": "Create", "look": "Get", "cancel": "Stop"}
        if operation == "live":
            profile = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{MODEL}"
            action = "bedrock:InvokeModel", profile
        elif operation == "list":
            action = "bedrock:ListModelInvocationJobs", "*"
        else:
            action = f"bedrock:{names[operation]}ModelInvocationJob", job
        self.actions.append(action)
        return action[0]

    def _in_s3(self, operation: str, path: str, asked: Asked) -> Reply:
        words = {"upload": "PutObject", "files": "ListBucket", "results": "GetObject"}
        action = f"s3:{words.get(operation, 'DeleteObject')}"
        self.actions.append((action, f"arn:aws:s3:::{path.strip('/')}"))
        if operation == "files":
            prefix = parse_qs(urlsplit(asked.path).query, keep_blank_values=True)["prefix"][0]
            self.actions[-1] = (action, f"arn:aws:s3:::{path.strip('/')}?{prefix}")
        if self.bucket_region != REGION:
            text = (
                "The bucket you are attempting to access must be addressed using another endpoint"
            )
            return _xml(301, "PermanentRedirect", text, {"x-amz-bucket-region": self.bucket_region})
        if action == self.denied:
            return _xml(403, "AccessDenied", "Access Denied")
        if operation == "results" and self.gone:
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        reply = self.s3(asked.method, asked.path, asked.body, asked.headers)
        if operation == "upload":
            self.files[path] = (path, asked.body)
        elif operation == "delete":
            self.files.pop(path, None)
        return reply

    def _create(self, body: dict[str, Any]) -> Reply:
        if self.create_refused is not None:
            return _failed(*self.create_refused)
        token = body["clientRequestToken"]
        for batch in self.batches.values():
            if batch.ours == token:
                return Reply({"jobArn": batch.id})
        sent = body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3:/")
        content = self.s3("GET", sent).content()
        if sent not in self.files:
            return _failed(400, "ValidationException", "the input file is not there")
        assert (body["modelInvocationType"], body["roleArn"], body["jobName"]) == (
            *("Converse", ROLE), token,
        )  # fmt: skip
        assert 24 <= body["timeoutDurationInHours"] <= 168
        lines = [json.loads(line) for line in content.splitlines()]
        requests_ = [(line["recordId"], line["modelInput"]) for line in lines]
        if why := self.refused(requests_, len(content)):
            return _failed(400, "ValidationException", why)
        batch = self.create(requests_, token, f"s3:/{sent}")
        return Reply({"jobArn": batch.id})

    def new_id(self, kind: str) -> str:
        plain = super().new_id("job")
        return f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/{plain:0>12}"

    def refused(self, requests: list[tuple[str, dict[str, Any]]], size: int) -> str | None:
        why = super().refused([(name, {**body, "model": 1}) for name, body in requests], size)
        known = {"messages", "inferenceConfig", "additionalModelRequestFields", "outputConfig"}
        strange = (key for _, body in requests for key in body if key not in known)
        return why or next((f"unknown field {key}" for key in strange), None)

    def shown(self, batch: Batch) -> dict[str, Any]:
        ended = self.ended(batch)
        status = _STATES["expires" if self.expires else "fine"]
        status = "Stopped" if batch.cancelled else "Failed" if batch.problem else status
        kinds = list(batch.outcomes.values())
        done = sum(kind in {"ok", "refused", "broken"} for kind in kinds) if ended else 0
        answers = f"s3://{BUCKET}/{FOLDER}/{batch.ours}/"
        return {
            "jobArn": batch.id, "jobName": batch.ours, "modelId": MODEL, "roleArn": ROLE,
            "clientRequestToken": batch.ours, "submitTime": iso(batch.created_at),
            "status": status if ended else "InProgress" if batch.looked_at else "Submitted",
            "message": f"token_limit_exceeded: {batch.problem}" if batch.problem else None,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": batch.file}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": self.answers_at or answers}},
            "totalRecordCount": len(kinds), "processedRecordCount": done,
            "successRecordCount": done, "errorRecordCount": len(kinds) - done,
        }  # fmt: skip

    def _write_answers(self, batch: Batch) -> None:
        folder = f"/{BUCKET}/{FOLDER}/{batch.ours}/{batch.id.rpartition('/')[2]}"
        name = f"{folder}/{batch.ours}.jsonl.out"
        if name in self.files or batch.problem or batch.deleted:
            return
        batch.deleted = True  # written once
        lines = [
            self.line(*line)
            for line in self.lines(batch)
            if not (self.expires and line[1] == "expired")
        ]
        succeeded = sum("modelOutput" in line for line in lines)
        manifest = {"totalRecordCount": len(batch.requests), "successRecordCount": succeeded}
        contents = {
            name: self.as_lines(lines),
            f"{folder}/manifest.json.out": json.dumps(manifest).encode(),
        }
        for path, content in contents.items():
            self.s3("PUT", path, content)
            self.files[path] = (path, content)

    def line(self, name: str, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        codes = {"bad_request": 400, "busy": 429, "expired": 408}
        found = {"recordId": name, "modelInput": body}
        if outcome in codes:
            error = {"errorCode": codes[outcome], "errorMessage": "no"}
            return found | {"error": error | {"expired": outcome == "expired"}}
        return found | {"modelOutput": self.answered(outcome, body)}

    def answered(self, outcome: str, body: dict[str, Any]) -> dict[str, Any]:
        content = [{"text": self.answer(outcome, body)}]
        stop = "guardrail_intervened" if outcome == "refused" else "end_turn"
        usage = {"inputTokens": TOKENS_IN, "outputTokens": TOKENS_OUT, "totalTokens": 1}
        message = {"role": "assistant", "content": content}
        return {"output": {"message": message}, "stopReason": stop, "usage": usage,
                "metrics": {"latencyMs": 1}}  # fmt: skip

    def jpeg_of(self, body: dict[str, Any]) -> bytes:

        return base64.b64decode(body["messages"][0]["content"][0]["image"]["source"]["bytes"])

    def picture_of(self, body: dict[str, Any]) -> str:
        return digest(self.jpeg_of(body))


def _failed(status: int, code: str, message: str) -> Reply:
    return Reply({"message": message}, status, {"x-amzn-ErrorType": code})


def _xml(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Reply(body, status, {"Content-Type": "application/xml", **(headers or {})})
