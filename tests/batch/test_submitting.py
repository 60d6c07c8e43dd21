"""What goes wrong while a job is made, and what it may cost: nothing is sent or paid for twice."""

from __future__ import annotations

import shutil
import time

import pytest

from picture_captioner.batch.following import SETTLE_SECONDS
from tests.batch.desk import Desk
from tests.providers.batch_dialects import AnthropicBatches, GeminiBatches
from tests.providers.loopback import Elsewhere


@pytest.mark.parametrize("fault", ["drop_after", "500_after"])
def test_a_job_that_was_created_unseen_is_found_in_the_list(desk, fault):
    desk.server.faults["create"] = [fault]
    assert desk.run("batch", "submit") == 0, desk.said
    assert len(desk.server.batches) == 1
    (job,) = desk.jobs()
    assert job["id"] in desk.server.batches


@pytest.mark.parametrize("fault", ["drop", "500"])
def test_a_job_that_may_have_been_created_keeps_its_photos(desk, fault):
    desk.server.faults["create"] = [fault]
    assert desk.run("batch", "submit") == 69, desk.said
    assert "Nothing is sent twice" in desk.said
    assert desk.run("batch", "submit") == 0, "all photos wait"
    assert not desk.server.batches
    assert desk.run("batch", "status") == 0
    assert "is not known yet" in desk.said
    desk.age_ledger()
    assert desk.run("batch", "status") == 0
    assert "was never created" in desk.said
    assert not desk.server.files, "its file is deleted"
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert len({r["rel_path"] for r in desk.records()}) == 12
    assert not desk.server.paid_twice()


def test_a_nightly_run_sends_the_photos_of_a_job_that_was_never_created(desk):
    """It found that out at its end, when it had no more to do, and ended with 0."""
    desk.server.faults["create"] = ["500"]
    assert desk.run("run", "--batch", "--poll=0.1") == 69, desk.said
    desk.age_ledger()
    assert desk.run("run", "--batch", "--poll=0.1", "--min-batch=2") == 0, desk.said
    assert "was never created" in desk.said
    assert len({record["rel_path"] for record in desk.records()}) == 12
    assert not desk.server.paid_twice()


def test_a_limit_is_one_for_all_that_a_nightly_run_sends(desk):
    desk.server.faults["create"] = ["500"]
    assert desk.run("batch", "submit", "--limit=6", "--min-batch=2") == 69, desk.said
    desk.age_ledger(SETTLE_SECONDS - 5)  # what became of it is not known yet at the beginning
    assert desk.run("run", "--batch", "--limit=4", "--min-batch=2", "--poll=0.5") == 0, desk.said
    assert "was never created" in desk.said
    assert len(desk.records()) == 1 + 4
    assert desk.run("run", "--batch", "--min-batch=2", "--poll=0.1") == 0, desk.said
    assert len(desk.records()) == 12
    assert not desk.server.paid_twice()


def test_a_job_elsewhere_that_nobody_confirmed_holds_no_other_provider_up(desk):
    """Its provider may have no key here any more."""
    desk.server.faults["create"] = ["500"]
    assert desk.run("batch", "submit", "--limit=6", "--min-batch=2") == 69, desk.said
    with AnthropicBatches() as server:
        given = server.arguments()
        lines = f"OPENAI_BASE_URL={desk.server.url}/v1\nANTHROPIC_BASE_URL={server.url}\n"
        (desk.folder / "config.env").write_text(lines)
        desk.server = server
        who = [word for word in given if not word.startswith("--base-url")]
        run = desk.typed("batch", "submit", "--photos-dir=photos", "--min-batch=2", *who)
        assert run.returncode == 0, run.said
        assert "Passing over 5 photos" in run.said
        assert sum(len(batch.requests) for batch in server.batches.values()) == 5


def test_a_create_is_sent_once_and_a_refused_one_leaves_nothing(desk):
    desk.server.limits = (3, 200_000_000)
    assert desk.run("batch", "submit") == 69, desk.said
    assert "was not made, nothing is billed" in desk.said
    creates = [asked for asked in desk.server.seen if desk.server.operation(asked) == "create"]
    assert len(creates) == 1
    assert desk.jobs()[0]["code"] == "abandoned"


def test_an_upload_that_fails_is_tried_again(desk):
    desk.server.faults["upload"] = ["drop", "500"]
    assert desk.run("batch", "submit") == 0, desk.said
    assert len(desk.server.batches) == 1


