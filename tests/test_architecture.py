"""The house keeps its shape: imports point downwards, and each resource has one owner."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "picture_captioner"
HOUSE = ROOT / PACKAGE

LAYERS = [
    {"cli"},
    {"config"},
    {"batch", "engines", "report", "writeback"},
    {"pipeline"},
    {"backends", "embedders", "library", "people", "tags"},
    {"journal", "image_loader", "hub", "workers"},
    {"foreign_text"},
    {"settings"},
    {"declaration"},
    {"metadata"},
    {"registry"},
    {"errors", "extras"},
]
SIBLINGS = {
    "backends",
    "batch",
    "embedders",
    "engines",
    "library",
    "people",
    "pipeline",
    "report",
    "writeback",
    "journal",
    "image_loader",
    "hub",
    "workers",
}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in sorted(names)}

OFFERED = {
    "journal": """ANSWERED Damage Entry Fold Journal JournalIndex JournalTail Line MOST_DOLLARS
        Record RecordError RowFile Summary TagDecisions TagsFile Traces compact find_traces fold
        forget_in_log forget_lines has_room is_another is_count is_real is_rel_path
        make_folders merge output_file parse_entry parse_time read_again read_captions read_fields
        read_index read_job read_lines_of real_journal_path replacing says_something summarize
        tag_key time_of utc_now utc_text""",
    "image_loader": """CLEAN_EDGE CLEAN_QUALITY ExaminedImage ImageHeader LoadedImage OpenedPhoto
        PHOTO_EXTENSIONS RAW_EXTENSIONS STRUCTURE_EDGE Structure THUMBNAIL_EDGE Traits
        VIDEO_EXTENSIONS
        decode_samples detail_of directories examine_image fitting import_all load_image
        open_descriptor open_encoded opened_thumbnail perceptual_hash read_file read_header
        reduced room_asked_for roomy same_details samples structure_of""",
}
"""What other rooms may take of the two that own files: nothing that opens one in another way."""

HEAVY = {
    "accelerate",
    "anthropic",
    "bitsandbytes",
    "boto3",
    "botocore",
    "google",
    "hdbscan",
    "huggingface_hub",
    "numba",
    "numpy",
    "onnxruntime",
    "openai",
    "PIL",
    "psycopg",
    "psycopg_pool",
    "rapidocr",
    "rawpy",
    "ray",
    "reverse_geocode",
    "safetensors",
    "scipy",
    "simplejpeg",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
    "umap",
}


def product_files() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported_names(file: Path) -> set[str]:
    """What is imported, that of our own package without the package's name."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom) and node.module == PACKAGE
        ):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.removeprefix(f"{PACKAGE}.") for name in names}


def taken_from(room: str, file: Path) -> set[str]:
    """The names that are imported from a room's files."""
    return {
        alias.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE}.{room}.")
        for alias in node.names
    }


def calls(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


@pytest.mark.parametrize("file", product_files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_downwards(file):
    room = room_of(file)
    for name in imported_names(file):
        other = name.split(".")[0]
        if other == room or other not in LEVEL or room in {"__init__", "__main__"}:
            continue
        assert LEVEL[other] >= LEVEL[room], f"{room} must not import {name}"
        assert not ({room, other} <= SIBLINGS and LEVEL[room] == LEVEL[other]), (
            f"{room} must not import its sibling {name}"
        )


@pytest.mark.parametrize("file", product_files(), ids=lambda f: str(f.relative_to(ROOT)))
def test_every_resource_has_one_owner(file):
    room, names, called = room_of(file), imported_names(file), calls(file)
    for owner, offered in OFFERED.items():
        assert room == owner or taken_from(owner, file) <= set(offered.split()), f"ask {owner}"
        assert not any(name == owner for name in names), f"import from a file of {owner}"
    if room != "image_loader":
        assert "Image.open" not in called
    if room not in {"cli", "config"}:
        assert "config" not in names, "only the apps read settings"
    if file.name not in {"caption_app.py", "report_app.py"}:
        assert not called & {"sys.exit", "exit", "quit"}
    assert "print" not in called, "cli.terminal has say and show"


def imported_at_once(module: str) -> set[str]:
    """The files of ours that importing a file imports, as their paths with dots."""
    file = HOUSE.parent / f"{module.replace('.', '/')}.py"
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if (HOUSE.parent / f"{name.replace('.', '/')}.py").is_file()}


@functools.cache
def longest_chain(module: str) -> tuple[str, ...]:
    chains = [longest_chain(name) for name in imported_at_once(module) - {module}]
    return (module, *max(chains, key=len, default=()))


def test_what_a_file_needs_is_near():
    """A chain of 24 files stood here once; what two neighbours share belongs beneath them."""
    modules = [".".join(f.relative_to(HOUSE.parent).with_suffix("").parts) for f in product_files()]
    chain = max(map(longest_chain, modules), key=len)
    assert len(chain) <= 12, " <- ".join(chain)


@pytest.mark.parametrize(
    "room", sorted({f.parent for f in product_files()} - {HOUSE}), ids=lambda r: r.name
)
def test_a_room_says_what_each_of_its_files_is_for(room):
    files = {file.name for file in room.glob("*.py")} - {"__init__.py"}
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    if room != HOUSE / "cli" / "commands":  # there a file is named by its command
        assert files <= set(re.findall(r"\w+\.py", said)), "say in __init__.py what it is for"


def test_a_room_passes_nothing_on():
    for file in sorted(HOUSE.rglob("__init__.py")):
        kinds = [type(node).__name__ for node in ast.parse(file.read_text("utf-8")).body]
        assert kinds == ["Expr"] or file.parent == HOUSE, file


def test_the_launchers_only_launch():
    for name in ("caption.py", "cluster_report.py"):
        tree = ast.parse((ROOT / name).read_text("utf-8"))
        assert [type(node).__name__ for node in tree.body] == ["Expr", "ImportFrom", "If"], name
    assert {file.name for file in ROOT.glob("*.py")} == {"caption.py", "cluster_report.py"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from picture_captioner.cli import caption_app\n"
        f"status = caption_app.execute({arguments!r})\n"
        "print(' '.join(sys.modules), file=sys.stderr)\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert PACKAGE in loaded
    assert not loaded & HEAVY


def test_a_run_leaves_to_its_decoders_what_only_they_need():
    """The JPEG library brings numpy: 85 ms of every start."""
    code = "import sys, picture_captioner.cli.commands.run; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"numpy", "simplejpeg", "rawpy", "pillow_heif"}.intersection(done.stdout.split())


def test_the_package_offers_its_names_and_loads_nothing_for_them():
    code = (
        "import sys, picture_captioner\n"
        "print(' '.join(name for name in sys.modules if name.startswith('picture_captioner')))\n"
        "for name in picture_captioner.__all__:\n"
        "    assert getattr(picture_captioner, name) is not None, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["picture_captioner"], "")


def test_python_m_runs_the_command_line():
    command = [sys.executable, "-m", PACKAGE, "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
