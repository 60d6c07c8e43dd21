"""Written first, counted after; a copy has the leader's caption and a date of its own."""

import pytest

from backends.base import Caption
from journal import Journal
from pipeline.content import ContentIndex
from pipeline.feed import Feed
from pipeline.judge import success_record
from pipeline.recorder import Captioned, Recorder
from pipeline.tally import Outcome, Tally
from pipeline.walk import Photo


class Silent:
    def start(self, total): ...

    def advance(self, outcome): ...

    def failed(self, failure): ...

    def notice(self, text): ...


@pytest.fixture
def journal(journal_path):
    with Journal(journal_path) as journal:
        yield journal


def test_copies_of_a_leader_are_written_under_their_own_name_and_date(journal, loaded, identity):
    pending = [Photo("a.jpg", loaded.size, 7), Photo("b.jpg", loaded.size, 8)]
    feed, content, tally = Feed(pending), ContentIndex({}, pending), Tally(Silent())
    recorder = Recorder(journal, content, feed, tally, dry_run=False)
    leader, follower = feed.next(), feed.next()
    assert content.claim(leader, loaded.size, loaded.content_sha256) is True
    assert content.claim(follower, loaded.size, loaded.content_sha256) is False
    record = success_record(leader.photo, loaded, Caption("A cat."), identity, 5)
    recorder.captioned([Captioned(leader, loaded, record)])
    copy = journal.read_record(journal.index.entries["b.jpg"])
    assert (copy.caption, copy.copied_from, copy.mtime_ns) == ("A cat.", "a.jpg", 8)
    assert tally.outcomes == {Outcome.CAPTIONED: 1, Outcome.COPIED: 1}
    assert feed.next() is None, "both are settled"
