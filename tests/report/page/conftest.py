"""One browser for all tests of the page, and the reports it opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from report.page import write_page
from tests.report.page.browser import Browser, installed
from tests.report.page.reports import rich_report, thumbnail
from tests.support import draw


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    paths = installed()
    if paths is None:
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    browser = Browser(paths, tmp_path_factory.mktemp("profile"))
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
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 210 photos, whose originals are there."""
    folder = tmp_path_factory.mktemp("report")
    report = rich_report(210)
    for i, one in enumerate(report.photos):
        draw(folder / "My photos" / one.rel_path, seed=i)
    return write_page(report, folder / "out", thumbnail, folder / "My photos")
