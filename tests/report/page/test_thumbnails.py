from __future__ import annotations

from picture_captioner.report.page.thumbnails import NO_THUMBNAIL, ThumbnailFolder
from tests.report.page.reports import webp


def written(folder):
    return {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}


def fill(folder, *seeds):
    thumbnails = ThumbnailFolder(folder)
    digests = [thumbnails.add(webp(seed)) for seed in seeds]
    thumbnails.sweep()
    return digests


def test_equal_thumbnails_are_one_file(tmp_path):
    first, second = fill(tmp_path, 1, 1)
    assert first == second
    (file,) = written(tmp_path)
    assert file.name == f"{first.hex()}.webp"
    assert file.parent.name == first.hex()[:2]
    assert file.read_bytes() == webp(1)
    assert file.stat().st_mode & 0o077 == 0


def test_an_unchanged_thumbnail_is_not_written_again(tmp_path):
    fill(tmp_path, 1, 2)
    before = written(tmp_path)
    fill(tmp_path, 2, 1)
    assert written(tmp_path) == before


def test_stale_thumbnails_go_and_their_folders_too(tmp_path):
    fill(tmp_path, 1, 2, 3)
    (kept,) = fill(tmp_path, 3)
    assert [f.name for f in written(tmp_path)] == [f"{kept.hex()}.webp"]
    assert [f.name for f in tmp_path.iterdir()] == [kept.hex()[:2]]


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (digest,) = fill(tmp_path, 1)
    shard = tmp_path / digest.hex()[:2]
    (shard / f"{digest.hex()}.webp.new").write_bytes(b"half")
    fill(tmp_path, 1)
    assert [f.name for f in shard.iterdir()] == [f"{digest.hex()}.webp"]


def test_a_thumbnail_that_was_cut_short_is_written_again(tmp_path):
    (digest,) = fill(tmp_path, 1)
    file = tmp_path / digest.hex()[:2] / f"{digest.hex()}.webp"
    file.write_bytes(webp(1)[:20])
    fill(tmp_path, 1)
    assert file.read_bytes() == webp(1)


def test_files_of_others_stay(tmp_path):
    theirs = [tmp_path / "notes.webp", tmp_path / "ab" / "mine.webp", tmp_path / "abc" / "x.webp"]
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"mine")
    fill(tmp_path, 1)
    fill(tmp_path)
    assert sorted(written(tmp_path)) == sorted(theirs)


def test_what_is_no_webp_is_no_thumbnail(tmp_path):
    thumbnails = ThumbnailFolder(tmp_path)
    for data in (None, b"", b"RIFF", b"<html>", b"\xff\xd8\xff" * 20):
        assert thumbnails.add(data) == NO_THUMBNAIL
    assert not written(tmp_path)
