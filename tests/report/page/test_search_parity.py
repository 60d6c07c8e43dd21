"""The page and `caption.py search` answer the same: 200 queries through both, and the facets."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from picture_captioner.cli import caption_app
from picture_captioner.cli.commands.report_inputs import report_photos, with_facts, with_words
from picture_captioner.errors import Status
from picture_captioner.journal.record import Record
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.facts import PhotoFacts, Place
from picture_captioner.library.store import Library
from picture_captioner.library.tags import GivenTag
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.told import Fact, Kind
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.report.page.writer import write_page
from tests.report.page.reports import HEAD, bare_report, no_thumbnail

QUERIES = 240
FIRST_DAY = datetime(2019, 5, 20, tzinfo=UTC)
SUBJECTS = ("dog", "dogs", "two children", "a red car", "boats", "an old church", "café tables",
            "snowy mountains", "a sleeping cat", "fireworks", "大海と犬")  # fmt: skip
DOING = ("running on the beach", "in a garden", "near the river at night", "with a ball",
         "under cloudy skies", "standing on a bridge")  # fmt: skip
SIGNS = ("C++ beside C#", "R&B at the beach", "AT&T", "a party \U0001f389", "50% off", "some .NET",
         "an A4-sheet", "I \u2764\ufe0f it")  # fmt: skip
GERMAN = ("eine Straße im Wald mit der Familie", "zwei Hunde auf der Wiese", "ein Hund im Schnee")
TAGS = ("snow", "beach", "Animal > Dog", "night", "new york", "garden")
QUOTED = "the \u201eGolden\u201c Rose"
CAMERAS = ("Pixel 8 Pro", "Canon EOS 80D", None, "samsung SM_G991B")
PLACES = (
    Place("Lisbon, Portugal", "Alfama"),
    Place("New York, United States"),
    Place("Potsdam, Germany", "Brandenburg"),
    None,
)
WRITTEN = ("Invoice 4711\nTotal 12.50 EUR", "EXIT", "Bäckerei", None, None)

PIECES = (
    *("dog", "dogs", "run", "runs", "child", "children", "boat", "mountain", "car", "cars", "sky",
      "church", "garden", "gardens", "cafe", "café", "CAFÉ", "snow", "stand", "invoice", "total",
      "the", "a", "on", "with", "bea", "mount", "xyzzy", "犬", "海", "straße", "wald", "hund",
      "hunde",
      "-dog", "-the", "-beach", "img", "2019", "4711", "12.50", "...", "--", "it's", "fire-works",
      '"on the beach"', '"beach on"', '"two children"', '-"a ball"', '"dog run', "http://x"),
    *("tag:snow", "tag:dog", "tag:animal", 'tag:"Animal > Dog"', "TAG:Snow", "-tag:beach",
      'tag:"new york"', "tag:nothing", "place:lisbon", "place:port", "place:alfama",
      "place:brandenb", "place:york",
      'place:"New York"', "-place:germany", "camera:pixel", "camera:SM_G", "camera:%",
      "-camera:canon", "camera:canon", "text:invoice", "text:total", "-text:exit",
      'text:"invoice 4711"', "text:backerei", "has:caption", "has:text", "-has:text", "has:tag",
      "has:time", "-has:time", "has:title", "has:place", "has:face", "-has:face", "has:vector",
      "-has:vector", "has:person", "person:Anna", "-person:Bo", "place:Hoek", "status:suspect",
      "sunset", "sunsets", "sun", "-sunset", "grinning", "tag:grinning", "tag:frosty", "frosty",
      "-has:place", "status:success", "status:error_model",
      "-status:success", "status:pending"),
    *("2019-06", "2019-06..2019-09", "2019..", "..2019", "date:2019", "-2019-07", "from:2019-07",
      "to:2019-06-30", "date:2019-06-15", "2020-02..2019-01", "date:2019-02-30", "date:soon",
      "from:2019..", "has:nothing", "status:fine", "tag:", "place:!!", "person:Nobody",
      "0000-01..", "date:9999"),
    *("c++", "C#", "c", ".NET", "A4-", "50%", "AT&T", "R&B", "\u201ezwei Hunde\u201c",
      "tag:\u201cnew york\u201d", f'tag:"{QUOTED}"', "r&", "\U0001f389", "\u2764", "-C++",
      '"c++ beside"', "text:c#", "tag:\U0001f389", "beach?!", "(dog)", "dog*"),
)  # fmt: skip


def photos_of(chance):
    """Records and facts of 60 photos, chosen by chance."""
    for i in range(60):
        fails = i % 17 == 3
        # The page finds photos without a caption by their names, too.
        folder = "broken" if fails else f"{2019 + i % 2}/{'IMG' if i % 3 else 'holiday'}"
        path = f"{folder}_{i:04d}.jpg"
        extra = {"tags": chance.sample(TAGS, chance.randint(0, 3))}
        if i % 4 == 1:
            extra["tags"].append(QUOTED)
        if i % 13 == 1:
            extra |= {"suspect": ["Peter"]}
        if i % 5 == 0:
            extra |= {"title": f"Title {chance.choice(SUBJECTS)}",
                      "objects": {"value": ["umbrella", "lamp"], "confidence": 0.5}}  # fmt: skip
        caption = (
            SIGNS[i // 7 % len(SIGNS)]
            if i % 7 == 6
            else f"{chance.choice(SUBJECTS)} {chance.choice(DOING)}."
        )
        caption = chance.choice(GERMAN) if i % 9 == 4 else caption.capitalize()
        record = Record(
            rel_path=path,
            caption=None if fails else caption,
            status=Status.ERROR_MODEL if fails else Status.SUCCESS,
            content_sha256=f"{i:064x}",
            size=i + 1,
            mtime_ns=1,
            extra={} if fails else extra,
        )
        taken = FIRST_DAY + timedelta(days=chance.randint(0, 300), hours=chance.random())
        where = chance.choice(PLACES)
        facts = PhotoFacts(
            content_sha256=f"{i:064x}",
            width=400,
            height=300,
            taken_at=None if i % 11 == 5 else taken,
            camera=chance.choice(CAMERAS),
            latitude=None if where is None else float(PLACES.index(where)),
            longitude=None if where is None else float(PLACES.index(where)),
        )
        yield record, facts, chance.choice(WRITTEN)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A journal and a library.db, and the page of both."""
    folder = tmp_path_factory.mktemp("parity")
    known = list(photos_of(random.Random(20)))
    records = [record for record, *_ in known]
    failed_since = [
        replace(record, caption=None, status=Status.ERROR_API)
        for record in records[:40:10]
        if record.caption
    ]
    (folder / "captions.jsonl").write_bytes(
        b"".join(record.to_line() for record in (*records, *failed_since))
    )
    (folder / "tags.jsonl").write_bytes(
        b'{"kind": "rename", "tag": "icy", "to": "frosty"}\n'
        b'{"kind": "delete", "tags": ["blurry"]}\n'
    )
    walked = [Photo(record.rel_path, record.size, 1) for record in records]
    with Library.open(folder / "library.db", str) as library:
        for record, facts, written in known:
            library.facts.save(record.rel_path, record.size, 1, facts)
            if written:
                lines = [(line, 0.9, ()) for line in written.split("\n")]
                library.texts.save(facts.content_sha256, "test", lines)
        content = [facts.content_sha256 for _, facts, _ in known]
        given = {content[7]: [GivenTag("x", "snow", 0.9), GivenTag("x", "Sky > Sunsets", 0.5)]}
        given |= {
            content[9]: [GivenTag("x", "icy", 0.9)],
            content[14]: [GivenTag("x", "blurry", 1)],
        }
        library.tags.save("m:1", "1", given)
        library.save_vectors("m:1", content[5:30], np.ones((25, 4), np.float32))
        face = StoredFace(
            0, (1.0, 1.0, 9.0, 9.0), 0.9, 9.0, np.zeros((5, 2), np.float32), np.ones(8, np.float32)
        )
        for one in content[10:20]:
            library.faces.save(one, "d", "r", [face])
        library.tags.save_of_faces(
            "1", {content[12]: {0: [GivenTag("expression", "grinning", 0.9)]}}
        )
        library.others.save_beside("2019", "stamp", {
            records[i].rel_path: Metadata(facts=(
                Fact(Kind.PERSON, "Anna" if i % 2 else "Bo", "takeout"),
                Fact(Kind.PLACE, "Hoek van Holland", "takeout"),
            ))
            for i in range(2, 60, 6)
        })  # fmt: skip
        library.facts.name_places(lambda places: [PLACES[int(place[0])] for place in places])
        photos = with_facts(
            report_photos(walked, records, failed_since),
            {p.rel_path: p for p in walked},
            library.facts,
        )
        decided = TagDecisions.beside(folder / "captions.jsonl")
        photos = with_words(photos, library.texts.words(), decided)
    page = write_page(bare_report(tuple(photos)), folder / "out", no_thumbnail, None)
    return folder, page, [photo.rel_path for photo in photos]


