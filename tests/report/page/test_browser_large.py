"""44,000 photos: quick to open, and a document that stays small whatever is scrolled to."""

from __future__ import annotations

import pytest

from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import rich_report, thumbnail

N = 44_000
ELEMENTS_AT_MOST = 1500


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write_page(
        rich_report(N, clusters=80), tmp_path_factory.mktemp("large"), thumbnail, None
    )


def test_a_large_library_opens_on_its_map(browser, large, record_property):
    browser.open(large)
    browser.wait("return document.querySelector('.map canvas')?.width > 300")
    record_property("load_ms", browser.run("return performance.now()"))
    assert browser.text(".stat") == "44,000photos"
    assert browser.count("*") < ELEMENTS_AT_MOST
    drawn = browser.picture_of(".map canvas").getcolors(maxcolors=1_000_000)
    assert len(drawn) > 80
    assert sum(n for n, colour in drawn if colour != (255, 255, 255)) > 50_000


def test_scrolling_through_all_keeps_the_document_small(browser, large):
    browser.open(large, "#q=picture")
    assert browser.text("h1") == "44,000 photos"
    for share in (0.1, 0.5, 0.9, 1):
        browser.run("scrollTo(0, document.documentElement.scrollHeight * arguments[0])", share)
        browser.wait(
            "return [...document.querySelectorAll('.tile')].some((t) => {"
            "const b = t.getBoundingClientRect(); return b.top < innerHeight && b.bottom > 0 })"
        )
        assert browser.count("*") < ELEMENTS_AT_MOST
    assert browser.images_loaded() < 200
    assert browser.run("return document.querySelector('.tile:last-child').ariaPosInSet") == str(N)


@pytest.mark.parametrize("fragment", ["#view=events", "#view=clusters", "#cluster=none"])
def test_other_parts_stay_small_too(browser, large, fragment):
    browser.open(large, fragment)
    browser.run("scrollTo(0, document.documentElement.scrollHeight / 2)")
    browser.wait("return document.querySelector('.card, .tile')")
    assert browser.count("*") < ELEMENTS_AT_MOST


def test_search_answers_in_a_large_library(browser, large):
    browser.open(large, "#q=cafe 4321")
    assert browser.text("h1") == "2 photos"
