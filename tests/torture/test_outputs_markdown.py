"""Markdown that is rendered is the text that was written: no element, link or request more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt

from picture_captioner.cli.commands.compare import Column, _captions, _figures
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.report.markdown import write_markdown
from picture_captioner.report.model import (
    Chunk,
    Cluster,
    DuplicateGroup,
    LabelSource,
    Level,
    Likeness,
    Report,
)
from picture_captioner.report.text import markdown, markdown_name, one_line, visible
from tests.report.support import bare_report, photo
from tests.torture.payloads import everything, markup

TAGS = {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong"}
SEVERAL = 20
"""Payloads in one document: as many as the report shows of everything."""


class Elements(HTMLParser):
    """The elements of a document, and the texts between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[tuple[str, str | None]] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.tags["<!--"] += 1

    def handle_decl(self, decl):
        self.tags["<!"] += 1

    handle_pi = unknown_decl = handle_decl


@pytest.fixture(scope="module")
def render():
    """GitHub's dialect: tables, strike-through, links without being asked, and HTML as it is."""
    reader = MarkdownIt("gfm-like", {"html": True, "linkify": True})
    reader.linkify.set({"fuzzy_link": False})  # as in Visual Studio Code; GitHub has none either
    return lambda text: Elements(reader.render(text))


def report_of(texts: list[str], names: list[str]) -> Report:
    """Every text in every place that the Markdown has for one."""
    n, several = len(texts), tuple(texts)
    taken = datetime(2024, 7, 13, 10, tzinfo=UTC)
    bare = bare_report(
        [
            photo(name, caption=text, tags=several[:3])
            for name, text in zip(names, texts, strict=True)
        ]
    )
    places = range(n)
    return replace(
        bare,
        head=replace(bare.head, embedder=texts[0], embedder_reason=texts[-1], notes=several),
        clusters=tuple(
            Cluster(i, texts[i], LabelSource.CAPTION, several, np.roll(np.arange(n), -i))
            for i in places
        ),
        chunks=tuple(
            Chunk(i, Level.EVENT, taken, taken, np.array([i]), i, several, texts[i]) for i in places
        ),
        duplicates=tuple(
            DuplicateGroup(i, Likeness.NEAR, np.roll(np.arange(n), -i), i) for i in places
        ),
    )


def test_the_report_holds_no_element_that_a_name_or_caption_brought(tmp_path, render, share, tried):
    texts = everything()[:: share(23, 1)]
    for start in range(0, len(texts), SEVERAL):
        piece = texts[start : start + SEVERAL]
        harmless = [f"x{i}" if one_line(text) else "" for i, text in enumerate(piece)]
        names = [f"n{i}" for i in range(len(piece))]
        found = render(write_markdown(report_of(piece, piece), tmp_path).read_text("utf-8"))
        expected = render(write_markdown(report_of(harmless, names), tmp_path).read_text("utf-8"))
        assert found.tags == expected.tags, piece
        assert set(found.tags) <= TAGS
        assert found.attributes <= {("style", "text-align:right")}
    tried("hostile texts in every place of the Markdown report", len(texts))


def test_what_is_shown_is_the_text(render, share, tried):
    texts = everything()[:: share(5, 1)]
    lost = 0
    for text in texts:
        for before, document in (
            ("", markdown(text)),
            ("", f"- {markdown(text)}"),
            ("x", f"x\n\n{markdown(text)}"),
        ):
            shown = "".join(render(document).texts).removeprefix(before)
            lost += shown.strip() != one_line(text)
        lost += "".join(render(f"- {markdown_name(text)}").texts).strip("\n") != visible(text)
    assert lost == 0
    tried("hostile texts through Markdown and back", 4 * len(texts), lost=lost)


def test_the_tables_of_compare_hold_nothing_else_either(render, share, tried):
    texts = everything()[:: share(23, 1)]
    columns = [Column(t, t, t, [markdown(c) for c in texts], [1.0]) for t in texts[:3]]
    plain = [Column("x", "x", "x", ["x"] * len(texts), [1.0])] * 3
    found = render(
        "\n".join((*_captions([Photo(t, 1, 1) for t in texts], columns), "", *_figures(columns)))
    )
    expected = render(
        "\n".join((*_captions([Photo("x", 1, 1)] * len(texts), plain), "", *_figures(plain)))
    )
    assert found.tags == expected.tags
    assert found.attributes == set()
    tried("hostile texts in the tables of compare", len(texts))


def test_this_search_would_find_an_element(render):
    """Nearly all of these payloads bring an element along as long as nobody escapes them."""
    plain = render("# a\n\ntext\n\n- b").tags
    alive = sum(render(f"# a\n\n{text}\n\n- b").tags != plain for text in markup())
    assert alive > len(markup()) // 2
