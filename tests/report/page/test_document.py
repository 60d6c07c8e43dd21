from __future__ import annotations

import base64
import hashlib
import re

import pytest

from picture_captioner.report.page.document import SCRIPTS, STYLES, asset, document
from picture_captioner.report.page.payload import payload
from tests.report.page.reports import bare_report, photo

PAGE = document(payload(bare_report((photo(1),)), [bytes(10)], "Photos", None)).decode("utf-8")


def source_hashes(tag):
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    digests = [hashlib.sha256(body.encode()).digest() for body in bodies]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def test_the_policy_allows_this_script_and_this_style_and_nothing_else():
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', PAGE)
    (script,), (style,) = source_hashes("script"), source_hashes("style")
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src {script}",
        f"style-src {style}",
        "img-src 'self' file: data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_page_names_no_other_place():
    addresses = set(re.findall(r"https?://[^\s\"'`<>]+", PAGE))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, nothing that is fetched
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import)\(", PAGE
    )


def test_nothing_is_parsed_as_markup():
    script = "\n".join(map(asset, SCRIPTS))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script
    )
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", PAGE.split('<script id="data"')[0])


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_cannot_end_its_own_element(name):
    assert not re.search(r"<(?:/?script|!--)", asset(name), re.IGNORECASE)


def test_every_asset_is_used():
    from importlib.resources import files

    present = {
        file.name for file in files("picture_captioner.report.page").joinpath("assets").iterdir()
    }
    assert present == {*SCRIPTS, *STYLES, "page.html"}


def test_the_data_holds_no_mark_of_the_template():
    page = document({"text": "{{script}} {{data}}"}).decode()
    assert '{"text":"{{script}} {{data}}"}' in page
