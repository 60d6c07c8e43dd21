"""When things go wrong, and when they cost too much: exit codes, sentences, ceilings."""

from __future__ import annotations

import json
import time

import pytest
from PIL import Image

from tests.support import (
    caption,
    draw,
    effective,
    install_plugin,
    library,
    records,
    requests,
    run_service,
    start,
)


def test_a_service_that_is_down_leaves_no_trace(tmp_path, plugin):
    library(tmp_path / "photos", 60)
    done = run_service(tmp_path, plugin, "--photos-dir=photos", fail="connection")
    assert done.returncode == 69, done.stderr
    assert requests(tmp_path) <= 25
    assert records(tmp_path / "captions.jsonl") == []
    assert run_service(tmp_path, plugin, "--photos-dir=photos").returncode == 0
    assert len(effective(tmp_path / "captions.jsonl")) == 60


def test_a_photo_that_the_service_cannot_take_is_tried_five_times_and_recorded(
    photos, tmp_path, plugin
):
    red = Image.open(photos / "000/00000.jpg").getpixel((1, 0))[0]
    options = {"fail": "connection", "fail_red": red}
    # One worker: others come after. It takes eight seconds and more, which patience must allow.
    flags = ("--photos-dir", photos, "--max-workers=1", "--decode-workers=1", "--patience=60")
    done = run_service(tmp_path, plugin, *flags, **options)
    assert done.returncode == 0, done.stderr
    failed = [r for r in records(tmp_path / "captions.jsonl") if r["status"] == "error_api"]
    assert [(r["rel_path"], r["error"]["code"]) for r in failed] == [
        ("000/00000.jpg", "connection")
    ]
    assert requests(tmp_path) == 5 + 5 + 1, "before the last attempt, a picture of our own"


def test_a_failure_that_passes_leaves_no_trace_in_the_journal(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, fail="connection", fail_first=3)
    assert done.returncode == 0
    assert {r["status"] for r in records(tmp_path / "captions.jsonl")} == {"success"}
    assert requests(tmp_path) == 9


def test_a_few_photos_and_no_service_is_not_done(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, fail="connection")
    assert done.returncode == 69
    assert records(tmp_path / "captions.jsonl") == []


def test_a_rejected_key_stops_after_one_request(tmp_path, plugin):
    library(tmp_path / "photos", 60)
    done = run_service(tmp_path, plugin, "--photos-dir=photos", fail="denied")
    assert done.returncode == 77
    assert requests(tmp_path) <= 3
    assert records(tmp_path / "captions.jsonl") == []
    assert "rejects the key" in done.stderr


def test_a_model_that_fails_every_photo_the_same_way_stops_the_run(tmp_path, plugin):
    library(tmp_path / "photos", 60)
    done = run_service(tmp_path, plugin, "--photos-dir=photos", fail="bug")
    assert done.returncode == 69
    assert "KeyError" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


def test_a_photo_that_the_model_refuses_is_a_verdict(photos, tmp_path, plugin):
    red = Image.open(photos / "000/00002.jpg").getpixel((1, 0))[0]
    options = {"fail": "policy", "fail_red": red}
    done = run_service(tmp_path, plugin, "--photos-dir", photos, **options)
    assert done.returncode == 0
    record = effective(tmp_path / "captions.jsonl")["000/00002.jpg"]
    assert record["status"] == "error_api"
    assert record["error"] == {"code": "policy", "message": "against the rules"}


def test_a_backends_bug_costs_one_record_and_leaves_a_traceback_in_the_log(
    photos, tmp_path, plugin
):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, fail="bug", fail_first=1)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    failed = [r for r in records(tmp_path / "captions.jsonl") if r["status"] == "error_model"]
    assert [r["error"]["code"] for r in failed] == ["exception"]
    log = [json.loads(line) for line in (tmp_path / "caption.log").read_text().splitlines()]
    assert any("KeyError" in line.get("exc_info", "") for line in log)
    assert any(line.get("event") == "photo_failed" for line in log)


