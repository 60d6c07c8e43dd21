"""The report that the browser opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import rich_report, thumbnail
from tests.support import draw


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 210 photos, whose originals are there."""
    folder = tmp_path_factory.mktemp("report")
    report = rich_report(210)
    for i, one in enumerate(report.photos):
        draw(folder / "My photos" / one.rel_path, seed=i)
    return write_page(report, folder / "out", thumbnail, folder / "My photos")
