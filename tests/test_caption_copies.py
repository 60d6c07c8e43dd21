"""The same bytes are captioned once, and a moved photo keeps its caption."""

from __future__ import annotations

import hashlib
import shutil
from itertools import pairwise

from tests.support import effective, records, requests, run_service


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


def test_photos_that_were_numbered_anew_keep_their_captions(photos, tmp_path, plugin):
    """The first is deleted, each other one gets the name before: nobody is asked again."""
    run_service(tmp_path, plugin, "--photos-dir", photos)
    before = {r["content_sha256"]: r["caption"] for r in records(tmp_path / "captions.jsonl")}
    names = sorted(photos.rglob("*.jpg"))
    for old, new in pairwise(names):
        new.replace(old)
    done = run_service(tmp_path, plugin, "--photos-dir", photos, "--stale=content")
    assert (done.returncode, requests(tmp_path)) == (0, 6), done.stderr
    assert "5 kept the caption they had before they were moved" in done.stderr
    known = effective(tmp_path / "captions.jsonl")
    for name in names[:-1]:
        content = hashlib.sha256(name.read_bytes()).hexdigest()
        record = known[name.relative_to(photos).as_posix()]
        assert (record["content_sha256"], record["caption"]) == (content, before[content])
