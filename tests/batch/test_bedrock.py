"""Bedrock's jobs: the bucket, the role, what a first job lacks, and what AWS does differently."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.batch.desk import Desk
from tests.providers.bedrock_jobs import ACCOUNT, BUCKET, FOLDER, MODEL, ROLE, BedrockJobsServer
from tests.providers.bedrock_server import KEY, REGION
from tests.providers.loopback import Elsewhere
from tests.support import draw

GUIDE = Path(__file__).parents[2] / "docs/bedrock.md"


@pytest.fixture
def desk(tmp_path: Path, preloaded: Any) -> Iterator[Desk]:
    with BedrockJobsServer() as server:
        yield Desk(tmp_path, preloaded, server, 12)


def collected(desk: Desk, code: int = 0) -> None:
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == code, desk.said


# --- before a first job -------------------------------------------------------------------------


def without(desk: Desk, option: str) -> int:
    """Submit without one of the options."""
    given = desk.server.arguments()
    desk.server.arguments = lambda: [word for word in given if option not in word]
    return desk.run("batch", "submit")


@pytest.mark.parametrize("option", ["bucket=", "role="])
def test_without_a_bucket_or_a_role_it_says_what_to_give(desk, option):
    assert without(desk, option) == 78, desk.said
    assert f"--option {option}" in desk.said
    assert "docs/bedrock.md" in desk.said
    assert not desk.server.live


def test_a_bucket_in_another_region_is_told_before_a_photo_is_sent(desk):
    desk.server.bucket_region = "us-east-1"
    assert desk.run("batch", "submit") == 78, desk.said
    assert f"the bucket {BUCKET} is in us-east-1" in desk.said
    assert not desk.server.live


def test_a_bucket_that_is_not_there_is_told_with_the_command_that_makes_it(desk):
    given = desk.server.arguments()
    desk.server.arguments = lambda: [word.replace(BUCKET, "no-such-one") for word in given]
    assert desk.run("batch", "submit") == 78, desk.said
    assert "aws s3 mb s3://no-such-one" in desk.said


def test_an_api_key_alone_is_not_enough_for_s3(desk):
    desk.server.environment = lambda key: {"BEDROCK_API_KEY": KEY, "HOME": str(desk.folder)}
    assert desk.run("batch", "submit") == 78, desk.said
    assert "no AWS credentials" in desk.said


@pytest.mark.parametrize(
    "action",
    ["s3:PutObject", "s3:ListBucket", "bedrock:CreateModelInvocationJob", "bedrock:InvokeModel"],
)
def test_the_line_that_a_policy_lacks_is_named(desk, action):
    desk.server.denied = action
    assert desk.run("batch", "submit") == 77, desk.said
    assert action in desk.said
    assert "docs/bedrock.md has the policy" in desk.said
    assert not desk.server.batches
    assert not desk.server.files, "no photos are left in the bucket"


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("Batch inference is not supported for this model", "has no batch jobs in"),
        ("Could not assume the service role", "--option role="),
        ("The provided model identifier is invalid.", "does not know the model"),
    ],
)
def test_a_job_that_bedrock_does_not_take_leaves_no_photos_in_the_bucket(desk, refusal, told):
    desk.server.create_refused = (400, "ValidationException", refusal)
    assert desk.run("batch", "submit") == 78, desk.said
    assert told in desk.said
    assert refusal in desk.said
    assert not desk.server.files
    assert [job["code"] for job in desk.jobs()] == ["abandoned"]


def test_fewer_than_a_hundred_photos_are_no_job(desk):
    desk.server.process_faults = ()
    assert desk.run("batch", "submit") == 0, desk.said
    assert "fewer than --min-batch 101" in desk.said
    assert desk.server.live.total() == 12
    assert not desk.server.batches


def test_a_hundred_and_one_are_a_photo_at_once_and_a_job(desk):
    desk.server.process_faults = ()
    for seed in range(100, 189):
        draw(desk.photos / f"more/{seed}.jpg", size=(32, 24), seed=seed)
    assert desk.run("batch", "submit", "--job-tokens=20000") == 3, desk.said
    assert "has 100 photos at least" in desk.said
    assert not desk.server.batches
    for seed in (189,):  # one was asked about
        draw(desk.photos / f"more/{seed}.jpg", size=(32, 24), seed=seed)
    assert desk.run("batch", "submit") == 0, desk.said
    assert [len(batch.requests) for batch in desk.server.batches.values()] == [100]


# --- what AWS does ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["500", "drop_after"])
def test_a_create_is_asked_for_again_with_its_token_which_makes_no_second_job(desk, fault):
    desk.server.faults["create"] = [fault]
    assert desk.run("batch", "submit") == 0, desk.said
    assert len(desk.server.batches) == 1
    tokens = {
        asked.json["clientRequestToken"]
        for asked in desk.server.seen
        if desk.server.operation(asked) == "create"
    }
    assert len(tokens) == 1
    collected(desk)
    assert len(desk.of_jobs()) == 11
    desk.check_answers()
    assert not desk.server.paid_twice()


def test_a_create_that_nobody_confirms_is_found_again_by_its_token(desk):
    desk.server.faults["create"] = ["drop_after", "500", "500"]
    desk.server.faults["list"] = ["fine", "500", "500", "500"]  # the first is before the job
    assert desk.run("batch", "submit") == 69, desk.said
    assert "Nothing is sent twice" in desk.said
    assert desk.run("batch", "status") == 0, desk.said
    assert "was created after all" in desk.said
    collected(desk)
    assert len(desk.of_jobs()) == 11
    assert not desk.server.paid_twice()


def test_half_of_an_expired_job_is_paid_and_kept_and_the_rest_is_pending(desk):
    desk.server.expires = True
    desk.server.outcome = lambda number, picture: "expired" if number % 2 else "ok"
    assert desk.run("batch", "submit") == 0, desk.said
    collected(desk, code=69)
    assert len(desk.of_jobs()) == desk.server.bill.total() == 6
    assert "pending again" in desk.said
    assert not desk.server.files
    desk.server.outcome = lambda number, picture: "ok"
    assert desk.run("run") == 0, desk.said
    assert len({record["rel_path"] for record in desk.records()}) == 12
    assert not desk.server.paid_twice()


def test_an_error_in_place_of_an_answer_is_no_verdict_on_the_photo(desk):
    """It was `unfinished`, for good."""
    whole, others = desk.server.answered, []
    assert desk.run("batch", "submit") == 0, desk.said

    def answered(outcome, body):
        others.append(body)
        return {"message": "busy"} if len(others) == 1 else whole(outcome, body)

    desk.server.answered = answered
    collected(desk, code=69)
    assert "1 not answered (bad_answer), billed or not: pending again" in desk.said
    assert len(desk.of_jobs()) == 10


def test_where_most_answers_are_of_another_form_none_is_given_up(desk):
    """They would be paid for again each night."""
    assert desk.run("batch", "submit") == 0, desk.said
    desk.server.answered = lambda outcome, body: {"completion": "A photo of the sea."}
    collected(desk, code=69)
    assert "11 answers of" in desk.said
    assert "does not know; nothing of them is deleted" in desk.said
    assert desk.jobs()[0]["code"] == "ended"
    assert desk.run("run") == 0, desk.said
    assert len(desk.records()) == 1


def test_answers_that_are_not_in_the_bucket_are_waited_for(desk):
    desk.server.hides_output = True
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert "11 answers" in desk.said
    assert desk.jobs()[0]["code"] == "ended"
    desk.server.hides_output = False
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == 11


def test_only_files_of_its_own_job_are_read_and_deleted(desk):
    """A control plane that names the whole bucket must not have it emptied."""
    desk.server.s3("PUT", f"/{BUCKET}/family.txt", b"not ours")
    assert desk.run("batch", "submit") == 0, desk.said
    desk.server.answers_at = f"s3://{BUCKET}/"
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert "not where we have put them" in desk.said
    assert desk.server.s3("GET", f"/{BUCKET}/family.txt").body == b"not ours"
    desk.server.answers_at = None
    assert desk.run("batch", "collect") == 0, desk.said
    assert desk.server.s3("GET", f"/{BUCKET}/family.txt").body == b"not ours"
    assert len(desk.of_jobs()) == 11


def test_a_job_that_fails_says_why(desk):
    desk.server.problem = "the role cannot read the input"
    assert desk.run("batch", "submit") == 0, desk.said
    collected(desk, code=69)
    assert "the role cannot read the input" in desk.said
    assert not desk.of_jobs()
    assert not desk.server.files


def test_photos_go_to_the_named_hosts_and_no_other(desk):
    with Elsewhere() as elsewhere:
        mine = desk.server.environment
        moved = {"AWS_ENDPOINT_URL": elsewhere.url, "AWS_ENDPOINT_URL_S3": elsewhere.url}
        desk.server.environment = lambda key: mine(key) | moved
        assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
        assert not elsewhere.received
    assert len(desk.records()) == 12
    for asked in desk.server.seen:
        assert b"000/0000" not in asked.everything()
        assert "python" not in asked.headers.get("user-agent", "").lower()


# --- docs/bedrock.md ----------------------------------------------------------------------------


def test_the_policies_of_the_guide_allow_each_request_and_nothing_that_is_not_asked(desk):
    found = re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.S)
    statements = [s for policy in map(json.loads, found) for s in policy["Statement"]]
    user = [s for s in statements if s.get("Sid", "").startswith("User")]
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "cancel", "--all")
    collected(desk)
    asked = [("iam:PassRole", ROLE), *desk.server.actions]
    used: set[str] = set()
    for action, resource in asked:
        allowing = [s for s in user if allows(s, action, resource)]
        assert allowing, (action, resource)
        used.add(action)
    granted = {action for s in user for action in as_list(s["Action"])}
    assert granted == used


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def allows(statement: dict[str, Any], action: str, resource: str) -> bool:
    """As IAM would: actions and resources by pattern; a prefix by its condition."""
    path, _, prefix = resource.partition("?")
    places = [
        one.replace("BUCKET", BUCKET).replace("FOLDER", FOLDER)
        for one in as_list(statement["Resource"])
    ]
    model = MODEL.partition(".")[2]
    wanted = [path]
    if action == "bedrock:CreateModelInvocationJob":
        wanted = [path, f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/{MODEL}",
                  f"arn:aws:bedrock:{REGION}::foundation-model/{model}"]  # fmt: skip
    if not all(any(fnmatch.fnmatch(one, place) for place in places) for one in wanted):
        return False
    prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
    if prefixes is not None:
        own = [one.replace("FOLDER", FOLDER) for one in as_list(prefixes)]
        if not any(fnmatch.fnmatch(prefix, one) for one in own):
            return False
    return action in as_list(statement["Action"])
