"""Bedrock through real boto3: signatures, credentials, hosts that are asked, errors and answers."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings, Fault
from picture_captioner.backends.bedrock import BedrockBackend, read_answer
from picture_captioner.backends.registry import parse_options
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    ConfigurationError,
    FatalError,
    ModelError,
    TransientError,
    Usage,
)
from picture_captioner.pipeline.asking.prices import Prices
from tests.providers.bedrock_server import (
    ACCESS,
    KEY,
    MODEL,
    REGION,
    SECRET,
    BedrockServer,
    answer,
    environment,
    error,
    signed_well,
)
from tests.providers.loopback import Elsewhere, Loopback, Reply
from tests.providers.pictures import picture
from tests.support import caption, library, records

NOVA = "eu.amazon.nova-lite-v1:0"


@pytest.fixture(autouse=True)
def account(monkeypatch):
    """A person with keys in the environment; nothing of this machine's own AWS is read."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def server():
    with BedrockServer() as running:
        yield running


def connect(server, options=(), **settings):
    url = {"base_url": server.url} if server else {}
    given = {"model": MODEL, "options": parse_options(BedrockBackend, options)} | url | settings
    return BedrockBackend(BackendSettings(**given))


@pytest.fixture
def connected_to(account):
    """The addresses that a socket of this process was connected to; others than ours fail."""
    found = []
    connect_really = socket.socket.connect

    def connect(self, address):
        found.append(address[0])
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError(111, "not in this test")
        return connect_really(self, address)

    account.setattr(socket.socket, "connect", connect)
    return found


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        NOVA,
        "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123def456",
    ],
)
def test_the_signature_holds_for_what_arrives(server, model):
    assert connect(server, model=model).caption(picture(), ()).text == "A dog on a beach."
    (request,) = server.received
    assert signed_well(request, server.url)
    assert request.headers["user-agent"] == "picture-captioner"
    assert not [n for n in request.headers if n.startswith(("amz-sdk", "x-amzn-trace"))]


def test_a_signature_by_another_secret_is_denied(server, account):
    account.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-0123456789")
    with pytest.raises(AccessDeniedError, match="aws sts get-caller-identity"):
        connect(server).caption(picture(), ())


def test_an_api_key_goes_along_in_place_of_a_signature(server, account):
    account.delenv("AWS_ACCESS_KEY_ID")
    connect(server, api_key=SecretStr(KEY)).caption(picture(), ())
    account.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    connect(server).caption(picture(), ())
    assert [r.headers["authorization"] for r in server.received] == [f"Bearer {KEY}"] * 2


def test_models_that_take_a_temperature_are_given_it_and_not_told_not_to_think(server):
    connect(server, model=NOVA).caption(picture(), ())
    body = server.received[-1].json
    assert body["inferenceConfig"] == {"maxTokens": 256, "temperature": pytest.approx(0.3)}
    assert "additionalModelRequestFields" not in body


def test_hints_faults_and_the_tier_are_in_the_request(server):
    backend = connect(server, ["service_tier=flex"])
    backend.caption(picture(), ("sailing",), Fault("truncated", "cut off", more_tokens=2))
    body = server.received[-1].json
    assert "sailing" in body["messages"][0]["content"][1]["text"]
    assert body["inferenceConfig"]["maxTokens"] == 512
    assert body["serviceTier"] == {"type": "flex"}
    assert backend._https[0].timeout.read == 900


def test_fields_are_asked_for_by_a_schema_and_in_words_where_it_is_refused(server):
    backend = connect(server, fields=("caption", "tags"))
    assert json.loads(backend.caption(picture(), ()).text)["caption"]
    assert "outputConfig" in server.received[-1].json
    refused = error("an unknown model", "outputConfig.textFormat is not supported by this model")
    server.script.extend([refused, answer('{"caption": "A dog.", "tags": ["dog"]}')])
    assert backend.caption(picture(), ()).requests == 2
    backend.caption(picture(), ())
    assert ["outputConfig" in r.json for r in server.received] == [True, True, False, False]


