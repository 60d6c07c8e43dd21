"""numba's compiled code is kept, where that can be."""

from __future__ import annotations

import subprocess
import sys

from tests.support import ROOT, environment

CODE = """
import os
from report.compiled import import_umap
umap = import_umap()
print(os.environ.get("NUMBA_CACHE_DIR"))
import numpy as np
umap.smooth_knn_dist(np.ones((2, 3), dtype=np.float32), 3.0)
"""


def run(**env: str) -> subprocess.CompletedProcess[str]:
    own = {k: v for k, v in environment(**env).items() if k != "NUMBA_CACHE_DIR" or k in env}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_that_the_environment_names_is_used(tmp_path):
    done = run(NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path)
    assert list(tmp_path.rglob("*smooth_knn_dist*.nbc")), "umap itself does not ask for that"
