"""Models that die, hang and lose their device, in one run each: one record for the culprit."""

from __future__ import annotations

import pytest

from tests.killer import WAYS, draw_killer, guilty, install_killer, run_driver
from tests.support import library, records

pytestmark = pytest.mark.timeout(600)


@pytest.mark.torture
@pytest.mark.parametrize("batch", [1, 4, 8])
def test_every_way_of_dying_in_one_run(tmp_path, batch, tried):
    driver = install_killer(tmp_path / "driver")
    library(tmp_path / "photos", 40)
    for number, way in enumerate(WAYS):
        draw_killer(tmp_path / "photos" / "000" / f"{6 * number:05d}x.png", way, number)
    done = run_driver(tmp_path, driver, "--timeout=2", f"--option=batch={batch}", timeout=200)
    assert done.returncode == 0, done.stderr
    assert len(guilty(tmp_path / "captions.jsonl")) == len(WAYS)
    assert len(records(tmp_path / "captions.jsonl")) == 40 + len(WAYS)
    tried(f"six ways for a model to die, in batches of {batch}", len(WAYS))
