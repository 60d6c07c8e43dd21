"""Who is suspect, who goes last, who is guilty: never one that came through or was there once."""

from __future__ import annotations

import pytest

from picture_captioner.errors import Status
from picture_captioner.journal import Journal, Record, RecordError, Sent, Suspicion, utc_now
from picture_captioner.pipeline.asking.deaths import CODE, Deaths, find_deaths, settled
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

SHA = "c" * 64


def suspicion(name="a.jpg", deaths=1, alone=0, *, last_alone=False, crashed=False, **other):
    photo = Sent(name, other.pop("sha256", SHA), 100, 7)
    died_at = other.pop("died_at", "2020-01-02T03:00:00.000Z")
    who = {"backend": "service", "model": "s-1"} | other
    return Suspicion(
        photo, deaths=deaths, alone=alone, last_alone=last_alone, crashed=crashed,
        died_at=died_at, **who,
    )  # fmt: skip


def photo(name="a.jpg", **other):
    return Photo(name, other.get("size", 100), other.get("mtime_ns", 7))


@pytest.mark.parametrize(
    ("deaths", "alone", "last_alone", "crashed", "guilty"),
    [
        (1, 1, True, True, False),
        (2, 2, True, True, False),
        (3, 1, True, True, True),
        (3, 2, True, False, False),
        (3, 3, True, False, True),
        (4, 2, True, False, False),
        (5, 3, True, False, True),
        (9, 0, False, True, False),
        (9, 5, False, True, False),
    ],
)
def test_only_deaths_alone_make_guilty(deaths, alone, last_alone, crashed, guilty):
    known = Deaths([suspicion("a.jpg", deaths, alone, last_alone=last_alone, crashed=crashed)])
    assert known.on_trial(photo()) == (deaths >= 2)
    assert (known.verdict(SHA) is not None) == guilty
    assert (known.sentence(photo()) is not None) == guilty
    if guilty:
        content, error = known.sentence(photo())
        assert (content, error.code, error.status) == (SHA, CODE, Status.ERROR_MODEL)


def test_those_without_a_death_come_first_then_by_deaths_in_their_own_order():
    known = Deaths([suspicion("b.jpg", 3, sha256="b" * 64), suspicion("a.jpg", 1)])
    names = [p.rel_path for p in known.ordered([photo(f"{x}.jpg") for x in "badc"])]
    assert names == ["d.jpg", "c.jpg", "a.jpg", "b.jpg"]


def test_a_file_that_was_changed_starts_afresh():
    known = Deaths([suspicion(deaths=3, alone=3, last_alone=True)])
    assert known.of(photo(mtime_ns=8)) == known.of(photo(size=101)) == 0
    assert known.sentence(photo(mtime_ns=8)) is None


def test_deaths_of_copies_are_deaths_of_one_content():
    first = suspicion("a.jpg", 1)
    second = suspicion("b.jpg", 1, 1, last_alone=True, died_at="2020-01-02T04:00:00.000Z")
    known = Deaths([second, first])
    assert known.of_content(SHA) == 2
    assert known.on_trial(photo("a.jpg"))
    assert known.on_trial(photo("b.jpg"))
    assert known.is_suspect(SHA)
    assert not known.is_suspect("d" * 64)


def test_nothing_known_is_false():
    assert not Deaths()
    assert Deaths([suspicion()])


@pytest.fixture
def journal(journal_path):
    with Journal(journal_path) as journal:
        yield journal


def record(name, code=CODE, **other):
    known = {
        "caption": None, "status": Status.ERROR_MODEL, "error": RecordError(code, "why"),
        "backend": "service", "model": "s-1", "content_sha256": SHA, "size": 100,
        "mtime_ns": 7, "created_at": utc_now(),
    }  # fmt: skip
    return Record(rel_path=name, **(known | other))


def test_a_copy_of_a_guilty_photo_is_guilty_and_one_that_is_retried_is_on_trial(journal, identity):
    journal.append(record("a.jpg"))
    known = find_deaths(journal, [], [photo("copy.jpg")], identity)
    assert known.verdict(SHA).code == CODE
    assert not known.on_trial(photo("copy.jpg")), "nobody knows before it is read"
    retried = find_deaths(journal, [], [photo("a.jpg"), photo("copy.jpg")], identity)
    assert retried.verdict(SHA) is None
    assert retried.on_trial(photo("a.jpg"))
    died = suspicion(deaths=1, alone=1, last_alone=True, crashed=True)
    again = find_deaths(journal, [died], [photo("a.jpg")], identity)
    assert again.sentence(photo("a.jpg")) is not None, "once more is enough"


@pytest.mark.parametrize(
    "other",
    [
        {"code": "refused"},
        {"backend": "another"},
        {"model": "s-2"},
        {"content_sha256": None},
        {"size": 101},
        {"status": Status.ERROR_API},
    ],
    ids=str,
)
def test_other_records_convict_nobody(journal, identity, other):
    journal.append(record("a.jpg", **other))
    assert not find_deaths(journal, [], [photo("copy.jpg")], identity)


def test_what_another_model_died_of_is_not_held_against_this_one(journal, identity):
    other = suspicion(deaths=5, alone=5, last_alone=True, model="s-2")
    assert not find_deaths(journal, [other], [photo()], identity)
    same = Identity("service", "s-2", "0" * 12, placeholder=False)
    assert find_deaths(journal, [other], [photo()], same)


def test_a_record_since_the_death_settles_it_and_an_older_one_does_not(journal):
    journal.append(
        record("verdict.jpg"),
        record("captioned.jpg", status=Status.SUCCESS, caption="A cat.", model="s-2"),
        record("another failed.jpg", model="s-2"),
        record("older.jpg", created_at="2020-01-01T00:00:00Z"),
        record("no time.jpg", created_at=None),
        record("bad time.jpg", created_at="yesterday"),
    )
    names = [*journal.index.entries, "no record.jpg"]
    found = settled([suspicion(name) for name in names], journal.index)
    assert {s.photo.rel_path for s in found} == {"verdict.jpg", "captioned.jpg"}
