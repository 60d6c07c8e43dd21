"""A run in a cluster of two nodes that somebody else started, one of which goes away."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.engines.ray_runs import captioned_once, said, start_run, wait_for_records
from tests.killer import install_killer
from tests.needs import need
from tests.support import ROOT, environment, library

need("ray")

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
print("at", cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(other, allow_graceful=False)
sys.stdin.readline()
cluster.shutdown()
"""
NO_TOKEN = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_killer(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def cluster(tmp_path, driver):
    """Two nodes on this machine; a line to its input takes one away, the next ends it."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=environment(PYTHONPATH=f"{driver}:{ROOT}", **NO_TOKEN),
        cwd=tmp_path,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        yield process
        process.stdin.write("\n\n")
        process.stdin.flush()


def test_a_node_goes_away_and_the_run_does_not(tmp_path, driver, cluster):
    lines = iter(cluster.stdout.readline, "")
    address = next(line.split()[1] for line in lines if line.startswith("at "))
    library(tmp_path / "photos", 120)  # more than is decoded ahead
    flags = (f"--ray-address={address}", "--model-copies=2", "--option=delay=0.2")
    run = start_run(tmp_path, driver, *flags, "--option=batch=2", **NO_TOKEN)
    wait_for_records(tmp_path, run, 12)
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    assert run.wait(200) == 0, said(tmp_path)
    found = captioned_once(tmp_path)
    assert len(found) == 120
    assert {record["status"] for record in found.values()} == {"success"}
    assert "decodes no more; nodes left: 1" in said(tmp_path)
