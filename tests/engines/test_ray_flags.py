"""What is said before Ray is started: what is missing, and what makes no sense together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.needs import need
from tests.support import caption, library


def run(tmp_path, *flags, **env):
    library(tmp_path / "photos", 1)
    return caption("run", "--photos-dir=photos", "--backend=mock", *flags, cwd=tmp_path, **env)


def test_without_ray_the_command_that_installs_it_is_named(tmp_path):
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError(\"No module\", name='ray')\n")
    done = run(tmp_path, "--engine=ray", PYTHONPATH=str(tmp_path))
    assert done.returncode == 78
    assert "--engine ray needs the package ray: run uv sync --inexact --extra ray" in done.stderr
    assert not (tmp_path / "captions.jsonl").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--ray-address=auto",), "--ray-address and --model-copies go with --engine ray"),
        (("--model-copies=2",), "--ray-address and --model-copies go with --engine ray"),
        (("--engine=ray", "--in-process"), "--engine ray and --in-process exclude each other"),
        (("--engine=ray", "--ray-address=ray://x:10001"), "client protocol is not supported"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(tmp_path, flags, sentence):
    done = run(tmp_path, *flags)
    assert done.returncode == 64
    assert sentence in done.stderr


def test_a_cluster_that_is_not_there_is_a_service_that_is_down(tmp_path):
    need("ray")
    done = run(tmp_path, "--engine=ray", "--ray-address=127.0.0.1:1")
    assert done.returncode == 69
    assert "no Ray cluster at 127.0.0.1:1 takes this machine in" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("gpus", "nodes", "wanted", "share", "copies"),
    [
        (2, 2, None, 1, 2),
        (2, 2, 4, 0.5, 4),
        (3, 2, 4, 0.5, 4),
        (1, 1, 3, 1 / 3, 3),
        (0, 3, None, 0, 3),
        (0, 1, 2, 0, 2),
    ],
)
def test_copies_share_the_gpus(tmp_path, monkeypatch, gpus, nodes, wanted, share, copies):
    need("ray")
    from picture_captioner.engines.ray_engine import RayEngine

    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")  # which the engine sets, for Ray's processes to inherit
    engine = RayEngine("127.0.0.1:6379", wanted, tmp_path, pytest.fail)
    alive = [{"Alive": True}] * nodes + [{"Alive": False}]
    engine._ray = SimpleNamespace(
        is_initialized=lambda: True,
        cluster_resources=lambda: {"GPU": float(gpus)} if gpus else {},
        nodes=lambda: alive,
    )
    assert engine.share_of_gpu() == (pytest.approx(share), copies)
