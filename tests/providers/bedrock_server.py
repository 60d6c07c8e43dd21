"""Bedrock's Converse, as far as captions need it, on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.providers.contracts import contract
from tests.providers.loopback import Loopback, Received, Reply
from tests.providers.strict_schema import answer_by, complaints

BEDROCK = contract("bedrock")
KEY, MODEL = BEDROCK.key, BEDROCK.model
ACCESS, SECRET, REGION = (
    "AKIACANARY0123456789",
    "canary+secret/0123456789abcdefghij",
    "eu-central-1",
)
SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>\w+)/(?P<day>\d{8})/(?P<region>[\w-]+)/"
    r"(?P<service>bedrock|s3)/aws4_request, "
    r"SignedHeaders=(?P<headers>[\w;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def environment(**more: str) -> dict[str, str]:
    """Variables of a person with keys; no files of this machine's user are read."""
    nothing = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    keys = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
    return nothing | keys | more


class BedrockServer(Loopback):
    """Takes one API key and one pair of keys, whose signature it computes again."""

    def answer(self, request: Received) -> Reply:
        return self._unless_denied(request) or self.scripted(self._answered(request))

    def _unless_denied(self, request: Received) -> Reply | None:
        given = request.headers.get("authorization", "")
        if given == f"Bearer {KEY}" or signed_well(request, self.url):
            return None
        return error("rejected credentials")

    def _answered(self, request: Received) -> Reply:
        if not re.fullmatch(r"/model/[^/]+/converse", request.path):
            return Reply({"message": "nothing here"}, 404)
        if "/" in unquote(request.path[7:-9]) and not request.path[7:].startswith("arn"):
            return error("an unknown model")
        refused = BEDROCK.complaint(request.json)
        if refused is not None:
            return Reply(refused[1], refused[0])
        asked = request.json.get("outputConfig", {}).get("textFormat")
        if asked is None:
            return answer()
        schema = json.loads(asked["structure"]["jsonSchema"]["schema"])
        for complaint in complaints(schema):
            return error("an unknown model", f"outputConfig.textFormat: {complaint}")
        return answer(answer_by(schema))


def signed_well(request: Any, url: str) -> bool:
    """Whether the signature holds for what has arrived, header by header, and for its body."""
    found = SIGNATURE.fullmatch(request.headers.get("authorization", ""))
    if found is None or (found["access"], found["region"]) != (ACCESS, REGION):
        return False
    headers = {name: request.headers[name] for name in found["headers"].split(";")}
    sent = headers.get("x-amz-content-sha256")
    if sent is not None and sent != hashlib.sha256(request.body).hexdigest():
        return False
    again = AWSRequest(request.method, f"{url}{request.path}", headers=headers, data=request.body)
    if "?" in request.path:
        again.params = parse_qsl(request.path.partition("?")[2], keep_blank_values=True)
    again.context["timestamp"] = request.headers["x-amz-date"]
    kind = S3SigV4Auth if found["service"] == "s3" else SigV4Auth
    signer = kind(Credentials(ACCESS, SECRET), found["service"], REGION)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return signer.signature(text, again) == found["signature"]


def answer(text: str | None = "A dog on a beach.", stop: str = "end_turn", **more: Any) -> Reply:
    """An answer; `text` None means no content, `more` are further fields."""
    body = BEDROCK.answered()
    body["output"]["message"]["content"] = [] if text is None else [{"text": text}]
    return Reply(body | {"stopReason": stop} | more)


def error(name: str, text: str | None = None, headers: dict[str, str] | None = None) -> Reply:
    """A documented error, in other words if `text` is given."""
    documented = BEDROCK.errors[name]
    body = documented["body"] | ({"message": text} if text else {})
    return Reply(body, documented["status"], headers or {})
