"""What docs/embedders.md says is true: its template runs, its table is the program's own."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from picture_captioner.embedders import choice, models
from picture_captioner.embedders.registry import BUILT_IN, embedder_class, embedders
from tests.images import gradient
from tests.support import ROOT

TEXT = (ROOT / "docs" / "embedders.md").read_text("utf-8")


def code_block(language):
    (block,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return block


@pytest.fixture
def installed(package):
    """Install the template as a package of its own; returns its embedder's name."""
    ((group, entries),) = tomllib.loads(code_block("toml"))["project"]["entry-points"].items()
    assert group == "picture_captioner.embedders"
    ((name, target),) = entries.items()
    package({"four_greys": code_block("python")}, f"{name} = {target}", kind="embedders")
    return name


def test_the_embedder_of_the_document_works_as_it_stands(installed):
    from picture_captioner.embedders.base import EmbedderSettings

    assert embedders()[installed].summary == "from other-package"
    embedder = embedder_class(installed)(EmbedderSettings())
    embedder.check()
    vectors = embedder.embed_images([gradient(40, 30), gradient(9, 9)])
    assert vectors.shape == (2, 4)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert embedder.embed_images([]).shape == (0, 4)


def test_the_table_names_every_embedder_with_its_extra_and_model():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\| `(\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE)
    assert [(name, extra) for name, extra, _ in rows] == [(r.name, r.extra) for r in BUILT_IN]
    named = {name: model for name, _, model in rows}
    assert named["siglip2"] == models.SIGLIP2
    assert named["clip"] == models.CLIP
    assert models.MINILM.endswith(named["caption"])
    assert f"no more than {choice.PHOTOS_ON_CPU:,} photos" in TEXT
