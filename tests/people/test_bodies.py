"""Bodies: what D-FINE gives is read as transformers reads it, and faces find their bodies.

The model is tiny and random: no trained one can be had where the tests run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from picture_captioner.cli.caption_app import execute
from picture_captioner.errors import ConfigurationError
from picture_captioner.library.faces import StoredBody, StoredFace
from picture_captioner.library.store import Library
from picture_captioner.people import dfine
from picture_captioner.people.bodies import bodies_of
from picture_captioner.people.faces import Box
from picture_captioner.pipeline.stages.base import StageSettings
from picture_captioner.pipeline.stages.faces import BodiesStage
from tests.needs import need


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The model in torch, and the file to which it was exported."""
    torch = need("torch")
    transformers = need("transformers")
    torch.manual_seed(3)
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        embeddings_size=8,
        hidden_sizes=[16, 16, 32, 32],
        depths=[1, 1, 1, 1],
        stage_in_channels=[8, 16, 16, 32],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 16, 32, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_indices=[2, 3, 4],
    )
    model = transformers.DFineForObjectDetection(
        transformers.DFineConfig(
            backbone_config=backbone,
            encoder_in_channels=[16, 32, 32],
            encoder_hidden_dim=16,
            encoder_ffn_dim=16,
            encoder_attention_heads=2,
            d_model=16,
            num_queries=40,
            decoder_in_channels=[16, 16, 16],
            decoder_ffn_dim=16,
            decoder_n_points=[2, 2, 2],
            decoder_layers=2,
            decoder_attention_heads=2,
            num_denoising=0,
            num_labels=80,
        )
    ).eval()
    with torch.no_grad():  # of an untrained one every score is .01
        for name, parameter in model.named_parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
            if "class_embed" in name and name.endswith("bias"):
                parameter.fill_(-4)
                parameter[dfine.PERSON] = 2.35  # some of its scores are above .5, some below
    path = tmp_path_factory.mktemp("dfine") / "tiny.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, dfine.EDGE, dfine.EDGE),),
            path,
            input_names=["pixel_values"],
            output_names=["logits", "pred_boxes"],
            dynamo=False,
            opset_version=17,
        )
    return model, path


def made_photo(corner=0):
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    photo = Image.fromarray(noise).resize((960, 720), Image.Resampling.BICUBIC)
    photo.putpixel((0, 0), (corner, 0, 0))
    return photo


def theirs(model, photo):
    import torch
    from transformers import RTDetrImageProcessor

    processor = RTDetrImageProcessor()
    with torch.no_grad():
        answer = model(**processor(images=photo, return_tensors="pt"))
    [found] = processor.post_process_object_detection(
        answer, threshold=dfine.SCORE, target_sizes=[(photo.height, photo.width)]
    )
    persons = found["labels"] == dfine.PERSON
    return found["scores"][persons].numpy(), found["boxes"][persons].numpy()


def test_it_finds_what_transformers_finds(tiny, monkeypatch):
    monkeypatch.setattr(dfine, "SAME", 1.0)
    model, path = tiny
    photo = made_photo()
    scores, boxes = theirs(model, photo)
    ours = dfine.DFine(path)(photo)
    assert len(ours) == len(scores) > 3
    assert np.allclose([body.score for body in ours], scores, atol=0.02)
    for body, box in zip(ours, boxes, strict=True):
        left, upper, right, lower = np.clip(box, 0, [960, 720, 960, 720])
        assert np.allclose(body.box, [left, upper, right - left, lower - upper], atol=4)


def test_of_two_boxes_around_one_body_the_surer_stays(tiny, monkeypatch):
    _, path = tiny
    detect = dfine.DFine(path)
    rows = [(0.5, 0.5, 0.4, 0.8), (0.5, 0.51, 0.4, 0.8), (0.9, 0.5, 0.4, 0.8), (2, 2, 0.1, 0.1)]
    logits = np.full((1, 5, 80), -9.0, np.float32)
    logits[0, :4, dfine.PERSON] = [1, 2, 3, 4]
    logits[0, 4, dfine.PERSON + 1] = 5  # a bicycle
    boxes = np.array([[*rows, rows[0]]], np.float32)
    monkeypatch.setattr(detect._graph, "run", lambda *_: [logits, boxes])
    found = detect(Image.new("RGB", (200, 100)))
    assert [np.round(body.box).tolist() for body in found] == [[140, 10, 60, 80], [60, 11, 80, 80]]


