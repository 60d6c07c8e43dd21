"""`tag` on the tiny encoder: from stored vectors to search, and only what is new."""

from __future__ import annotations

import json

import pytest

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