USAGE_ERRORS = {
    "unknown flag": ["run", "--no-such-flag"],
    "unknown command": ["rum"],
    "unknown backend": ["run", "--photos-dir=photos", "--backend=opnai"],
    "bad number": ["run", "--photos-dir=photos", "--limit=ten"],
    "limit of none": ["run", "--photos-dir=photos", "--limit=0"],
    "bad status": ["run", "--photos-dir=photos", "--retry-status=error_apis"],
    "bad stale": ["run", "--photos-dir=photos", "--stale=modell"],
    "bad since": ["run", "--photos-dir=photos", "--since=yesterday"],
    "bad shard": ["run", "--photos-dir=photos", "--shard=4/3"],
    "bad order": ["run", "--photos-dir=photos", "--order=size"],
    "bad option": ["run", "--photos-dir=photos", "--backend=mock", "--option=latencyy=1"],
    "bad option value": ["run", "--photos-dir=photos", "--backend=mock", "--option=latency=x"],
    "bad pattern": ["run", "--photos-dir=photos", "--include=[a"],
    "missing prompt file": ["run", "--photos-dir=photos", "--prompt-file=none.txt"],
    "two prompts": ["run", "--photos-dir=photos", "--prompt=a", "--prompt-file=none.txt"],
    "missing list": ["run", "--photos-dir=photos", "--files-from=none.txt"],
    "too many workers": ["run", "--photos-dir=photos", "--max-workers=501"],
    "flags that exclude each other": ["run", "--photos-dir=photos", "--force", "--retry-only"],
    "dry run in batches": ["run", "--photos-dir=photos", "--dry-run", "--restart-every=5"],
    "rate without mock": ["run", "--photos-dir=photos", "--mock-error-rate=0.5"],
    "model of nobody": ["run", "--photos-dir=photos", "--model=gpt-5"],
    "address of nobody": ["estimate", "--photos-dir=photos", "--base-url=http://localhost:1"],
    "rehearsal for nobody": ["run", "--photos-dir=photos", "--dry-run", "--model=gpt-5"],
    "process of no model": ["run", "--photos-dir=photos", "--in-process"],
    "least of no batch": ["run", "--photos-dir=photos", "--min-batch=5"],
    "tokens of no batch": ["run", "--photos-dir=photos", "--job-tokens=5"],
    "poll of no batch": ["run", "--photos-dir=photos", "--poll=5"],
    "repair of no batch": ["run", "--photos-dir=photos", "--repair=batch"],
    "dry batch": ["run", "--photos-dir=photos", "--batch", "--dry-run"],
    "batch as JSON": ["run", "--photos-dir=photos", "--batch", "--json"],
}


@pytest.mark.parametrize("arguments", USAGE_ERRORS.values(), ids=USAGE_ERRORS)
def test_usage_errors_are_64_and_a_sentence(tmp_path, arguments):
    draw(tmp_path / "photos" / "1.jpg")
    done = caption(*arguments, cwd=tmp_path)
    assert done.returncode == 64, done.stderr
    assert done.stdout == ""
    assert 1 <= len(done.stderr.splitlines()) <= 2, done.stderr
    assert "Traceback" not in done.stderr
    assert (
        records(tmp_path / "captions.jsonl") == []
        if (tmp_path / "captions.jsonl").exists()
        else True
    )


def test_unknown_words_come_with_the_nearest_known_one(tmp_path):
    draw(tmp_path / "photos" / "1.jpg")
    done = caption("run", "--order=", "--photos-dir=photos", cwd=tmp_path)
    assert "--order '': expected path, newest, oldest, random\n" in done.stderr
    done = caption("--backend=templat", "--photos-dir=photos", cwd=tmp_path)
    assert "did you mean 'template'" in done.stderr
    done = caption("--option=latencyy=1", "--backend=mock", "--photos-dir=photos", cwd=tmp_path)
    assert "did you mean 'latency'" in done.stderr


def test_no_photos_directory_set_is_78_and_says_what_to_set(tmp_path):
    done = caption("run", "--backend=mock", cwd=tmp_path)
    assert done.returncode == 78
    assert "--photos-dir" in done.stderr
    assert "PHOTOS_DIR=" in done.stderr
    assert str(tmp_path / "config.env") in done.stderr


def test_a_photos_directory_that_is_not_there_is_78(tmp_path):
    done = caption("run", "--backend=mock", "--photos-dir=nowhere", cwd=tmp_path)
    assert done.returncode == 78
    assert "nowhere" in done.stderr


def test_an_empty_photos_directory_is_66(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    done = caption("run", "--backend=mock", "--photos-dir=photos", cwd=tmp_path)
    assert done.returncode == 66
    assert "is a photo that can be read" in done.stderr


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("\n", "--files-from list names no file"),
        ("gone.jpg\n", "nothing that --files-from list names is there: name photos relative to "),
    ],
)
def test_a_list_of_nothing_is_not_a_disk_that_is_not_mounted(photos, tmp_path, listed, said):
    (tmp_path / "list").write_text(listed)
    done = caption(
        "run", "--backend=mock", "--files-from=list", "--photos-dir=photos", cwd=tmp_path
    )
    assert done.returncode == 66
    assert said in done.stderr
    assert "mounted" not in done.stderr


