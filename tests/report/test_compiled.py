"""numba's compiled code is kept, where that can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from picture_captioner.report.layout import import_umap
from tests.support import ROOT, environment

CODE = """
import os, sys
from picture_captioner.report.layout import keep_compiled_code
keep_compiled_code()
assert "numba" not in sys.modules
print(os.environ.get("NUMBA_CACHE_DIR"))
"""


def chosen_folder(**env: str) -> str:
    own = {k: v for k, v in environment(**env).items() if k != "NUMBA_CACHE_DIR" or k in env}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=own, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_it_goes_into_the_users_cache_unless_the_environment_names_a_folder(tmp_path):
    cache = tmp_path / "cache"
    folder = Path(chosen_folder(XDG_CACHE_HOME=str(cache)))
    assert folder.is_dir() and cache in folder.parents
    assert folder.stat().st_mode & 0o777 == 0o700
    assert chosen_folder(NUMBA_CACHE_DIR="/elsewhere") == "/elsewhere"


def test_where_nothing_can_be_kept_it_works_without(tmp_path):
    (tmp_path / "file").write_text("")
    assert chosen_folder(XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


def test_what_umap_does_not_keep_by_itself_is_kept():
    umap = import_umap()
    for function in (umap.smooth_knn_dist, umap.compute_membership_strengths):
        assert function.stats.cache_path
