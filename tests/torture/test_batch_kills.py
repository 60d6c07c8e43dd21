"""Batch commands killed before and after each sync and each request, until all is captioned."""

from __future__ import annotations

import random

import pytest

from tests.batch.desk import Desk
from tests.providers.batch_dialects import (
    AnthropicBatches,
    GeminiBatches,
    OpenAIBatches,
    XaiBatches,
)
from tests.providers.bedrock_jobs import BedrockJobsServer

KILLS = 4
KILLS_IN_TORTURE = 200
MOST_STEPS = 45


QUICK = (OpenAIBatches, BedrockJobsServer)
LONG = (AnthropicBatches, GeminiBatches, XaiBatches)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "kind",
    [*QUICK, *(pytest.param(kind, marks=pytest.mark.torture) for kind in LONG)],
    ids=lambda kind: kind.dialect,
)
def test_a_killed_job_is_paid_once_and_none_of_its_answers_is_lost(
    tmp_path, preloaded, kind, request
):
    left = KILLS_IN_TORTURE if request.config.getoption("--torture") else KILLS
    seed = 0
    while left > 0:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with kind() as server:
            desk = Desk(folder, preloaded, server, 8)
            left -= _live(desk, random.Random(seed))
            _check(desk)
        seed += 1


def _live(desk: Desk, rng: random.Random) -> int:
    """Kill and go on until every photo has a caption; how often it was killed."""
    killed = 0
    for _ in range(60):
        for command in (["batch", "submit", "--min-batch=1"], ["batch", "collect"]):
            step = rng.randrange(1, MOST_STEPS)
            faults = [("die_at_step", step)] if rng.random() < 0.8 else []
            code = desk.run(*command, faults=faults)
            assert code in {0, 69, -9}, desk.said
            killed += code == -9
            desk.age_ledger()
            for batch in desk.server.batches.values():
                batch.looked_at += 1  # time passes for one that nobody knows, too
        captioned = {r["rel_path"] for r in desk.records() if r["status"] == "success"}
        settled = all(job["code"] in {"deleted", "abandoned"} for job in desk.jobs())
        if len(captioned) == 8 and settled:
            return killed
    raise AssertionError(f"it came to no end: {desk.said}")


def _check(desk: Desk) -> None:
    assert max(desk.server.bill.values(), default=0) <= 1, "a photo was paid for in two jobs"
    paths = [record["rel_path"] for record in desk.of_jobs()]
    assert len(paths) == len(set(paths)) == desk.server.bill.total()
    desk.check_answers()
    costs = sum(record["cost_usd"] for record in desk.of_jobs())
    assert abs(costs - sum(job["cost_usd"] or 0 for job in desk.jobs())) < 1e-6
    if isinstance(desk.server, BedrockJobsServer):  # whose files have names that we have chosen
        assert not desk.server.files, "photos are left in the bucket"
    names = {path.name for path in desk.folder.iterdir()}
    assert not [name for name in names if "tmp" in name]
