"""The ledger of jobs: a copy, a stranger's job, a damaged line. Nothing is paid for twice."""

from __future__ import annotations

import shutil

from picture_captioner.batch.ledger import add_up
from tests.batch.desk import Desk
from tests.providers.batch_dialects import AnthropicBatches


def test_a_copy_of_the_ledger_finds_the_other_ones_job_and_stops(desk):
    assert desk.run("batch", "list") == 0
    assert desk.run("batch", "submit", "--limit=11") == 0
    copy = desk.folder / "before.jobs.jsonl"
    ledger = desk.folder / "captions.jobs.jsonl"
    begun = ledger.read_bytes().split(b"\n")[0] + b"\n"
    shutil.copy(ledger, copy)
    ledger.write_bytes(begun)
    assert desk.run("batch", "submit") == 78, desk.said
    assert "was made with a copy of this ledger" in desk.said
    (remote_id,) = desk.server.batches
    assert f"batch adopt {remote_id}" in desk.said
    assert desk.run("batch", "adopt", remote_id) == 64, "nobody here knows its photos"
    assert desk.run("batch", "adopt", remote_id, "--from=before.jobs.jsonl") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == 10
    assert not desk.server.paid_twice()


def test_a_job_of_somebody_else_at_anthropic_holds_submit_until_it_is_named(tmp_path, preloaded):
    with AnthropicBatches() as server:
        desk = Desk(tmp_path, preloaded, server, 12)
        stranger = server.create([], None, None)
        assert desk.run("batch", "submit") == 78, desk.said
        assert f"batch ignore {stranger.id}" in desk.said
        assert desk.run("batch", "ignore", stranger.id) == 0
        assert desk.run("batch", "submit") == 0, desk.said
        assert len(server.batches) == 2


def test_a_ledger_from_elsewhere_names_no_file_of_another_folder():
    known = {"content_sha256": "0" * 64, "size": 1, "mtime_ns": 1, "prompt_sha256": "0"}
    asked = [{"n": n, "rel_path": path, **known} for n, path in enumerate(("a.jpg", "../b.jpg"))]
    copies = [{"n": 0, "rel_path": path, "mtime_ns": 1} for path in ("c.jpg", "/d.jpg")]
    state = {"state": "created", "at": "2026-11-29T00:00:00Z"}
    (job,) = add_up([{"job": "j", "asked": asked, "copies": copies, **state}]).values()
    assert list(job.paths) == ["a.jpg", "c.jpg"]


def test_a_ledger_without_the_photos_of_a_job_sends_nothing_and_deletes_no_answer(desk):
    assert desk.run("batch", "submit") == 0, desk.said
    ledger = desk.folder / "captions.jobs.jsonl"
    whole = ledger.read_text()
    ledger.write_text(whole.replace('"asked":', '"asked":7', 1))
    assert desk.run("run") == 74, desk.said
    assert "lacks 11 photos of job" in desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert "Put back a copy" in desk.said
    assert not desk.server.deleted_files
    ledger.write_text(whole)
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert len({record["rel_path"] for record in desk.records()}) == 12
    assert not desk.server.paid_twice()


def test_a_job_whose_ledger_is_damaged_can_be_given_up(desk):
    assert desk.run("batch", "submit") == 0, desk.said
    ledger = desk.folder / "captions.jobs.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if '"asked"' not in line))
    (job,) = desk.jobs()
    assert desk.run("batch", "ignore", job["job"]) == 0, desk.said
    assert desk.run("run") == 0, desk.said
    assert len(desk.records()) == 12


def test_what_a_copy_of_the_ledger_has_found_out_is_taken_over(desk):
    assert desk.run("batch", "submit") == 0, desk.said
    there = desk.folder / "there"
    there.mkdir()
    for name in ("captions.jsonl", "captions.jobs.jsonl"):
        shutil.copy(desk.folder / name, there / name)
    desk.run("batch", "wait", "--poll=0.1", journal="there/captions.jsonl")
    assert desk.run("batch", "collect", journal="there/captions.jsonl") == 0, desk.said
    assert desk.jobs()[0]["code"] == "created"
    merge = desk._preloaded.run("journal", "merge", "there/captions.jsonl", cwd=desk.folder)
    assert merge.returncode == 0, merge.said
    assert desk.jobs()[0]["code"] == "deleted"
    assert len(desk.of_jobs()) == 11
    assert desk.run("run") == 0, desk.said
    assert not desk.server.paid_twice()


def test_a_merged_journal_follows_the_jobs_of_both(desk):
    """Another machine's photos that are out are not sent from here."""
    assert desk.run("batch", "submit", "--limit=6", "--min-batch=2") == 0, desk.said
    (job,) = desk.jobs()
    there = desk.folder / "there"
    there.mkdir()
    for name in ("captions.jsonl", "captions.jobs.jsonl"):
        (desk.folder / name).rename(there / name)
    merge = desk._preloaded.run("journal", "merge", "there/captions.jsonl", cwd=desk.folder)
    assert merge.returncode == 0, merge.said
    assert f"Job {job['job']}" in merge.said
    assert desk.run("run") == 0, desk.said
    assert "Passing over 5 photos" in desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert len({record["rel_path"] for record in desk.records()}) == 12
    assert not desk.server.paid_twice()
    (job,) = desk.jobs()
    assert job["code"] == "deleted"
