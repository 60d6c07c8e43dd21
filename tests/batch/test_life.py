"""A job from its submission to its answers, at each provider."""

from __future__ import annotations

import json
import re
import shlex
import shutil

from PIL import Image

from picture_captioner.cli.terminal import dollars
from tests.batch.desk import KEY
from tests.images import gradient, write
from tests.support import draw

KINDS = ("ok", "ok", "ok", "refused", "broken", "bad_request", "busy", "expired", "ok", "ok")


def test_a_job_from_submit_to_the_last_record(any_desk):
    desk, server = any_desk, any_desk.server
    shutil.copy(desk.photos / "000/00003.jpg", desk.photos / "copy.jpg")
    (desk.photos / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    server.outcome = lambda number, picture: KINDS[number % len(KINDS)]

    assert desk.run("batch", "submit") == 0, desk.said
    assert "no names, no metadata" in desk.said
    assert f"{server.host} keeps the files" in desk.said
    (job,) = desk.jobs()
    assert (job["code"], job["photos"], job["host"]) == ("created", 11, server.host)
    before = len(server.seen)
    assert desk.run("run") == 0
    assert "Passing over 12 photos that batch jobs hold" in desk.said
    assert "Nothing to do: all is done but what batch jobs hold" in desk.said
    assert desk.run("batch", "submit") == 0
    assert len(server.batches) == 1
    assert not any(server.operation(asked) == "live" for asked in server.seen[before:])

    assert desk.run("batch", "wait", "--poll=0.1") == 0, desk.said
    assert desk.run("batch", "collect", "--repair=batch") == 69, "some were busy, some expired"
    (job,) = desk.jobs()
    assert job["code"] == "deleted"
    assert not server.paid_twice()
    _check_records(desk)
    _check_bodies(desk)


def test_the_commands_that_submit_names_work_as_they_are_printed(desk):
    assert desk.run("batch", "submit", "--min-batch=2") == 0, desk.said
    named = re.findall(r"^  '(.+ batch (?:status|wait|collect) .+)' ", desk.said, re.MULTILINE)
    assert len(named) == 3, desk.said
    for command in named:
        words = shlex.split(command)
        run = desk.typed(*words[words.index("batch") :], *["--poll=0.1"] * ("wait" in words))
        assert run.returncode == 0, run.said
    (job,) = desk.jobs()
    assert job["code"] == "deleted"


def _check_records(desk) -> None:
    desk.check_answers()
    made = desk.of_jobs()
    paths = [record["rel_path"] for record in made]
    assert len(set(paths)) == len(paths), "each answer is there once"
    assert all(record["batch"] is True for record in made)
    codes = sorted(r["error"]["code"] for r in made if "error" in r)
    assert codes == ["bad_request", "empty", "refused"]
    billed = [record for record in made if "cost_usd" in record]
    assert len(billed) == desk.server.bill.total() == 8
    (job,) = desk.jobs()
    assert abs(sum(record["cost_usd"] for record in billed) - job["cost_usd"]) < 1e-6
    (copy,) = [r for r in desk.records() if "copied_from" in r]
    assert {copy["rel_path"], copy["copied_from"]} == {"copy.jpg", "000/00003.jpg"}
    assert "cost_usd" not in copy
    assert "batch_job" not in copy


def _check_bodies(desk) -> None:
    """No name and no key in a body, no body on the disk, and none left at the provider."""
    for asked in desk.server.seen:
        assert KEY.encode() not in asked.body
        assert b"000/0000" not in asked.body
    kept = {path.name for path in desk.folder.iterdir()}
    assert kept <= {
        *("captions.jsonl", "captions.jsonl.lock", "captions.jobs.jsonl"),
        *("captions.jobs.jsonl.lock", "caption.log", "library.db", "photos", "output.txt"),
    }, kept
    assert not desk.server.files
    ledger = desk.folder / "captions.jobs.jsonl"
    assert ledger.stat().st_mode & 0o777 == 0o600
    assert KEY not in ledger.read_text()


def test_a_batch_is_half_the_usual_price(desk):
    assert desk.run("batch", "submit") == 0
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0
    live = [record for record in desk.records() if "batch_job" not in record]
    assert {round(2 * r["cost_usd"], 9) for r in desk.of_jobs()} == {round(live[0]["cost_usd"], 9)}
    draw(desk.photos / "new.jpg", seed=40)
    assert desk.run("run") == 0, desk.said
    assert f"; about {dollars(live[0]['cost_usd'])}, as billed so far" in desk.said


def test_run_batch_without_a_job_names_no_command_that_makes_some(desk):
    assert desk.run("run", "--batch", "--min-batch=50") == 0, desk.said
    assert "12 captioned" in desk.said
    assert "No jobs" not in desk.said


def test_run_batch_does_all_of_it_and_asks_again_singly(desk):
    desk.server.outcome = lambda number, picture: "broken" if number == 2 else "ok"
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    last = {record["rel_path"]: record for record in desk.records()}
    assert len(last) == 12
    assert {record["status"] for record in last.values()} == {"success"}
    assert desk.server.bill.total() == 11
    assert desk.server.live.total() == 2, "the first photo, and the answer that was none"
    desk.check_answers()


def test_what_a_filter_refused_is_not_asked_again(desk):
    desk.server.outcome = lambda number, picture: "refused" if number == 2 else "ok"
    assert desk.run("run", "--batch", "--poll=0.1") == 0, desk.said
    assert desk.server.live.total() == 1
    assert "1 photo of job" in desk.said


def test_moved_and_damaged_photos_are_no_trial_of_the_model(desk):
    assert desk.run("run", "--batch", "--min-batch=2", "--poll=0.1") == 0, desk.said
    (desk.photos / "000").rename(desk.photos / "moved")
    assert desk.run("run", "--batch", "--min-batch=2", "--poll=0.1") == 0, desk.said
    assert "Nothing to do" in desk.said
    moved = len(list((desk.photos / "moved").iterdir()))
    assert "Sending 0 photos to" in desk.said
    assert f"; of {moved} more the caption of a copy or of the same shot is taken" in desk.said
    (desk.photos / "moved").rename(desk.photos / "again")
    for name in "abcd":
        (desk.photos / f"{name}.jpg").write_bytes(b"\xff\xd8 broken " + name.encode())
    for seed in range(40, 52):
        draw(desk.photos / f"new/{seed}.jpg", seed=seed)
    assert desk.run("run", "--batch", "--min-batch=2", "--poll=0.1") == 0, desk.said
    assert len(desk.server.batches) == 2
    assert not desk.server.paid_twice()
    captioned = {r["rel_path"] for r in desk.records() if r["status"] == "success"}
    assert captioned >= {
        path.relative_to(desk.photos).as_posix() for path in desk.photos.rglob("*/*")
    }


def test_a_job_may_say_of_a_black_photo_that_it_is_black(desk):
    write(desk.photos / "pocket.jpg", Image.new("RGB", (48, 36)), "JPEG")
    write(desk.photos / "sea.jpg", gradient(), "JPEG")
    assert desk.run("batch", "submit") == 0, desk.said
    desk.server.answer = lambda outcome, body: "The image is completely black."
    assert desk.run("batch", "wait", "--poll=0.1") == 0, desk.said
    desk.run("batch", "collect")
    found = {record["rel_path"]: record for record in desk.of_jobs()}
    black, sea = found["pocket.jpg"], found["sea.jpg"]
    assert (black["caption"], black["blank"]) == ("The image is completely black.", True)
    assert sea["error"]["code"] == "no_image"


def test_few_photos_are_asked_about_one_at_a_time(desk):
    assert desk.run("batch", "submit", "--min-batch=13") == 0, desk.said
    assert "one at a time, at the usual price" in desk.said
    assert not desk.server.batches
    assert len(desk.records()) == 12


def test_jobs_are_split_by_count_bytes_and_tokens(desk, monkeypatch):
    assert desk.run("batch", "submit", "--job-tokens=2000") == 3, desk.said
    assert "--job-tokens" in desk.said
    assert 1 <= len(desk.server.batches) < 11
    assert desk.run("batch", "list") == 0
    counts = [job["photos"] for job in desk.jobs()]
    assert all(counts)


def test_a_copy_of_a_photo_that_is_out_waits_for_its_answer(desk):
    assert desk.run("batch", "submit") == 0
    out = desk.photos / "000/00005.jpg"
    shutil.copy(out, desk.photos / "later.jpg")
    for seed in range(40, 52):
        draw(desk.photos / f"more/{seed}.jpg", seed=seed)
    assert desk.run("batch", "submit") == 0, desk.said
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    assert not desk.server.paid_twice()
    done = {r["rel_path"]: r for r in desk.records()}
    assert done["later.jpg"]["copied_from"] == "000/00005.jpg"
    assert len(done) == 25


def test_a_backend_without_jobs_is_told_apart(desk):
    run = desk._preloaded.run(
        "batch", "submit", "--photos-dir=photos", "--backend=mock", cwd=desk.folder
    )
    assert run.returncode == 64
    assert "the mock backend has no batch jobs; these have: openai" in run.said


def test_list_asks_nobody_and_says_it_in_words(desk):
    assert desk.run("batch", "list") == 0
    assert "No jobs" in desk.said
    before = {*desk.folder.iterdir()}
    for without in ("collect", "wait", "status", "cancel --all"):
        assert desk.run("batch", *without.split()) == 0
        assert "No jobs; " in desk.said
    assert desk.run("batch", "cancel", "pc1-2") == 64
    assert {*desk.folder.iterdir()} == before, "who only asks begins no ledger, and no journal"
    assert desk.run("batch", "submit") == 0
    before = len(desk.server.seen)
    assert desk.run("batch", "list") == 0
    assert "running" in desk.said
    assert len(desk.server.seen) == before
    row = json.loads(json.dumps(desk.jobs()[0]))
    assert {"job", "id", "state", "host", "photos", "reserved_usd", "cost_usd"} <= set(row)


def test_a_cancelled_job_gives_back_what_was_not_answered(desk):
    desk.server.looks = 99
    desk.server.outcome = lambda number, picture: "ok" if number % 2 else "expired"
    assert desk.run("batch", "submit") == 0
    assert desk.run("batch", "cancel") == 64
    assert desk.run("batch", "cancel", "--all") == 0, desk.said
    assert desk.run("batch", "collect") == 0, desk.said
    assert len(desk.of_jobs()) == desk.server.bill.total() == 5
    assert "not billed: pending again" in desk.said
    desk.server.outcome = lambda number, picture: "ok"
    assert desk.run("run") == 0
    assert len({r["rel_path"] for r in desk.records()}) == 12
    assert not desk.server.paid_twice()


# --- what is asked, in a job as in a run ----------------------------------------------------------


def submitted(desk, *flags: str) -> list[dict]:
    """The bodies of the requests of a job that is submitted with these flags, and collected."""
    assert desk.run("batch", "submit", *flags) == 0, desk.said
    (batch,) = desk.server.batches.values()
    desk.run("batch", "wait", "--poll=0.1")
    assert desk.run("batch", "collect") == 0, desk.said
    return [body for _, body in batch.requests]


def test_fields_and_a_vocabulary_are_asked_for_and_judged(desk):
    (desk.folder / "words.txt").write_text("square\ncircle\n")
    answer = {"caption": "A square of one colour.", "title": "Square", "tags": ["circle", "moon"]}
    desk.server.answer = lambda outcome, body: json.dumps(answer)
    flags = ["--fields=caption,title,tags", "--vocabulary=words.txt"]
    bodies = submitted(desk, *flags)
    schemas = [json.dumps(body["response_format"]) for body in bodies]
    assert all('"square", "circle"' in schema for schema in schemas), schemas[0]
    made = desk.of_jobs()
    assert len(made) == 11
    assert {record["title"] for record in made} == {"Square"}
    assert {tuple(record["tags"]) for record in made} == {("circle",)}
    assert desk.run("run", *flags, "--stale=prompt") == 0, desk.said
    assert "Nothing to do" in desk.said, "a run would ask the same question"


def test_context_is_told_in_a_job_and_is_part_of_the_question(desk):
    (desk.photos / "000").rename(desk.photos / "Sailing")
    bodies = submitted(desk, "--context=folder")
    asked = [body["messages"][0]["content"][1]["text"] for body in bodies]
    assert all("Folder that it lies in" in text and "Sailing" in text for text in asked), asked[0]
    assert desk.run("run", "--context=folder", "--stale=prompt") == 0, desk.said
    assert "Nothing to do" in desk.said
    assert desk.run("run", "--stale=prompt", "--limit=1") == 0, desk.said
    assert "1 captioned" in desk.said


def test_names_that_nobody_told_are_marked_in_a_jobs_answers(desk):
    (desk.photos / "000").rename(desk.photos / "Paris")
    desk.server.answer = lambda outcome, body: "A red square in Paris, seen by Gustave Eiffel."
    submitted(desk, "--context=folder")
    assert {tuple(record["suspect"]) for record in desk.of_jobs()} == {("Gustave Eiffel",)}


def test_the_raw_file_of_a_photo_that_is_out_waits_for_its_caption(desk):
    (desk.photos / "000/00005.nef").write_bytes(b"II*\0" + bytes(200))
    bodies = submitted(desk)
    assert len(bodies) == 11
    assert desk.run("run") == 0, desk.said
    (raw,) = [record for record in desk.records() if record["rel_path"].endswith(".nef")]
    assert (raw["copied_from"], raw["copied_because"]) == ("000/00005.jpg", "same_shot")
    assert desk.server.live.total() == 1
