"""Which photos a run takes: by flags, as the journal says, and in a dry run all."""

from __future__ import annotations

import csv
import json
import os
import re

import pytest

from tests.metadata.test_xmp_packet import FOREIGN
from tests.support import caption, draw, effective, library, records, report, requests, run_service


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


def test_a_forced_run_that_was_stopped_goes_on_to_its_limit_and_no_further(
    photos, tmp_path, plugin
):
    flags = ("--photos-dir", photos, "--force", "--limit=4")
    done = run_service(tmp_path, plugin, *flags, "--restart-every=3")
    (more,) = re.findall("^Remaining: 3 photos; to go on, .* with (.*)$", done.stderr, re.M)
    done = run_service(tmp_path, plugin, *flags, *more.split())
    assert requests(tmp_path) == 4
    (more,) = re.findall("^Remaining: 2 photos; to go on, .* with (.*)$", done.stderr, re.M)
    run_service(tmp_path, plugin, *flags, *more.split())
    assert requests(tmp_path) == 6


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


def test_a_journal_of_another_library_stops_the_run_before_anything_is_paid(tmp_path, plugin):
    mine = library(tmp_path / "mine", 6)
    for n in range(6):
        draw(tmp_path / "other" / f"000/{n:05d}.jpg", seed=n, size=(90, 60))
    begun = run_service(tmp_path, plugin, "--photos-dir", mine)
    journal = tmp_path / "captions.jsonl"
    assert f"Beginning a new journal: {journal.resolve()}" in begun.stderr
    before, paid = journal.read_bytes(), requests(tmp_path)
    done = run_service(tmp_path, plugin, "--photos-dir=other")
    assert (done.returncode, requests(tmp_path), journal.read_bytes()) == (78, paid, before)
    assert "of 6 photos that it has a caption of, 6 with another size here" in done.stderr
    assert "--captions-jsonl FILE" in done.stderr
    estimated = caption("estimate", "--photos-dir=other", cwd=tmp_path)
    assert "another library's" in estimated.stderr
    for photo in mine.rglob("*.jpg"):
        os.utime(photo, (1, 1))  # as a copy of the library has them
    again = run_service(tmp_path, plugin, "--photos-dir", mine)
    assert "Nothing to do" in again.stderr
    assert "Beginning" not in again.stderr
    done = run_service(tmp_path, plugin, "--photos-dir=other", "--stale=content")
    assert (done.returncode, requests(tmp_path)) == (0, paid + 6)


def test_some_edited_photos_do_not_make_it_another_library(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    for n in range(3):
        draw(photos / f"000/{n:05d}.jpg", seed=n, size=(90, 60))
    assert "Nothing to do" in run_service(tmp_path, plugin, "--photos-dir", photos).stderr


def test_a_redo_that_fails_hides_no_caption(photos, tmp_path, plugin):
    run_service(tmp_path, plugin, "--photos-dir", photos)
    run_service(tmp_path, plugin, "--photos-dir", photos, "--force", "--limit=2", fail="refused")
    assert [r["status"] for r in records(tmp_path / "captions.jsonl")[-2:]] == ["error_model"] * 2
    stats = json.loads(caption("stats", "--json", cwd=tmp_path).stdout)
    assert (stats["by_status"], stats["redo_failed"]) == ({"success": 6}, 2)
    assert stats["by_error"] == {"error_model: refused": 2}
    assert len(caption("search", "red", cwd=tmp_path).stdout.splitlines()) == 6
    done = report("--photos-dir", photos, "--embedder=pixels", cwd=tmp_path)
    assert "6 captioned (2 of them: a later try failed), 0 errors, 0 voc" in done.stderr
    with open(tmp_path / "report_out" / "cluster_export.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["label"] for row in rows)
    assert sum(row["last_error"].startswith("refused: ") for row in rows) == 2
    paid = requests(tmp_path)
    again = run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=model,prompt,content")
    assert "Skipping 6 already processed (6 success)" in again.stderr
    assert caption("journal", "compact", cwd=tmp_path).returncode == 0
    assert len(records(tmp_path / "captions.jsonl")) == 8
    assert len(caption("search", "red", cwd=tmp_path).stdout.splitlines()) == 6
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--retry-status=error_model")
    assert (done.returncode, requests(tmp_path)) == (0, paid + 2)


def test_files_that_are_no_photos_are_counted_by_kind_and_no_disk_is_blamed(tmp_path):
    folder = tmp_path / "my papers"
    folder.mkdir()
    for name in ("a.pdf", "b.PDF", "noname", ".IMG_1.HEIC.icloud"):
        (folder / name).write_bytes(b"x")
    done = caption("run", "--photos-dir", folder, "--dry-run", cwd=tmp_path)
    assert done.returncode == 66
    assert "Passing over 3 other files: 2 .pdf, 1 without a suffix\n" in done.stderr
    assert "1 photo in iCloud but not on this disk (.IMG_1.HEIC.icloud)" in done.stderr
    draw(folder / "one.jpg")
    (folder / "gone").symlink_to("nowhere")
    caption("process", "--photos-dir", folder, "--stage=normalize", cwd=tmp_path)
    for command in (("status",), ("estimate",), ("process", "--stage=normalize")):
        looked = caption(*command, "--photos-dir", folder, cwd=tmp_path)
        said = [line for line in looked.stderr.splitlines() if line.startswith("Passing over")]
        (line,) = said
        assert "Passing over 1 photo in iCloud, 3 other files, 1 link; to see which: " in line
        assert line.endswith(f" run '--photos-dir={folder}' --dry-run")
        assert "Not following" not in looked.stderr
    assert "disk mounted" not in done.stderr


def test_files_beside_photos_are_read_and_not_only_passed_over(photos, tmp_path):
    (photos / "000" / "00000.jpg.xmp").write_bytes(FOREIGN)
    (photos / "metadata.json").write_text("{}")
    (photos / "notes.txt").write_text("no photo")
    flags = ("run", "--backend=mock", "--photos-dir=photos")
    told = "Passing over 3 other files: 1 .json, 1 .txt, 1 .xmp"
    rehearsed = caption(*flags, "--dry-run", cwd=tmp_path)
    assert f"{told}\n" in rehearsed.stderr, rehearsed.stderr
    done = caption(*flags, cwd=tmp_path)
    assert f"{told} (.xmp and .json are read for what they say of photos)\n" in done.stderr
    without = caption(*flags, "--no-library", "--force", cwd=tmp_path)
    assert f"{told}\n" in without.stderr, without.stderr


def test_json_of_a_run_is_whole_also_where_nothing_is_to_do(tmp_path):
    draw(tmp_path / "photos" / "1.jpg")
    flags = ("run", "--photos-dir=photos", "--json")
    for photos, counts in ((1, {"captioned": 1}), (0, {})):
        done = caption(*flags, cwd=tmp_path)
        said = json.loads(done.stdout)
        assert said.pop("seconds") >= 0
        assert said == {
            "photos": photos,
            "counts": counts,
            "left": 0,
            "journal": str(tmp_path / "captions.jsonl"),
            "failures": [],
        }
