"""RAW and JPEG of one shot, several names of one file: asked about once, a record for each."""

from __future__ import annotations

import json
import os

import pytest

from tests.images import dng, gradient, noise, write
from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import caption, effective, records

NOW = 1_700_000_000


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def shots(tmp_path):
    """Two shots as RAW and JPEG, a RAW alone, and a JPEG that was exported a day later."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate(("IMG_1", "IMG_2", "alone", "later")):
        (photos / f"{name}.DNG").write_bytes(dng(noise(200 + number, 150)))
        os.utime(photos / f"{name}.DNG", (NOW, NOW + number))
    for number, name in enumerate(("IMG_1", "IMG_2", "later")):
        write(photos / f"{name}.jpg", gradient(300 + number, 200), "JPEG")
        os.utime(photos / f"{name}.jpg", (NOW, NOW + 2 + (86400 if name == "later" else 0)))
    return tmp_path


def run(cwd, server, *flags):
    asked = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
    done = caption("run", *asked, *flags, cwd=cwd, OPENAI_API_KEY="sk-test-0123456789")
    return done, effective(cwd / "captions.jsonl")


@pytest.mark.parametrize("workers", ["1", "8"])
def test_raw_and_jpeg_of_one_shot_are_paid_once(shots, server, workers):
    done, found = run(shots, server, f"--max-workers={workers}")
    assert done.returncode == 0, done.stderr
    assert len(server.captions_asked()) == 5
    assert len(found) == 7
    for name in ("IMG_1", "IMG_2"):
        raw, jpeg = found[f"{name}.DNG"], found[f"{name}.jpg"]
        assert raw["caption"] == jpeg["caption"]
        assert (raw["copied_from"], raw["copied_because"]) == (f"{name}.jpg", "same_shot")
        assert raw["content_sha256"] != jpeg["content_sha256"]
        assert raw["size"] == (shots / "photos" / f"{name}.DNG").stat().st_size
        assert "requests" not in raw
        assert "copied_from" not in jpeg
    assert not {"alone.DNG", "later.DNG", "later.jpg"} & {
        name for name, record in found.items() if "copied_from" in record
    }
    assert "copied" in done.stderr
    done, _ = run(shots, server)
    assert len(server.captions_asked()) == 5, "all are done"


def test_a_raw_file_that_comes_later_takes_the_caption_over(shots, server):
    raw = shots / "photos" / "IMG_1.DNG"
    raw.rename(shots / "aside")
    run(shots, server, "--include=IMG_1*")
    (shots / "aside").rename(raw)
    _, found = run(shots, server, "--include=IMG_1*")
    assert len(server.captions_asked()) == 1
    assert found["IMG_1.DNG"]["copied_because"] == "same_shot"


def test_a_raw_file_that_a_dry_run_could_not_open_has_the_caption_of_its_jpeg(shots, server):
    raw = shots / "photos" / "IMG_1.DNG"
    raw.write_bytes(raw.read_bytes()[:60])
    os.utime(raw, (NOW, NOW))
    assert caption("run", "--dry-run", "--photos-dir=photos", cwd=shots).returncode == 0
    assert effective(shots / "captions.jsonl")["IMG_1.DNG"]["status"] == "error_corrupt"
    done, found = run(shots, server)
    assert done.returncode == 0, done.stderr
    assert found["IMG_1.DNG"]["copied_because"] == "same_shot"
    assert "copied from a photo with the same content, or of the same shot" in done.stderr
    assert "every photo is done" in run(shots, server)[0].stderr


def test_a_raw_file_whose_jpeg_fails_is_asked_about_itself(shots, server):
    (shots / "photos" / "IMG_1.jpg").write_bytes(b"\xff\xd8 broken")
    os.utime(shots / "photos" / "IMG_1.jpg", (NOW, NOW))
    server.script.append(Reply(body=completion("A dog.")))
    done, found = run(shots, server, "--include=IMG_1*")
    assert done.returncode == 0, done.stderr
    assert found["IMG_1.jpg"]["status"] == "error_corrupt"
    assert (found["IMG_1.DNG"]["caption"], len(server.captions_asked())) == ("A dog.", 1)


def test_with_force_both_get_the_new_caption(shots, server):
    run(shots, server, "--include=IMG_1*")
    server.script.append(Reply(body=completion("Another one.")))
    _, found = run(shots, server, "--include=IMG_1*", "--force")
    assert {record["caption"] for record in found.values()} == {"Another one."}
    assert len(server.captions_asked()) == 2


def test_each_name_of_a_file_has_its_record_and_is_paid_once(tmp_path, server):
    photos = tmp_path / "photos"
    photos.mkdir()
    write(photos / "a.jpg", gradient(300, 200), "JPEG")
    os.link(photos / "a.jpg", photos / "b.jpg")
    done, found = run(tmp_path, server)
    assert "1 hard link to other photos (b.jpg)" in done.stderr
    assert len(server.captions_asked()) == 1
    copies = [record for record in found.values() if "copied_from" in record]
    assert [record["copied_because"] for record in copies] == ["same_bytes"]
    assert len(records(tmp_path / "captions.jsonl")) == 2
    (photos / "a.jpg").unlink()
    done, _ = run(tmp_path, server)
    assert len(server.captions_asked()) == 1


def test_an_estimate_counts_a_shot_once(shots, server):
    def estimate():
        asked = ("--backend=openai", "--photos-dir=photos", "--json")
        done = caption("estimate", *asked, cwd=shots, OPENAI_API_KEY="sk-test-0123456789")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["photos"], found["done"], found["remaining"], found["same_shot"]

    assert estimate() == (7, 0, 5, 2)
    done, _ = run(shots, server, "--include=IMG_1.jpg")
    assert done.returncode == 0, done.stderr
    assert estimate() == (7, 1, 4, 2), "a caption that is there is taken over, too"
