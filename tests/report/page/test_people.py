"""Who is on the photos, in a real browser: faces, a person's photos, company, time, questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from picture_captioner.report.model import About, People, Person, Question
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import bare_report, no_thumbnail, photo, rich_report, thumbnail, webp

NAME = "<b>Änne</b> & Söhne\u202egpj"
CUT = """return [...document.querySelectorAll('.ask')]
    .filter((ask) => ask.scrollHeight > ask.clientHeight + 1).length"""
TYPED = "return [...document.querySelectorAll('.ask code')].map((code) => code.textContent)"
OUTSIDE = """const right = (node) => node.getBoundingClientRect().right;
    return [...document.querySelectorAll('.ask code')]
    .filter((code) => right(code) > right(code.closest('.ask'))).length"""
FACES = "return [...document.querySelectorAll('.person a')].map((one) => one.ariaLabel)"


def somebody(identity, name, members, seed):
    crop = webp(seed, (96, 96))
    return Person(identity, name, np.array(members, np.int64), len(members), crop)


def people(**more):
    persons = (
        somebody("p1", "Anna", range(40), 901),
        somebody("p2", NAME, range(30, 60), 902),
        somebody("p3", "", range(10), 903),
        replace(somebody("p4", "", [5], 904), crop=None),
    )
    questions = (
        Question(about=About.CONTRADICTION, text="two faces are one and are two"),
        Question(about=About.CROWD, text="so many", persons=("p3",),
                 answers=(("Part by looks", "caption.py people split p3"),)),
        Question(about=About.PAIR, text="they look alike", persons=("p1", "p3"), cosine=0.51,
                 answers=(("One person", "caption.py people merge p1 p3"),
                          ("Two people", "caption.py people different p1 p3"))),
        Question(about=About.FACE, text="not near enough", persons=("p1",), photo=50, cosine=0.4,
                 crop=webp(905, (96, 96)),
                 answers=(("Yes", "caption.py people confirm p1 abc#0"),
                          ("Somebody else", "caption.py people not-this-person abc#0 p1"),
                          ("No face", "caption.py people not-a-face 'abc#0'"))),
    )  # fmt: skip
    return People(persons, questions, np.zeros(60, np.int32), **more)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    report = replace(rich_report(60), people=people(more=7))
    return write_page(report, tmp_path_factory.mktemp("people"), thumbnail, None)


def test_a_photo_tells_the_names_that_other_programs_gave_and_what_else_is_said(browser, tmp_path):
    photos = (photo(0, told_people=("Oma Käthe",), more="Ferien\nam See\nOma Käthe"), photo(1))
    opened = write_page(bare_report(photos), tmp_path, no_thumbnail, None)
    browser.open(opened, "#q=harbour&photo=0")
    assert "Ferien · am See" in browser.text(".facts")
    assert browser.text(".facts").count("Oma Käthe") == 1
    assert browser.run(
        "const link = [...document.querySelectorAll('.facts a')]"
        ".find((a) => a.text === 'Oma Käthe');"
        "return decodeURIComponent(link.hash.replaceAll('+', ' '))"
    ).endswith('q=person:"Oma Käthe"')
    browser.open(opened, "#view=overview")
    assert "Oma Käthe" in browser.text("main")


def test_everybody_has_a_face_the_named_first(browser, page):
    browser.open(page, "#view=people")
    browser.wait("return document.querySelector('.person')")
    labels = browser.run(FACES)
    assert labels[0] == "Anna, 40 photos"
    assert labels[1].startswith("<b>Änne</b> & Söhne"), "text, not markup"
    assert labels[2:] == ["p3, 10 photos", "p4, 1 photo"]
    assert browser.images_loaded() == 3, "who has no picture has a stand-in"
    assert browser.text("#tabs [aria-current]") == "People4"
    assert browser.text(".asks") == "11 questions for you"
    assert all(address.startswith(("file:", "data:")) for address in browser.requested())


def test_a_person_has_photos_company_and_a_timeline(browser, page):
    browser.open(page, "#person=p1")
    browser.wait("return document.querySelector('.tile')")
    assert browser.text("h1") == "Anna"
    assert browser.text(".lead") == "40 photos · 2020"
    chips = "return [...document.querySelectorAll('.together .chip')].map((c) => c.textContent)"
    assert [text[-2:] for text in browser.run(chips)] == ["10", "10", "41"]
    browser.run("document.querySelectorAll('.together .chip')[1].click()")
    browser.wait("return location.hash.includes('beside=')")
    browser.wait("return document.querySelectorAll('.tile').length === 10")
    assert " and " in browser.text("h1")


def test_names_are_searched_for_and_stand_in_the_viewer(browser, page):
    browser.open(page, "#q=anna")
    browser.wait("return document.querySelector('.tile')")
    assert browser.text("h1") == "40 photos"
    browser.go("#q=anna&photo=35")
    links = "return [...document.querySelectorAll('#viewer dd a')].map((a) => a.hash)"
    assert {"#person=p1", "#person=p2"} <= set(browser.wait(links))


def test_a_question_has_the_command_to_type(browser, page):
    browser.open(page, "#view=review")
    browser.wait("return document.querySelector('.ask')")
    wanted = [command for one in people().questions for _, command in one.answers]
    assert browser.run(TYPED) == wanted
    assert "Is this Anna?" in browser.text("#main")
    assert "7 more: caption.py people review" in browser.text(".lead")
    assert browser.text("#tabs [aria-current]") == "People4"
    assert browser.run(CUT) == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
@pytest.mark.parametrize("fragment", ["#view=people", "#person=p2", "#view=review"])
def test_nothing_is_wider_than_the_window(browser, page, width, fragment):
    browser.emulate(width, 800)
    browser.open(page, fragment)
    browser.wait("return document.querySelector('.list')")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run(CUT) == browser.run(OUTSIDE) == 0


@pytest.mark.parametrize("fragment", ["#person=p9", "#person=%3Cb%3E", "#person=p1&beside=p9"])
def test_an_address_from_elsewhere_breaks_nothing(browser, page, fragment):
    browser.open(page, fragment)
    assert browser.wait("return document.querySelector('.empty, .tile')")


def test_without_people_there_is_no_trace_of_them(browser, tmp_path):
    page = write_page(rich_report(20), tmp_path, no_thumbnail, None)
    browser.open(page)
    tabs = "return [...document.querySelectorAll('#tabs a')].map((tab) => tab.dataset.view)"
    assert browser.wait(tabs) == ["overview", "clusters", "events", "duplicates", "problems"]
    browser.press("5")
    browser.wait("return location.hash === '#view=problems'")
    browser.go("#view=people")
    assert "caption.py people scan" in browser.text(".empty")


def test_faces_that_nobody_shows_any_more_are_swept_away(tmp_path):
    shown = replace(rich_report(60), people=people())
    write_page(shown, tmp_path, no_thumbnail, None)
    folder = tmp_path / "cluster_report_files" / "thumbnails"
    assert len(list(folder.rglob("*.webp"))) == 4
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.rglob("*.webp"))
    write_page(rich_report(60), tmp_path, no_thumbnail, None)
    assert list(folder.rglob("*.webp")) == []