@pytest.mark.parametrize(
    ("model", "words", "gone"),
    [
        (MODEL, "thinking.type: disabled is not supported", "additionalModelRequestFields"),
        (NOVA, "The temperature parameter is not supported", "temperature"),
    ],
)
def test_what_a_model_does_not_take_is_left_out_from_then_on(server, model, words, gone):
    backend = connect(server, model=model)
    server.script.extend([error("an unknown model", words), answer()])
    assert backend.caption(picture(), ()).requests == 2
    backend.caption(picture(), ())
    sent = [gone in json.dumps(r.json) for r in server.received]
    assert sent == [True, False, False]
    if gone != "temperature":
        assert server.received[-1].json["inferenceConfig"]["maxTokens"] == 256 + 1024


def test_a_complaint_that_does_not_end_is_no_endless_loop(server):
    server.script.append(error("an unknown model", "temperature is not supported, thinking"))
    with pytest.raises((ApiError, FatalError)):
        connect(server).caption(picture(), ())
    assert len(server.received) <= 4


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer("A do", "max_tokens"), "truncated"),
        (answer(None, "guardrail_intervened"), "refused"),
        (answer("I", "content_filtered"), "refused"),
        (answer("I", "malformed_model_output"), "unfinished"),
        (answer("I", "something_new"), "unfinished"),
        (answer(None), "empty"),
        (answer("  "), "empty"),
        (answer("<think>a dog?</think>"), "reasoning"),
        (
            answer(
                None,
                output={
                    "message": {"content": [{"reasoningContent": {"reasoningText": {"text": "?"}}}]}
                },
            ),
            "reasoning",
        ),
    ],
)
def test_what_is_no_caption_is_a_verdict_with_its_bill(server, reply, code):
    server.script.append(reply)
    with pytest.raises(ModelError) as raised:
        connect(server).caption(picture(), ())
    assert raised.value.code == code
    assert raised.value.usage["input_tokens"] == 1040


def test_thoughts_are_not_the_caption():
    thought = {"reasoningContent": {"reasoningText": {"text": "Is it a dog?"}}}
    content = [thought, {"text": "A dog."}]
    told = {"output": {"message": {"content": content}}, "stopReason": "end_turn"}
    assert read_answer(told).text == "A dog."


def test_input_is_all_that_was_read_and_the_tier_is_told():
    usage = {"inputTokens": 10, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 3}
    told = answer(usage=usage | {"outputTokens": 7}, serviceTier={"type": "flex"}).body
    read = read_answer(told)
    assert (read.input_tokens, read.output_tokens, read.cached_tokens) == (18, 7, 5)
    assert (read.cache_write_tokens, read.service_tier) == (3, "flex")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<html>Log in to the network</html>"),
        Reply(b"{"),
        Reply([1]),
        Reply({"output": 5, "stopReason": "end_turn"}),
        Reply({"stopReason": "end_turn", "output": {"message": {"content": [5]}}}),
        Reply(b"[" * 100_000),
        Reply(b"x" * (17 << 20)),
        Reply("<html>", 502),
        Reply("", 500),
        Reply(fault="cut", body={"a": "b" * 500}),
        Reply(fault="disconnect"),
        Reply(fault="hang"),
    ],
)
def test_nonsense_and_silence_are_tried_again_and_are_no_verdict(server, reply):
    server.script.append(reply)
    with pytest.raises((TransientError, ModelError)) as raised:
        connect(server, timeout=0.6).caption(picture(), ())
    assert isinstance(raised.value, TransientError) or raised.value.code == "empty"


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (
            Reply({"__type": "ExpiredTokenException", "message": "The token is expired"}),
            AccessDeniedError,
            "have expired",
        ),
        (
            Reply(
                {"Message": "not authorized to perform: bedrock:InvokeModel"},
                headers={"x-amzn-ErrorType": "AccessDeniedException:http://internal.amazon.com/"},
            ),
            AccessDeniedError,
            "it needs bedrock:InvokeModel",
        ),
        (
            Reply({"message": "Too many"}, headers={"x-amzn-ErrorType": "ThrottlingException"}),
            TransientError,
            "HTTP 429: Too many",
        ),
        (
            Reply({"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}}),
            TransientError,
            "HTTP 404",
        ),
        (Reply({"__type": 5}), TransientError, "not its protocol"),
    ],
)
def test_an_error_with_status_200_is_what_it_says(server, reply, kind, said):
    server.script.append(reply)
    with pytest.raises(kind, match=said):
        connect(server).caption(picture(), ())


