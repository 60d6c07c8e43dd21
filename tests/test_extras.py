"""Advice to install an extra: a command that works here, and no stranger's package."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from picture_captioner import extras

ROOT = Path(__file__).parent.parent


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretend to be installed without a checkout; returns how to note where from."""
    monkeypatch.setattr(extras, "_ROOT", tmp_path / "site-packages")
    folder = tmp_path / "site-packages" / "picture_captioner_clusterer_chunker-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {extras.DISTRIBUTION}\n")
    monkeypatch.setattr("sys.path", [str(folder.parent)])
    return lambda url: (folder / "direct_url.json").write_text(json.dumps({"url": url}))


def test_in_a_checkout_uv_adds_it():
    assert extras.how_to_install("raw") == "uv sync --inexact --extra raw"


def test_from_a_wheel_it_is_the_wheels_own_file(installed, tmp_path):
    wheel = tmp_path / "my wheels" / "picture_captioner_clusterer_chunker-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    zipfile.ZipFile(wheel, "w").close()
    installed(wheel.as_uri())
    assert extras.how_to_install("raw") == f"pip install '{wheel}[raw]'"


@pytest.mark.parametrize(
    "url",
    [
        "file:///gone/picture_captioner_clusterer_chunker-0.1.0-py3-none-any.whl",
        "https://example.org/picture_captioner_clusterer_chunker-0.1.0-py3-none-any.whl",
        "file:///usr",
        None,
    ],
)
def test_a_wheel_that_is_not_there_is_asked_for(installed, url):
    if url:
        installed(url)
    assert extras.how_to_install("raw").startswith("pip install 'WHEEL[raw]' (WHEEL: the .whl file")


def test_no_message_and_no_page_advises_a_name_that_anybody_could_take():
    files = [*(ROOT / "picture_captioner").rglob("*.py"), *ROOT.glob("*.md")]
    files += [*(ROOT / "docs").glob("*.md"), ROOT / "run_loop.sh", ROOT / "config.env.example"]
    assert len(files) > 150
    for file in files:
        text = file.read_text("utf-8")
        assert not re.search(rf"install [^\n]{{0,40}}{extras.DISTRIBUTION}", text), file
        if file.suffix == ".py" and file.name != "extras.py":
            assert "uv sync" not in text, f"{file}: extras.how_to_install says it"
