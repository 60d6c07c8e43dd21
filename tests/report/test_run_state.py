"""What a run leaves for the next: survives the disk, runs nothing, is replaced as a whole."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from picture_captioner.report.run_state import STATE_FILE, BrokenStateError, load_state, save_state
from tests.report.support import build, photo


@pytest.fixture
def state(themes):
    return themes.built.state


def test_it_comes_back_as_it_was(state, tmp_path):
    path = tmp_path / STATE_FILE
    save_state(path, state)
    found = load_state(path)
    for name in ("embedder", "engine", "seed", "min_cluster_size", "next_id"):
        assert getattr(found, name) == getattr(state, name)
    for name in ("cluster", "probability", "outlier_score", "distance", "position"):
        assert np.array_equal(
            getattr(found.clustering, name), getattr(state.clustering, name), equal_nan=True
        )
    assert np.array_equal(found.centroids.rows, state.centroids.rows)
    assert np.array_equal(found.paths, state.paths)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [STATE_FILE]


def test_there_is_none_before_the_first_run(tmp_path):
    assert load_state(tmp_path / STATE_FILE) is None


class Bomb:
    def __reduce__(self):
        return os.system, ("touch pickled",)


def test_a_pickle_in_it_is_refused_and_not_run(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / STATE_FILE
    save_state(path, state)
    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cluster.npy", stream.getvalue())
    with pytest.raises(BrokenStateError):
        load_state(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BrokenStateError):
        load_state(path)
    assert not (tmp_path / "pickled").exists()


def test_whatever_is_cut_or_overwritten_is_called_broken(state, tmp_path):
    path = tmp_path / STATE_FILE
    save_state(path, state)
    whole = path.read_bytes()
    for broken in (b"", b"PK", whole[: len(whole) // 2], b"\x93NUMPY" + whole[6:], b"{}" * 50):
        path.write_bytes(broken)
        with pytest.raises(BrokenStateError, match="cluster_state"):
            load_state(path)


def test_arrays_that_do_not_fit_together_are_called_broken(state, tmp_path):
    path = tmp_path / STATE_FILE
    save_state(path, replace(state, added=state.added[:-1]))
    with pytest.raises(BrokenStateError, match="added has 599 rows"):
        load_state(path)
    header = np.frombuffer(json.dumps({"format": 99}).encode(), dtype=np.uint8)
    np.savez(path, header=header)
    with pytest.raises(BrokenStateError, match="format 99"):
        load_state(path)


def test_a_moved_photo_is_known_by_its_content():
    one = photo("a.jpg", content_sha256="ab" * 32)
    two = photo("b\udce9.jpg", content_sha256="cd" * 32)
    state = build([one, two], np.eye(2)).state
    moved = [replace(two, rel_path="elsewhere/b.jpg"), photo("new.jpg"), one]
    assert state.rows_of(moved).tolist() == [1, -1, 0]
