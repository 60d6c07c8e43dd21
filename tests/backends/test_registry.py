"""The table of backends: names, imports on use, other packages, extras and options."""

import subprocess
import sys
from pathlib import Path

import pytest

from picture_captioner.backends import registry
from picture_captioner.backends.base import BackendOptions, BackendSettings, CaptionBackend
from picture_captioner.backends.registry import (
    BUILT_IN,
    backend_class,
    backend_info,
    backends,
    parse_options,
    writers_of_fields,
)
from picture_captioner.errors import ConfigurationError, UsageError
from picture_captioner.registry import Plugin
from tests.needs import need

ROOT = Path(__file__).parent.parent.parent
NEEDED = {"litellm": ["litellm"], "local": ["torch"]}
"""What else than the extras of `dev` a backend's own file imports."""

MODULE = """
from picture_captioner.backends.base import CaptionBackend

class Backend(CaptionBackend):
    name = "{name}"
    summary = "a backend in a test"
    default_model = "none"

    def caption(self, image, hints):
        return "A caption."
"""


@pytest.fixture
def built_in(monkeypatch):
    """Add a row to the table."""

    def add(name, target, extra=None):
        row = Plugin(name, target, extra, "a backend in a test")
        monkeypatch.setattr(registry.REGISTRY, "built_in", (*registry.REGISTRY.built_in, row))

    return add


def test_the_table_names_each_backend_once_and_its_default():
    names = [row.name for row in registry.BUILT_IN]
    assert len(set(names)) == len(names)
    assert registry.DEFAULT_BACKEND in names
    assert list(backends())[: len(names)] == names


@pytest.mark.parametrize("row", registry.BUILT_IN, ids=lambda row: row.name)
def test_every_row_leads_to_a_backend_that_agrees_with_it(row):
    for package in NEEDED.get(row.name, ()):
        need(package)
    kind = backend_class(row.name)
    assert (kind.name, kind.extra) == (row.name, row.extra)
    assert kind.summary
    # The server of `compatible` may have just one; LiteLLM has thousands.
    assert kind.default_model or row.name in {"compatible", "litellm"}
    assert 1 <= kind.default_workers <= kind.max_workers <= 500
    assert isinstance(parse_options(kind, []), kind.Options)


def test_listing_backends_imports_none():
    code = (
        "import sys\n"
        "from picture_captioner.backends.registry import BUILT_IN, backends; backends()\n"
        "print([row.name for row in BUILT_IN if row.target.partition(':')[0] in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "[]\n", done.stderr


def test_an_unknown_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(UsageError) as error:
        backend_info("mokc")
    assert str(error.value).startswith("there is no backend 'mokc'; did you mean 'mock'?")
    assert "template" in str(error.value)


def test_another_package_adds_a_backend(package):
    package({"their_backend": MODULE.format(name="theirs")}, "theirs = their_backend:Backend")
    assert backend_info("theirs").summary == "from other-package"
    assert "their_backend" not in sys.modules, "imported on use only"
    backend = backend_class("theirs")(BackendSettings(model="none"))
    assert backend.caption(None, ()) == "A caption."


def test_a_name_that_is_taken_is_an_error_and_not_a_replacement(package):
    package({"their_backend": MODULE.format(name="mock")}, "mock = their_backend:Backend")
    with pytest.raises(ConfigurationError, match="'mock' of other-package is taken already"):
        backends()


def test_a_missing_extra_is_told_with_the_line_that_installs_it(package, built_in):
    package({"wanting": "import a_package_nobody_has.inner"})
    built_in("wanting", "wanting:Backend", extra="local")
    with pytest.raises(ConfigurationError) as error:
        backend_class("wanting")
    assert "needs the package a_package_nobody_has" in str(error.value)
    assert str(error.value).endswith("run uv sync --inexact --extra local")
    assert error.value.exit_code == 78


def test_a_bug_in_a_backend_is_not_taken_for_a_missing_extra(package, built_in):
    package({"buggy": "raise ImportError('a bug')", "plain": "import a_package_nobody_has"})
    built_in("buggy", "buggy:Backend", extra="local")
    built_in("plain", "plain:Backend")
    built_in("lost", "there_is_no_such_module:Backend", extra="local")
    with pytest.raises(ImportError, match="a bug"):
        backend_class("buggy")
    for name in ("plain", "lost"):
        with pytest.raises(ModuleNotFoundError):
            backend_class(name)


@pytest.mark.parametrize("thing", ["Backend = object", "Backend = 7"])
def test_what_is_no_backend_is_refused(package, built_in, thing):
    package({"odd": thing})
    built_in("odd", "odd:Backend")
    with pytest.raises(ConfigurationError, match="odd:Backend is not of the class CaptionBackend"):
        backend_class("odd")


class Optional(CaptionBackend):
    name = "optional"
    summary = "has options"
    default_model = "none"

    class Options(BackendOptions):
        detail: str = "low"
        seed: int = 0

    def caption(self, image, hints):
        return "A caption."


class Plain(Optional):
    name = "plain"
    Options = BackendOptions


def test_options_are_parsed_by_type_and_the_last_one_wins():
    options = parse_options(Optional, ["seed=1", "detail=a=b", "seed=7"])
    assert (options.seed, options.detail) == (7, "a=b")
    assert parse_options(Optional, ["detail="]).detail == ""


@pytest.mark.parametrize(
    ("kind", "pair", "told"),
    [
        (Optional, "seed", "--option seed: expected NAME=VALUE"),
        (Optional, "sead=1", "no option 'sead'; did you mean 'seed'? (options: detail, seed)"),
        (Optional, "=1", "no option ''"),
        (Optional, "seed=one", "--option seed: input should be a whole number, such as 5"),
        (Plain, "seed=1", "no option 'seed' (it has none)"),
    ],
)
def test_a_bad_option_is_named_with_the_valid_ones(kind, pair, told):
    with pytest.raises(UsageError) as error:
        parse_options(kind, [pair])
    assert told in str(error.value)


@pytest.mark.parametrize("info", BUILT_IN, ids=lambda info: info.name)
def test_the_table_says_who_writes_fields(info):
    for package in NEEDED.get(info.name, ()):
        need(package)
    assert backend_class(info.name).writes_fields is info.writes_fields
    assert (info.name in writers_of_fields()) is info.writes_fields
