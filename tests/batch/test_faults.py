"""What goes wrong at a provider, and two ledgers: nothing is paid for twice, no answer is lost."""

from __future__ import annotations

import json
import re
import shutil
import time

import pytest
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.batch.following import SETTLE_SECONDS
from picture_captioner.batch.gemini import GeminiJobs
from picture_captioner.batch.ledger import add_up
from picture_captioner.errors import ApiError, TransientError
from tests.providers.batch_dialects import AnthropicBatches, GeminiBatches
from tests.providers.loopback import Elsewhere

# --- the request that creates a job ---------------------------------------------------------


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
    from tests.batch.conftest import Desk

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


# --- answers ----------------------------------------------------------------------------------


def test_results_that_break_off_are_collected_in_the_end(any_desk):
    desk, server = any_desk, any_desk.server
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    server.faults["results"] = ["cut"]
    assert desk.run("batch", "collect") == 69, desk.said
    assert desk.jobs()[0]["code"] == "ended"
    assert desk.run("batch", "collect") == 0, desk.said
    paths = [record["rel_path"] for record in desk.of_jobs()]
    assert len(paths) == len(set(paths)) == 11
    desk.check_answers()


NO_ANSWERS = (None, 7, [], "text", {}, {"custom_id": 5})
NO_JSON = (b"<html>oops</html>", b"[" * 100_000, b"\xff\xfe", b'{"custom_id": "x", ')


def _formless(line):
    """The line with a word where an object belongs, and its request's name as it was."""
    return {name: value if isinstance(value, str) else "a word" for name, value in line.items()}


def test_damaged_lines_hold_up_no_answer(any_desk):
    """One is instead of an answer, one of another form; the others stand between the answers."""
    desk, server = any_desk, any_desk.server
    noise = NO_ANSWERS if server.dialect == "xai" else (*NO_ANSWERS, *NO_JSON)
    damaged = []

    def damage(lines):
        if damaged:
            return lines
        damaged.append(len(noise) + 1)
        return [*noise, None, _formless(lines[1]), *lines[2:]]

    server.damage = damage
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert f"{damaged[0]} damaged lines among the answers, passed over: 1 photo" in desk.said
    assert "1 not answered" in desk.said
    assert len(desk.of_jobs()) == 9
    desk.check_answers()
    server.damage = None
    assert desk.run("run") == 0, desk.said
    assert len({record["rel_path"] for record in desk.records()}) == 12


def test_a_page_in_place_of_the_answers_is_not_taken_for_them(desk):
    desk.server.damage = lambda lines: [b"<html>", *[b"<p>log in"] * 20, b"</html>"]
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert "11 photos got none: collect again later" in desk.said
    assert not desk.server.deleted_files
    desk.server.damage = None
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == 11


def test_of_two_answers_for_a_photo_the_caption_counts(desk):
    def damage(lines):
        asked, other = lines[0]["custom_id"], lines[1]["custom_id"]
        busy = [desk.server.line(name, "busy", {}) for name in (asked, other)]
        bad = desk.server.line(lines[2]["custom_id"], "bad_request", {})
        return [busy[0], bad, *lines, busy[1]]

    desk.server.damage = damage
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert "not answered" not in desk.said
    assert [record["status"] for record in desk.of_jobs()] == ["success"] * 11
    desk.check_answers()


def test_of_two_answers_that_have_a_text_the_caption_counts(desk):
    """It was the first, and the photo was asked about once more, at the usual price."""

    def damage(lines):
        first = json.loads(json.dumps(lines[0]))
        said = "I'm sorry, I can't help with that."
        first["response"]["body"]["choices"][0]["message"]["content"] = said
        return [first, *lines]

    desk.server.damage = damage
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert "1 more among the answers" in desk.said
    assert desk.server.live.total() == 1, "the first photo"
    assert [record["status"] for record in desk.records()] == ["success"] * 12
    assert not desk.server.paid_twice()


def test_answers_that_do_not_say_what_they_took_are_not_called_free(desk):
    whole = desk.server.completion
    desk.server.completion = lambda outcome, body: {
        name: value for name, value in whole(outcome, body).items() if name != "usage"
    }
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert "11 captions, what 11 answers cost, which is not known" in desk.said
    assert desk.jobs()[0]["cost_usd"] is None


def test_the_answers_of_a_job_are_judged_by_its_own_question(desk):
    """Tags are no caption where sentences were asked for; where tags were, they are."""
    assert desk.run("batch", "submit") == 0, desk.said
    desk.server.answer = lambda outcome, body: f"#dog #{desk.server.picture_of(body)[:8]}"
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect", "--repair=batch") == 0, desk.said
    assert {record["error"]["code"] for record in desk.of_jobs()} == {"broken"}


