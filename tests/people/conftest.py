"""Real detectors and recognisers, made once."""

from __future__ import annotations

import pytest

from picture_captioner.people.sface import SFace
from picture_captioner.people.yunet import YuNet


@pytest.fixture(scope="session")
def detect(people_models):
    return YuNet(people_models / "yunet.onnx", threads=1)


@pytest.fixture(scope="session")
def recognise(people_models):
    return SFace(people_models / "sface.onnx", threads=1)
