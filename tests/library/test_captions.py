"""Search finds what the journal says now, and takes whatever is typed."""

import json
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picture_captioner.errors import JournalError, LibraryError, Status, UsageError
from picture_captioner.journal import record as journal_record
from picture_captioner.journal.maintenance import compact
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.journal.writing import Journal
from picture_captioner.library.searching import fuse
from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from picture_captioner.library.words import spaced
from tests.library.filling import caption_of


def record(rel_path, caption, **given):
    status = Status.SUCCESS if caption is not None else Status.ERROR_MODEL
    error = None if caption is not None else RecordError("refused", "no")
    return Record(rel_path=rel_path, caption=caption, status=status, error=error, **given)


BEACH = [
    record("a/1.jpg", "Two children build a sandcastle on a beach.", content_sha256="1" * 64),
    record("a/2.jpg", "A dog runs along the beach.", extra={"tags": ["dog", "sea"]}),
    record("b/3.jpg", "Ein Café in Zürich.", extra={"title": "Frühstück"}),
    record("b/4.jpg", "日本の海滩に沈む夕日"),
    record("b/5.jpg", None),
]


def write(path, records):
    with path.open("ab") as stream:
        stream.write(b"".join(r.to_line() for r in records))


@pytest.fixture
def db(home):
    with Library.open(home, pytest.fail) as db:
        yield db


@pytest.fixture
def filled(db, journal_path):
    write(journal_path, BEACH)
    assert db.follow_journal(journal_path).records == 5
    return db


WORDS = st.from_regex(r"[a-z0-9äßéñжש]{3,12}", fullmatch=True)


def found(db, query, limit=10):
    return [hit.rel_path for hit in hits_of(db, query, limit)]


def hits_of(db, query, limit=10):
    return db.search(Selection.parse(query), limit, fold=False).photos


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("children on a beach", ["a/1.jpg"]),
        ("BEACH", ["a/1.jpg", "a/2.jpg"]),
        ("sandc", ["a/1.jpg"]),
        ("sea", ["a/2.jpg"]),
        ("cafe zurich", ["b/3.jpg"]),
        ("fruhstuck", ["b/3.jpg"]),
        ("海滩", ["b/4.jpg"]),
        ("夕日", ["b/4.jpg"]),
        ('"along the beach"', ["a/2.jpg"]),
        ('"beach along"', []),
        ('"sand"', []),
        ("on a", ["a/1.jpg"]),
        ("mountain", []),
        ("refused", []),
    ],
)
def test_what_is_found(filled, query, paths):
    assert sorted(found(filled, query)) == paths


def test_all_words_first_then_some(filled):
    assert [hit.all_words for hit in hits_of(filled, "dog beach", 10)] == [True]
    some = hits_of(filled, "dog in zurich", 10)
    assert {hit.rel_path for hit in some} == {"a/2.jpg", "b/3.jpg"}
    assert not any(hit.all_words for hit in some)


def test_the_best_comes_first_and_the_limit_holds(filled):
    assert found(filled, "dog", 1) == ["a/2.jpg"]
    hits = hits_of(filled, "beach", 10)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert len(hits_of(filled, "beach", 1)) == 1


def test_a_hit_says_what_the_journal_says(filled):
    (hit,) = hits_of(filled, "zürich", 5)
    assert (hit.caption, hit.why) == ("Ein Café in Zürich.", "caption: zürich")
    assert caption_of(filled, "b/3.jpg").title == "Frühstück"
    assert caption_of(filled, "a/2.jpg").tags == ("dog", "sea")
    assert caption_of(filled, "none.jpg") is None
    assert filled.paths_of("1" * 64) == ["a/1.jpg"]


@settings(deadline=None)  # the first one loads the rules of 20 languages
@given(query=st.text() | st.text(st.sampled_from("\"'*()^:-+{} ANDORNOTEARab,.\0\udce9海")))
@example('"')
@example('a" OR "b')
@example("NEAR(a b, 3)")
@example("title:dog")
@example("-dog ^cat *")
@example("\u0b71 \U0001e900")  # letters that SQLite's Unicode does not know
@example("ä" * 100_000)
def test_no_query_is_a_syntax_error(query):
    with Library.in_memory(pytest.fail) as db:
        try:
            selection = Selection.parse(query)
        except UsageError as error:
            assert str(error)
            return
        db.search(selection, 5)


@settings(deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=8))
def test_every_caption_is_found_by_its_own_words(tmp_path_factory, words):
    caption = " ".join(words)
    path = tmp_path_factory.mktemp("j") / "captions.jsonl"
    write(path, [record("x.jpg", caption), record("y.jpg", "unrelated")])
    with Library.in_memory(pytest.fail) as db:
        db.follow_journal(path)
        assert found(db, caption)[0] == "x.jpg"
        assert "x.jpg" in found(db, words[-1][:2])
        assert found(db, f'"{caption}"')[0] == "x.jpg"


def test_spaced_text_keeps_words_of_other_scripts():
    assert spaced("das Meer") == "das Meer"
    assert spaced("海滩 sea").split() == ["海", "滩", "sea"]


def test_only_new_lines_are_read(filled, journal_path):
    assert filled.follow_journal(journal_path).records == 0
    write(journal_path, [record("c.jpg", "A lighthouse.")])
    assert filled.follow_journal(journal_path).records == 1
    assert found(filled, "lighthouse") == ["c.jpg"]
    assert len(found(filled, "beach")) == 2


def test_a_torn_line_is_left_until_it_is_whole(filled, journal_path):
    line = record("c.jpg", "A lighthouse.").to_line()
    with journal_path.open("ab") as stream:
        stream.write(line[:20])
    assert filled.follow_journal(journal_path).records == 0
    with journal_path.open("ab") as stream:
        stream.write(line[20:])
    assert filled.follow_journal(journal_path).records == 1