def test_settings_come_from_config_env(photos, tmp_path):
    (tmp_path / "config.env").write_text(
        f"PHOTOS_DIR={photos}\nBACKEND=mock\nCAPTIONS_JSONL=mine.jsonl\nOPENAI_KEY=sk-1\n"
    )
    done = caption("run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path / "mine.jsonl")) == 6
    assert "OPENAI_KEY" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
    assert "sk-1" not in done.stderr


def test_two_runs_on_one_journal(photos, tmp_path, plugin):
    first = start("--backend=mock", "--option=latency=60", "--photos-dir", photos, cwd=tmp_path)
    try:
        while not (tmp_path / "captions.jsonl").exists():
            time.sleep(0.02)
        done = caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
        assert first.poll() is None, "the second one waited"
        assert done.returncode == 75
        assert str(first.pid) in done.stderr
    finally:
        first.kill()
        first.wait()


def test_a_missing_key_names_the_variable_the_file_and_the_form(tmp_path):
    folder = tmp_path / "plugin"
    path = install_plugin(folder)
    with open(folder / "test_service.py", "a") as module:
        module.write('\nService.key_env_var = "SERVICE_API_KEY"\nService.key_form = "sv-..."\n')
    draw(tmp_path / "photos/1.jpg")
    done = run_service(tmp_path, path, "--photos-dir=photos")
    assert done.returncode == 78
    for word in ("SERVICE_API_KEY", "config.env", "sv-..."):
        assert word in done.stderr
    (tmp_path / "config.env").write_text("SERVICE_API_KEY=sv-canary\n")
    done = run_service(tmp_path, path, "--photos-dir=photos")
    assert done.returncode == 0
    assert "is not a setting" not in done.stderr
    assert "sv-canary" not in done.stderr + (tmp_path / "caption.log").read_text()


def test_a_ceiling_on_requests_holds_over_restarts(tmp_path, plugin):
    library(tmp_path / "photos", 40)
    flags = ("--photos-dir=photos", "--max-requests=15")
    for _ in range(3):
        done = run_service(tmp_path, plugin, *flags)
        assert done.returncode == 3, done.stderr
        assert "--max-requests 15" in done.stderr
    assert requests(tmp_path) == len(records(tmp_path / "captions.jsonl")) == 15
    assert run_service(tmp_path, plugin, "--photos-dir=photos").returncode == 0
    assert len(records(tmp_path / "captions.jsonl")) == 40


def test_a_ceiling_on_cost_overshoots_by_what_is_under_way_at_most(tmp_path, plugin):
    library(tmp_path / "photos", 60)
    price = {"service-1": {"input_per_million": 1.0, "output_per_million": 1.0}}
    (tmp_path / "prices.json").write_text(json.dumps(price))
    flags = ("--photos-dir=photos", "--max-cost=0.02", "--prices-file=prices.json")
    done = run_service(tmp_path, plugin, *flags, delay=0.02)
    assert done.returncode == 3, done.stderr
    cost = sum(r["cost_usd"] for r in records(tmp_path / "captions.jsonl"))
    assert 0.02 - 1e-9 <= cost <= 0.02 + 8 * 0.001 + 1e-9
    assert f"this journal has cost {cost:.4f} USD" in done.stderr, "what was under way, too"
    asked = requests(tmp_path)
    assert run_service(tmp_path, plugin, *flags).returncode == 3
    assert requests(tmp_path) == asked


def test_a_ceiling_without_a_price_refuses_and_says_how_to_give_one(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--max-cost=1")
    assert done.returncode == 78
    for word in ("--prices-file", "input_per_million", "service-1"):
        assert word in done.stderr
    assert requests(tmp_path) == 0


def test_the_host_that_receives_the_photos_is_named(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos)
    assert "Sending 6 photos to service.test" in done.stderr
    done = caption("--backend=mock", "--photos-dir", photos, "--force", cwd=tmp_path)
    assert "Sending" not in done.stderr


def test_repeated_requests_are_in_the_record(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos, fail="connection", fail_first=2)
    assert sum(r["requests"] for r in records(tmp_path / "captions.jsonl")) == 8


def test_max_edge_is_what_the_backend_sees(tmp_path, plugin):
    draw(tmp_path / "photos" / "1.jpg", size=(400, 300))
    run_service(tmp_path, plugin, "--photos-dir=photos", "--max-edge=100")
    assert (tmp_path / "requests.txt").read_text().startswith("(100, 75)")


def test_a_name_in_the_environment_that_is_like_no_setting_is_told_without_advice(tmp_path):
    draw(tmp_path / "photos/1.jpg")
    done = caption("run", "--photos-dir=photos", cwd=tmp_path, CAPTION_NOSUCH="1")
    assert done.returncode == 0
    assert "CAPTION_NOSUCH in the environment is not a setting" in done.stderr.splitlines()


def test_a_model_in_config_env_is_not_that_of_a_backend_without_one(tmp_path):
    draw(tmp_path / "photos/1.jpg")
    (tmp_path / "config.env").write_text("PHOTOS_DIR=photos\nMODEL=gpt-5\n")
    assert caption("run", cwd=tmp_path).returncode == 0
    (record,) = records(tmp_path / "captions.jsonl")
    assert (record["backend"], record["model"]) == ("template", "template-1")
