"""Written first, counted after; a copy has the leader's caption and a date of its own."""

import pytest

from picture_captioner.backends.base import Caption
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.dedup import ContentIndex
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes, Silent
from picture_captioner.pipeline.recording.recorder import Captioned, Recorder, success_record
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import WorkQueue


@pytest.fixture
def journal(journal_path):
    with Journal(journal_path) as journal:
        yield journal


def test_copies_of_a_leader_are_written_under_their_own_name_and_date(journal, loaded, identity):
    pending = [Photo("a.jpg", loaded.size, 7), Photo("b.jpg", loaded.size, 8)]
    queue, content, outcomes = WorkQueue(pending), ContentIndex({}, pending), Outcomes(Silent())
    recorder = Recorder(journal, content, queue, outcomes, dry_run=False)
    leader, follower = queue.next(), queue.next()
    assert content.claim(leader, loaded.size, loaded.content_sha256) is True
    assert content.claim(follower, loaded.size, loaded.content_sha256) is False
    record = success_record(leader.photo, loaded, Caption("A cat."), identity, 5)
    recorder.captioned([Captioned(leader, loaded, record)])
    copy = journal.read_record(journal.index.entries["b.jpg"])
    assert (copy.caption, copy.copied_from, copy.mtime_ns) == ("A cat.", "a.jpg", 8)
    assert outcomes.counts == {Outcome.CAPTIONED: 1, Outcome.COPIED: 1}
    assert queue.next() is None, "both are settled"
