"""What is shipped runs nobody else's code: no unsafe call, no library with a hole that is known.

The linter's security rules (`S`) look first; what they do not know is looked for here. The lowest
versions are those of docs/supply_chain.md.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pillow_heif
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from PIL import features

from tests.support import ROOT
from tests.test_architecture import product_files

TABLE = (ROOT / "docs" / "supply_chain.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([\w.-]+)` \| ([\d.]+) \|", TABLE, re.M))
NATIVE = {
    "libjpeg-turbo": lambda: features.version("libjpeg_turbo"),
    "libwebp": lambda: features.version("webp"),
    "libtiff": lambda: features.version("libtiff"),
    "openjpeg": lambda: features.version("jpg_2000"),
    "libheif": lambda: pillow_heif.libheif_info()["libheif"],
    "libde265": lambda: pillow_heif.libheif_info()["decoders"]["libde265"].split()[-1],
}
MODULES = {"pickle", "cPickle", "joblib", "shelve", "dill", "marshal", "cloudpickle"}
CALLS = {"eval", "exec", "yaml.load", "tempfile.mktemp", "os.system", "torch.load"}
FLAGS = {
    ("allow_pickle", True), ("trust_remote_code", True), ("weights_only", False),
    ("shell", True), ("verify", False),
}  # fmt: skip
LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)")
NAMESPACE = re.compile(
    r"http://(?:ns\.[\w-]+\.com|purl\.org/dc|www\.w3\.org|iptc\.org/std|www\.digikam\.org/ns"
    r"|www\.metadataworkinggroup\.com/schemas|cipa\.jp/exif|darktable\.sf\.net)/"
)
"""Names of XML vocabularies; nothing is ever asked of these addresses."""
SHIPPED = product_files()


def offences(source: str) -> list[str]:
    """What in this code must not be shipped."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [n.name for n in names if n.name.split(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                found.append(module)
            case ast.Call(func=function, keywords=keywords):
                found += [ast.unparse(function)] if ast.unparse(function) in CALLS else []
                found += [
                    f"{k.arg}={k.value.value}"
                    for k in keywords
                    if isinstance(k.value, ast.Constant) and (k.arg, k.value.value) in FLAGS
                ]
            case ast.Constant(value=str(text)) if re.match(r"http://[\w\[]", text):
                found += [] if LOOPBACK.match(text) or NAMESPACE.match(text) else [text]
    return found


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_unsafe_is_shipped(file: Path):
    assert offences(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle", "from joblib import load", "import shelve", "import dill",
        "np.load(f, allow_pickle=True)", "torch.load(f)", "load(f, weights_only=False)",
        "from_pretrained(m, trust_remote_code=True)", "run(c, shell=True)", "eval(x)", "exec(x)",
        "yaml.load(f)", "tempfile.mktemp()", "get(u, verify=False)", "URL = 'http://example.org/'",
        "URL = 'http://localhost.example.org/'",
    ],
)  # fmt: skip
def test_the_gate_sees_what_is_planted(planted: str):
    assert len(offences(planted)) == 1


def test_the_linter_has_its_security_rules_on_for_what_is_shipped():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if rule.startswith("S") and rule[1:].isdigit()]
    ignored = {path for path, rules in lint["per-file-ignores"].items() if "S" in rules}
    assert ignored == {"tests/**"}


def test_the_lock_is_hashed_and_holds_no_version_with_a_known_hole():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    for block in blocks:
        assert "--hash=sha256:" in block, block[:60]
    locked = re.findall(r"^([\w.-]+)==([^ ;]+)", text, re.M)
    assert len(locked) == len(blocks) > 1
    for name, version in locked:
        assert Version(version) >= Version(ROWS.get(name, "0")), name


def test_no_range_of_ours_lets_a_known_hole_in():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        wanted = Requirement(text)
        if wanted.name in ROWS and wanted.specifier:
            lowest = min(Version(spec.version) for spec in wanted.specifier)
            assert lowest >= Version(ROWS[wanted.name]), text
        assert not (wanted.name == "litellm" and {"1.82.7", "1.82.8"} & set(
            wanted.specifier.filter(["1.82.7", "1.82.8"])
        ))  # fmt: skip


@pytest.mark.parametrize("name", sorted(ROWS))
def test_what_is_loaded_here_has_no_known_hole(name: str):
    if name in NATIVE:
        found = NATIVE[name]()
    else:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
    assert Version(found) >= Version(ROWS[name])
