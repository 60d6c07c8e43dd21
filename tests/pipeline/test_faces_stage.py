"""The stage `faces` on drawn turns and sizes, with the real weights where they are."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image, ImageFilter

from picture_captioner.errors import ModelError, ModelMissingError
from picture_captioner.image_loader.images import LoadedImage, Traits
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import Metadata
from picture_captioner.people import face_host
from picture_captioner.people.faces import Box
from picture_captioner.people.yunet import YuNet
from picture_captioner.pipeline.stages.base import StagePhoto, StageSettings
from picture_captioner.pipeline.stages.faces import FacesStage, _numbers
from tests.people import weights
from tests.people.dying_host import GREEN, RED
from tests.people.labelled import drawn_boxes, needs_faces, portraits


@pytest.fixture
def stage(tmp_path, people_models):
    made = FacesStage(StageSettings(models_dir=people_models))
    made.check()
    yield made
    made.close()


def photo_of(image, *, content="c" * 64, width=None, oriented=False):
    width = width or image.width
    loaded = LoadedImage(
        image, content, 1, 1, width, round(image.height * width / image.width), "JPEG"
    )
    metadata = Metadata(exif={"Orientation": 1} if oriented else {})
    return StagePhoto("a.jpg", loaded, Traits(metadata, 0.0, 0, b""), image)


@needs_faces
@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])
def test_a_lying_photo_is_turned_unless_it_says_how_it_was_held(stage, turn):
    tried = 0
    for _, upright in portraits():
        lying = upright.transpose(turn)
        [straight], [turned], [said] = (
            stage.work([photo_of(image, oriented=oriented)])
            for image, oriented in ((upright, False), (lying, False), (lying, True))
        )
        if len(straight) != 1 or said:
            continue  # found lying as it is
        tried += 1
        [face] = turned
        x, y, wide, high = straight[0].face.box
        expected = (
            Box(y, upright.width - x - wide, high, wide)
            if turn is Image.Transpose.ROTATE_90
            else Box(upright.height - y - high, x, high, wide)
        )
        assert face.face.box.overlap(expected) > 0.6
        assert face.vector @ straight[0].vector > 0.8
        if tried == 3:
            return
    assert tried, "some lying faces are only found turned"


TURNS = [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270]


@needs_faces
@pytest.mark.parametrize("turn", TURNS)
def test_a_lying_group_is_who_it_is_upright(stage, turn):
    """The detector sees faces that lie, less surely, and eyes and mouth elsewhere."""
    for upright, boxes in drawn_boxes():
        [straight], [turned] = (
            stage.work([photo_of(image)]) for image in (upright, upright.transpose(turn))
        )
        assert len(boxes) <= len(straight) == len(turned)
        for found in straight:
            near = max(turned, key=lambda other: float(other.vector @ found.vector))
            assert near.vector @ found.vector > 0.7


@needs_faces
@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("turn", TURNS)
def test_who_lies_beside_others_is_who_they_are(stage, turn, oriented):
    upright, _ = min(drawn_boxes(), key=lambda drawn: len(drawn[1]))
    [straight] = stage.work([photo_of(upright)])
    wide = Image.new("RGB", (upright.width + max(upright.size), max(upright.size)))
    wide.paste(upright)
    wide.paste(upright.transpose(turn), (upright.width, 0))
    [both] = stage.work([photo_of(wide, oriented=oriented)])
    for found in straight:
        alike = [float(other.vector @ found.vector) > 0.7 for other in both]
        assert sum(alike) == 2, "once upright, once lying"


@needs_faces
def test_a_group_is_not_turned_where_it_is_known_how_the_camera_was_held(people_models):
    detect = YuNet(people_models / "yunet.onnx", threads=1)

    class Counted:
        version, edge, looks = "", 1024, 0

        def __call__(self, photo):
            self.looks += 1
            return detect(photo)

    looks = []
    for upright, _ in drawn_boxes():
        counted = Counted()
        host = face_host.FacesHost(counted, None, None, None)
        assert host._found(upright, oriented=True)
        looks.append(counted.looks)
    assert sorted(looks)[:3] == [1, 1, 1], "of the fourth, one face is unsure"


@needs_faces
@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("turn", TURNS)
def test_who_is_upright_is_known_also_beside_a_surer_face_that_lies(stage, turn, oriented):
    """A baby in somebody's arms, in a photo that does not say how the camera was held."""
    [(_, lying), (_, upright)] = islice(portraits(), 0, 60, 30)
    photo = Image.new("RGB", (640, 480), "gray")
    photo.paste(upright.filter(ImageFilter.GaussianBlur(2.5)), (80, 60))
    photo.paste(lying.transpose(turn).resize((200, 200)), (330, 230))
    [both] = stage.work([photo_of(photo, oriented=oriented)])
    for somebody in (lying, upright):
        [[alone]] = stage.work([photo_of(somebody, oriented=True)])
        assert max(float(found.vector @ alone.vector) for found in both) > 0.6


