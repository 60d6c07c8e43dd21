"""`write --to embedded`: words inside the photos, and a library that goes on knowing them."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from picture_captioner.batch.ledger import AskedPhoto, JobLedger
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from picture_captioner.metadata.xmp_packet import Region, XmpPacket
from picture_captioner.pipeline.people.people_file import read_decisions
from picture_captioner.writeback.containers import take_apart
from tests.needs import need
from tests.support import ROOT, caption, draw, environment, open_database, records
from tests.writeback.support import HERE, contents, facts_of, journal, sha
from tests.writeback.test_sidecars import digikam, immich, lightroom, photoprism

pytestmark = pytest.mark.needs("exiftool")
INSIDE = ("--to=embedded",)


def asks_nobody(folder):
    """A run with `--stale content` that has nothing to do; whoever is asked would refuse."""
    flags = ["--backend=openai", "--model=m", "--base-url=http://127.0.0.1:9/v1", "--stale=content"]
    done = caption("run", *HERE, *flags, cwd=folder, OPENAI_API_KEY="k")
    assert (done.returncode, "Nothing to do" in done.stderr) == (0, True), done.stderr


def packet(path):
    return XmpPacket(take_apart(path.read_bytes()).xmp)


@pytest.fixture
def here(tmp_path):
    """Two photos with captions: one of the user's own words and a camera's, one of another kind."""
    exif = Image.Exif()
    exif[270] = "OLYMPUS DIGITAL CAMERA         "
    own = XmpPacket()
    own.set_items("dc:subject", ["grandma", "Rome 2019"])
    photos = tmp_path / "photos"
    draw(photos / "a.jpg", 1, (64, 48), exif=exif, xmp=own.to_bytes())
    draw(photos / "b.png", 2, (64, 48))
    Image.new("RGB", (8, 8)).save(photos / "c.bmp")
    journal(
        tmp_path,
        {
            name: {"caption": f"A square, {name}", "tags": ["square", "Animal > Dog"],
                   "cost_usd": 0.5, "requests": 1, "prompt_sha256": "p", **facts_of(photos / name)}
            for name in ("a.jpg", "b.png", "c.bmp")
        },
    )  # fmt: skip
    return tmp_path


def write(folder, *flags, code=0):
    done = caption("write", *HERE, *INSIDE, *flags, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    return done


def test_written_seen_repeated_and_undone(here):
    before, times = contents(here), (here / "photos" / "a.jpg").stat().st_mtime_ns
    dry = caption("write", *HERE, *INSIDE, "--dry-run", cwd=here)
    assert (dry.returncode, contents(here)) == (0, before)
    assert "~~~ a.jpg\n" in dry.stdout
    assert "  - EXIF:ImageDescription: OLYMPUS DIGITAL CAMERA\n" in dry.stdout
    assert "+++ c.bmp.xmp\n" in dry.stdout
    done = write(here)
    assert json.loads(done.stdout) == {"written": 3, "beside instead": 1, "instead of .bmp": 1}
    after = contents(here)
    assert {n for n in after if after[n] != before.get(n)} == {
        "photos/a.jpg", "photos/b.png", "photos/c.bmp.xmp",
    }  # fmt: skip
    assert json.loads(write(here).stdout)["unchanged"] == 3
    assert contents(here) == after
    undone = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert json.loads(undone.stdout) == {"restored byte for byte": 3}
    assert contents(here) == before
    assert (here / "photos" / "a.jpg").stat().st_mtime_ns == times


@pytest.mark.parametrize("to", ["embedded", "both"])
def test_every_reader_sees_the_users_words_and_ours(here, to):
    caption("write", *HERE, f"--to={to}", "--include=a.jpg", cwd=here)
    seen = packet(here / "photos" / "a.jpg")
    if to == "both":
        seen = XmpPacket((here / "photos" / "a.jpg.xmp").read_bytes())
    for reader in (immich, digikam, lightroom, photoprism):
        description, tags = reader(seen, None)
        assert description == "A square, a.jpg"
        assert {"grandma", "Rome 2019", "square"} <= tags
    command = [need("exiftool"), "-j", "-G1", "-a", here / "photos" / "a.jpg"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    # Immich takes ImageDescription first, and EXIF's before XMP's.
    assert said["IFD0:ImageDescription"] == "A square, a.jpg"
    assert said["XMP-dc:Subject"] == ["grandma", "Rome 2019", "square", "Dog"]


def test_a_new_caption_takes_the_place_of_our_own_and_of_nobody_elses(here):
    caption("write", *HERE, "--to=both", cwd=here)
    (here / "library.db").unlink()  # so that what stands inside is read again
    lines = (here / "c.jsonl").read_text().splitlines()
    last = json.loads(lines[-1 - [json.loads(x)["rel_path"] for x in lines[::-1]].index("a.jpg")])
    with open(here / "c.jsonl", "a") as file:
        file.write(json.dumps({**last, "caption": "A newer one"}) + "\n")
    done = caption("write", *HERE, "--to=both", "--json", cwd=here)
    assert json.loads(done.stdout)["written"] == 2, done.stderr
    assert packet(here / "photos" / "a.jpg").text("dc:description") == "A newer one"
    beside = XmpPacket((here / "photos" / "a.jpg.xmp").read_bytes())
    assert beside.text("dc:description") == "A newer one"


def test_the_next_run_pays_for_nothing_and_nothing_is_stale(here):
    """Not after a write, not after an undo, not where the library is new: asked of a server."""
    journal_lines = len(records(here / "c.jsonl"))
    for command in (("write", *INSIDE), ("undo", "--all"), ("write", *INSIDE)):
        caption(*command, *HERE, cwd=here)
        asks_nobody(here)
    lines = records(here / "c.jsonl")
    assert len(lines) > journal_lines
    assert sum(line.get("cost_usd", 0) for line in lines) == 1.5
    assert lines[-1]["caption"] == f"A square, {lines[-1]['rel_path']}"
    assert lines[-1]["content_sha256"] == sha(here / "photos" / lines[-1]["rel_path"])
    assert "carried_from" in lines[-1]


def test_an_edited_caption_and_a_failed_redo_stay_what_they_are(here):
    name, known = "a.jpg", facts_of(here / "photos" / "a.jpg")
    more = [
        {"rel_path": name, "caption": "A human's", "status": "success", "edited": True, **known},
        {"rel_path": name, "caption": None, "status": "error_api", "backend": "openai",
         "model": "m", **known},
    ]  # fmt: skip
    with open(here / "c.jsonl", "a") as file:
        file.writelines(json.dumps(line) + "\n" for line in more)
    write(here, "--include=a.jpg")
    human, failed = records(here / "c.jsonl")[-2:]
    assert (human["caption"], human["edited"]) == ("A human's", True)
    assert failed["status"] == "error_api"
    assert human["content_sha256"] == failed["content_sha256"] == sha(here / "photos" / name)


def test_what_library_db_and_people_know_goes_along_and_comes_back(here):
    from picture_captioner.people.decisions import FaceKey
    from picture_captioner.people.faces import Box
    from picture_captioner.pipeline.people.people_file import PeopleFile

    photo, twin = here / "photos" / "a.jpg", here / "photos" / "twin.jpg"
    twin.write_bytes(photo.read_bytes())
    old = sha(photo)
    vector = np.eye(8, dtype=np.float32)[0]
    with Library.open(here / "library.db", pytest.fail) as db:
        for path in (photo, twin):
            status = path.stat()
            db.facts.save_file(path.name, status.st_size, status.st_mtime_ns, old)
        db.save_vectors("embedder", [old], vector[None])
        face = StoredFace(
            0, (1.0, 2.0, 30.0, 30.0), 0.9, 30.0, np.zeros((5, 2), np.float32), vector
        )
        db.faces.save(old, "detector", "recogniser", [face])
    people = PeopleFile(here / "people.jsonl")
    key = str(FaceKey(old, Box(1, 2, 30, 30)))
    people.decide(
        {"kind": "name", "person": "p1", "name": "Anna"},
        {"kind": "confirm", "person": "p1", "faces": [key]},
    )
    people.close()
    write(here, "--include=a.jpg")
    new = sha(photo)
    assert new != old
    with Library.open(here / "library.db", pytest.fail) as db:
        for content in (old, new):  # the twin has the old one
            assert db.vectors("embedder", [content])[0].all()
            assert len(db.faces.of_photo(content)) == 1
        status = photo.stat()
        assert (
            db.facts.of_file(photo.name, status.st_size, status.st_mtime_ns).content_sha256 == new
        )
    said = read_decisions(here / "people.jsonl")[0].persons["p1"]
    assert said.confirmed == {key, key.replace(old, new)}
    with_decision = PeopleFile(here / "people.jsonl")
    with_decision.decide({"kind": "not_person", "person": "p1", "face": key.replace(old, new)})
    with_decision.close()
    caption("undo", *HERE, "--all", cwd=here)
    with Library.open(here / "library.db", pytest.fail) as db:
        assert db.facts.of_file(photo.name, *facts_of_file(photo)).content_sha256 == old
        assert len(db.faces.of_photo(old)) == 1
    caption("forget", "a.jpg", "twin.jpg", *HERE, cwd=here)
    assert old not in (here / "people.jsonl").read_text()
    assert new not in (here / "people.jsonl").read_text()


def known_by_content(folder, content):
    """The rows of every table that know this content, without the content and ids."""
    found = {}
    with open_database(folder / "library.db") as db:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            key = next((name for name in ("content", "key") if name in names), None)
            if key is None or ("rel_path" in names and table != "told"):
                continue
            kept = ", ".join(name for name in names if name not in {key, "id"}) or "1"
            where = f"WHERE {key} = ?"
            rows = db.execute(f"SELECT {kept} FROM {table} {where}", (content.encode(),))
            if some := sorted(map(repr, rows)):
                found[table] = some
    return found


@pytest.mark.parametrize("captions", [["One"], ["One", "Another"]])
def test_every_copy_of_a_photo_goes_on_being_known(here, captions):
    """Of files with the same bytes one took what was known, and the others were read again."""
    photo = here / "photos" / "a.jpg"
    copies = [photo, here / "photos" / "a2.jpg", here / "photos" / "sub" / "a3.jpg"]
    for copy in copies[1:]:
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(photo.read_bytes())
    old = sha(photo)
    said = {
        copy.relative_to(here / "photos").as_posix(): captions[number % len(captions)]
        for number, copy in enumerate(copies)
    }
    journal(
        here,
        {
            name: {"caption": text, "tags": ["t"], **facts_of(here / "photos" / name)}
            for name, text in said.items()
        },
    )
    done = caption("process", *HERE, "--stage=normalize", "--stage=metadata", cwd=here)
    assert done.returncode == 0, done.stderr
    with Library.open(here / "library.db", pytest.fail) as db:
        db.texts.save(old, "reader", [("EXIT 4711", 0.9, ((0.0, 0.0),) * 4)])
        db.ledger.note(old, "text", "reader")
        db.save_vectors("embedder", [old], np.eye(8, dtype=np.float32)[:1])
    before = known_by_content(here, old)
    assert {"stages", "texts", "told", "vectors", "thumbnails", "written"} <= before.keys()

    def found(words):
        shown = caption("search", *HERE, "--all", "--captions-only", "--json", words, cwd=here)
        return {hit["rel_path"] for hit in json.loads(shown.stdout)}

    assert found("4711") == found("grandma") == said.keys()
    write(here)
    new = {sha(copy) for copy in copies}
    assert old not in new
    assert len(new) == len(captions)
    for content in new:
        assert known_by_content(here, content) == before
    assert found("4711") == found("grandma") == said.keys()
    assert json.loads(caption("undo", *HERE, "--all", "--json", cwd=here).stdout)
    assert {sha(copy) for copy in copies} == {old}
    assert known_by_content(here, old) == before
    assert found("4711") == found("grandma") == said.keys()


def facts_of_file(path):
    return path.stat().st_size, path.stat().st_mtime_ns


def test_a_photo_that_somebody_edited_since_loses_our_words_alone(here):
    write(here, "--include=a.jpg")
    photo = here / "photos" / "a.jpg"
    command = [need("exiftool"), "-q", "-overwrite_original", "-XMP-dc:Subject+=theirs", photo]
    subprocess.run(command, check=True)
    done = caption("undo", *HERE, "--all", cwd=here)
    assert "a.jpg was changed by somebody since: our own values alone" in done.stderr
    left = packet(photo)
    assert left.items("dc:subject") == ["grandma", "Rome 2019", "theirs"]
    assert left.text("dc:description") is None
    assert b"OLYMPUS DIGITAL CAMERA" in photo.read_bytes()
    assert records(here / "c.jsonl")[-1]["content_sha256"] == sha(photo)


def test_keywords_that_exiftool_moved_to_its_own_spelling_are_taken_out(here):
    own = XmpPacket()
    own.set_items("MicrosoftPhoto:LastKeywordXMP", ["grandma"])
    photo = draw(here / "photos" / "a.jpg", 1, (64, 48), xmp=own.to_bytes())
    journal(here, {"a.jpg": {"caption": "A square", "tags": ["square", "Animal > Dog"]}})
    write(here, "--include=a.jpg")
    assert packet(photo).items("MicrosoftPhoto:LastKeywordXMP") == [
        "grandma",
        "square",
        "Animal/Dog",
    ]
    command = [need("exiftool"), "-q", "-overwrite_original", "-XMP:Rating=5", photo]
    subprocess.run(command, check=True)
    assert caption("undo", *HERE, "--all", cwd=here).returncode == 0
    command = [need("exiftool"), "-j", "-XMP:All", photo]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    assert (said["LastKeywordXMP"], said["Rating"]) == ("grandma", 5)
    assert b"square" not in photo.read_bytes()


def test_photos_that_are_not_there_can_still_be_taken_back(here):
    before = contents(here)
    write(here)
    photo, away = here / "photos" / "a.jpg", here / "a.jpg"
    photo.rename(away)
    done = caption("undo", *HERE, "--all", "--json", cwd=here)
    assert (done.returncode, "not there now" in done.stdout) == (66, True), done.stderr
    away.rename(photo)
    assert caption("undo", *HERE, "--all", cwd=here).returncode == 0
    assert contents(here) == before


def test_undo_tells_the_library_that_was_named_and_makes_none(here):
    photo = here / "photos" / "a.jpg"
    old, named = sha(photo), "--library-db=other.db"
    written = write(here, "--include=a.jpg", named)
    assert f"undo {' '.join(HERE)} {named} --run=" in written.stderr
    assert caption("undo", *HERE, named, "--all", cwd=here).returncode == 0
    with Library.open(here / "other.db", pytest.fail) as db:
        assert db.facts.of_file(photo.name, *facts_of_file(photo)).content_sha256 == old
    write(here, "--include=a.jpg", named)
    caption("undo", *HERE, "--all", cwd=here)
    assert sha(photo) == old
    assert not (here / "library.db").exists()


@pytest.mark.parametrize("words", [("undo", "--list"), ("forget", "b.png")])
def test_the_copy_that_a_killed_write_left_goes(here, words):
    write(here, "--include=a.jpg")
    left = draw(here / ".c.exiftool" / "photo.jpg", 1).parent
    assert caption(*words, *HERE, cwd=here).returncode == 0
    assert not left.exists()


def test_a_photo_whose_picture_somebody_changed_is_stale_as_it_should_be(here):
    write(here, "--include=a.jpg")
    photo = here / "photos" / "a.jpg"
    lines, xmp = records(here / "c.jsonl"), take_apart(photo.read_bytes()).xmp
    draw(photo, 9, (64, 48), xmp=xmp)
    caption("undo", *HERE, "--all", cwd=here)
    assert packet(photo).text("dc:description") is None
    assert records(here / "c.jsonl") == lines


def test_keep_times_and_without(here):
    photo = here / "photos" / "a.jpg"
    os.utime(photo, ns=(10**18, 10**18))
    write(here, "--include=a.jpg", "--keep-times")
    assert photo.stat().st_mtime_ns == 10**18
    write(here, "--include=b.png")
    assert time.time() - (here / "photos" / "b.png").stat().st_mtime < 60


def test_no_exiftool_is_told_before_anything_is_done(here):
    before = contents(here)
    done = caption("write", *HERE, *INSIDE, cwd=here, PATH="/nowhere")
    assert (done.returncode, contents(here)) == (78, before)
    assert "apt-get install libimage-exiftool-perl" in done.stderr
    assert caption("write", *HERE, cwd=here, PATH="/nowhere").returncode == 0


@pytest.mark.parametrize("to", ["embedded", "both"])
def test_the_words_of_a_read_only_photo_go_into_a_sidecar(here, to):
    photo = here / "photos" / "a.jpg"
    photo.chmod(0o444)
    before = photo.read_bytes()
    done = write(here, f"--to={to}")
    assert "a.jpg: it is read-only" in done.stderr
    assert "its words go into a sidecar" in done.stderr
    assert photo.read_bytes() == before
    beside = XmpPacket((here / "photos" / "a.jpg.xmp").read_bytes())
    assert beside.text("dc:description") == "A square, a.jpg"
    assert packet(here / "photos" / "b.png").text("dc:description") == "A square, b.png"
    assert json.loads(write(here, f"--to={to}").stdout)["unchanged"] == 3
    undone = caption("undo", *HERE, "--all", cwd=here)
    assert undone.returncode == 0, undone.stderr
    assert list((here / "photos").glob("*.xmp")) == []


def test_a_read_only_photo_that_has_its_words_is_no_failure_but_to_undo(here):
    write(here)
    (here / "photos" / "a.jpg").chmod(0o444)
    assert "read-only" not in write(here).stderr
    assert not (here / "photos" / "a.jpg.xmp").exists()
    undone = caption("undo", *HERE, "--all", cwd=here)
    assert (undone.returncode, "a.jpg: it is read-only" in undone.stderr) == (74, True)


def test_names_that_only_this_photo_shows_are_areas_inside_it(here):
    own = XmpPacket()
    own.add_regions([Region("Ben", "Face", 0.8, 0.5, 0.2, 0.2)], 64, 48)
    photo = draw(here / "photos" / "own.jpg", 5, (64, 48), xmp=own.to_bytes())
    with open(here / "c.jsonl", "a") as file:
        line = {"rel_path": "own.jpg", "caption": "x", "status": "success", **facts_of(photo)}
        file.write(json.dumps(line) + "\n")
    write(here, "--include=own.jpg")
    assert [r.name for r in packet(photo).regions()] == ["Ben"]


def test_a_photo_that_a_batch_job_has_waits(here):
    photo = here / "photos" / "a.jpg"
    before = photo.read_bytes()
    asked = AskedPhoto(n=0, rel_path="a.jpg", prompt_sha256="p", **facts_of(photo))
    ledger = JobLedger.beside(here / "c.jsonl")
    ledger.intend(ledger.new_job_id(), [asked], [])
    ledger.close()
    done = write(here)
    assert re.search(r" batch collect .*--captions-jsonl=c\.jsonl' first", done.stderr)
    assert "1 photo left alone" in done.stderr
    assert photo.read_bytes() == before
    assert packet(here / "photos" / "b.png").text("dc:description") == "A square, b.png"


def small_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def test_a_full_disk_damages_nothing(here):
    """As with other faults here: no file may grow beyond 3,000 bytes."""
    before = contents(here)
    command = [sys.executable, str(ROOT / "caption.py"), "write", *HERE, *INSIDE]
    done = subprocess.run(
        command, cwd=here, env=environment(), capture_output=True, preexec_fn=small_disk
    )
    assert done.returncode == 74, done.stderr
    assert {n: d for n, d in contents(here).items() if not n.endswith(".xmp")} == before
    assert caption("undo", *HERE, "--all", cwd=here).returncode in {0, 64}
    assert {n: d for n, d in contents(here).items() if not n.endswith(".xmp")} == before


def killed(folder, count, longest):
    import random

    rng, before = random.Random(3), contents(folder)
    pictures = {n: take_apart(d).rest for n, d in before.items() if n.endswith((".jpg", ".png"))}
    lines = [*map(json.dumps, records(folder / "c.jsonl"))]
    command = [sys.executable, str(ROOT / "caption.py")]
    for kill in range(count):
        words = ("undo", "--all") if kill % 3 == 2 else ("write", *INSIDE)
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            [*command, *words, *HERE], cwd=folder, env=environment(), stderr=quiet, stdout=quiet
        )
        time.sleep(rng.uniform(0.4, longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name, picture in pictures.items():
            assert take_apart((folder / name).read_bytes()).rest == picture, name
    asks_nobody(folder)
    assert caption("undo", *HERE, "--all", cwd=folder).returncode in {0, 64}
    assert contents(folder) == before
    assert [*map(json.dumps, records(folder / "c.jsonl"))][: len(lines)] == lines


def many(folder, photos):
    paths = [draw(folder / "photos" / f"{n:03}.jpg", n, (64, 48)) for n in range(photos)]
    known = {p.name: {"caption": f"photo {p.stem}", **facts_of(p)} for p in paths}
    journal(folder, known)
    caption("write", *HERE, "--dry-run", cwd=folder)


def test_kills_leave_no_half_photo_and_nothing_to_pay_twice(tmp_path):
    many(tmp_path, 30)
    killed(tmp_path, 4, 1.5)


@pytest.mark.torture
@pytest.mark.timeout(6000)
def test_a_thousand_kills(tmp_path):
    many(tmp_path, 60)
    killed(tmp_path, 1000, 2.0)
