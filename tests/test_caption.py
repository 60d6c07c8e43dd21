"""The program as its user runs it: a first run, the next one, and what the other commands say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from PIL import Image

from tests.support import (
    caption,
    command,
    draw,
    effective,
    environment,
    library,
    records,
    requests,
    run_service,
)


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


def test_the_log_tells_the_phases(photos, tmp_path):
    caption("run", "--photos-dir", photos, "--backend", "mock", cwd=tmp_path)
    log = [json.loads(line) for line in (tmp_path / "caption.log").read_text().splitlines()]
    assert [line["event"] for line in log] == ["run_started", "run_ended"]
    assert (log[0]["backend"], log[0]["photos"]) == ("mock", 6)
    assert log[1]["photos"] == {"captioned": 6}


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


def test_stats_needs_no_photos(photos, tmp_path, plugin):
    flags = ("--photos-dir", photos)
    run_service(tmp_path, plugin, *flags, fail="refused", fail_first=1, delay=0.02)
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
    assert done.returncode == 74
    assert "there is no journal at none.jsonl" in done.stderr


@pytest.mark.parametrize("asked", [["stats"], ["run", "--help"]])
def test_a_reader_who_has_seen_enough_is_no_error(photos, tmp_path, asked):
    caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
    line = " ".join(command(*asked)) + " | true; echo ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


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


def test_journal_check_says_of_a_torn_line_what_is_so(tmp_path):
    """It is no damage (docs/journal-format.md), is not denied either, and nothing is cut off."""
    journal = tmp_path / "captions.jsonl"
    journal.write_bytes(b'{"rel_path":"2.j')
    done = caption("journal", "check", cwd=tmp_path)
    assert done.returncode == 0
    assert "line 1 (byte 0) is not a record" in done.stdout
    assert "discarded 1 malformed line in reading (16 bytes, at the end" in done.stderr
    assert "The file is as it was" in done.stderr
    assert "No damage but for that line: 0 records" in done.stderr
    assert journal.read_bytes() == b'{"rel_path":"2.j'


def test_under_the_loop_it_counts_what_is_new_and_takes_a_model(photos, tmp_path):
    said = tmp_path / "said"
    flags = ("run", "--backend=mock", "--photos-dir=photos", "--restart-every=3")
    done = caption(*flags, cwd=tmp_path, CAPTION_LOOP=str(said))
    assert done.returncode == 2, done.stderr
    assert said.read_text() == "3"
    assert "CAPTION_LOOP" not in done.stderr
    done = caption(*flags, "--files-from=-", cwd=tmp_path, CAPTION_LOOP=str(said))
    assert done.returncode == 64
    done = caption(
        "run", "--model=nobody/nothing", "--photos-dir=photos", cwd=tmp_path, CAPTION_LOOP=str(said)
    )
    first = done.stderr.splitlines()[0]
    assert "No backend is named, so the loop takes local, a model on this machine" in first
    assert "template" not in done.stderr, "the default is a model"
    assert done.returncode == 78


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