@needs_faces
def test_a_face_that_fills_the_photo_is_surely_found_and_inside_it(stage):
    """The detector wants ground around a face: profile pictures and cut-out faces have none."""
    for _, portrait in islice(portraits(), 0, None, 11):
        [[face]] = stage.work([photo_of(portrait)])
        assert face.face.score > 0.9
        x, y, width, height = face.face.box
        tight = portrait.crop((round(x), round(y), round(x + width), round(y + height)))
        [[found]] = stage.work([photo_of(tight, oriented=True)])
        assert found.face.score > 0.75
        assert found.vector @ face.vector > 0.7
        left, upper, wide, high = found.face.box
        assert min(left, upper) >= 0
        assert left + wide <= tight.width + 0.01
        assert upper + high <= tight.height + 0.01


@needs_faces
def test_boxes_are_those_of_the_full_size_photo_and_inside_it(stage):
    image = next(portraits())[1]
    [small] = stage.work([photo_of(image)])
    [large] = stage.work([photo_of(image, width=4 * image.width)])
    assert np.allclose(np.array(large[0].face.box), 4 * np.array(small[0].face.box), rtol=0.01)
    cut = image.crop((int(small[0].face.box.x + small[0].face.box.width / 3), 0, *image.size))
    [at_border] = stage.work([photo_of(cut)])
    for found in at_border:
        assert found.face.box.x >= 0
        assert found.face.box.x + found.face.box.width <= cut.width + 0.01


@pytest.mark.parametrize("size", [(1, 1), (15, 900), (640, 480)])
def test_photos_without_a_face(stage, size):
    assert stage.work([photo_of(Image.new("RGB", size, "gray"))]) == [[]]


def test_a_photo_that_takes_the_models_along_costs_itself(people_models, monkeypatch):
    """Their process dies of one photo and hangs on another; the others in the batch are done."""
    monkeypatch.setattr(face_host, "HOST", "tests.people.dying_host:host_faces")
    notices = []
    made = FacesStage(StageSettings(models_dir=people_models, notice=notices.append))
    made.check()
    colours = ["gray", RED, "white", GREEN, "gray"]
    photos = [photo_of(Image.new("RGB", (64, 64), colour)) for colour in colours]
    found = made.work(photos)
    made.close()
    assert [found[i] for i in (0, 2, 4)] == [[], [], []]
    assert [(type(found[i]), found[i].code) for i in (1, 3)] == [(ModelError, "process_died")] * 2
    assert "took over 30 s" in str(found[3])
    assert any("asked again, one at a time" in notice for notice in notices)


@needs_faces
def test_what_is_stored_is_found_again_under_its_number(stage, tmp_path):
    photo = photo_of(next(portraits())[1])
    with Library.in_memory(pytest.fail) as library:
        [found] = stage.work([photo])
        stage.store(library, photo, found)
        before = library.faces.of_photo(photo.content_sha256)
        stage.store(library, photo, [replace_box(f, 1.0) for f in found])
        assert [n for n, _ in library.faces.of_photo(photo.content_sha256)] == [
            n for n, _ in before
        ]


def replace_box(found, shift):
    x, y, wide, high = found.face.box
    return found._replace(face=replace(found.face, box=Box(x + shift, y, wide, high)))


def test_a_new_face_gets_a_new_number():
    old = {0: Box(0, 0, 10, 10), 3: Box(100, 0, 10, 10)}
    assert _numbers([Box(101, 0, 10, 10), Box(50, 50, 9, 9)], old) == [3, 4]
    assert _numbers([Box(0, 0, 10, 10)], {}) == [0]


def test_the_version_tells_the_detector_the_threshold_and_the_recogniser(people_models, tmp_path):
    versions = set()
    for score in (0.6, 0.8):
        made = FacesStage(StageSettings(models_dir=people_models, face_score=score))
        made.check()
        versions.add(made.version)
        made.close()
    assert versions == {
        "yunet:0.6+sface-2021dec:five-points",
        "yunet:0.8+sface-2021dec:five-points",
    }
    renamed = tmp_path / "mine"
    renamed.mkdir()
    for number, path in enumerate(sorted(weights.FOLDER.glob("*.onnx"))):
        shutil.copy(path, renamed / f"{number}.onnx")
    notices = []
    made = FacesStage(StageSettings(models_dir=renamed, notice=notices.append))
    made.check()
    made.close()
    assert (made.version in versions, notices) == (True, [])


def test_a_file_of_ones_own_under_the_models_name_is_used_and_told(people_models, tmp_path):
    notices = []
    made = FacesStage(StageSettings(models_dir=people_models, notice=notices.append))
    made.check()
    made.close()
    assert [
        str(people_models / f"{name}.onnx") in said
        for name, said in zip(("yunet", "sface"), notices, strict=True)
    ] == [True, True]
    damaged = tmp_path / "face_recognition_sface_2021dec.onnx"
    damaged.write_bytes(bytes(38_696_353))
    shutil.copy(people_models / "yunet.onnx", tmp_path)
    with pytest.raises(ModelMissingError, match="sface"):
        FacesStage(StageSettings(models_dir=tmp_path)).check()
