"""A test that needs more than `--extra dev` brings says so, and the run says what was left out."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.needs import EXTRA_OF, closing_lines
from tests.support import ROOT

ASKED_BEFORE = {"local_models.py", "checkpoints.py", "drive.py"}
"""What is only imported, or started, by tests that asked already."""


def unguarded(source: str) -> list[str]:
    """What is imported at the top of a module without a `need` above it."""
    found, asked = [], set()
    for node in ast.parse(source).body:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"need", "needs.need"}:
                asked |= {a.value for a in call.args if isinstance(a, ast.Constant)}
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        extras = {EXTRA_OF[name] for name in asked if name in EXTRA_OF}
        tops = {name.partition(".")[0] for name in names}
        found += [name for name in tops if name in EXTRA_OF and EXTRA_OF[name] not in extras]
    return found


def test_no_module_imports_what_only_an_extra_brings_without_asking():
    files = [f for f in (ROOT / "tests").rglob("*.py") if f.name not in ASKED_BEFORE]
    wrong = {f.name: unguarded(f.read_text("utf-8")) for f in files}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch", ["torch"]),
        ("from transformers import AutoModel", ["transformers"]),
        ("import torch.nn as nn", ["torch"]),
        ("need('torch')\nimport torch\nimport transformers", []),
        ("import torch\nneed('torch')", ["torch"]),
        ("need('litellm')\nimport torch", ["torch"]),
        ("def test():\n    import torch", []),
        ("import numpy", []),
    ],
)
def test_the_check_finds_what_it_is_for(source: str, found: list[str]):
    assert unguarded(source) == found


def test_the_table_names_every_package_of_an_extra_that_dev_does_not_bring():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    [own] = [line for line in extras["dev"] if line.startswith(f"{project['name']}[")]
    brought = {"dev", *own.partition("[")[2].partition("]")[0].split(",")}
    light = {_name(line) for extra in brought for line in extras[extra]}
    for extra in set(extras) - brought:
        for name in {_name(line) for line in extras[extra]} - light:
            assert name in EXTRA_OF, f"{name} of the extra {extra}"


def _name(requirement: str) -> str:
    return requirement.partition(";")[0].partition("=")[0].partition(">")[0].partition("[")[0]


def test_the_closing_lines_name_the_command():
    lines = closing_lines(["needs the extra local"] * 2 + ["needs the extra litellm", "long"])
    assert lines == [
        "skipped 1: needs the extra litellm",
        "skipped 2: needs the extra local",
        "to run just those: uv run --extra dev --extra local pytest -n auto --dist worksteal "
        "--skipped",
    ]
    assert closing_lines(["long: run with --torture"]) == []


SUITE = """
import pytest
from tests.needs import need

def test_whatever():
    pass

@pytest.mark.needs("no_such_program_or_package", "strace_of_nobody")
def test_marked():
    raise AssertionError("it ran")

def test_asking():
    need("torch_of_nobody")
    raise AssertionError("it ran")
"""


@pytest.mark.parametrize("flags", [[], ["-n1"]])
def test_what_is_missing_skips_the_test_and_is_run_when_it_is_there(tmp_path: Path, flags):
    def run(*more: str) -> str:
        code = (
            "import sys, pytest; from tests import needs\n"
            "needs.EXTRA_OF |= {'torch_of_nobody': 'local'}\n"
            "sys.exit(pytest.main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", code, str(suite), f"--rootdir={ROOT}", "-q", *flags]
        done = subprocess.run(
            [*command, "-p", "tests.conftest", f"-o=cache_dir={tmp_path / 'cache'}", *more],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode in {0, 5}, done.stdout + done.stderr
        return done.stdout

    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    first = run()
    assert "1 passed, 2 skipped" in first
    if not flags:  # with workers, the patched table is the parent's alone
        assert "skipped 1: needs the extra local" in first
        assert "1 skipped, 2 deselected" in run("--skipped")


def test_nothing_else_skips_for_a_missing_package():
    files = [
        f for f in (ROOT / "tests").rglob("*.py") if f.name not in {"needs.py", "test_needs.py"}
    ]
    assert [f.name for f in files if "importorskip" in f.read_text("utf-8")] == []
