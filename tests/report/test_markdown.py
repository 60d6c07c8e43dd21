"""The Markdown report: what is in it, and that names and captions stay text."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import numpy as np
import pytest

from picture_captioner.report.markdown import write_markdown
from picture_captioner.report.text import markdown, shortened, visible
from tests.report.support import bare_report, build, photo


def text_of(report, tmp_path) -> str:
    return write_markdown(report, tmp_path).read_text("utf-8")


def test_it_tells_what_is_in_the_library(themes, tmp_path):
    text = text_of(themes.built.report, tmp_path)
    assert "made 2026-01-31 12:00 from 600 photos" in text
    assert "seed 42" in text
    for cluster in themes.built.report.clusters:
        assert f"### Cluster {cluster.id}: {cluster.name}, {len(cluster.members)} photos" in text
        assert ", ".join(cluster.keywords) in text
    assert "No photo has a capture time." in text


def test_the_timeline_and_the_duplicates(tmp_path):
    start = datetime.fromisoformat("2024-07-13T10:00")
    photos = [
        photo(f"{i}.jpg", taken_at=start + timedelta(minutes=i), content_sha256=str(i // 2))
        for i in range(4)
    ] + [photo("undated.jpg")]
    text = text_of(build(photos, np.eye(5)).report, tmp_path)
    assert "| 2024-07-13 10:00 to 10:03 | 4 |" in text
    assert "Without a capture time, so not in it: 1 photo." in text
    assert "- exact: 2 groups, 2 photos besides the keepers" in text
    assert "keep **0.jpg**; besides it 1.jpg" in text


def test_photos_on_their_own_fill_no_row_each(tmp_path):
    start = datetime.fromisoformat("2024-07-13T10:00")
    together = [photo(f"{i}.jpg", taken_at=start + timedelta(minutes=i)) for i in range(3)]
    alone = [photo(f"x{i}.jpg", taken_at=start + timedelta(days=30 * i)) for i in range(1, 6)]
    text = text_of(build([*together, *alone], np.eye(8)).report, tmp_path)
    assert "| 2024-07-13 10:00 to 10:02 | 3 |" in text
    assert "Photos alone at their time, in no event: 5." in text
    head, timeline = text.split("## Timeline")
    assert "| 100.0% | 1 | 0 |" in head, "one event"
    assert "| 1 |" not in timeline


def test_noon_that_stands_for_an_unknown_time_is_not_told(tmp_path):
    noon, evening = "2022-03-14T12:00", "2022-03-14T18:30"
    photos = [
        *(photo(f"IMG-20220314-WA000{i}.jpg", **at(noon), day_only=True) for i in range(2)),
        *(photo(f"a{i}.jpg", **at(evening)) for i in range(2)),
        photo("b.jpg", **at("2024-05-02T23:50")),
        photo("c.jpg", **at("2024-05-03T00:10")),
    ]
    text = text_of(build(photos, np.eye(6)).report, tmp_path)
    assert "| 2022-03-14 | 2 |" in text
    assert "| 2022-03-14 18:30 | 2 |" in text
    assert "| 2024-05-02 23:50 to 2024-05-03 00:10 | 2 |" in text
    assert "12:00" not in text.partition("## Timeline")[2]


def at(time: str) -> dict[str, datetime]:
    return {"taken_at": datetime.fromisoformat(time)}


def test_an_exact_copy_is_named_with_the_one_that_it_copies(tmp_path):
    alike = {"perceptual_hash": 0x1234_5678_9ABC_DEF0, "width": 10, "height": 10}
    photos = [
        photo("edited.jpg", content_sha256="a", sharpness=9.0, **alike),
        photo("first.jpg", content_sha256="b", sharpness=5.0, **alike),
        photo("second.jpg", content_sha256="b", sharpness=5.0, **alike),
        photo("third.jpg", content_sha256="a", sharpness=9.0, **alike),
    ]
    text = text_of(build(photos, np.zeros((4, 2))).report, tmp_path)
    assert (
        "keep **edited.jpg**; besides it first.jpg, second.jpg (exact copy of first.jpg), "
        "third.jpg (exact copy)" in text
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_hardly_any_photos(count, tmp_path):
    text = text_of(build([photo(str(i)) for i in range(count)], np.eye(3)[:count]).report, tmp_path)
    assert "## Clusters\n\nNone." in text


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "http://evil.example",
    "www.evil.example",
    "a@evil.example",
    "# heading",
    "- list",
    "1. list",
    "| cell | cell |",
    "`code` **bold** _em_ ~~gone~~ $x$",
    "&lt;script&gt;",
    "two\n\n# lines",
    "\u2028# line",
    "\x1b[31mred",
    "\u202egpj.exe",
    "caf\udce9",
    "---",
    "\\",
]


def begins(text: str) -> list[str]:
    """How the lines begin, but for the keywords, which not every caption has."""
    lines = [line for line in text.splitlines() if not line.startswith("- keywords:")]
    return [re.match(r"(#+ |- +[-+#]*|\d+[.)]|\||-|$)?", line).group() for line in lines]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_becomes_markup(hostile, tmp_path):
    photos = [photo(hostile, caption=hostile) for _ in range(2)]
    text = text_of(build(photos, np.ones((2, 4))).report, tmp_path)
    harmless = text_of(build([photo("x", caption="x")] * 2, np.ones((2, 4))).report, tmp_path)
    assert begins(text) == begins(harmless), "no line, heading, list or table is added"
    assert "<" not in text and ">" not in text
    assert not re.search(r"(?<!\\)[\[\]`~$]", text)
    assert not re.search(r"https?://|www\.|@", text)
    assert all(c.isprintable() or c == "\n" for c in text)


def test_text_is_escaped_only_where_it_must_be():
    assert markdown("2024-07/IMG (1).jpg, 3 dogs!") == "2024-07/IMG (1).jpg, 3 dogs!"
    assert markdown("snake_case & co") == "snake\\_case &amp; co"
    assert markdown("1. first") == "&#49;. first"
    assert markdown("12) first") == "&#49;2) first"


def test_emoji_and_persian_stay_whole():
    for text in ("👨\u200d👩\u200d👧", "\u0645\u06cc\u200c\u062e", "naïve"):
        assert visible(text) == text
    assert visible("a\u202eb\x00") == "a\\u202eb\\x00"
    assert shortened("abcdef", 4) == "abc\u2026"


def test_a_large_library_fills_pages_not_books(tmp_path):
    photos = [photo(f"{i}.jpg", content_sha256=str(i // 2)) for i in range(4000)]
    text = text_of(bare_report(photos), tmp_path)
    assert len(text) < 20_000
    assert "more photos, less unusual than these: see cluster_export.csv" in text
