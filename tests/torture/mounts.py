"""Mounting and unmounting in a test, seen by nobody else."""

from __future__ import annotations

import shutil
import subprocess

import pytest

_UNSHARE = ["unshare", "--mount", "--map-root-user"]


def in_own_mounts(script: str) -> list[str]:
    """The command line of a script that may mount, for itself alone.

    The test is skipped where the kernel does not allow it.
    """
    trial = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    return [*_UNSHARE, "sh", "-c", script]
