"""Names, captions and labels that try to be more than text."""

from __future__ import annotations

import numpy as np
import pytest

from picture_captioner.errors import Status
from picture_captioner.report.model import (
    Chunk,
    Cluster,
    DuplicateGroup,
    LabelSource,
    Level,
    Likeness,
    Report,
    ReportHead,
)
from picture_captioner.report.page.payload import photo_link
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import HEAD, clustering, no_thumbnail, photo, thumbnail
from tests.support import draw

ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "\"'><svg/onload=alert(3)>",
    "javascript:alert(4)",
    "=cmd|' /C calc'!A0",
    "line\u2028break\u2029\x00\x1b[31mred\x07",
    "right\u202eto left\u2066",
    "half \udce9 a pair \ud83d",
    "{{script}} ${alert(5)} `",
    "&lt;b&gt; &#60;",
    "é" * 400,
)


def attacked(text: str, i: int) -> dict:
    name = text.replace("\0", "")[:60]
    rel_path = f"{name}/{name}.jpg"
    return {"rel_path": rel_path if i % 2 else f"../{rel_path}", "caption": text, "title": text}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    photos = tuple(
        photo(i, tags=(text,), camera=text, **attacked(text, i)) for i, text in enumerate(ATTACKS)
    ) + tuple(
        photo(
            i, rel_path=text, status=Status.ERROR_API, caption=None, last_error=text, present=False
        )
        for i, text in enumerate(ATTACKS)
    )
    for one in photos:
        if photo_link(one) is not None:
            draw(folder / ATTACKS[0] / one.rel_path, format="JPEG")
    n = len(ATTACKS)
    when = photos[0].taken_at
    report = Report(
        head=ReportHead(HEAD.made_at, ATTACKS[0], ATTACKS[1], ATTACKS[3], None, 5, ATTACKS),
        photos=photos,
        clustering=clustering(np.arange(2 * n)),
        clusters=tuple(
            Cluster(i, text, LabelSource.CAPTION, ATTACKS[:3], np.array([i]))
            for i, text in enumerate(ATTACKS)
        ),
        chunks=tuple(
            Chunk(i, Level.EVENT, when, when, np.array([i]), i, ATTACKS[:3], text)
            for i, text in enumerate(ATTACKS)
        ),
        duplicates=(DuplicateGroup(0, Likeness.NEAR, np.arange(n), 1),),
    )
    return write_page(report, folder / "out", thumbnail, folder / ATTACKS[0])


TAGS = (
    "A ASIDE BODY BUTTON CANVAS CODE DD DIALOG DIV DL DT H1 H2 HEAD HEADER HTML IMG INPUT KBD LI"
    " LINK MAIN META NAV OL P SCRIPT SECTION SPAN STYLE TITLE UL WBR"
    " circle path rect svg symbol use"
)
PARTS = ["", "#view=clusters", "#view=events", "#view=duplicates", "#view=problems", "#q=alert"]
PARTS += ["#cluster=1&photo=1", "#event=7&photo=7", "#group=0&photo=8", "#view=problems&photo=20"]
PARTS += ["#q=<img src=x onerror=alert(1)>", "#cluster=<b>", "#photo=__proto__&view=constructor"]


@pytest.mark.parametrize("fragment", PARTS)
def test_hostile_strings_stay_text(browser, hostile, fragment):
    browser.open(hostile, fragment)
    browser.wait("return document.querySelector('h1, .empty h2')")
    tags = set(browser.run("return [...document.querySelectorAll('*')].map((e) => e.tagName)"))
    assert tags <= set(TAGS.split())
    assert browser.count("script") == 1
    assert browser.count("img[src='x'], [onerror], [onload], [style*=expression]") == 0
    assert all(address.startswith(("file:", "data:")) for address in browser.requested())


def test_hostile_captions_are_shown_as_they_are(browser, hostile):
    browser.open(hostile, "#cluster=0&photo=0")
    assert browser.text("#viewer .caption") == ATTACKS[0]
    assert browser.text("#viewer h2") == ATTACKS[0]
    browser.open(hostile, "#cluster=6&photo=6")
    assert browser.text("#viewer .caption") == "line�break�␀␛[31mred␇"
    browser.open(hostile, "#cluster=7&photo=7")
    assert browser.text("#viewer .caption") == "right�to left�"
    browser.open(hostile, "#cluster=8&photo=8")
    assert browser.text("#viewer .caption") == "half � a pair �"


def test_every_link_is_of_the_page_or_below_the_photos(browser, hostile):
    browser.open(hostile)
    for fragment in [f"#cluster={i}&photo={i}" for i in range(len(ATTACKS))]:
        browser.go(fragment)
        links = browser.run(
            "return [...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))"
        )
        outside = [link for link in links if not link.startswith("#")]
        assert all(
            link.startswith("../%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E/") for link in outside
        )
        assert not any(".." in link[3:].split("/") for link in outside)
        if outside:
            browser.wait("return document.querySelector('.stage img').naturalWidth === 48")


def test_without_thumbnails_captions_stand_in(browser, tmp_path):
    from tests.report.page.reports import bare_report

    photos = tuple(photo(i, caption=text) for i, text in enumerate(ATTACKS))
    browser.open(write_page(bare_report(photos), tmp_path, no_thumbnail, None), "#q=img")
    assert browser.count(".tile .blank-text") > 0
    assert browser.count("img") == 0
