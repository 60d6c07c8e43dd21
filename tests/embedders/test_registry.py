"""The table of embedders: names, imports on use, other packages, extras."""

import subprocess
import sys

import pytest

from picture_captioner.embedders import registry
from picture_captioner.embedders.base import Embedder, EmbedderSettings
from picture_captioner.embedders.registry import (
    embedder_class,
    embedder_info,
    embedders,
)
from picture_captioner.errors import ConfigurationError, UsageError
from picture_captioner.registry import Plugin
from tests.needs import need
from tests.support import ROOT

MODULE = """
from picture_captioner.embedders.base import (Embedder)

class Theirs(Embedder):
    name = "{name}"
    identity = "theirs:1"
"""


@pytest.fixture
def built_in(monkeypatch):
    """Add a row to the table."""

    def add(name, target, extra=None):
        row = Plugin(name, target, extra, "an embedder in a test")
        monkeypatch.setattr(registry.REGISTRY, "built_in", (*registry.REGISTRY.built_in, row))

    return add


NEEDED = {
    "siglip2": ("torch", "transformers"),
    "clip": ("torch", "transformers"),
    "onnx": ("onnxruntime", "tokenizers"),
    "caption": ("safetensors", "scipy", "tokenizers"),
    "pixels": ("numpy",),
}


@pytest.mark.parametrize("row", registry.BUILT_IN, ids=lambda row: row.name)
def test_every_row_leads_to_an_embedder_that_agrees_with_it(row):
    for package in NEEDED[row.name]:
        need(package)
    kind = embedder_class(row.name)
    assert kind.name == row.name
    made = kind(EmbedderSettings(device="cpu"))
    assert made.embeds_images or made.embeds_texts
    assert made.model == kind.default_model
    made.close()
    made.close()


def test_listing_embedders_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from picture_captioner.embedders.registry import BUILT_IN, embedders; embedders()\n"
        "import picture_captioner.embedders.choice\n"
        "heavy = {'numpy', 'PIL', 'torch', 'transformers', 'onnxruntime', 'huggingface_hub'}\n"
        "heavy |= {row.target.partition(':')[0] for row in BUILT_IN}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr


def test_an_unknown_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(UsageError) as error:
        embedder_info("siglip")
    assert str(error.value) == (
        "there is no embedder 'siglip'; did you mean 'siglip2'? "
        "(embedders: auto, caption, clip, onnx, pixels, siglip2)"
    )


def test_another_package_adds_an_embedder(package):
    modules = {"their_embedder": MODULE.format(name="theirs")}
    package(modules, "theirs = their_embedder:Theirs", kind="embedders")
    assert embedder_info("theirs").summary == "from other-package"
    assert "their_embedder" not in sys.modules, "imported on use only"
    assert issubclass(embedder_class("theirs"), Embedder)


@pytest.mark.parametrize("name", ["pixels", "auto"])
def test_a_name_that_is_taken_is_an_error_and_not_a_replacement(package, name):
    modules = {"their_embedder": MODULE.format(name=name)}
    package(modules, f"{name} = their_embedder:Theirs", kind="embedders")
    with pytest.raises(ConfigurationError, match=f"'{name}' of other-package is taken already"):
        embedders()


def test_a_missing_extra_is_told_with_the_line_that_installs_it(package, built_in):
    package({"wanting": "import a_package_nobody_has.inner"})
    built_in("wanting", "wanting:Theirs", extra="local")
    with pytest.raises(ConfigurationError) as error:
        embedder_class("wanting")
    assert "the wanting embedder needs the package a_package_nobody_has" in str(error.value)
    assert str(error.value).endswith("run uv sync --inexact --extra local")


@pytest.mark.parametrize(
    ("name", "package_gone", "extra"),
    [
        ("siglip2", "torch", "local"),
        ("onnx", "onnxruntime", "onnx"),
        ("caption", "safetensors", "report"),
        ("pixels", "numpy", "report"),
    ],
)
def test_the_extra_of_each_embedder_is_the_one_that_brings_its_packages(name, package_gone, extra):
    code = (
        "import importlib.abc, sys\n"
        "class Gone(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {package_gone!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from picture_captioner.embedders.registry import embedder_class\n"
        "from picture_captioner.errors import ConfigurationError\n"
        "try: embedder_class(sys.argv[1])\n"
        "except ConfigurationError as error: print(error)\n"
    )
    for package in NEEDED[name]:
        need(package)
    done = subprocess.run(
        [sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    told = f"the {name} embedder needs the package {package_gone}: run uv sync --inexact --extra "
    assert done.stdout == f"{told}{extra}\n", done.stderr


def test_a_bug_in_an_embedder_is_not_taken_for_a_missing_extra(package, built_in):
    package({"buggy": "raise ImportError('a bug')"})
    built_in("buggy", "buggy:Theirs", extra="local")
    with pytest.raises(ImportError, match="a bug"):
        embedder_class("buggy")


def test_what_is_no_embedder_is_refused(package, built_in):
    package({"odd": "Theirs = 7"})
    built_in("odd", "odd:Theirs")
    with pytest.raises(ConfigurationError, match="odd:Theirs is not of the class Embedder"):
        embedder_class("odd")


def test_a_batch_of_none_is_refused():
    class Plain(Embedder):
        name = "plain"
        identity = "plain:1"

    assert Plain(EmbedderSettings()).batch_size == 32
    with pytest.raises(UsageError, match="at least 1, not -1"):
        Plain(EmbedderSettings(batch_size=-1))
