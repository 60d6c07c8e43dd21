"""The page in a real browser: it opens from disk, asks for nothing outside, and works."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import numpy as np
import pytest

from picture_captioner.report.model import Level
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import (
    bare_report,
    chunk,
    no_thumbnail,
    photo,
    rich_report,
    thumbnail,
)

PARTS = ["", "#view=clusters", "#view=events", "#view=events&level=trip", "#view=duplicates"]
PARTS += ["#view=problems", "#cluster=2", "#cluster=none", "#event=3", "#q=harbour", "#group=1"]
TILES = "return document.querySelectorAll('.tile').length"


@pytest.mark.parametrize("fragment", PARTS)
def test_a_part_opens_from_disk_and_asks_for_nothing_outside(browser, page, fragment):
    browser.open(page, fragment)
    browser.wait("return document.querySelector('h1')")
    requested = browser.requested()
    assert requested
    assert all(address.startswith(("file:", "data:")) for address in requested)
    assert browser.complaints() == []


@pytest.mark.parametrize(
    "fragment", ["#cluster=2", "#view=clusters", "#view=events", "#view=duplicates"]
)
def test_every_shown_image_has_loaded(browser, page, fragment):
    browser.open(page, fragment)
    assert browser.images_loaded() >= 10


def test_the_head_says_what_the_library_is_and_how_the_report_was_made(browser, page):
    browser.open(page)
    assert browser.text("h1") == "My photos"
    assert (
        browser.text(".stats")
        == "210photos210captioned6clusters14 %in no cluster21events5duplicate groups0errors"
    )
    making = browser.text(".making")
    for words in ("pixels:1", "umap and hdbscan", "42", "21 November 2026", "A note on how"):
        assert words in making


def test_search_filters_by_all_words_prefixes_and_without_diacritics(browser, page):
    browser.open(page)
    browser.press("/", *"EVEN cafe")
    browser.wait("return location.hash.includes('cafe') && document.querySelector('.tile')")
    assert browser.hash() == "#q=EVEN+cafe"
    assert browser.text("h1") == "30 photos"
    labels = "return [...document.querySelectorAll('.tile a')].map((tile) => tile.ariaLabel)"
    assert all("café" in label for label in browser.run(labels))
    browser.press("x")
    browser.wait("return document.querySelector('.heading').textContent.includes('some of')")
    browser.press("backspace", "enter")
    browser.wait("return document.activeElement.dataset.photo")
    browser.press("/", "escape")
    browser.wait("return document.querySelector('.map')")
    assert browser.hash() == "#view=overview"


@pytest.mark.parametrize(
    ("query", "found"),
    [("harbor", 0), ("afe", 0), ("number 17", 11), ("IMG_00017", 1), ("17 number", 11), ("...", 0)],
)
def test_what_search_finds(browser, page, query, found):
    browser.open(page, f"#q={query}")
    assert browser.text("h1") == ("1 photo" if found == 1 else f"{found} photos")
    assert browser.run(TILES) == found


def test_search_within_a_cluster(browser, page):
    browser.open(page, "#cluster=2&q=number 1")
    assert browser.text("h1").startswith("A café in the evening")
    counted = browser.text(".filter")
    assert counted.startswith("16 photos matching “number 1”"), counted
    assert browser.run(TILES) == 16


@pytest.mark.parametrize(
    ("query", "words", "instead"),
    [
        ("habrour", "No photo has habrour.", "harbour"),
        ("habrour -train", "No photo has habrour.", "harbour -train"),
        ("place:Lisbonn", "No photo has place:Lisbonn.", "place:Lisbon"),
        ("camera:Cannon", "No photo has camera:Cannon.", 'camera:"Canon EOS 80D"'),
        ("person:Kathe", "Nobody in this report is called Kathe.", 'person:"Oma Käthe"'),
        ("xyzzy", "No photo has xyzzy.", None),
        ("harbour -harbour", "No photo has all of this.", None),
    ],
)
def test_what_nothing_answers_to_is_answered_by_the_nearest(
    browser, tmp_path, query, words, instead
):
    told = {"place": "Lisbon, Portugal", "camera": "Canon EOS 80D", "told_people": ("Oma Käthe",)}
    report = bare_report(tuple(photo(i, **told) for i in range(3)))
    browser.open(write_page(report, tmp_path, no_thumbnail, None), f"#q={quote(query)}")
    assert words in browser.text(".empty")
    if instead is None:
        assert "Did you mean" not in browser.text(".empty")
        return
    assert f"Did you mean {instead}?" in browser.text(".empty")
    colour = "return getComputedStyle(document.querySelector(arguments[0])).color"
    assert browser.run(colour, ".empty a") != browser.run(colour, ".empty p")
    browser.click(".empty a")
    browser.wait(TILES)


def test_the_names_that_there_are_are_gathered_once(browser, page):
    """Of 50,000 photos that takes two seconds, and each letter that is typed asks anew."""
    browser.open(page, "#q=evenign")
    assert "Did you mean evening?" in browser.text(".empty")
    browser.run(
        "window.cut = 0; const split = String.prototype.split;"
        "String.prototype.split = function (...how) { window.cut++; return split.apply(this, how) }"
    )
    browser.go("#q=eveinng")
    assert "Did you mean evening?" in browser.text(".empty")
    assert browser.run("return window.cut") < 210


def test_back_returns_to_where_one_was(browser, page):
    browser.open(page, "#view=clusters")
    browser.click(".card a")
    browser.wait("return location.hash.startsWith('#cluster=')")
    browser.click(".tile a")
    browser.wait("return document.getElementById('viewer').open")
    browser.driver.back()
    browser.wait(
        "return !document.getElementById('viewer').open && document.querySelector('.tile')"
    )
    browser.driver.back()
    browser.wait("return location.hash === '#view=clusters' && document.querySelector('.card')")


def test_a_scroll_position_comes_back(browser, page):
    browser.emulate(390, 700)
    browser.open(page, "#view=events")
    browser.run("scrollTo(0, 900)")
    place = browser.run(
        "return [...document.querySelectorAll('.card a')].findIndex("
        "(a) => a.getBoundingClientRect().top > 100)"
    )
    browser.click(".card a", place)
    browser.wait("return location.hash.startsWith('#event=') && scrollY === 0")
    browser.driver.back()
    browser.wait("return location.hash.startsWith('#view=events') && scrollY === 900")


def test_the_keyboard_alone_is_enough(browser, page):
    browser.open(page, "#cluster=2")
    focused = "return document.activeElement.dataset.photo"
    browser.press("arrow_right")
    first = browser.run(focused)
    browser.press("arrow_right", "arrow_down", "arrow_up", "arrow_left")
    assert browser.run(focused) == first
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("enter")
    browser.wait("return document.getElementById('viewer').open")
    assert browser.text("#viewer .note") == "1 of 30"
    browser.press("arrow_right")
    browser.until(lambda: browser.text("#viewer .note") == "2 of 30", "the next photo")
    browser.press("escape")
    browser.wait("return !document.getElementById('viewer').open")
    assert browser.hash() == "#cluster=2"
    browser.press("?")
    browser.wait("return document.getElementById('keys').open")
    assert "Search" in browser.text("#keys")
    browser.press("escape")
    browser.wait("return !document.getElementById('keys').open")
    browser.press("3")
    browser.wait("return location.hash === '#view=events'")


def test_after_the_viewer_the_gallery_is_at_the_photo_seen_last(browser, page):
    browser.emulate(390, 700)
    browser.open(page, "#q=picture")
    browser.click(".tile a", 2)
    browser.wait("return document.getElementById('viewer').open")
    browser.press("end")
    browser.until(lambda: browser.text("#viewer .note") == "210 of 210", "the last photo")
    browser.press("escape")
    browser.wait("return !document.getElementById('viewer').open && scrollY > 1000")
    assert browser.run("return document.activeElement.dataset.photo") == "209"


def test_a_viewer_that_the_browser_closes_leaves_the_address_too(browser, page):
    browser.open(page, "#cluster=2")
    browser.click(".tile a", 2)
    browser.wait("return document.getElementById('viewer').open")
    browser.run("document.getElementById('viewer').close()")
    browser.wait("return location.hash === '#cluster=2' && document.activeElement.dataset.photo")
    browser.click(".tile a", 3)
    browser.wait("return document.getElementById('viewer').open")


def test_the_viewer_shows_the_original_and_what_is_known(browser, page):
    browser.open(page, "#cluster=2&photo=15")
    source = browser.wait("return document.querySelector('.stage img[src*=photos]')?.src")
    assert source.endswith("/My%20photos/000/IMG_00015.jpg")
    assert browser.run("return document.querySelector('.stage img').naturalWidth") == 48
    assert browser.run("return document.querySelector('.stage img').alt").startswith(
        "Picture number 15"
    )
    facts = browser.text(".facts")
    for words in (
        "Wednesday, 1 January 2020, 15:00",
        "Canon EOS 80D",
        "400 \u00d7 300",
        "000/IMG_00015.jpg",
        "A beach",
        "Lisbon",
        "1.0 kB",
    ):
        assert words in facts, facts
    assert browser.run("return document.querySelector('.actions a').href") == source


def test_noon_that_stands_for_an_unknown_time_is_not_told(browser, tmp_path):
    noon = datetime.fromisoformat("2022-03-14T12:00")
    day = tuple(photo(i, taken_at=noon, day_only=True) for i in range(2))
    event = replace(chunk(0, Level.EVENT, day, np.arange(2)), hours=False)
    report = replace(bare_report(day), chunks=(event,))
    opened = write_page(report, tmp_path, no_thumbnail, None)
    browser.open(opened, "#event=0&photo=1")
    assert "12:00" not in browser.text(".facts")
    assert "Monday, 14 March 2022" in browser.text(".facts")
    browser.open(opened, "#event=0")
    assert "14 March 2022 · 2 photos" in browser.text("main")


def test_the_path_can_be_copied(browser, page):
    browser.open(page, "#cluster=2&photo=15")
    browser.click(".actions button")
    browser.until(lambda: browser.text(".actions button") == "Copied", "the path is copied")


def test_an_original_that_is_gone_leaves_the_thumbnail(browser, page, tmp_path):
    import shutil

    moved = shutil.copytree(page.parent, tmp_path / "elsewhere" / "out") / page.name
    browser.open(moved, "#cluster=2&photo=15")
    assert browser.images_loaded()
    assert browser.run("return document.querySelector('.stage img').naturalWidth") == 32
    refused = browser.complaints()
    assert all("ERR_FILE_NOT_FOUND" in line for line in refused)


def test_duplicates_stand_side_by_side_with_the_keeper_first(browser, page):
    browser.open(page, "#view=duplicates")
    assert browser.count(".group") == 5
    assert browser.count(".group .keep") == 5
    assert browser.texts(".group:first-child .member-name") == ["IMG_00001.jpg", "IMG_00000.jpg"]


def test_the_timeline_cuts_into_events_and_trips(browser, page):
    browser.open(page, "#view=events")
    assert browser.texts(".group-header h2") == ["January 2020"]
    assert "10 photos · 1 Jan 2020, 00:00" in browser.text(".card")
    browser.open(page, "#view=events&level=trip")
    assert browser.count(".card") == 1


def test_errors_are_listed_by_reason(browser, tmp_path):
    from picture_captioner.errors import Status

    failed = {"status": Status.ERROR_CORRUPT, "caption": None}
    photos = (photo(0), photo(1, status=None, caption=None))
    photos += tuple(
        photo(i, last_error="too short" if i < 5 else "too large", **failed) for i in range(2, 9)
    )
    page = write_page(bare_report(photos), tmp_path, no_thumbnail, None)
    browser.open(page, "#view=problems")
    assert browser.texts(".reason h2") == ["too large", "too short", "Not captioned yet"]
    assert browser.texts(".row-name")[:2] == ["IMG_00005.jpg", "IMG_00006.jpg"]
    assert browser.count(".row") == 8


@pytest.mark.parametrize("width", [320, 1280])
def test_what_to_do_about_errors_is_whole_at_any_width(browser, tmp_path, width):
    from picture_captioner.errors import Status

    error = "truncated: the picture ends too early, and the rest of it is missing"
    photos = (photo(0, status=Status.ERROR_CORRUPT, caption=None, last_error=error),)
    report = bare_report(photos)
    run = "uv run caption.py run --photos-dir='/photos of mine' --captions-jsonl=mine.jsonl"
    commands = {**report.head.commands, "run": run}
    report = replace(report, head=replace(report.head, commands=commands))
    browser.emulate(width, 800)
    browser.open(write_page(report, tmp_path, no_thumbnail, None), "#view=problems")
    assert browser.text(".reason code") == (
        f"{run} --retry-status=error_corrupt --retry-only --accept-truncated"
    )
    gaps = """
        const box = (selector) => document.querySelector(selector).getBoundingClientRect();
        return [box(".reason h2").top - box(".heading").bottom,
                box(".row").top - box(".reason code").bottom,
                innerWidth - box(".reason code").right];
    """
    assert min(browser.run(gaps)) >= 0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_small_libraries_without_pictures(browser, tmp_path, n):
    page = write_page(bare_report(tuple(map(photo, range(n)))), tmp_path, no_thumbnail, None)
    browser.open(page)
    for fragment in PARTS[1:]:
        browser.go(fragment)
        assert browser.text("main h1, main .empty h2")
    browser.go("#q=picture")
    assert browser.count(".tile .blank") == n


def test_light_dark_and_the_switch(browser, page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.emulate(1280, 860, "dark")
    browser.open(page)
    assert browser.run(ground) == "rgb(19, 19, 20)"
    browser.press("t")
    assert browser.run(ground) == "rgb(250, 249, 247)"
    browser.press("t")
    browser.emulate(1280, 860, "light")
    assert browser.run(ground) == "rgb(19, 19, 20)"
    browser.press("t")
    assert browser.run(ground) == "rgb(250, 249, 247)"


@pytest.mark.parametrize("width", [320, 820, 1440])
def test_nothing_is_wider_than_the_window(browser, page, width):
    browser.emulate(width, 800)
    browser.open(page)
    for fragment in [*PARTS[1:6], "#cluster=2&q=1", "#cluster=2&photo=3", "#view=overview"]:
        browser.go(fragment)
        root = "const { scrollWidth, clientWidth } = document.documentElement;"
        assert browser.run(root + "return scrollWidth - clientWidth") <= 0, fragment


def test_events_of_one_photo_are_tiles_behind_the_cards(browser, tmp_path):
    browser.open(write_page(rich_report(21), tmp_path, thumbnail, None), "#view=events")
    assert (browser.count(".card"), browser.count(".single")) == (2, 1)
    badge = "#tabs a[data-view=events] .badge"
    assert (browser.text(badge), browser.text(".switch a[aria-current] .badge")) == ("2", "2")
    browser.click(".single a")
    browser.wait("return location.hash.startsWith('#event=') && document.querySelector('.tile')")
    assert browser.count(".tile") == 1


@pytest.mark.parametrize("fragment", ["#view=events", "#view=duplicates", "#cluster=none", "#q=a"])
def test_on_paper_is_all_that_the_list_has(browser, page, fragment):
    """The window shows some of it, at places of its own, wider than a page."""
    browser.emulate(1440, 30_000)
    browser.open(page, fragment)
    whole = browser.wait("return document.querySelectorAll('.placed').length")
    browser.emulate(1440, 800)
    browser.open(page, fragment)
    shown = browser.wait("return document.querySelectorAll('.placed').length")
    browser.on_paper(700)
    boxes = browser.run(
        "return [...document.querySelectorAll('.placed')].map((e) => {"
        "const {left, right, top, bottom} = e.getBoundingClientRect();"
        "return [left, right, top, bottom] })"
    )
    assert len(boxes) == whole
    for k, (left, right, top, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= 700
        for other in boxes[:k]:
            assert left >= other[1] or right <= other[0] or top >= other[3] or bottom <= other[2]
    browser.off_paper()
    browser.emulate(1440, 800)
    browser.wait("return document.querySelectorAll('.placed').length === arguments[0]", shown)


def test_without_javascript_the_page_leads_to_the_markdown(page):
    assert b'<a href="cluster_report.md">' in page.read_bytes()
