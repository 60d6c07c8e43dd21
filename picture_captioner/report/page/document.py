"""One HTML file from the template, the style, the script and a report's data.

All is in one file so that one replacement changes all of it, and so that the policy can be strict:
the script and the style are allowed by their hashes, the data is no code, and nothing but pictures
is ever loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from picture_captioner.report.page.columns import Json, script_json

STYLES = ("page.css", "people.css", "facets.css")

SCRIPTS = (
    "data.js",
    "elements.js",
    "route.js",
    "grammar.js",
    "search.js",
    "virtual.js",
    "gallery.js",
    "map_model.js",
    "map_drawing.js",
    "map.js",
    "overview.js",
    "clusters.js",
    "events.js",
    "duplicates.js",
    "people.js",
    "review.js",
    "facets.js",
    "problems.js",
    "viewer.js",
    "keys.js",
    "main.js",
)
"""In the order in which they need each other."""


def document(data: dict[str, Json]) -> bytes:
    """The whole page."""
    style = "\n".join(map(asset, STYLES))
    script = '(() => {\n"use strict";\n' + "\n".join(map(asset, SCRIPTS)) + "\n})();\n"
    parts = {
        "policy": policy(style, script),
        "style": style,
        "data": script_json(data),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], asset("page.html")).encode()


def policy(style: str, script: str) -> str:
    """The page's content security policy: its own code, pictures from the disk, nothing else."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{source_hash(script)}'",
            f"style-src '{source_hash(style)}'",
            "img-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def source_hash(text: str) -> str:
    """How a policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def asset(name: str) -> str:
    """A file of the page as it lies in the package."""
    return files("picture_captioner.report.page").joinpath("assets", name).read_text("utf-8")
