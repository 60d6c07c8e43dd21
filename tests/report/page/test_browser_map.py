"""The map: pointing, opening, wheel and keys."""

from __future__ import annotations

import pytest

from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import rich_report, thumbnail

FIND = """
  const canvas = document.querySelector('.map canvas'), tip = document.querySelector('.tip');
  const box = canvas.getBoundingClientRect();
  for (let y = 60; y < box.height - 60; y += 7) for (let x = 60; x < box.width - 60; x += 7) {
    const at = {clientX: box.left + x, clientY: box.top + y};
    canvas.dispatchEvent(new PointerEvent('pointermove', at));
    const found = tip.hidden ? canvas.className : 'photo';
    if (found === arguments[0]) return [x + 3 - box.width / 2, y + 3 - box.height / 2];
  }
"""
READY = """
  const canvas = document.querySelector('.map canvas');
  return canvas?.width > 300;
"""


@pytest.fixture
def crowded(tmp_path):
    """More photos than the map shows as pictures at once."""
    return write_page(rich_report(700), tmp_path, thumbnail, None)


def find(browser, wanted):
    """A place of the map, from its middle, that shows a `photo` or is `pointing` to a name."""
    browser.wait(READY)
    return browser.wait(FIND, wanted)


def test_pointing_shows_a_photo_and_its_caption(browser, page):
    browser.open(page)
    find(browser, "photo")
    assert "evening light" in browser.text(".tip")
    assert browser.images_loaded()


def test_a_click_opens_the_photo_among_those_of_its_cluster(browser, page):
    browser.open(page)
    place = find(browser, "photo")
    caption = browser.text(".tip p")
    browser.click_at(".map canvas", *place)
    browser.wait("return document.getElementById('viewer').open")
    assert browser.text("#viewer .caption") == caption
    assert browser.text("#viewer .note").endswith(" of 30")


def test_a_name_opens_its_cluster(browser, crowded):
    browser.open(crowded)
    place = find(browser, "pointing")
    browser.click_at(".map canvas", *place)
    browser.wait("return location.hash.startsWith('#cluster=') && document.querySelector('.tile')")


def test_wheel_and_keys_change_what_is_seen(browser, crowded):
    browser.open(crowded)
    browser.wait(READY)
    looks = [browser.picture_of(".map canvas").tobytes()]

    def changed():
        look = browser.picture_of(".map canvas").tobytes()
        return look not in looks and not looks.append(look)

    browser.wheel(".map canvas", -600)
    browser.until(changed, "the wheel zooms")
    browser.run("document.querySelector('.map canvas').focus()")
    for key in ("+", "arrow_left", "0"):
        browser.press(key)
        browser.until(changed, f"{key} changes the map")
    browser.press("enter")
    browser.wait("return document.getElementById('viewer').open")
    assert "photo=" in browser.hash()


def test_zooming_never_ends_on_an_empty_map(browser, crowded):
    """Into the corner, where no photo is: the nearest one comes into view."""
    browser.open(crowded)
    browser.wait(READY)
    browser.run("""
      const canvas = document.querySelector('.map canvas'), box = canvas.getBoundingClientRect();
      for (let k = 0; k < 60; k++) canvas.dispatchEvent(new WheelEvent('wheel', {
        deltaY: -300, clientX: box.left + 2, clientY: box.top + 2, cancelable: true}));
    """)
    assert find(browser, "photo")


NAMES = """
  const context = CanvasRenderingContext2D.prototype;
  const canvas = document.querySelector('.map canvas');
  if (!window.written) {
    window.written = [];
    const scale = context.scale, fill = context.fillText;
    context.scale = function (...by) { window.written = []; return scale.apply(this, by); };
    context.fillText = function (words, x, y) {
      window.written.push([words, x, y, this.measureText(words).width]);
      return fill.call(this, words, x, y);
    };
  }
  const at = {deltaY: arguments[0], clientX: 400, clientY: 300, bubbles: true, cancelable: true};
  canvas.dispatchEvent(new WheelEvent('wheel', at));
"""


def test_names_of_238_clusters_never_lie_on_each_other(browser, tmp_path):
    browser.open(write_page(rich_report(238 * 5, clusters=238), tmp_path, thumbnail, None))
    browser.wait(READY)
    shown = []
    for down in (-60, -300, -300, 1200):
        browser.run(NAMES, down)
        browser.wait("return window.written.length > 3")
        found = browser.run("return window.written")
        shown.append(len(found))
        boxes = [(x - w / 2, x + w / 2, y - 7, y + 7) for _, x, y, w in found]
        for k, (left, right, top, bottom) in enumerate(boxes):
            for other in boxes[:k]:
                beside = left >= other[1] or right <= other[0]
                assert beside or top >= other[3] or bottom <= other[2], (found[k], other)
    assert max(shown) > 5