def commands_answer(folder, query, capsys):
    """What the command finds; None where it calls the query impossible."""
    where = [f"--captions-jsonl={folder / 'captions.jsonl'}", "--captions-only", "--all"]
    code = caption_app.execute(["search", "--json", "--limit=100", *where, "--", query])
    answer = capsys.readouterr().out
    return {hit["rel_path"] for hit in json.loads(answer)} if code == 0 else None


def pages_answer(browser, query, paths):
    browser.run("location.hash = '#' + new URLSearchParams({q: arguments[0]})", query)
    browser.wait(
        "return document.querySelector('.heading')?.textContent.includes('“' + arguments[0] + '”')",
        query,
    )
    fault = browser.text(".empty p")
    if fault != "None" and not fault.startswith("No photo has"):
        return None
    tiles = "return [...document.querySelectorAll('.tile a')].map((a) => Number(a.dataset.photo))"
    return {paths[i] for i in browser.run(tiles)}


def queries():
    chance = random.Random(4)
    yield from PIECES
    while True:
        yield " ".join(chance.sample(PIECES, chance.choice((2, 2, 3, 4))))


def test_the_page_answers_200_queries_as_the_command_does(browser, made, capsys):
    folder, page, paths = made
    browser.emulate(1280, 9000)  # all photos are on the screen
    browser.open(page)
    found = impossible = 0
    wrong = []
    for query, _ in zip(queries(), range(QUERIES), strict=False):
        wanted, shown = commands_answer(folder, query, capsys), pages_answer(browser, query, paths)
        found += bool(wanted)
        impossible += wanted is None
        if wanted is None and not any(map(str.isalnum, query)):
            wanted = set()  # signs alone: no search for the command, nothing found on the page
        if shown != wanted:
            wrong.append((query, sorted((wanted or set()) ^ (shown or set()))))
    assert not wrong, f"{len(wrong)} differ: {wrong[:8]}"
    assert found > 90
    assert impossible > 10


