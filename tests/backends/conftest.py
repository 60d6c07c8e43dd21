"""Tiny models, made once for all tests that run one in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.needs import need


@pytest.fixture(scope="session")
def local_model(tmp_path_factory):
    """The folder of a tiny model of a family; made when it is first asked for."""
    torch = need("torch")
    from tests.local_models import make_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def model(family: str = "qwen2_5_vl") -> Path:
        if family not in made:
            made[family] = make_model(family, folder / family)
        return made[family]

    return model
