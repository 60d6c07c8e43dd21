"""The house keeps its shape: imports point downwards, and each resource has one owner."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = [
    {"caption", "cluster_report"},
    {"commands", "console", "config"},
    {"pipeline", "report"},
    {"backends", "embedders", "library"},
    {"journal", "image_loader"},
    {"errors"},
]
SIBLINGS = {"backends", "embedders", "library", "pipeline", "report", "journal", "image_loader"}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in sorted(names)}

HEAVY = {
    "accelerate",
    "anthropic",
    "bitsandbytes",
    "google",
    "hdbscan",
    "huggingface_hub",
    "numba",
    "numpy",
    "onnxruntime",
    "openai",
    "PIL",
    "pydantic_settings",
    "rawpy",
    "reverse_geocode",
    "safetensors",
    "scipy",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
    "umap",
}


def product_files() -> list[Path]:
    tops = [ROOT / f"{name}.py" for name in LEVEL] + [ROOT / name for name in LEVEL]
    files = [top for top in tops if top.is_file()]
    return files + [file for top in tops if top.is_dir() for file in sorted(top.rglob("*.py"))]


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def package_of(file: Path) -> str:
    folder = file.relative_to(ROOT).parent
    return ".".join(folder.parts) or file.stem


def imported_names(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def calls(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


@pytest.mark.parametrize("file", product_files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_downwards(file):
    room = room_of(file)
    for name in imported_names(file):
        other = name.split(".")[0]
        if other == room or other not in LEVEL:
            continue
        assert LEVEL[other] >= LEVEL[room], f"{room} must not import {name}"
        assert not ({room, other} <= SIBLINGS and LEVEL[room] == LEVEL[other]), (
            f"{room} must not import its sibling {name}"
        )


@pytest.mark.parametrize("file", product_files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_every_resource_has_one_owner(file):
    room, names, called = room_of(file), imported_names(file), calls(file)
    if room != "journal":
        assert not any(name.startswith("journal.") for name in names), "import from `journal`"
    if room != "image_loader":
        assert not any(name.startswith("image_loader.") for name in names), "same here"
        assert "Image.open" not in called
    if room not in {"caption", "cluster_report", "commands", "config"}:
        assert "config" not in names, "only the apps read settings"
    if room not in {"caption", "cluster_report"}:
        assert not called & {"sys.exit", "exit", "quit"}
    assert "print" not in called, "console.terminal has say and show"


def test_every_room_is_packaged():
    import tomllib

    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    listed = set(tool["packages"]) | set(tool["py-modules"])
    assert listed == {package_of(file) for file in product_files()}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys, caption\n"
        f"status = caption.execute({arguments!r})\n"
        "print(' '.join(sys.modules), file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "caption" in loaded
    assert not loaded & HEAVY
