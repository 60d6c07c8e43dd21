"""Which photos a run takes, against the rules of the design written down a second time."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picture_captioner.errors import Status
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.pipeline.selecting.selection import (
    Identity,
    SelectionRules,
    Source,
    Stale,
    find_sources,
    only_content_may_differ,
    select,
)
from picture_captioner.pipeline.selecting.walk import Photo

PHOTO = Photo("2023/a.jpg", size=100, mtime_ns=7)
SINCE = datetime(2026, 11, 21, 22, tzinfo=UTC)
YOUNGER = {
    None: False,
    "some day": False,
    "2026-11-21T21:59:59.999Z": False,
    "2026-11-21T22:00:00Z": True,
    "2026-11-21T23:30:00+02:00": False,
    "2026-11-22T01:00:00+02:00": True,
    "2026-11-21T22:00:01": True,
}
REAL = Identity("service", "s-1", "0" * 12, placeholder=False)
MOCK = Identity("mock", "mock-1", "0" * 12, placeholder=True)
TEMPLATE = Identity("template", "template-2", "0" * 12, placeholder=True)

ENTRIES = st.none() | st.fixed_dictionaries(
    {
        "status": st.sampled_from(Status),
        "placeholder": st.booleans(),
        "backend": st.sampled_from(["service", "mock", "template", None]),
        "model": st.sampled_from(["s-1", "mock-1", None]),
        "prompt_sha256": st.sampled_from(["0" * 12, "f" * 12, None]),
        "size": st.sampled_from([100, 101, None]),
        "mtime_ns": st.sampled_from([7, 8, None]),
        "created_at": st.sampled_from(list(YOUNGER)),
    }
)
RULES = st.fixed_dictionaries(
    {
        "identity": st.sampled_from([REAL, MOCK, TEMPLATE]),
        "retry_status": st.frozensets(st.sampled_from(Status)),
        "retry_only": st.booleans(),
        "stale": st.frozensets(st.sampled_from(Stale)),
        "force": st.booleans(),
        "since": st.sampled_from([None, SINCE]),
        "dry_run": st.booleans(),
    }
).filter(lambda rules: not (rules["force"] and rules["retry_only"]))  # refused by the app


def is_taken(entry, rules):
    """The rules, one sentence of the design after the other."""
    if rules.dry_run:
        return True  # opens every photo
    if entry is not None and entry.placeholder and not rules.identity.placeholder:
        entry = None  # a placeholder never blocks a real caption
    if entry is not None and entry.placeholder and entry.backend == "mock":  # template takes it
        entry = entry if rules.identity.backend == "mock" else None
    if entry is None:
        return not rules.retry_only
    if rules.since is not None and YOUNGER[entry.created_at]:
        return False  # done, whatever the other flags say
    if rules.since is not None and rules.identity.placeholder and not entry.placeholder:
        return False  # a placeholder would not count: each restart would take the photo again
    reasons = set()
    if rules.force:
        reasons.add("force")
    if entry.status in rules.retry_status:
        reasons.add("retry")
    if entry.status is Status.SUCCESS:
        if (entry.backend, entry.model) != (rules.identity.backend, rules.identity.model):
            reasons.add("model")
        if entry.prompt_sha256 != rules.identity.prompt_sha256:
            reasons.add("prompt")
    if entry.size != PHOTO.size or entry.mtime_ns != PHOTO.mtime_ns:
        reasons.add("content")
    asked = {"force", "retry"} | (set() if rules.retry_only else set(rules.stale))
    return bool(reasons & asked)


def index_of(*entries):
    """The index of lines in their order."""
    index = JournalIndex()
    for entry in entries:
        if entry is not None:
            index.apply(entry)
    return index


@settings(max_examples=500)
@given(known=ENTRIES, flags=RULES)
def test_a_photo_is_taken_when_the_rules_say_so(known, flags, make_entry):
    entry = None if known is None else make_entry(**known)
    rules = SelectionRules(**flags)
    assert rules.takes(PHOTO, index_of(entry)) == is_taken(entry, rules)


@pytest.mark.parametrize(("created_at", "younger"), [*YOUNGER.items()])
def test_a_record_of_the_very_time_of_since_counts_as_done(make_entry, created_at, younger):
    rules = SelectionRules(REAL, force=True, since=SINCE)
    assert rules.takes(PHOTO, index_of(make_entry(created_at=created_at))) is not younger


@given(known=st.lists(ENTRIES, max_size=6), flags=RULES)
def test_a_selection_keeps_the_order_and_counts_the_rest(known, flags, make_entry):
    photos = [Photo(f"{n}.jpg", 100, 7) for n in range(len(known))]
    entries = [
        None if fields is None else make_entry(photo.rel_path, **fields)
        for photo, fields in zip(photos, known, strict=True)
    ]
    rules = SelectionRules(**flags)
    index = JournalIndex({entry.rel_path: entry for entry in entries if entry is not None})
    pending = select(photos, index, rules)
    left = [entry for entry in entries if entry is not None and not is_taken(entry, rules)]
    assert pending.photos == [
        photo for photo, entry in zip(photos, entries, strict=True) if is_taken(entry, rules)
    ]
    assert pending.done.total() == len(left)
    assert pending.done_errors == sum(entry.status is not Status.SUCCESS for entry in left)


OTHER_MODEL = {"model": "older", "prompt_sha256": "f" * 12}
FAILED = {"status": Status.ERROR_MODEL}
REDONE = [OTHER_MODEL, FAILED]


@pytest.mark.parametrize(
    ("lines", "flags", "taken"),
    [
        (REDONE, "", False),
        (REDONE, "retry", True),
        (REDONE, "stale", False),  # this question about this file failed: only a retry asks again
        ([OTHER_MODEL, FAILED | {"model": "a third"}], "stale", True),
        ([OTHER_MODEL, FAILED | {"prompt_sha256": "e" * 12}], "stale", True),
        ([OTHER_MODEL, FAILED | {"size": 99}], "stale", True),
        ([OTHER_MODEL, FAILED | {"size": 99, "content_sha256": "d" * 64}], "", False),
        ([OTHER_MODEL, {"status": Status.ERROR_CORRUPT, "model": None}], "stale", False),
        ([OTHER_MODEL, OTHER_MODEL | {"edited": True}], "stale", False),
        ([{}, {"withdrawn": True, "status": Status.ERROR_MODEL}], "", True),
        ([{}, {"withdrawn": True, "status": Status.ERROR_MODEL}], "retry only", False),
        ([{}, {"withdrawn": True, "status": Status.ERROR_MODEL}, {}], "", False),
        ([{"dry_run": True, "placeholder": True}], "", True),
        ([{"dry_run": True, "status": Status.ERROR_CORRUPT}], "", False),
    ],
)
def test_of_many_lines_the_last_attempt_decides_and_the_caption_gets_stale(
    make_entry, lines, flags, taken
):
    index = index_of(*(make_entry(PHOTO.rel_path, **fields) for fields in lines))
    rules = SelectionRules(
        REAL,
        retry_status=frozenset({Status.ERROR_MODEL}) if "retry" in flags else frozenset(),
        retry_only="only" in flags,
        stale=frozenset(Stale) if "stale" in flags else frozenset(),
    )
    assert rules.takes(PHOTO, index) is taken


def test_a_failed_redo_counts_as_a_caption_and_its_caption_serves_a_moved_photo(
    make_entry, tmp_path
):
    index = index_of(*(make_entry("gone.jpg", **fields) for fields in ({}, FAILED)))
    pending = select([Photo("gone.jpg", 100, 7)], index, SelectionRules(REAL))
    assert pending.done == {Status.SUCCESS: 1}
    assert sources(tmp_path, index) == {"gone.jpg": True}


PLACEHOLDER = {
    "status": Status.SUCCESS,
    "placeholder": True,
    "backend": "mock",
    "model": "mock-1",
    "prompt_sha256": "0" * 12,
    "size": 100,
    "mtime_ns": 7,
    "created_at": None,
}


@given(known=ENTRIES, flags=RULES)
@example(
    known=PLACEHOLDER,
    flags={"identity": REAL, "stale": frozenset({Stale.CONTENT})},
)
def test_a_hash_can_only_spare_photos_that_are_taken_for_their_content_alone(
    known, flags, make_entry
):
    """Else a photo would be called unchanged although it was asked for for another reason."""
    entry = None if known is None else make_entry(**known)
    rules = SelectionRules(**flags)
    if only_content_may_differ(index_of(entry).fold(PHOTO.rel_path), rules):
        without = SelectionRules(**(flags | {"stale": rules.stale - {Stale.CONTENT}}))
        assert not is_taken(entry, without)


def test_a_record_without_a_hash_cannot_spare_its_photo(make_entry):
    rules = SelectionRules(REAL, stale=frozenset({Stale.CONTENT}))
    known, unknown = make_entry(mtime_ns=8), make_entry(mtime_ns=8, content_sha256=None)
    assert only_content_may_differ(index_of(known).fold(PHOTO.rel_path), rules) is known
    assert only_content_may_differ(index_of(unknown).fold(PHOTO.rel_path), rules) is None


def sources(tmp_path, index, rules=None, pending=(PHOTO,)):
    found = find_sources(pending, index, rules or SelectionRules(REAL), tmp_path)
    return {s.entry.rel_path: s.moved for by_hash in found.values() for s in by_hash.values()}


def test_a_moved_photo_keeps_its_caption_whoever_wrote_it(tmp_path, make_entry):
    index = index_of(make_entry("gone.jpg", backend="other", model="o-1"))
    assert sources(tmp_path, index) == {"gone.jpg": True}
    (tmp_path / "gone.jpg").write_bytes(b"it is back")
    assert sources(tmp_path, index) == {}


def test_a_broken_link_is_not_gone(tmp_path, make_entry):
    (tmp_path / "link.jpg").symlink_to("nowhere")
    assert sources(tmp_path, index_of(make_entry("link.jpg", backend="other"))) == {}


def test_a_photo_that_is_there_is_copied_if_this_run_would_say_the_same(tmp_path, make_entry):
    (tmp_path / "here.jpg").write_bytes(b"photo")
    assert sources(tmp_path, index_of(make_entry("here.jpg"))) == {"here.jpg": False}
    for other in ({"backend": "b"}, {"model": "m"}, {"prompt_sha256": "f" * 12}):
        assert sources(tmp_path, index_of(make_entry("here.jpg", **other))) == {}


@pytest.mark.parametrize(
    "unfit",
    [
        {"placeholder": True},
        {"status": Status.ERROR_MODEL},
        {"content_sha256": None},
        {"size": None},
        {"size": 99},
    ],
)
def test_some_records_are_no_source(tmp_path, make_entry, unfit):
    assert sources(tmp_path, index_of(make_entry("gone.jpg", **unfit))) == {}


def test_a_pending_photo_is_no_source(tmp_path, make_entry):
    pending = (PHOTO, Photo("gone.jpg", 100, 7))
    assert sources(tmp_path, index_of(make_entry("gone.jpg")), pending=pending) == {}


@pytest.mark.parametrize("flags", [{"force": True}, {"dry_run": True}, {"retry_only": True}])
def test_some_runs_copy_nothing_from_the_journal(tmp_path, make_entry, flags):
    rules = SelectionRules(REAL, **flags)
    assert sources(tmp_path, index_of(make_entry("gone.jpg")), rules) == {}


def test_a_moved_photo_is_captioned_anew_if_its_answer_is_stale(tmp_path, make_entry):
    index = index_of(make_entry("gone.jpg", model="old"))
    stale_model = SelectionRules(REAL, stale=frozenset({Stale.MODEL}))
    stale_prompt = SelectionRules(REAL, stale=frozenset({Stale.PROMPT}))
    assert sources(tmp_path, index, stale_model) == {}
    assert sources(tmp_path, index, stale_prompt) == {"gone.jpg": True}


@pytest.mark.parametrize("hostile", ["/etc/hostname", "../outside.jpg", "a/../../outside.jpg"])
def test_a_record_cannot_make_the_run_look_outside(tmp_path, make_entry, hostile):
    assert sources(tmp_path, index_of(make_entry(hostile, backend="other"))) == {}


def test_a_placeholder_run_takes_over_captions_of_moved_photos_only(tmp_path, make_entry):
    (tmp_path / "here.jpg").write_bytes(b"photo")
    here = make_entry("here.jpg", backend=MOCK.backend, model=MOCK.model)
    index = index_of(here, make_entry("gone.jpg", content_sha256="d" * 64))
    assert sources(tmp_path, index, SelectionRules(MOCK)) == {"gone.jpg": True}


def test_sources_say_where_a_caption_is(make_entry):
    entry = make_entry("gone.jpg")
    found = find_sources([PHOTO], index_of(entry), SelectionRules(REAL), Path("/nowhere"))
    assert found == {100: {"c" * 64: Source(entry, moved=True)}}
