"""The program as its user runs it: the real command line on real files."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest
from PIL import Image

from tests.support import (
    caption,
    draw,
    effective,
    environment,
    install_plugin,
    library,
    records,
    start,
)


@pytest.fixture
def photos(tmp_path):
    return library(tmp_path / "photos", 6)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    return install_plugin(tmp_path_factory.mktemp("plugin"))


def run_service(cwd, plugin, *arguments, **options):
    """Run with the test's own backend, which counts its requests in requests.txt."""
    pairs = [f"--option={name}={value}" for name, value in options.items()]
    log = f"--option=log={cwd / 'requests.txt'}"
    return caption("run", "--backend=service", log, *pairs, *arguments, cwd=cwd, PYTHONPATH=plugin)


def requests(cwd):
    log = cwd / "requests.txt"
    return len(log.read_text().splitlines()) if log.exists() else 0


# --- a first run, and the next one ---------------------------------------------------------


def test_first_run_captions_every_photo_and_says_where_the_result_is(photos, tmp_path):
    done = caption("run", "--photos-dir", photos, "--backend", "mock", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"Journal: {tmp_path / 'captions.jsonl'}" in done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert [r["rel_path"] for r in sorted(found, key=lambda r: r["rel_path"])] == [
        f"000/{i:05d}.jpg" for i in range(6)
    ]
    for record in found:
        assert record["caption"] == "a mock caption for a 48x36 photo"
        assert record["status"] == "success"
        assert record["placeholder"] is True
        assert (record["backend"], record["model"]) == ("mock", "mock-1")
        assert len(record["content_sha256"]) == 64
        assert record["size"] == (photos / record["rel_path"]).stat().st_size
        assert record["mtime_ns"] == (photos / record["rel_path"]).stat().st_mtime_ns


def test_mock_names_the_full_size_though_the_image_is_shrunk(tmp_path):
    draw(tmp_path / "photos" / "big.jpg", size=(4032, 3024))
    assert caption("--backend=mock", "--photos-dir=photos", cwd=tmp_path).returncode == 0
    (record,) = records(tmp_path / "captions.jsonl")
    assert record["caption"] == "a mock caption for a 4032x3024 photo"


def test_without_a_backend_the_template_speaks_and_says_so(photos, tmp_path):
    done = caption("--photos-dir", photos, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "template" in done.stderr
    assert "placeholder" in done.stderr
    assert all(r["placeholder"] and r["caption"] for r in records(tmp_path / "captions.jsonl"))


def test_second_run_skips_what_is_done(photos, tmp_path, plugin):
    draw(photos / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    assert run_service(tmp_path, plugin, "--photos-dir", photos).returncode == 0
    before = (tmp_path / "captions.jsonl").read_bytes()
    done = run_service(tmp_path, plugin, "--photos-dir", photos)
    assert done.returncode == 0
    assert "Skipping 7 already processed (6 success, 1 error)" in done.stderr
    assert "Nothing to do" in done.stderr
    assert (tmp_path / "captions.jsonl").read_bytes() == before
    assert requests(tmp_path) == 6


def test_a_real_backend_replaces_placeholders(photos, tmp_path, plugin):
    assert caption("--backend=template", "--photos-dir", photos, cwd=tmp_path).returncode == 0
    assert run_service(tmp_path, plugin, "--photos-dir", photos).returncode == 0
    found = effective(tmp_path / "captions.jsonl")
    assert {r["backend"] for r in found.values()} == {"service"}
    assert caption("--backend=template", "--photos-dir", photos, cwd=tmp_path).returncode == 0
    assert effective(tmp_path / "captions.jsonl") == found


def test_what_the_provider_reports_is_recorded(photos, tmp_path, plugin):
    assert run_service(tmp_path, plugin, "--photos-dir", photos).returncode == 0
    for record in records(tmp_path / "captions.jsonl"):
        assert record["model_version"] == "1.0"
        assert (record["input_tokens"], record["output_tokens"]) == (10, 3)
        assert record["cost_usd"] == 0.001
        assert record["requests"] == 1
        assert len(record["prompt_sha256"]) == 12
    stats = caption("stats", "--json", cwd=tmp_path)
    assert json.loads(stats.stdout)["cost_usd"] == pytest.approx(0.006)


def test_backend_sees_pixels_and_nothing_else(tmp_path, plugin):
    exif = Image.Exif()
    exif[0x010F] = "CANARY"
    draw(tmp_path / "photos" / "CANARY.jpg", exif=exif, comment=b"CANARY")
    assert run_service(tmp_path, plugin, "--photos-dir", "photos").returncode == 0
    assert (tmp_path / "requests.txt").read_text() == "(48, 36) {'full_size': (48, 36)}\n"


def test_batches_give_each_photo_its_own_caption(tmp_path, plugin):
    library(tmp_path / "photos", 30)
    done = caption(
        "run", "--backend=batches", "--photos-dir=photos", cwd=tmp_path, PYTHONPATH=plugin
    )
    assert done.returncode == 0, done.stderr
    single = tmp_path / "single"
    single.mkdir()
    assert run_service(single, plugin, "--photos-dir=../photos").returncode == 0
    batched, one_by_one = (
        {path: record["caption"] for path, record in effective(folder / "captions.jsonl").items()}
        for folder in (tmp_path, single)
    )
    assert batched == one_by_one
    assert len(set(batched.values())) > 5


# --- which photos --------------------------------------------------------------------------


def test_retry_status_takes_the_failed_ones_again(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, fail="refused", fail_first=2)
    assert done.returncode == 0
    assert "--retry-status=error_model" in done.stderr
    assert requests(tmp_path) == 6
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--retry-status=error_model")
    assert done.returncode == 0
    assert requests(tmp_path) == 8
    assert {r["status"] for r in effective(tmp_path / "captions.jsonl").values()} == {"success"}


def test_retry_only_leaves_new_photos_alone(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos, fail="refused", fail_first=1)
    draw(photos / "new.jpg", seed=99)
    assert run_service(tmp_path, plugin, "--photos-dir", photos, "--retry-only").returncode == 0
    assert "new.jpg" not in effective(tmp_path / "captions.jsonl")
    assert requests(tmp_path) == 7


def test_force_takes_all_and_deletes_nothing(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    before = (tmp_path / "captions.jsonl").read_bytes()
    assert run_service(tmp_path, plugin, "--photos-dir", photos, "--force").returncode == 0
    after = (tmp_path / "captions.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(records(tmp_path / "captions.jsonl")) == 12


def test_since_counts_younger_records_as_done_even_with_force(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos, "--limit=2")
    since = "--since=2020-01-01T00:00:00Z"
    assert run_service(tmp_path, plugin, "--photos-dir", photos, "--force", since).returncode == 0
    assert requests(tmp_path) == 6


def test_stale_model_and_prompt(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    assert "Nothing to do" in run_service(tmp_path, plugin, "--photos-dir", photos).stderr
    again = run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=model,prompt")
    assert "Nothing to do" in again.stderr
    run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=prompt", "--prompt=Colours?")
    assert requests(tmp_path) == 12
    run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=model", "--model=service-2")
    assert requests(tmp_path) == 18


def test_stale_content_asks_only_for_what_really_changed(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    os.utime(photos / "000" / "00000.jpg")
    draw(photos / "000" / "00001.jpg", seed=77)
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=content")
    assert done.returncode == 0
    assert requests(tmp_path) == 7
    assert "1 unchanged" in done.stderr


def test_a_corrupt_photo_that_was_replaced_is_stale(photos, tmp_path, plugin):
    bad = photos / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff")
    run_service(tmp_path, plugin, "--photos-dir", photos)
    draw(bad, seed=50)
    run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=content")
    assert effective(tmp_path / "captions.jsonl")["bad.jpg"]["status"] == "success"


def test_limit_and_restart_every(photos, tmp_path, plugin):
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--limit=2")
    assert done.returncode == 0
    assert "Remaining: 4 photos" in done.stderr
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--restart-every=3")
    assert done.returncode == 2
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--restart-every=3")
    assert done.returncode == 0
    assert requests(tmp_path) == 6


def test_limit_holds_over_restarts(photos, tmp_path, plugin):
    flags = ("--photos-dir", photos, "--limit=4", "--restart-every=3", "--since=2020-01-01")
    assert run_service(tmp_path, plugin, *flags).returncode == 2
    assert run_service(tmp_path, plugin, *flags).returncode == 0
    assert requests(tmp_path) == 4


def test_shards_share_the_photos(tmp_path):
    library(tmp_path / "photos", 40)
    for i in (1, 2, 3):
        flags = (f"--shard={i}/3", f"--captions-jsonl={i}.jsonl")
        done = caption("--backend=mock", "--photos-dir=photos", *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    parts = [set(effective(tmp_path / f"{i}.jsonl")) for i in (1, 2, 3)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40
    for i in (2, 3):
        assert (
            caption(
                "journal", "merge", f"{i}.jsonl", "--captions-jsonl=1.jsonl", cwd=tmp_path
            ).returncode
            == 0
        )
    assert len(effective(tmp_path / "1.jsonl")) == 40


def test_include_exclude_and_files_from(tmp_path):
    for name in ("a/1.jpg", "a/2.png", "b/3.jpg"):
        draw(tmp_path / "photos" / name, seed=len(name))
    base = ("run", "--backend=mock", "--photos-dir=photos")
    caption(*base, "--include=*.jpg", "--exclude=b/**", "--captions-jsonl=1.jsonl", cwd=tmp_path)
    assert set(effective(tmp_path / "1.jsonl")) == {"a/1.jpg"}
    (tmp_path / "list").write_text("b/3.jpg\na/2.png\nmissing.jpg\n")
    done = caption(*base, "--files-from=list", "--captions-jsonl=2.jsonl", cwd=tmp_path)
    assert set(effective(tmp_path / "2.jsonl")) == {"b/3.jpg", "a/2.png"}
    assert "missing.jpg" in done.stderr


def test_order_newest_first(photos, tmp_path):
    for i in range(6):
        os.utime(photos / "000" / f"{i:05d}.jpg", (1e9 + i, 1e9 + i))
    flags = ("--order=newest", "--limit=2")
    assert caption("--backend=mock", "--photos-dir", photos, *flags, cwd=tmp_path).returncode == 0
    assert set(effective(tmp_path / "captions.jsonl")) == {"000/00005.jpg", "000/00004.jpg"}


# --- copies and moves ----------------------------------------------------------------------


def test_identical_content_is_captioned_once(photos, tmp_path, plugin):
    shutil.copy(photos / "000/00000.jpg", photos / "copy.jpg")
    shutil.copy(photos / "000/00000.jpg", photos / "another copy.jpg")
    done = run_service(tmp_path, plugin, "--photos-dir", photos)
    assert done.returncode == 0
    assert requests(tmp_path) == 6
    found = effective(tmp_path / "captions.jsonl")
    assert len(found) == 8
    copies = [r for r in found.values() if "copied_from" in r]
    assert len(copies) == 2
    for record in copies:
        leader = found[record["copied_from"]]
        assert record["caption"] == leader["caption"]
        assert "cost_usd" not in record
        assert "input_tokens" not in record


def test_a_copy_that_comes_later_costs_nothing(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    shutil.copy(photos / "000/00000.jpg", photos / "copy.jpg")
    done = run_service(tmp_path, plugin, "--photos-dir", photos)
    assert "1 copied" in done.stderr
    assert requests(tmp_path) == 6
    run_service(tmp_path, plugin, "--photos-dir", photos, "--model=other", "--limit=1")
    shutil.copy(photos / "000/00001.jpg", photos / "copy2.jpg")
    run_service(tmp_path, plugin, "--photos-dir", photos, "--model=other")
    assert requests(tmp_path) == 7, "a copy is only made from a record of the same model"


def test_copies_are_tried_themselves_when_their_leader_fails(photos, tmp_path, plugin):
    shutil.copy(photos / "000/00000.jpg", photos / "0 copy.jpg")
    done = run_service(tmp_path, plugin, "--photos-dir", photos, fail="refused", fail_first=1)
    assert done.returncode == 0
    found = effective(tmp_path / "captions.jsonl")
    twins = [found["0 copy.jpg"]["status"], found["000/00000.jpg"]["status"]]
    assert sorted(twins) == ["error_model", "success"]  # whichever was decoded first, led
    assert requests(tmp_path) == 7


def test_a_moved_photo_keeps_its_caption(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    (photos / "2024").mkdir()
    (photos / "000/00003.jpg").rename(photos / "2024/lake.jpg")
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--model=another")
    assert done.returncode == 0
    assert requests(tmp_path) == 6
    assert "1 kept the caption" in done.stderr
    record = effective(tmp_path / "captions.jsonl")["2024/lake.jpg"]
    assert record["copied_from"] == "000/00003.jpg"
    assert record["model"] == "service-1"


# --- the dry run ---------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [None, "0.3"])
def test_dry_run_then_a_real_backend(tmp_path, plugin, rate):
    photos = library(tmp_path / "photos", 30)
    (photos / "bad.jpg").write_bytes((photos / "000/00001.jpg").read_bytes()[:300])
    (photos / "no picture.png").write_bytes(b"words")
    mock = [f"--mock-error-rate={rate}"] if rate else []
    done = run_service(tmp_path, plugin, "--photos-dir=photos", "--dry-run", *mock)
    assert done.returncode == 0, done.stderr
    assert requests(tmp_path) == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        "bad.jpg",
        "no picture.png",
    ]
    assert run_service(tmp_path, plugin, "--photos-dir=photos").returncode == 0
    assert requests(tmp_path) == 30
    found = effective(tmp_path / "captions.jsonl")
    bad = {path for path, record in found.items() if record["status"] != "success"}
    assert bad == {"bad.jpg", "no picture.png"}


def test_dry_run_over_a_finished_journal_changes_nothing(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    before = (tmp_path / "captions.jsonl").read_bytes()
    (photos / "000/00002.jpg").write_bytes(b"\xff\xd8\xff broken since")
    done = caption("--dry-run", "--photos-dir", photos, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("000/00002.jpg\t")
    assert (tmp_path / "captions.jsonl").read_bytes() == before
    assert "Nothing to do" in run_service(tmp_path, plugin, "--photos-dir", photos).stderr


def test_dry_run_points_at_photos_that_were_mended(photos, tmp_path):
    bad = photos / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff")
    caption("--dry-run", "--photos-dir", photos, cwd=tmp_path)
    draw(bad, seed=60)
    done = caption("--dry-run", "--photos-dir", photos, cwd=tmp_path)
    assert "--retry-status=error_corrupt" in done.stderr


# --- when things go wrong ------------------------------------------------------------------


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
    flags = ("--photos-dir", photos, "--max-workers=1", "--decode-workers=1")  # others come after
    done = run_service(tmp_path, plugin, *flags, **options)
    assert done.returncode == 0, done.stderr
    failed = [r for r in records(tmp_path / "captions.jsonl") if r["status"] == "error_api"]
    assert [(r["rel_path"], r["error"]["code"]) for r in failed] == [
        ("000/00000.jpg", "connection")
    ]
    assert requests(tmp_path) == 5 + 5


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
    "unknown setting": ["run", "--show-setting=modle"],
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
    (tmp_path / "photos").mkdir()
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
    assert "no photos" in done.stderr


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
    first = start("--backend=mock", "--option=latency=2", "--photos-dir", photos, cwd=tmp_path)
    try:
        while not (tmp_path / "captions.jsonl").exists():
            time.sleep(0.02)
        started = time.monotonic()
        done = caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
        assert time.monotonic() - started < 3  # start-up included, on a busy machine
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


# --- stats, estimate, backends, journal ----------------------------------------------------


def test_stats_needs_no_photos(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos, fail="refused", fail_first=1)
    shutil.rmtree(photos)
    done = caption("stats", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in ("success", "error_model: refused", "service-1", "slowest", "0.0050 USD"):
        assert word in done.stdout
    found = json.loads(caption("stats", "--json", cwd=tmp_path).stdout)
    assert found["by_status"] == {"success": 5, "error_model": 1}


def test_stats_of_a_journal_that_is_not_there(tmp_path):
    done = caption("stats", "--captions-jsonl=none.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert "no records" in done.stderr
    assert json.loads(caption("stats", "--json", cwd=tmp_path).stdout)["photos"] == 0


def test_stats_into_a_closed_pipe(photos, tmp_path):
    import subprocess

    from tests.support import command

    caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
    line = " ".join(command("stats")) + " | true; echo ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""


def test_estimate_reads_headers_and_measures_speed(photos, tmp_path, plugin):
    draw(photos / "big.jpg", seed=70, size=(800, 600))
    flags = ("--photos-dir", photos, "--backend=service")
    before = json.loads(
        caption("estimate", "--json", *flags, cwd=tmp_path, PYTHONPATH=plugin).stdout
    )
    assert (before["photos"], before["done"], before["remaining"]) == (7, 0, 7)
    assert before["largest"] == [800, 600]
    assert before["bytes_remaining"] == sum(f.stat().st_size for f in photos.rglob("*.jpg"))
    assert before["seconds"] is None
    assert not (tmp_path / "captions.jsonl").exists()
    run_service(tmp_path, plugin, "--photos-dir", photos, "--limit=4", delay=0.05)
    after = json.loads(
        caption("estimate", "--json", *flags, cwd=tmp_path, PYTHONPATH=plugin).stdout
    )
    assert (after["done"], after["remaining"]) == (4, 3)
    assert after["photos_per_second"] > 0
    assert (before["cost_usd"], after["cost_usd"]) == (None, pytest.approx(3 * 0.001))
    assert after["sent_to"] == "service.test"
    text = caption("estimate", *flags, cwd=tmp_path, PYTHONPATH=plugin)
    assert "as measured so far" in text.stdout


def test_backends_lists_plugins_too(tmp_path, plugin):
    done = caption("backends", cwd=tmp_path, PYTHONPATH=plugin)
    assert done.returncode == 0
    for word in ("template", "mock", "service"):
        assert word in done.stdout


def test_journal_check_and_compact(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    run_service(tmp_path, plugin, "--photos-dir", photos, "--force")
    journal = tmp_path / "captions.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"rubbish\n", *lines[3:]]))
    done = caption("journal", "check", cwd=tmp_path)
    assert done.returncode == 74
    assert "line 4" in done.stdout
    assert caption("journal", "compact", cwd=tmp_path).returncode == 0
    assert len(records(journal)) == 6
    assert sum(r["cost_usd"] for r in records(journal)) == pytest.approx(0.012)
    assert caption("journal", "check", cwd=tmp_path).returncode == 0


def test_show_setting_answers_the_loop(photos, tmp_path):
    done = caption("run", "--backend=mock", "--show-setting=captions_jsonl", cwd=tmp_path)
    assert done.stdout == f"{tmp_path / 'captions.jsonl'}\n"
    done = caption("run", "--backend=mock", "--show-setting=extra", cwd=tmp_path)
    assert done.stdout == "\n"
    assert caption("--backend=mock", "--show-setting=model", cwd=tmp_path).stdout == "mock-1\n"


# --- names and what a terminal would obey --------------------------------------------------

ODD_NAMES = [
    b"caf\xe9.jpg",
    "café.jpg".encode(),
    "cafe\u0301.jpg".encode(),
    b"line\nbreak.jpg",
    b"\x1b[31mred.jpg",
    "\u202egpj.exe.jpg".encode(),
    b"quote\"comma,'.jpg",
    b" leading and trailing .jpg",
    b"-rf.jpg",
    b"x" * 251 + b".jpg",
]


def test_names_survive_byte_for_byte_and_stay_inert(tmp_path, plugin):
    folder = os.fsencode(tmp_path / "photos")
    os.mkdir(folder)
    for seed, name in enumerate(ODD_NAMES):
        draw(tmp_path / "one.jpg", seed=seed).rename(tmp_path / "moving.jpg")
        os.rename(os.fsencode(tmp_path / "moving.jpg"), folder + b"/" + name)
    with open(folder + b"/bad\x1b]0;owned\x07.jpg", "wb") as bad:
        bad.write(b"\xff\xd8\xff")
    done = run_service(tmp_path, plugin, "--photos-dir=photos")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    found = effective(tmp_path / "captions.jsonl")
    assert {os.fsencode(path) for path in found} >= set(ODD_NAMES)
    assert all(found[os.fsdecode(name)]["status"] == "success" for name in ODD_NAMES)
    assert "Nothing to do" in run_service(tmp_path, plugin, "--photos-dir=photos").stderr


def test_a_home_directory_in_config_env_is_expanded(tmp_path):
    library(tmp_path / "Pictures", 2)
    (tmp_path / "config.env").write_text("PHOTOS_DIR=~/Pictures\nBACKEND=mock\n")
    done = caption("run", cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 2


# --- money ---------------------------------------------------------------------------------


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
