from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.report.model import ReportPhoto
from picture_captioner.report.page.payload import photo_link, root_link, shown_by_browsers

NAME = st.text(st.characters(codec=None, exclude_characters="/\0"), min_size=1, max_size=20)


def link(rel_path, *, present=True):
    return photo_link(ReportPhoto(rel_path=rel_path, present=present))


@pytest.mark.parametrize(
    ("rel_path", "expected"),
    [
        ("2024/IMG_1.jpg", "2024/IMG_1.jpg"),
        ("a b/c#d?e%20.jpg", "a%20b/c%23d%3Fe%2520.jpg"),
        ("javascript:alert(1).jpg", "javascript%3Aalert%281%29.jpg"),
        ("caf\udce9.jpg", "caf%E9.jpg"),
        ("café.jpg", "caf%C3%A9.jpg"),
        ("back\\..\\slash.jpg", "back%5C..%5Cslash.jpg"),
        ("%2e%2e/x.jpg", "%252e%252e/x.jpg"),
        ("...jpg", "...jpg"),
    ],
)
def test_a_link_is_the_percent_encoded_bytes(rel_path, expected):
    assert link(rel_path) == expected


@pytest.mark.parametrize(
    "rel_path",
    ["../x.jpg", "a/../../x.jpg", "a/..", "/etc/passwd", "//host/x.jpg", "a//x.jpg", "./x.jpg", ""],
)
def test_a_path_that_leaves_the_photos_is_never_linked(rel_path):
    assert link(rel_path) is None


def test_only_photos_that_the_walk_found_are_linked():
    assert link("x.jpg", present=False) is None


def test_a_text_that_is_no_file_name_is_not_linked():
    assert link("half \ud83d of a pair.jpg") is None


@given(st.lists(NAME, min_size=1, max_size=4))
def test_a_link_leads_to_its_file_and_nowhere_else(parts):
    rel_path = "/".join(parts)
    found = link(rel_path)
    if found is None:
        return
    parsed = urlsplit(found)
    assert (parsed.scheme, parsed.netloc, parsed.query, parsed.fragment) == ("", "", "", "")
    base = "file:///home/me/report/cluster_report.html"
    path = urlsplit(urljoin(base, f"../photos/{found}")).path
    assert unquote_to_bytes(path) == b"/home/me/photos/" + os.fsencode(rel_path)


@pytest.mark.parametrize(
    ("photos", "out", "expected"),
    [
        ("/home/me/photos", "/home/me/report", "../photos"),
        ("/home/me/photos", "/home/me/photos", "."),
        ("/home/me/out/photos", "/home/me/out", "photos"),
        ("/mnt/a#b c", "/home/me", "../../mnt/a%23b%20c"),
    ],
)
def test_the_way_from_the_page_to_the_photos(photos, out, expected):
    assert root_link(Path(photos), Path(out)) == expected


@pytest.mark.parametrize(
    ("rel_path", "shown"),
    [
        ("a.JPG", True),
        ("a.jpeg", True),
        ("a.webp", True),
        ("a.heic", False),
        ("a.tif", False),
        ("a", False),
        ("a.jpg/b", False),
        ("a.svg", False),
        ("a.html", False),
    ],
)
def test_formats_that_browsers_show(rel_path, shown):
    assert shown_by_browsers(rel_path) is shown
