"""Detector and recogniser with their real weights, on labelled photos."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from picture_captioner.people.align import PLACES, aligned, similarity
from picture_captioner.people.clustering import SAME_PERSON, cluster
from tests.people.labelled import drawn_boxes, needs_faces, portraits
from tests.support import ROOT

FACELESS = ["2024-07-lake/mountain_lake.jpg", "2024-07-lake/pizza.jpg", "screenshots/settings.png"]


@needs_faces
def test_every_drawn_box_is_found_and_little_else(detect):
    missed = extra = 0
    for photo, boxes in drawn_boxes():
        faces = detect(photo)
        found = {max(range(len(faces)), key=lambda i: faces[i].box.overlap(b)) for b in boxes}
        missed += sum(max(f.box.overlap(b) for f in faces) < 0.3 for b in boxes)
        extra += len(faces) - len(found)
    assert (missed, extra <= 1) == (0, True)


@needs_faces
def test_a_box_stays_where_it_is_whatever_the_size_of_the_photo(detect):
    photo, boxes = next(drawn_boxes())
    for factor in (0.5, 1.7, 3.0):
        size = (round(photo.width * factor), round(photo.height * factor))
        faces = detect(photo.resize(size))
        for box in boxes:
            assert max(f.box.scaled(1 / factor).overlap(box) for f in faces) > 0.3


@pytest.mark.parametrize("name", FACELESS)
def test_no_face_where_there_is_none(detect, name):
    with Image.open(ROOT / "examples" / "photos" / name) as image:
        assert detect(image.convert("RGB")) == []


@pytest.mark.parametrize("size", [(1, 1), (5000, 3), (3, 2000), (640, 640)])
def test_odd_sizes_are_looked_at(detect, size):
    assert detect(Image.new("RGB", size, "gray")) == []


@needs_faces
def test_one_person_is_near_and_another_is_not(detect, recognise):
    who, vectors = [], []
    for identity, photo in portraits():
        faces = detect(photo)
        largest = max(faces, key=lambda face: face.box.width * face.box.height)
        who.append(identity)
        vectors.append(recognise(photo, [largest])[0])
    matrix = np.stack(vectors)
    near = matrix @ matrix.T > SAME_PERSON
    pairs = list(itertools.combinations(range(len(who)), 2))
    same = [near[i, j] for i, j in pairs if who[i] == who[j]]
    different = [near[i, j] for i, j in pairs if who[i] != who[j]]
    assert np.mean(same) >= 0.99
    assert np.mean(different) <= 0.0159
    labels = cluster(matrix).labels
    groups = {tuple(sorted({who[i] for i in np.flatnonzero(labels == n)})) for n in range(5)}
    assert groups == {(identity,) for identity in set(who)}
    assert (labels < 0).sum() <= 2


@needs_faces
def test_a_turned_face_is_turned_back(detect, recognise):
    photo = next(portraits())[1]
    [straight] = recognise(photo, detect(photo)[:1])
    tilted = photo.rotate(25, expand=True)
    [again] = recognise(tilted, detect(tilted)[:1])
    assert straight @ again > 0.8


def test_the_transform_brings_landmarks_to_their_places():
    angle, scale, move = 0.4, 3.0, np.array([200.0, 150.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = scale * PLACES @ turn.T + move
    matrix = similarity(PLACES, landmarks)
    assert np.allclose(PLACES @ matrix[:, :2].T + matrix[:, 2], landmarks)
    mirrored = similarity(PLACES, PLACES * [-1, 1])
    assert np.linalg.det(mirrored[:, :2]) > 0, "a face is never mirrored"


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0, 7.3])
def test_a_chip_shows_the_same_whatever_the_scale(scale):
    """A smooth picture cut out at any scale is the same picture."""
    points = (PLACES * scale + 40).astype(np.float32)
    size = round(112 * scale + 90)
    ramp = (np.indices((size, size)) - 40) / scale
    picture = np.stack([ramp[1] * 2, ramp[0] * 2, np.full((size, size), 90)], axis=2)
    chip = np.asarray(aligned(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), points))
    expected = np.arange(112) * 2.0
    assert np.abs(chip[50, 4:-4, 0] - expected[4:-4]).max() <= 3
    assert np.abs(chip[4:-4, 50, 1] - expected[4:-4]).max() <= 3


def test_landmarks_outside_the_photo_give_a_chip_all_the_same():
    photo = Image.new("RGB", (50, 40), "white")
    for move in (-500, 30, 500):
        chip = aligned(photo, (PLACES * 6 + move).astype(np.float32))
        assert chip.size == (112, 112)
