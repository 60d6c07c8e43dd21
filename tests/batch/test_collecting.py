"""What comes back of a job: cut, damaged, double, late or gone. No answer is lost."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.batch.gemini import GeminiJobs
from picture_captioner.errors import ApiError, TransientError
from tests.batch.desk import Desk
from tests.providers.batch_dialects import GeminiBatches


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


def test_of_answers_in_two_languages_the_one_that_the_job_asked_for_is_kept(desk):
    desk.server.answer = lambda outcome, body: (
        f"English: A photo of {(shown := desk.server.picture_of(body)[:8])}. German: Foto, {shown}."
    )
    assert desk.run("batch", "submit", "--language=German") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == 11
    assert all(". German: " in record["caption"] for record in desk.of_jobs())


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