def test_the_wait_that_the_service_asks_for_is_kept(server):
    server.script.append(error("too many requests", headers={"retry-after": "7"}))
    with pytest.raises(TransientError) as raised:
        connect(server).caption(picture(), ())
    assert (raised.value.code, raised.value.retry_after) == ("rate_limit", 7)


def test_a_redirect_is_not_followed(server):
    with Elsewhere() as elsewhere:
        server.script.append(Reply("", 307, {"location": f"{elsewhere.url}/model"}))
        with pytest.raises(BackendUnavailableError, match="redirects are not followed"):
            connect(server).caption(picture(), ())
        assert elsewhere.received == []


def test_settings_of_other_programs_send_no_photo_elsewhere(server, account, tmp_path):
    with Elsewhere() as elsewhere:
        config = tmp_path / "config"
        config.write_text(f"[default]\nendpoint_url = {elsewhere.url}\ndefaults_mode = auto\n")
        account.setenv("AWS_CONFIG_FILE", str(config))
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "HTTP_PROXY"):
            account.setenv(name, elsewhere.url)
        connect(server).caption(picture(), ())
        assert elsewhere.received == []
    assert len(server.received) == 1


def test_the_address_is_that_of_the_region_and_the_area_is_told(account):
    host = f"bedrock-runtime.{REGION}.amazonaws.com"
    world = "AWS regions anywhere in the world"
    assert connect(None).destination == f"{host}, which passes them on to {world}"
    assert connect(None, model=NOVA).destination.endswith("passes them on to AWS regions in Europe")
    assert connect(None, model="amazon.nova-lite-v1:0").destination == host
    china = connect(None, ["region=cn-north-1"], model="x.y")
    assert china.destination == "bedrock-runtime.cn-north-1.amazonaws.com.cn"
    for refused, told in (({"local_only": True}, "another machine"),):
        with pytest.raises(ConfigurationError, match=told):
            connect(None, **refused)


def test_a_region_that_is_none_is_refused():
    with pytest.raises(FatalError, match="--option region"):
        connect(None, ["region=eu-central-1.evil.example/"])


def test_without_a_region_or_with_an_unknown_profile_the_cure_is_named(account):
    account.delenv("AWS_REGION")
    with pytest.raises(ConfigurationError, match="Bedrock needs a region: --option region="):
        connect(None)
    with pytest.raises(ConfigurationError, match="no profile 'family'"):
        connect(None, ["profile=family"])


def test_nobody_is_asked_before_the_check_and_the_metadata_service_never(account, connected_to):
    account.delenv("AWS_ACCESS_KEY_ID")
    account.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="no AWS credentials: `aws configure`"):
        connect(None).check()
    assert connected_to == []
    account.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    with pytest.raises(FatalError):
        connect(None, ["instance_role=true"]).check()
    assert set(connected_to) == {"169.254.169.254"}, "this test would see it"


def test_a_photo_reaches_no_host_but_bedrock(server, connected_to):
    connect(server).caption(picture(), ())
    assert set(connected_to) == {"127.0.0.1"}
    assert len(server.received) == 1


SSO = """[profile family]
sso_session = home
sso_account_id = 123456789012
sso_role_name = Captions
region = eu-central-1
[sso-session home]
sso_start_url = https://family.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
"""


