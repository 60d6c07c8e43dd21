"""How an extra is installed where this program is: the one sentence that says so.

No index carries the program's name, and anybody could take it there: advice to install it by that
name would be advice to run a stranger's code.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "picture-captioner-clusterer-chunker"

_ROOT = Path(__file__).parent.parent


def how_to_install(extra: str) -> str:
    """The command that adds an extra: in a checkout by uv, else from the wheel's own file."""
    if (_ROOT / "pyproject.toml").is_file():
        return f"uv sync --inexact --extra {extra}"
    wheel = _wheel()
    if wheel is not None:
        return f"pip install '{wheel}[{extra}]'"
    return f"pip install 'WHEEL[{extra}]' (WHEEL: the .whl file that this was installed from)"


def _wheel() -> Path | None:
    """The file that this was installed from, as the installer noted it (PEP 610), if it is there.

    A decoder may open nothing; to it the package seems not to be installed.
    """
    try:
        noted = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    address = urlsplit(json.loads(noted)["url"] if noted else "")
    file = Path(unquote(address.path))
    return file if address.scheme == "file" and file.suffix == ".whl" and file.is_file() else None
