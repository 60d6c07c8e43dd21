"""Which photos runs take, one after the other, against a list of what is still to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.errors import Status
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.record import Entry
from picture_captioner.pipeline.selecting.selection import (
    Identity,
    SelectionRules,
    Stale,
    cut,
    select,
)
from picture_captioner.pipeline.selecting.walk import Photo

REAL = Identity("service", "s-1", "0" * 12, placeholder=False)
MOCK = Identity("mock", "mock-1", "0" * 12, placeholder=True)
START = datetime(2026, 11, 21, 22, tzinfo=UTC)

OLD_RECORDS = st.none() | st.builds(
    dict,
    status=st.sampled_from(Status),
    placeholder=st.booleans(),
    model=st.sampled_from(["s-1", "other", None]),
    prompt_sha256=st.sampled_from(["0" * 12, "f" * 12]),
    mtime_ns=st.sampled_from([7, 8]),
)
FLAGS = st.builds(
    dict,
    identity=st.sampled_from([REAL, MOCK]),
    retry_status=st.frozensets(st.sampled_from(list(Status)[1:])),
    stale=st.frozensets(st.sampled_from(Stale)),
    force=st.booleans(),
    retry_only=st.booleans(),
).filter(lambda flags: not (flags["force"] and flags["retry_only"]))


def library(known: list[dict | None]) -> tuple[list[Photo], JournalIndex]:
    """As many photos, and an index with the records of earlier days."""
    photos = [Photo(f"{n:03}.jpg", 100, 7) for n in range(len(known))]
    day_before = (START - timedelta(days=1)).isoformat()
    entries = {
        photo.rel_path: Entry(
            photo.rel_path, None, backend="service", size=100, created_at=day_before, **fields
        )
        for photo, fields in zip(photos, known, strict=True)
        if fields is not None
    }
    return photos, JournalIndex(entries)


def caption(index: JournalIndex, photo: Photo, who: Identity, minutes: int, *, good: bool) -> None:
    """What a run of that hour writes of a photo; a failure is a record too."""
    status = Status.SUCCESS if good else Status.ERROR_MODEL
    index.apply(
        Entry(
            photo.rel_path, None, status, placeholder=who.placeholder, backend=who.backend,
            model=who.model, prompt_sha256=who.prompt_sha256, size=photo.size,
            mtime_ns=photo.mtime_ns, requests=1,
            created_at=(START + timedelta(minutes=minutes)).isoformat(),
        )
    )  # fmt: skip


def loop(photos, index, rules, limit, every, outcomes) -> list[str]:
    """`run_loop.sh`: runs with the same flags and `--since`, until one leaves nothing for later."""
    taken: list[str] = []
    for minutes in range(len(photos) + 2):
        batch = cut(select(photos, index, rules), photos, index, rules, limit, every)
        for photo in batch.photos:
            assert photo.rel_path not in taken, "the restarts go round in a circle"
            taken.append(photo.rel_path)
            caption(index, photo, rules.identity, minutes, good=outcomes[len(taken) - 1])
        if not batch.left_by_restart:
            return taken
    pytest.fail(f"the loop never ends: {taken}")


@pytest.mark.timeout(900)
def test_a_loop_takes_each_photo_that_one_long_run_would_take_once(share, tried):
    examples = share(150, 5_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        known=st.lists(OLD_RECORDS, max_size=14),
        flags=FLAGS,
        limit=st.none() | st.integers(1, 16),
        every=st.integers(1, 6),
        outcomes=st.lists(st.booleans(), min_size=14, max_size=14),
    )
    def check(known, flags, limit, every, outcomes):
        photos, index = library(known)
        rules = SelectionRules(**flags, since=START)
        at_once = [photo.rel_path for photo in select(photos, index, rules).photos]
        assert loop(photos, index, rules, limit, every, outcomes) == at_once[:limit]

    check()
    tried("loops of restarted runs with random flags", examples)


@pytest.mark.timeout(900)
def test_no_flag_takes_less_than_the_plain_run_and_a_second_run_takes_nothing(share, tried):
    examples = share(150, 5_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(known=st.lists(OLD_RECORDS, max_size=14), flags=FLAGS)
    def check(known, flags):
        photos, index = library(known)
        rules = SelectionRules(**flags, since=START)
        plain = SelectionRules(rules.identity, since=START)
        taken = {photo.rel_path for photo in select(photos, index, rules).photos}
        missing = {photo.rel_path for photo in select(photos, index, plain).photos}
        assert missing <= taken or (rules.retry_only and not missing & taken)
        counts = select(photos, index, rules)
        without_any = sum(index.entries.get(photo.rel_path) is None for photo in photos)
        left_out = without_any if rules.retry_only else 0
        assert counts.done.total() + len(counts.photos) + left_out == len(photos)
        for photo in photos:
            if photo.rel_path in taken:
                caption(index, photo, rules.identity, 1, good=True)
        again = {
            photo.rel_path for photo in select(photos, index, replace(rules, force=False)).photos
        }
        assert not again & taken

    check()
    tried("pairs of runs with random flags", examples)
