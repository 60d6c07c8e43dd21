"""The page in a real browser, with a hostile text in every place: all of it is text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from selenium.common.exceptions import NoAlertPresentException

from picture_captioner.errors import Status
from picture_captioner.report.model import (
    Chunk,
    Cluster,
    DuplicateGroup,
    LabelSource,
    Level,
    Likeness,
    Report,
)
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import HEAD, clustering, no_thumbnail, photo
from tests.report.page.test_browser_hostile import TAGS
from tests.torture.payloads import everything

TOGETHER = 40
"""Payloads in one page: each is opened in the viewer, and all stand in every list."""

PARTS = ("#view=overview", "#view=clusters", "#view=events", "#view=duplicates", "#view=problems")

ELEMENTS = "return [...new Set([...document.querySelectorAll('*')].map((e) => e.tagName))]"
HANDLERS = """
return [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes])
  .filter((a) => /^on|^srcdoc$|^action$|^formaction$/.test(a.name)
    || /href|src|data$/.test(a.name) && /^\\s*(javascript|vbscript|data:text)/i.test(a.value))
  .map((a) => a.name + '=' + a.value)
"""
LINKS = "return [...document.querySelectorAll('a, [src]')].map((e) => e.href ?? e.src)"
VIEWED = """
const shown = (selector) => document.querySelector('#viewer ' + selector)?.textContent;
return [shown('h2'), shown('.caption')]
"""
PLAIN = """
return arguments[0].map((text) => text
  .replace(/[\\u0000-\\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
  .replace(/[\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u2029]/g, '\\ufffd')
  .toWellFormed())
"""
"""What elements.js makes of a text before it becomes a text node."""


def report_of(texts: list[str]) -> Report:
    """Half of the photos captioned, half failed; clusters, events and groups named alike."""
    n, several = len(texts), tuple(texts)
    photos = [
        photo(i, caption=text, title=text, camera=text, tags=several[i : i + 3],
              rel_path=f"{text}/{text}".replace("\0", "")[:200] + f"{i}.jpg", present=False)
        for i, text in enumerate(texts)
    ]  # fmt: skip
    failed = [replace(p, status=Status.ERROR_API, caption=None, last_error=p.title) for p in photos]
    when = photos[0].taken_at
    return Report(
        head=replace(HEAD, embedder=texts[0], embedder_reason=texts[1], notes=several),
        photos=(*photos, *failed),
        clustering=clustering(np.arange(2 * n)),
        clusters=tuple(
            Cluster(i, text, LabelSource.CAPTION, several[:3], np.array([i]))
            for i, text in enumerate(texts)
        ),
        chunks=tuple(
            Chunk(i, Level.EVENT, when, when, np.array([i]), i, several[:3], text)
            for i, text in enumerate(texts)
        ),
        duplicates=(DuplicateGroup(0, Likeness.NEAR, np.arange(n), 1),),
    )


def sound(browser) -> None:
    """No dialog, no element, handler or link of another's making."""
    with pytest.raises(NoAlertPresentException):
        _ = browser.driver.switch_to.alert.text
    assert set(browser.run(ELEMENTS)) <= set(TAGS.split())
    assert browser.run(HANDLERS) == []
    assert all(link.startswith(("file:", "data:image/")) for link in browser.run(LINKS))


@pytest.mark.timeout(900)
def test_every_text_is_a_text_node(browser, tmp_path, share, tried):
    texts = everything()[:: share(53, 1)]
    lost = 0
    for start in range(0, len(texts), TOGETHER):
        piece = texts[start : start + TOGETHER]
        browser.open(write_page(report_of(piece), tmp_path, no_thumbnail, None))
        expected = browser.run(
            PLAIN,
            [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in piece],
        )
        for part in PARTS:
            browser.go(part)
            sound(browser)
        for i, text in enumerate(expected):
            browser.go(f"#cluster={i}&photo={i}")
            title, caption = browser.run(VIEWED)
            lost += (title, caption) != (text, text)
        sound(browser)
        assert all(a.startswith(("file:", "data:")) for a in browser.requested())
    assert lost == 0
    tried("hostile texts in every place of the page", len(texts), lost=lost)
