"""The library of 12 themes, clustered once for all tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from picture_captioner.report.build import Built
from picture_captioner.report.model import ReportPhoto
from tests.report.support import build, themed


class Themes(NamedTuple):
    photos: list[ReportPhoto]
    vectors: np.ndarray
    theme: np.ndarray
    built: Built


@pytest.fixture(scope="session")
def themes() -> Themes:
    photos, vectors, theme = themed(per_theme=50)
    return Themes(photos, vectors, theme, build(photos, vectors))