class SsoPortal(Loopback):
    """Gives a role's credentials to the token that it knows."""

    def answer(self, request):
        if request.headers.get("x-amz-sso_bearer_token") != "sso-token":
            return Reply({"message": "Session token not found or invalid"}, 401)
        until = (datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000
        role = {"accessKeyId": ACCESS, "secretAccessKey": SECRET, "sessionToken": "st-canary"}
        return Reply({"roleCredentials": role | {"expiration": int(until)}})


@pytest.fixture
def family(tmp_path):
    """The environment of a person whose profile signs in with SSO, and what `aws sso login` does.

    A subprocess, since botocore looks at HOME when it is imported.
    """
    (tmp_path / "config").write_text(SSO)
    library(tmp_path / "photos", 2)
    given = environment(AWS_CONFIG_FILE=str(tmp_path / "config"), HOME=str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        given[name] = ""

    def login(token):
        cache = tmp_path / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        until = (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = hashlib.sha1(b"home").hexdigest()
        (cache / f"{name}.json").write_text(json.dumps({"accessToken": token, "expiresAt": until}))

    return given, login


def test_a_profile_with_sso_says_whom_it_asks_and_when_to_sign_in_again(tmp_path, server, family):
    given, login = family
    flags = ("--backend=bedrock", f"--base-url={server.url}", "--photos-dir=photos")
    with SsoPortal() as portal:
        given |= {"AWS_ENDPOINT_URL_SSO": portal.url}

        def run():
            return caption("run", *flags, "--option=profile=family", cwd=tmp_path, **given)

        for token in (None, "one that is not known any more"):
            if token:
                login(token)
            done = run()
            assert done.returncode == 77, done.stderr
            assert "aws sso login --profile family" in done.stderr
            assert "Traceback" not in done.stderr
        login("sso-token")
        done = run()
        assert done.returncode == 0, done.stderr
        assert "/9j/" not in str(portal.received)
    asking = "Asking portal.sso.eu-west-1.amazonaws.com for AWS credentials; no photo is sent there"
    assert asking in done.stderr
    assert {r.headers["x-amz-security-token"] for r in server.received} == {"st-canary"}
    assert all(signed_well(one, server.url) for one in server.received)


def test_a_role_says_that_sts_is_asked(account, tmp_path, connected_to):
    config = (
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = default\n"
    )
    (tmp_path / "config").write_text(config)
    account.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    account.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    (tmp_path / "keys").write_text(
        f"[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n"
    )
    told = []
    asked = connect(None, ["profile=role"], notice=told.append)
    assert connected_to == []
    account.setattr(asked._account, "sign_in", lambda: None)
    asked.check()
    assert told == [
        f"Asking sts.{REGION}.amazonaws.com for AWS credentials; no photo is sent there"
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_no_fault_tells_a_secret_or_the_photo(server, caplog, status):
    caplog.set_level(logging.DEBUG)
    words = f"you sent {SECRET} and {ACCESS} " + "A" * 4000
    server.script.append(Reply({"__type": "ValidationException", "message": words}, status))
    with pytest.raises(Exception) as raised:  # whichever it is
        connect(server).caption(picture(), ())
    everything = str(raised.value) + caplog.text
    assert SECRET not in everything
    assert "/9j/" not in everything
    assert "AAAAAAAAAA" not in everything


PRICED = [
    MODEL,
    "eu.anthropic.claude-haiku-5-5",
    NOVA,
    "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/" + NOVA,
]


@pytest.mark.parametrize("model", PRICED)
def test_inference_profiles_have_the_price_of_their_area(model):
    known = Prices("aws", connect(None, model=model).priced_model)
    assert known.known
    opaque = "arn:aws:bedrock:eu-central-1:1:application-inference-profile/abc123"
    named = connect(None, ["deployed_model=" + NOVA], model=opaque)
    assert named.priced_model == NOVA


def run(cwd, server, *arguments, **env):
    flags = ("--backend=bedrock", f"--base-url={server.url}", "--photos-dir=photos")
    return caption("run", *flags, *arguments, cwd=cwd, **environment(**env))


def test_a_run_names_host_and_area_and_records_what_was_billed(tmp_path, server):
    library(tmp_path / "photos", 4)
    done = run(tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert f"Sending 4 photos to {server.host}, which passes them on to AWS" in done.stderr
    for record in records(tmp_path / "captions.jsonl"):
        assert record["caption"] == "A dog on a beach."
        tokens = Usage(input_tokens=1040, output_tokens=23)
        expected = Prices("aws", MODEL).cost(tokens)
        assert record["cost_usd"] == pytest.approx(expected, abs=1e-9)


def test_dead_credentials_stop_a_run_after_a_request_and_leave_no_record(tmp_path, server):
    library(tmp_path / "photos", 10)
    done = run(tmp_path, server, AWS_SECRET_ACCESS_KEY="another-secret-0123456789")
    assert done.returncode == 77, done.stderr
    assert len(server.received) <= 3
    assert records(tmp_path / "captions.jsonl") == []
    assert "another-secret" not in done.stderr + (tmp_path / "caption.log").read_text()


def test_an_estimate_needs_no_credentials(tmp_path):
    library(tmp_path / "photos", 3)
    nothing = environment(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    flags = ("--backend=bedrock", "--photos-dir=photos", "--json")
    done = caption("estimate", *flags, cwd=tmp_path, **nothing)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cost_usd"] > 0
