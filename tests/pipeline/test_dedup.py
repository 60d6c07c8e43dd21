"""Identical bytes are captioned once, and no copy is ever forgotten, whoever fails when."""

import random
import threading
import time
from collections import Counter

import pytest

from picture_captioner.pipeline.decoding.decode_ahead import Known
from picture_captioner.pipeline.dedup import ContentIndex
from picture_captioner.pipeline.selecting.selection import Source
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import Item, WorkQueue

SIZE = 100
CONTENT = "c" * 64


def copies(count, size=SIZE):
    return [Photo(f"{n:03d}.jpg", size, 1) for n in range(count)]


def test_the_first_leads_and_the_others_follow_until_it_has_a_caption(make_entry):
    pending = copies(4)
    index = ContentIndex({}, pending)
    leader, *followers = map(Item, pending)
    assert index.claim(leader, SIZE, CONTENT) is True
    assert [index.claim(f, SIZE, CONTENT) for f in followers[:2]] == [False, False]
    assert not index.is_known(SIZE, CONTENT)
    entry = make_entry(leader.photo.rel_path)
    assert index.resolve(SIZE, CONTENT, entry) == followers[:2]
    assert index.is_known(SIZE, CONTENT)
    assert index.claim(followers[2], SIZE, CONTENT) == Source(entry, moved=False)


def test_when_the_leader_fails_its_copies_come_back_and_one_of_them_leads():
    pending = copies(3)
    index = ContentIndex({}, pending)
    leader, *followers = map(Item, pending)
    index.claim(leader, SIZE, CONTENT)
    for follower in followers:
        index.claim(follower, SIZE, CONTENT)
    assert index.resolve(SIZE, CONTENT, None) == followers
    assert not index.is_known(SIZE, CONTENT)
    assert [index.claim(f, SIZE, CONTENT) for f in followers] == [True, False]


def test_contents_of_one_size_do_not_mix():
    index = ContentIndex({}, copies(4))
    a, b, also_a, also_b = map(Item, copies(4))
    assert index.claim(a, SIZE, "a") is True
    assert index.claim(b, SIZE, "b") is True
    assert index.claim(also_b, SIZE, "b") is False
    assert index.claim(also_a, SIZE, "a") is False
    assert index.resolve(SIZE, "b", None) == [also_b]
    assert index.resolve(SIZE, "a", None) == [also_a]


def test_a_size_that_occurs_once_is_not_kept(make_entry):
    index = ContentIndex({}, copies(1))
    assert index.claim(Item(copies(1)[0]), SIZE, CONTENT) is True
    assert index.resolve(SIZE, CONTENT, make_entry()) == []
    assert not index.is_known(SIZE, CONTENT)


def test_a_caption_of_the_journal_serves_at_once(make_entry):
    source = Source(make_entry("old.jpg"), moved=True)
    index = ContentIndex({SIZE: {CONTENT: source}}, copies(1))
    assert index.is_known(SIZE, CONTENT)
    assert not index.is_known(SIZE + 1, CONTENT)
    assert index.claim(Item(copies(1)[0]), SIZE, CONTENT) is source
    assert index.claim(Item(copies(1)[0]), SIZE, "d" * 64) is True


def test_a_file_that_changed_since_the_walk_is_settled_under_its_new_size():
    index = ContentIndex({}, copies(2))
    assert index.claim(Item(copies(1)[0]), SIZE + 1, CONTENT) is True
    assert index.resolve(SIZE + 1, CONTENT, None) == []


@pytest.mark.parametrize("failures", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_no_copy_is_lost_while_leaders_fail_and_followers_arrive(
    in_threads, make_entry, failures, seed
):
    """Decoders as in a run: claim, copy, follow or lead, with a backend that fails at random."""
    pending = copies(60)
    queue, index = WorkQueue(pending), ContentIndex({}, pending)
    lock, settled, asked = threading.Lock(), Counter(), Counter()

    def settle(item):
        with lock:
            settled[item.photo.rel_path] += 1
        queue.settle()

    def lead(item, content, fails):
        entry = None if fails else make_entry(item.photo.rel_path, content_sha256=content)
        followers = index.resolve(SIZE, content, entry)
        if fails:
            queue.put_back(followers)
        else:
            for follower in followers:
                settle(follower)
        with lock:
            asked[content, fails] += 1
        settle(item)

    def work(number):
        rng = random.Random(seed * 100 + number)
        while (item := queue.next()) is not None:
            content = str(int(item.photo.rel_path[:3]) % 3)
            claim = index.claim(item, SIZE, content)
            if isinstance(claim, Source):
                assert claim.entry.content_sha256 == content
                settle(item)
            elif claim:
                time.sleep(rng.random() / 2000)
                lead(item, content, rng.random() < failures)

    in_threads(*(lambda n=n: work(n) for n in range(6)))
    assert settled == Counter(photo.rel_path for photo in pending)
    for content in "012":
        assert asked[content, False] == (failures < 1.0)
        assert failures < 1.0 or asked[content, True] == 20


class NeverGoneThrough(dict):
    def __iter__(self):
        raise AssertionError("all contents of that size were looked at for one photo")


def test_looking_up_one_content_does_not_go_through_all_of_its_size(make_entry):
    source = Source(make_entry("old.jpg"), moved=False)
    index = ContentIndex({SIZE: NeverGoneThrough({CONTENT: source})}, copies(2))
    known = Known(index, SIZE, "own")
    assert [content in known for content in (CONTENT, "own", "d" * 64)] == [True, True, False]
    assert "own" not in Known(index, SIZE, None)