@pytest.mark.parametrize("ahead", [0, 14 * 3600], ids=["", "our clock was 14 h ahead"])
def test_anthropic_hides_whose_a_job_is_so_its_photos_wait_until_it_ends(
    tmp_path, preloaded, ahead
):
    with AnthropicBatches() as server:
        desk = Desk(tmp_path, preloaded, server, 12)
        server.faults["create"] = ["drop_after"]
        assert desk.run("batch", "submit") == 69, desk.said
        ledger = tmp_path / "captions.jobs.jsonl"
        begun = next(
            row for row in ledger.read_text().splitlines(keepends=True) if '"ledger"' in row
        )
        desk.age_ledger()
        aged = ledger.read_text().splitlines(keepends=True)
        ledger.write_text("".join(begun if '"ledger"' in row else row for row in aged))
        server.looks = 0
        assert desk.run("batch", "status") == 0
        assert "is not known yet" in desk.said, "one that runs may be it"
        (batch,) = server.batches.values()
        batch.looked_at = 1
        batch.created_at = time.time() - ahead
        assert desk.run("batch", "collect") == 0, desk.said
        assert len(desk.of_jobs()) == 11
        assert not server.paid_twice()


def test_results_at_another_host_get_no_key(tmp_path, preloaded):
    with AnthropicBatches() as server, Elsewhere() as elsewhere:
        desk = Desk(tmp_path, preloaded, server, 12)
        server.results_host = elsewhere.url
        assert desk.run("batch", "submit") == 0, desk.said
        desk.run("batch", "wait", "--poll=0.1")
        assert desk.run("batch", "collect") == 69, desk.said
        assert "leads to another host" in desk.said
        assert not elsewhere.received
        server.results_host = None
        assert desk.run("batch", "collect") == 0, desk.said


def test_photos_are_uploaded_to_no_other_host(tmp_path, preloaded):
    with GeminiBatches() as server, Elsewhere() as elsewhere:
        desk = Desk(tmp_path, preloaded, server, 12)
        server.upload_host = elsewhere.url
        assert desk.run("batch", "submit") == 69, desk.said
        assert not elsewhere.received
        assert not server.batches


def test_a_ceiling_counts_what_jobs_may_still_bill(desk):
    assert desk.run("batch", "submit", "--max-requests=6") == 3, desk.said
    assert desk.jobs()[0]["photos"] == 5
    assert desk.run("run", "--max-requests=6") == 3, desk.said
    assert "--max-requests 6" in desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert desk.server.bill.total() + desk.server.live.total() == 6
    assert desk.run("run", "--max-requests=6") == 3


def test_a_ceiling_in_dollars_is_reserved_and_settled(desk):
    assert desk.run("batch", "submit", "--max-cost=0.0008") == 3, desk.said
    (job,) = desk.jobs()
    live = desk.records()[0]["cost_usd"]
    assert 0 < job["reserved_usd"] + live <= 0.0008
    assert 0 < job["photos"] < 11
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert desk.jobs()[0]["cost_usd"] < job["reserved_usd"]


def test_a_forgotten_photo_is_in_no_job(desk):
    assert desk.run("batch", "submit") == 0
    run = desk._preloaded.run("forget", "000/00005.jpg", cwd=desk.folder)
    assert run.returncode == 0, run.said
    assert "still has 1 photo of them" in run.said
    assert "00005" not in (desk.folder / "captions.jobs.jsonl").read_text()
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert "000/00005.jpg" not in {r["rel_path"] for r in desk.records()}
    assert len(desk.of_jobs()) == 10


def test_a_server_without_jobs_says_so(desk):
    desk.server.no_jobs = True
    assert desk.run("batch", "submit") == 78, desk.said
    assert "has no batch jobs" in desk.said
    assert "--to-files" in desk.said
    assert not desk.server.live


def test_a_copy_of_a_photo_that_is_out_waits_in_a_run_and_gets_its_caption(desk):
    assert desk.run("batch", "submit") == 0, desk.said
    shutil.copy(desk.photos / "000/00005.jpg", desk.photos / "later.jpg")
    assert desk.run("run") == 0, desk.said
    assert "1 photo to wait" in desk.said
    assert desk.server.live.total() == 1, "the one before the job"
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert desk.run("run") == 0, desk.said
    (copy,) = [record for record in desk.records() if record["rel_path"] == "later.jpg"]
    assert copy["copied_from"] == "000/00005.jpg"
    assert not desk.server.paid_twice()