def test_a_job_may_be_asked_for_tags(desk):
    desk.server.answer = lambda outcome, body: f"#dog #{desk.server.picture_of(body)[:8]}"
    assert desk.run("run", "--batch", "--poll=0.1", "--prompt=Three tags, please") == 0, desk.said
    assert {record["status"] for record in desk.records()} == {"success"}


def test_a_job_that_was_stopped_on_purpose_is_no_fault(desk):
    desk.server.outcome = lambda number, picture: "ok" if number < 4 else "expired"
    assert desk.run("batch", "submit") == 0, desk.said
    assert desk.run("batch", "cancel", "--all") == 0, desk.said
    assert desk.run("batch", "collect") == 0, desk.said
    assert "7 not answered" in desk.said
    assert len(desk.of_jobs()) == 4


def test_completed_without_a_file_is_not_taken_for_an_answer(desk):
    desk.server.hides_output = True
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert not desk.of_jobs()
    desk.server.hides_output = False
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == 11


def test_an_expired_job_gives_what_was_paid_and_the_rest_is_pending(desk):
    desk.server.expires = True
    desk.server.outcome = lambda number, picture: "ok" if number < 4 else "expired"
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 69, desk.said
    assert re.search(r"7 photos without an answer; '.* batch submit .*' sends them", desk.said)
    assert len(desk.of_jobs()) == 4
    desk.server.expires, desk.server.outcome = False, lambda number, picture: "ok"
    assert desk.run("run", "--batch", "--min-batch=2", "--poll=0.1") == 0, desk.said
    assert len({r["rel_path"] for r in desk.records()}) == 12
    assert not desk.server.paid_twice()


def test_a_job_that_fails_late_says_why_and_its_photos_are_pending(desk):
    desk.server.problem = "Enqueued token limit reached"
    assert desk.run("batch", "submit") == 0
    assert desk.run("run", "--batch", "--poll=0.1") == 69, desk.said
    assert "token_limit_exceeded" in desk.said
    assert "--job-tokens" in desk.said
    assert "11 photos without an answer" in desk.said
    assert not desk.of_jobs()
    assert desk.run("batch", "list") == 0
    desk.server.problem = ""
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert len({r["rel_path"] for r in desk.records()}) == 12


def test_answers_that_were_deleted_are_paid_for_again_only_on_a_persons_word(desk):
    assert desk.run("batch", "submit") == 0
    desk.server.gone = True
    assert desk.run("batch", "collect") == 0, desk.said
    (job,) = desk.jobs()
    assert f"batch ignore {job['job']}" in desk.said or job["code"] == "created"
    assert desk.run("run") == 0
    assert "Passing over 11 photos" in desk.said
    assert desk.run("batch", "ignore", job["job"]) == 0
    assert "11 photos pending again" in desk.said
    assert desk.run("run") == 0
    assert len(desk.records()) == 12


def test_a_gemini_job_that_partly_succeeded_without_a_file_gives_up_no_photo(tmp_path, preloaded):
    from tests.batch.conftest import Desk

    with GeminiBatches() as server:
        desk = Desk(tmp_path, preloaded, server, 12)
        assert desk.run("batch", "submit") == 0, desk.said
        shown = server.shown

        def partly(batch):
            found = json.loads(json.dumps(shown(batch)).replace("SUCCEEDED", "PARTIALLY_SUCCEEDED"))
            for part in (found, found.get("metadata") or {}):
                for name in ("dest", "response", "output"):
                    part.pop(name, None)
            return found

        server.shown = partly
        desk.run("batch", "wait", "--poll=0.1")
        assert desk.run("batch", "collect") == 69, desk.said
        assert "names no file with the answers" in desk.said
        assert desk.jobs()[0]["code"] == "ended"


def test_answers_that_are_gone_when_they_are_fetched_are_told_with_the_way_on(desk):
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    (job,) = desk.jobs()
    desk.server.gone = True
    assert desk.run("batch", "collect") == 69, desk.said
    assert re.search(rf"batch ignore .*{job['job']}' makes its photos pending again", desk.said)
    assert not desk.of_jobs()


def test_a_job_that_runs_again_after_it_had_ended_keeps_its_photos(any_desk):
    """Its answers may be gone from sight then: none of them is given up, nor deleted."""
    desk, server = any_desk, any_desk.server
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    (batch,) = server.batches.values()
    batch.looked_at = -2
    assert desk.run("batch", "collect") == 69, desk.said
    assert "had said that it has ended" in desk.said
    assert not desk.of_jobs()
    assert desk.jobs()[0]["code"] == "created"
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert len(desk.of_jobs()) == 11
    assert not server.paid_twice()