def test_the_page_says_what_to_type_where_likeness_is_asked_for(browser, made):
    _, page, _ = made
    browser.open(page, "#q=dog similar:it's.jpg")
    told = browser.text(".empty p")
    assert told == (
        f"Likeness is for the command. In a terminal: {HEAD.commands['search']} -- "
        "'dog similar:it'\\''s.jpg'"
    )


def test_facets_count_combine_and_stand_in_the_address(browser, made):
    _, page, _ = made
    browser.open(page, "#q=has:caption")
    everything = int(browser.text("h1").split()[0])
    assert browser.texts(".facet-name") == ["Years", "Places", "People", "Tags", "Cameras"]
    years = browser.texts(".facet[aria-label=Years] .chip")
    assert [year[:4] for year in years] == ["2020", "2019"]
    browser.click(".facet[aria-label=Years] .chip", 1)
    browser.wait("return location.hash.includes('date')")
    assert browser.hash() == "#q=has%3Acaption+date%3A2019"
    in_2019 = int(browser.text("h1").split()[0])
    assert in_2019 == int(years[1][4:]) < everything
    tag = browser.text(".facet[aria-label=Tags] .chip")
    browser.click(".facet[aria-label=Tags] .chip")
    browser.wait("return location.hash.includes('tag')")
    assert int(browser.text("h1").split()[0]) == int("".join(filter(str.isdigit, tag)))
    assert browser.count(".facet .chip[aria-current]") == 2
    browser.click(".facet .chip[aria-current]")
    browser.wait("return !location.hash.includes('date')")
    browser.open(page, "#q=has:caption")
    chips = browser.texts(".facet .chip")
    (place,) = [i for i, text in enumerate(chips) if QUOTED in text]
    shown = chips[place]
    browser.click(".facet .chip", place)
    browser.wait("return location.hash.includes('tag')")
    assert int(browser.text("h1").split()[0]) == int("".join(filter(str.isdigit, shown)))


def test_what_is_written_in_a_photo_can_be_copied(browser, made):
    _, page, _ = made
    browser.open(page, "#q=text:invoice")
    browser.click(".tile a")
    browser.wait("return document.querySelector('.written')")
    text = browser.run("return document.querySelector('.written pre').innerText")
    assert text.split("\n") == ["Invoice 4711", "Total 12.50 EUR"]
    browser.click(".written button")
    browser.wait("return document.querySelector('.written button').textContent.startsWith('Cop')")
