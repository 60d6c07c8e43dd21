"""`tag` on the tiny encoder: from stored vectors to search, and only what is new."""

from __future__ import annotations

import csv
import hashlib
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from tests.embedders import checkpoints
from tests.needs import need
from tests.support import ROOT, caption, draw, open_database, report

need("onnx")

OWN = """
[{name}]
choose = "multi"
min_confidence = {least}
prompts = ["a photo of the {{}}."]
terms = {{ dog = "dog", snow = "snow", "city at night" = "city at night" }}
"""


@pytest.fixture
def library(tmp_path):
    for seed in range(4):
        draw(tmp_path / "photos" / f"{seed}.jpg", seed=seed)
    folder = checkpoints.onnx_encoder(tmp_path / "encoder", texts=True)
    config = {"model_type": "siglip", "logit_scale": 1.0, "logit_bias": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.toml").write_text(OWN.format(name="things", least=0.0))
    (tmp_path / "captions.jsonl").write_text("")
    done = report("--photos-dir=photos", "--embedder=onnx", f"--model={folder}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def tag(library, *arguments, code=0):
    done = caption("tag", "--model=encoder", *arguments, cwd=library)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return done.stderr


def stored(library):
    with open_database(library / "library.db") as connection:
        return connection.execute("SELECT category, tag, confidence FROM photo_tags").fetchall()


def states(library):
    done = caption("status", "--photos-dir=photos", "--json", cwd=library)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["stages"]


def test_tags_from_stored_vectors_are_found_and_made_once(library):
    for photo in (library / "photos").iterdir():
        photo.write_bytes(b"")  # no photo is opened
    assert "4 photos tagged in" in tag(library, "--taxonomy=own.toml")
    rows = stored(library)
    assert len(rows) == 12
    assert {(category, name) for category, name, _ in rows} == {
        ("things", name) for name in ("dog", "snow", "city at night")
    }
    assert all(0 < confidence < 1 for *_, confidence in rows)
    assert "Every photo with a vector has its tags" in tag(library, "--taxonomy=own.toml")
    hits = caption("search", "--json", "--all", "tag:snow", cwd=library)
    assert len(json.loads(hits.stdout)) == 4
    listed = json.loads(caption("tags", "list", "--json", cwd=library).stdout)
    assert [row["tag"] for row in listed if row["photos"] == 4] == ["city at night", "dog", "snow"]
    caption("tags", "rename", "snow", "winter", cwd=library)
    hits = caption("search", "--json", "--all", "tag:winter", cwd=library)
    assert len(json.loads(hits.stdout)) == 4
    (library / "own.toml").write_text(OWN.format(name="others", least=1.0))
    assert "4 photos tagged in" in tag(library, "--taxonomy=own.toml")
    assert stored(library) == []
    assert "4 photos tagged" in tag(library, "--taxonomy=own.toml", "--force")


def lines(library, *arguments):
    done = caption(*arguments, "--photos-dir=photos", cwd=library)
    assert done.returncode == 0, done.stderr
    return done


def test_tags_are_on_every_surface_as_they_are_called_now(library):
    photos = library / "photos"
    journal = [
        {
            "rel_path": f"{seed}.jpg", "status": "success", "caption": "A lake",
            "backend": "openai",
            "content_sha256": hashlib.sha256((photos / f"{seed}.jpg").read_bytes()).hexdigest(),
            "size": (photos / f"{seed}.jpg").stat().st_size,
            "mtime_ns": (photos / f"{seed}.jpg").stat().st_mtime_ns, "tags": ["blue"],
        }
        for seed in range(2)
    ]  # fmt: skip
    (library / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in journal))
    assert states(library)["tag"] == {"done": 0, "failed": 0, "stale": 0, "pending": 4}
    tag(library, "--taxonomy=own.toml")
    assert states(library)["tag"] == {"done": 4, "failed": 0, "stale": 0, "pending": 0}
    assert "face tags" not in states(library)
    caption("tags", "rename", "snow", "winter", cwd=library)
    caption("tags", "delete", "dog", cwd=library)

    before = sorted(photos.iterdir())
    lines(library, "write")
    for seed in range(4):  # those without a caption, too
        packet = (photos / f"{seed}.jpg.xmp").read_text()
        assert ("<rdf:li>winter</rdf:li>" in packet, "city at night" in packet) == (True, True)
        assert not ("snow" in packet or "dog" in packet)
        assert ("<rdf:li>blue</rdf:li>" in packet) == (seed < 2)
    lines(library, "undo", "--all")
    assert sorted(photos.iterdir()) == before

    rows = [json.loads(line) for line in lines(library, "export").stdout.splitlines()]
    assert [row.get("tags") for row in rows] == [["blue"]] * 2 + [None] * 2
    for row in rows:
        assert {one["tag"]: one["category"] for one in row["picture_tags"]} == {
            "winter": "things", "city at night": "things",
        }  # fmt: skip
    lines(library, "export", "--format=csv", "--out=edit.csv")
    (row, _) = csv.DictReader((library / "edit.csv").read_text().splitlines())
    assert (row["tags"], set(row["picture_tags"].split("; "))) == (
        "blue",
        {"winter", "city at night"},
    )
    changed = caption("import", "edit.csv", cwd=library).stderr
    assert "0 captions changed, 2 as before" in changed

    done = report("--photos-dir=photos", "--embedder=onnx", "--model=encoder", cwd=library)
    assert done.returncode == 0, done.stderr
    exported = csv.DictReader(
        (library / "report_out" / "cluster_export.csv").read_text().splitlines()
    )
    assert all({"winter", "city at night"} <= set(row["tags"].split("; ")) for row in exported)
    page = (library / "report_out" / "cluster_report.html").read_text()
    assert '"winter"' in page
    assert '"snow"' not in page

    def found(query):
        done = caption("search", "--json", "--all", "--", query, cwd=library)
        return len(json.loads(done.stdout))

    assert [found(q) for q in ("winter", "winters", "tag:winter", "nights", "has:tag")] == [4] * 5
    assert [found(q) for q in ("snow", "dog", "tag:dog", "-winter")] == [0] * 4
    assert found("lake winter") == 2
    assert json.loads(
        lines(library, "write", "tag:winter", "--dry-run", "--json").stdout.split("\n")[0]
    )
    for name in ("winter", "city at night", "blue"):
        caption("tags", "delete", name, cwd=library)
    assert (found("has:tag"), found("-has:tag")) == (0, 4)


def test_a_floor_holds_for_every_surface(library):
    tag(library, "--taxonomy=own.toml", "--min-confidence=0.999")
    assert stored(library) == []
    assert "4 photos tagged" in tag(library, "--taxonomy=own.toml"), "another floor, other tags"
    assert "--min-confidence" in tag(library, "--min-confidence=2", code=64)


def test_tags_of_faces_are_an_experiment_behind_a_flag(library):
    (library / "own.toml").write_text(
        OWN.format(name="things", least=0.0)
        + OWN.format(name="gaze", least=0.0)
        .replace("[gaze]", '[gaze]\ntarget = "face"')
        .replace("dog", "grin")
    )
    assert "No faces are known yet" in tag(library, "--taxonomy=own.toml", "--faces")
    with open_database(library / "library.db") as connection:
        (content,) = connection.execute(
            "SELECT content FROM files WHERE rel_path = x'302e6a7067'"
        ).fetchone()
    with Library.open(library / "library.db", pytest.fail) as db:
        face = StoredFace(
            3,
            (4.0, 4.0, 20.0, 20.0),
            0.9,
            20.0,
            np.zeros((5, 2), np.float32),
            np.ones(8, np.float32),
        )
        db.faces.save(content.decode(), "d", "r", [face])
    told = tag(library, "--taxonomy=own.toml", "--faces", "--photos-dir=photos")
    assert "1 photo with faces tagged" in told
    assert states(library)["face tags"] == {"done": 1, "failed": 0, "stale": 0, "pending": 0}
    with open_database(library / "library.db") as connection:
        rows = connection.execute("SELECT number, category, tag FROM face_tags").fetchall()
    assert (3, "gaze", "grin") in rows
    assert "has its tags" in tag(library, "--taxonomy=own.toml", "--faces", "--photos-dir=photos")
    for query in ("tag:grin", "grins"):
        (hit,) = json.loads(lines(library, "search", "--json", query).stdout)
        assert hit["rel_path"] == "0.jpg"
    assert "grin" not in lines(library, "write", "--dry-run").stdout, "guesses stay here"
    picture = BytesIO()
    Image.new("RGB", (20, 20)).save(picture, "WEBP")
    with Library.open(library / "library.db", pytest.fail) as db:
        db.faces.save(content.decode(), "d", "r", [face, face._replace(number=4)])
        db.faces.save_crops(content.decode(), {3: picture.getvalue()})
    told = tag(library, "--taxonomy=own.toml", "--faces", "--force")
    assert "1 photo with faces cannot be opened" in told
    assert "gaze" not in told, "of a photo with one face that cannot be cut out nothing is kept"
    lines(library, "forget", "0.jpg")
    with open_database(library / "library.db") as connection:
        assert not connection.execute("SELECT * FROM face_tags").fetchall()


def test_a_taxonomy_without_faces_is_named(library):
    assert 'no category with target = "face"' in tag(
        library, "--taxonomy=own.toml", "--faces", code=64
    )


def test_nouns_come_beside_the_taxonomy(library):
    assert "Reading 8,588 terms: once for this model" in tag(library, "--nouns")
    nouns = {name for category, name, _ in stored(library) if category == "noun"}
    assert nouns
    assert len(nouns) <= 40
    assert "Every photo with a vector has its tags" in tag(library, "--nouns")


def test_without_vectors_the_command_that_makes_them_is_said(library):
    with open_database(library / "library.db") as connection:
        connection.execute("DELETE FROM models")
    told = tag(library, code=78)
    assert "no vectors of pictures that texts can be compared with" in told
    assert "process --stage embed" in told


def test_a_siglip_export_without_its_numbers_is_named(library):
    (library / "encoder" / "config.json").write_text('{"model_type": "siglip"}')
    done = report("--photos-dir=photos", "--embedder=onnx", "--model=encoder", cwd=library)
    assert done.returncode == 0, done.stderr
    assert "lacks the numbers logit_scale and logit_bias" in tag(library, code=78)


def test_the_documentation_says_what_nobody_has_seen():
    text = (ROOT / "docs" / "tags.md").read_text(encoding="utf-8")
    assert "no right tag was ever seen" in text