def test_one_text_for_all_photos_of_a_job_is_told(desk):
    """A run would end at the eighth: the model does not see its photos."""
    desk.server.answer = lambda outcome, body: "A beautiful scene, full of colour and light."
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert "11 photos in a row have one and the same caption" in desk.said


# --- who gets the key ---------------------------------------------------------------------------


def test_results_at_another_host_get_no_key(tmp_path, preloaded):
    from tests.batch.conftest import Desk

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
    from tests.batch.conftest import Desk

    with GeminiBatches() as server, Elsewhere() as elsewhere:
        desk = Desk(tmp_path, preloaded, server, 12)
        server.upload_host = elsewhere.url
        assert desk.run("batch", "submit") == 69, desk.said
        assert not elsewhere.received
        assert not server.batches


# --- two ledgers, and strangers ---------------------------------------------------------------


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
    from tests.batch.conftest import Desk

    with AnthropicBatches() as server:
        desk = Desk(tmp_path, preloaded, server, 12)
        stranger = server.create([], None, None)
        assert desk.run("batch", "submit") == 78, desk.said
        assert f"batch ignore {stranger.id}" in desk.said
        assert desk.run("batch", "ignore", stranger.id) == 0
        assert desk.run("batch", "submit") == 0, desk.said
        assert len(server.batches) == 2


# --- ceilings and forgetting ------------------------------------------------------------------


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


def test_files_that_are_gone_already_need_no_deleting(desk):
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    desk.server.faults["delete"] = ["500"]
    assert desk.run("batch", "collect") == 0, desk.said
    assert "are still at" in desk.said
    assert desk.jobs()[0]["state"] == "collected; its files are still there"
    desk.server.gone = True
    assert desk.run("batch", "collect") == 0, desk.said
    assert desk.jobs()[0]["state"] == "collected"
    assert len(desk.of_jobs()) == 11


# --- beside a job: other commands ---------------------------------------------------------------


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


def test_answers_of_no_use_are_in_the_next_job_once(desk):
    desk.server.outcome = lambda number, picture: "broken" if number < 3 else "ok"
    assert desk.run("batch", "submit") == 0, desk.said
    for left in (3, 0):
        desk.run("batch", "wait", "--poll=0.1")
        assert desk.run("batch", "collect", "--repair=batch") == 0, desk.said
        assert ("once more" in desk.said) == bool(left)
        assert desk.run("run") == 0, "a run does not take them"
        assert desk.run("batch", "submit", "--min-batch=2") == 0, desk.said
    sent = [len(batch.requests) for batch in desk.server.batches.values()]
    assert sent == [11, 3 - 1], "one of them is asked about at once, before the job"
    assert desk.server.live.total() == 2
    assert sorted(desk.server.bill.values())[-2:] == [2, 2]


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


def test_a_journal_compacted_between_two_collects_has_each_answer_once(desk):
    """The line by which the second collect knows an answer was superseded, and stays."""
    desk.server.outcome = lambda number, picture: "broken" if number == 0 else "ok"
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    desk.server.faults["results"] = ["cut"]
    assert desk.run("batch", "collect") == 69, desk.said
    arrived = len(desk.of_jobs())
    assert arrived
    assert desk.run("run", "--retry-status=all", "--force", "--limit=12") == 0, desk.said
    compacting = desk._preloaded.run("journal", "compact", cwd=desk.folder)
    assert compacting.returncode == 0, compacting.said
    assert len(desk.of_jobs()) == arrived
    assert desk.run("batch", "collect", "--repair=batch") == 0, desk.said
    paths = [record["rel_path"] for record in desk.of_jobs()]
    assert len(paths) == len(set(paths)) == desk.server.bill.total() == 11
    (job,) = desk.jobs()
    costs = sum(record["cost_usd"] for record in desk.of_jobs())
    assert abs(costs - job["cost_usd"]) < 1e-6


@pytest.mark.parametrize(
    ("code", "kind"),
    [*((code, TransientError) for code in (1, 2, 4, 8, 10, 13, 14, 15, 429, 503, None, "4")),
     *((code, ApiError) for code in (3, 9, 11, 400))],
)  # fmt: skip
def test_only_an_error_about_the_request_is_geminis_verdict_on_a_photo(code, kind):
    """By gRPC's codes: what came too late (4) or was cancelled (1) was `bad_request` for good."""
    jobs = GeminiJobs(GeminiBackend(BackendSettings(model="gemini", api_key=SecretStr("k"))))
    answered = jobs.answered({"key": "a", "error": {"code": code, "message": "no"}})
    jobs.close()
    assert isinstance(answered.answer, kind)