ADULT, CHILD, NEIGHBOUR = Box(0, 0, 100, 300), Box(30, 150, 50, 150), Box(90, 10, 100, 290)
HEAD, CHILDS, BESIDE = Box(30, 5, 40, 50), Box(42, 155, 25, 30), Box(120, 15, 40, 50)


@pytest.mark.parametrize(
    ("faces", "bodies", "pairs"),
    [
        ([HEAD], [ADULT], {0: 0}),
        ([HEAD], [], {}),  # a face alone
        ([], [ADULT], {}),  # somebody from behind
        ([CHILDS, HEAD], [ADULT, CHILD], {0: 1, 1: 0}),  # a child before an adult
        ([HEAD, BESIDE], [NEIGHBOUR, ADULT], {0: 1, 1: 0}),  # boxes that overlap
        ([Box(30, 200, 40, 50)], [ADULT], {}),  # a face at the knees is another's
        ([Box(110, 5, 40, 50)], [ADULT], {}),  # one beside the body
        ([Box(20, 20, 160, 200)], [Box(0, 0, 200, 240)], {0: 0}),  # cut off below the chin
        ([HEAD, Box(32, 8, 38, 48)], [ADULT], {0: 0}),  # two faces are not one body's
        ([HEAD], [Box(0, 0, 0, 0), Box(40, 20, 10, 10)], {}),  # a body smaller than the face
    ],
)
def test_a_face_belongs_to_the_body_whose_upper_part_holds_it(faces, bodies, pairs):
    assert bodies_of(faces, bodies) == pairs


def command(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert execute([*map(str, arguments)]) == 0
    return out.getvalue()


def test_bodies_without_a_face_are_listed_and_forgotten_with_their_photo(
    tiny, tmp_path, monkeypatch, people_models
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for corner, name in enumerate(("a.png", "b.png")):
        made_photo(corner).save(tmp_path / "photos" / name)
    scan = ("people", "scan", "--photos-dir=photos", f"--models-dir={people_models}")
    command(*scan)
    assert "bodies" not in json.loads(command("people", "show", "nobody", "--json"))
    command(*scan, f"--bodies={tiny[1]}")
    bodies = json.loads(command("people", "show", "nobody", "--json"))["bodies"]
    assert {row["rel_path"] for row in bodies} == {"a.png", "b.png"}
    assert len(command("people", "show", "nobody").splitlines()) == len(bodies)
    content = hashlib.sha256((tmp_path / "photos" / "a.png").read_bytes()).hexdigest()
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        library.forget(["a.png"], [content], [])
        assert content not in library.faces.bodies()
    bodies = json.loads(command("people", "show", "nobody", "--json"))["bodies"]
    assert {row["rel_path"] for row in bodies} == {"b.png"}


def test_a_face_is_shown_with_its_body(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        content = "a" * 64
        library.facts.save_file("a.jpg", 1, 1, content)
        nothing = np.zeros((5, 2), np.float32)
        face = StoredFace(0, tuple(HEAD), 0.9, 50.0, nothing, np.ones(8, np.float32))
        library.faces.save(content, "d", "r", [face])
        library.faces.save_bodies(content, [StoredBody(tuple(ADULT), 0.9)])
        library.faces.save_bodies(content, [StoredBody(tuple(ADULT), 0.8)])
    told = json.loads(command("people", "show", "nobody", "--json"))
    assert [row["body"] for row in told["faces"]] == [[0, 0, 100, 300]]
    assert "bodies" not in told


@pytest.mark.parametrize("named", [None, "missing.onnx", "sface.onnx"])
def test_what_is_no_d_fine_is_said(named, people_models):
    file = None if named is None else people_models / named
    stage = BodiesStage(StageSettings(bodies=file))
    with pytest.raises(ConfigurationError, match=r"--bodies FILE|missing\.onnx|is no D-FINE"):
        stage.check()
