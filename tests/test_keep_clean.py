"""`--keep-clean`: the next pass reads small clean images, and everything else is as it was."""

from __future__ import annotations

import base64
import os
from collections import namedtuple

import numpy as np
import pytest

from picture_captioner.library.clean_images import CleanImages
from picture_captioner.library.store import Library
from picture_captioner.pipeline.recording.outcomes import Silent
from tests.images import encoded, exif, gradient
from tests.pipeline.library_update.embedding_program import embed_photos, find
from tests.providers.openai_server import OpenAIServer
from tests.support import caption, records, spoil

FOLDER = "library.db.clean-images"


@pytest.fixture
def large(tmp_path):
    """Two photos larger than a clean image, one of them on its side, and a small one."""
    photos = tmp_path / "photos"
    photos.mkdir()
    big = gradient(2400, 1800)
    (photos / "a.jpg").write_bytes(encoded(big, "JPEG", exif=exif(6).tobytes()))
    (photos / "b.jpg").write_bytes(encoded(big, "JPEG", quality=60))
    (photos / "small.jpg").write_bytes(encoded(gradient(640, 480), "JPEG"))
    return photos


def run(cwd, *more, keep="1", backend=("--backend=mock",)):
    done = caption("run", *backend, "--photos-dir=photos", f"--keep-clean={keep}", *more, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


def kept(cwd):
    return sorted((cwd / FOLDER).iterdir())


def test_the_next_run_reads_the_kept_images_and_records_the_same(tmp_path, large):
    run(tmp_path)
    first = {r["rel_path"]: r for r in records(tmp_path / "captions.jsonl")}
    assert [f.name for f in kept(tmp_path)] == sorted(
        f"{first[name]['content_sha256']}.jpg" for name in ("a.jpg", "b.jpg")
    )
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    assert {f.stat().st_mode & 0o777 for f in kept(tmp_path)} == {0o600}
    (large / "small.jpg").unlink()
    spoil(large)
    run(tmp_path, "--force")
    again = {r["rel_path"]: r for r in records(tmp_path / "captions.jsonl")[3:]}
    for name in ("a.jpg", "b.jpg"):
        for field in ("status", "caption", "content_sha256", "size", "mtime_ns"):
            assert again[name].get(field) == first[name].get(field), (name, field)
    assert "1800x2400" in again["a.jpg"]["caption"], "upright, and the photo's own size"


def test_a_photo_that_changed_and_an_image_that_is_broken_are_not_used(tmp_path, large):
    run(tmp_path)
    for image in kept(tmp_path):
        image.write_bytes(image.read_bytes()[:1000])
    (large / "b.jpg").write_bytes(encoded(gradient(3000, 2000), "JPEG"))
    run(tmp_path, "--force")
    again = {r["rel_path"]: r for r in records(tmp_path / "captions.jsonl")[3:]}
    assert again["a.jpg"]["status"] == again["b.jpg"]["status"] == "success"
    assert "3000x2000" in again["b.jpg"]["caption"]
    assert (
        min(f.stat().st_size for f in kept(tmp_path) if again["a.jpg"]["content_sha256"] in f.name)
        > 1000
    )


def test_there_are_never_more_than_were_allowed(tmp_path, large):
    run(tmp_path)
    sizes = [f.stat().st_size for f in kept(tmp_path)]
    for image in kept(tmp_path):
        os.utime(image, (1, 1))
    (large / "c.jpg").write_bytes(encoded(gradient(2400, 1600), "JPEG"))
    run(tmp_path, keep=f"{(max(sizes) + 10) / 1e9:.9f}")
    (left,) = kept(tmp_path)
    assert left.stat().st_mtime > 1, "the older ones made room"


def test_a_lower_bound_holds_also_for_what_is_used_again(tmp_path, large):
    run(tmp_path)
    smaller = min(f.stat().st_size for f in kept(tmp_path))
    for image in kept(tmp_path):
        os.utime(image, (2**32, 2**32))  # a clock was wrong
    run(tmp_path, "--force", keep=f"{(smaller + 10) / 1e9:.9f}")
    assert sum(f.stat().st_size for f in kept(tmp_path)) <= smaller + 10


def test_forget_deletes_the_kept_image_and_off_keeps_none(tmp_path, large):
    run(tmp_path, keep="0")
    assert not (tmp_path / FOLDER).exists()
    run(tmp_path, "--force")
    wanted = next(r for r in records(tmp_path / "captions.jsonl") if r["rel_path"] == "a.jpg")
    assert caption("forget", "a.jpg", cwd=tmp_path).returncode == 0
    (left,) = kept(tmp_path)
    assert wanted["content_sha256"] not in left.name


def test_its_bytes_go_to_a_provider_as_they_are_where_they_are_what_it_wants(tmp_path, large):
    run(tmp_path)
    spoil(large)
    with OpenAIServer() as server:
        model = ("--backend=compatible", "--model=llava:latest", f"--base-url={server.base_url}")
        run(tmp_path, "--max-edge=1536", backend=model)
        bodies = [seen.body for seen in server.captions_asked()]
    images = kept(tmp_path)
    assert images
    for image in images:
        assert any(base64.b64encode(image.read_bytes()) in body for body in bodies)


def test_a_stage_is_given_the_kept_image(tmp_path, large):
    """The shape of the photo as its owner sees it, at the edge that the stage asks for."""
    seen = {}

    def embed(images):
        seen.update({image.size: image.getpixel((5, 5)) for image in images})
        return np.ones((len(images), 2), np.float32)

    run(tmp_path)
    (large / "small.jpg").unlink()
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        embed_photos(large, find(large), library, embed, "by photo", 96, Silent())
    by_photo, before = dict(seen), seen.clear()
    spoil(large)
    images = CleanImages(tmp_path / "library.db", 10**9, pytest.fail)
    with Library.open(tmp_path / "library.db", pytest.fail, images) as library:
        done = embed_photos(large, find(large), library, embed, "by image", 96, Silent())
    assert before is None
    assert not done.outcomes.failures
    assert seen.keys() == by_photo.keys() == {(72, 96), (96, 72)}
    for size, pixel in seen.items():
        assert max(abs(a - b) for a, b in zip(pixel, by_photo[size], strict=True)) < 8


def test_an_image_that_was_dropped_does_not_end_the_keeping(tmp_path):
    hashes = [f"{number:064x}" for number in range(5)]
    kept = CleanImages(tmp_path / "library.db", 250, pytest.fail)
    kept.save(hashes[0], b"x" * 100)
    kept.save(hashes[1], b"x" * 100)
    later = CleanImages(tmp_path / "library.db", 250, pytest.fail)
    later.drop(hashes[0])
    for content in hashes[2:4]:
        later.save(content, b"x" * 100)
    assert [later.find(content) is not None for content in hashes[:4]] == [False, False, True, True]


def test_the_last_room_on_the_disk_is_left_to_the_journal(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    told = []
    images = CleanImages(tmp_path / "library.db", 10**9, told.append)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(99_000_000))
    images.save("a" * 64, b"jpeg")
    assert images.find("a" * 64) is None
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(101_000_000))
    images.save("a" * 64, b"jpeg")
    assert images.find("a" * 64).read_bytes() == b"jpeg"


def test_doctor_counts_them(tmp_path, large):
    run(tmp_path)
    told = [line for line in caption("doctor", cwd=tmp_path).stdout.splitlines() if "clean" in line]
    assert "2 clean images" in told[0]