def test_a_torn_line_that_is_repaired_does_not_confuse(filled, journal_path):
    with journal_path.open("ab") as stream:
        stream.write(b'{"rel_path":"torn')
    filled.follow_journal(journal_path)
    with Journal(journal_path) as journal:
        journal.append(record("c.jpg", "A lighthouse."))
    assert filled.follow_journal(journal_path).records == 1
    assert found(filled, "lighthouse") == ["c.jpg"]


def test_damaged_lines_are_passed_over_and_counted(filled, journal_path):
    with journal_path.open("ab") as stream:
        stream.write(b"junk\n\n{}\n" + record("c.jpg", "A lighthouse.").to_line())
    followed = filled.follow_journal(journal_path)
    assert (followed.records, followed.damaged) == (1, 2)
    assert found(filled, "lighthouse") == ["c.jpg"]


def test_a_replaced_journal_is_indexed_anew(filled, journal_path):
    write(journal_path, [record("a/1.jpg", "An empty room.")])
    filled.follow_journal(journal_path)
    compact(journal_path)
    assert filled.follow_journal(journal_path).records == 5
    assert found(filled, "children") == []
    assert found(filled, "room") == ["a/1.jpg"]
    journal_path.write_bytes(record("z.jpg", "Something else.").to_line())
    assert filled.follow_journal(journal_path).records == 1
    assert found(filled, "beach") == []


def test_a_journal_of_the_same_length_in_its_place_is_noticed(filled, journal_path, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_bytes(journal_path.read_bytes().replace(b"sandcastle", b"lighthouse"))
    os.replace(other, journal_path)
    assert filled.follow_journal(journal_path).records == 5
    assert found(filled, "lighthouse") == ["a/1.jpg"]


@pytest.mark.parametrize(
    ("records", "captions"),
    [
        ([("old", False), ("new", False)], "new"),
        ([("old", False), ("placeholder", True)], "old"),
        ([("placeholder", True), ("new", False)], "new"),
        ([("placeholder", True), ("another", True)], "another"),
        ([("old", False), (None, False)], "old"),
        ([("placeholder", True), (None, False), ("later", True)], None),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_caption_that_holds_is_found(db, journal_path, records, captions, at_once):
    for caption, placeholder in records:
        write(journal_path, [record("x.jpg", caption, placeholder=placeholder)])
        if not at_once:
            db.follow_journal(journal_path)
    db.follow_journal(journal_path)
    every = [
        h.caption
        for w in ("old", "new", "placeholder", "another", "later")
        for h in hits_of(db, w, 5)
    ]
    assert every == ([captions] if captions else [])


def test_odd_fields_of_another_program_do_no_harm(db, journal_path):
    odd = {
        "rel_path": "caf\udce9\ud800.jpg",
        "caption": "A caf\ud800 \u202e\u0000 sign.",
        "status": "success",
        "title": ["no", "text"],
        "tags": {"not": "a list"},
        "content_sha256": "\ud800",
    }
    lines = [odd, odd | {"rel_path": "b", "tags": [1, "x"]}]
    journal_path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert db.follow_journal(journal_path).records == 2
    hits = hits_of(db, "sign", 5)
    assert {hit.rel_path for hit in hits} == {"caf\udce9\ud800.jpg", "b"}
    assert caption_of(db, "b").tags == ("x",)


def test_a_journal_that_is_not_there(db, tmp_path):
    with pytest.raises(JournalError, match="No such file"):
        db.follow_journal(tmp_path / "none.jsonl")


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_an_index_that_cannot_be_written_is_as_it_was(filled, journal_path):
    write(journal_path, [record(f"{n}.jpg", "A lighthouse " + "x" * 5000) for n in range(100)])
    filled.database._connection.execute("PRAGMA max_page_count = 100")
    with pytest.raises(LibraryError, match="free some space"):
        filled.follow_journal(journal_path)
    assert len(found(filled, "beach")) == 2
    assert found(filled, "lighthouse") == []


def test_a_position_of_another_version_means_from_the_beginning(filled, journal_path):
    with filled.database.transaction() as connection:
        served = ("journals", "position") in connection.columns()
        table = "journals" if served else "indexed_journal"
        connection.execute(f"UPDATE {table} SET position = 'junk'")
    assert filled.follow_journal(journal_path).records == 5
    assert len(found(filled, "beach")) == 2


def test_what_an_older_version_took_from_lines_that_lead_out_is_dropped(
    filled, journal_path, monkeypatch
):
    with journal_path.open("ab") as stream:
        stream.write(b'{"rel_path":"../x.jpg","caption":"A lighthouse.","status":"success"}\n')
    with monkeypatch.context() as older:
        older.setattr(journal_record, "is_rel_path", lambda _: True)
        filled.follow_journal(journal_path)
    assert found(filled, "lighthouse") == ["../x.jpg"]
    with filled.database.transaction() as connection:
        served = ("journals", "position") in connection.columns()
        table = "journals" if served else "indexed_journal"
        (position,) = connection.execute(f"SELECT position FROM {table}").fetchone()
        known = json.loads(position)
        assert known.pop("rules")
        connection.execute(f"UPDATE {table} SET position = ?", (json.dumps(known),))
    assert filled.follow_journal(journal_path).damaged == 1
    assert found(filled, "lighthouse") == []
    assert len(found(filled, "beach")) == 2


def test_fusing_puts_first_what_both_rankings_have():
    assert list(fuse([["a", "b"], ["c", "b"]])) == ["b", "a", "c"]
    assert list(fuse([["a", "b"], []])) == ["a", "b"]
