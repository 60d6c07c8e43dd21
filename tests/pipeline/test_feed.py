"""Every photo is handed out until it is settled, and never two at once when one is suspect."""

import random
import threading
import time
from collections import Counter

import pytest

from pipeline.feed import Feed
from pipeline.walk import Photo


def photos(count):
    return [Photo(f"{n:04d}.jpg", 1, 1) for n in range(count)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_whatever_happens_to_items_each_is_settled_once_and_suspects_are_alone(
    in_threads, seed, threads
):
    feed, lock, settled = Feed(photos(120)), threading.Lock(), Counter()
    under_way = set()

    def decide(item, chance):
        if item.alone or chance < 0.6:
            settled[item.photo.rel_path] += 1
            return lambda: feed.settle()
        if chance < 0.8:
            return lambda: feed.suspect(item)
        return lambda: feed.put_back([item])

    def work(number):
        rng = random.Random(seed * 100 + number)
        while (item := feed.next()) is not None:
            with lock:
                under_way.add(item)
                assert not item.alone or under_way == {item}
            time.sleep(rng.random() / 5000)
            with lock:
                assert not item.alone or under_way == {item}
                under_way.discard(item)
                act = decide(item, rng.random())
            act()

    in_threads(*(lambda n=n: work(n) for n in range(threads)))
    assert settled == Counter(photo.rel_path for photo in photos(120))


def test_photos_come_in_order_and_returned_items_come_before_the_next():
    feed = Feed(photos(3))
    first, second = feed.next(), feed.next()
    feed.put_back([first, second])
    order = [feed.next() for _ in range(3)]
    assert order[:2] == [first, second]
    assert order[2].photo.rel_path == "0002.jpg"


def test_a_suspect_waits_for_the_end_and_for_everybody_else():
    feed = Feed(photos(2))
    suspect = feed.next()
    feed.suspect(suspect)
    other = feed.next()
    assert other is not suspect
    found = []
    waiting = threading.Thread(target=lambda: found.append(feed.next()), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive(), "the suspect is not alone yet"
    feed.settle()
    waiting.join(5)
    assert found == [suspect]
    assert suspect.alone


def test_a_decoder_waits_for_an_item_that_may_come_back(in_threads):
    feed, seen = Feed(photos(1)), []
    item = feed.next()

    def give_back():
        time.sleep(0.05)
        feed.put_back([item])

    def work():
        while (again := feed.next()) is not None:
            seen.append(again)
            feed.settle()

    in_threads(work, work, work, give_back)
    assert seen == [item]


def test_all_who_wait_are_released_when_the_last_item_is_settled(in_threads):
    feed, ends = Feed(photos(1)), []
    feed.next()

    def settle():
        time.sleep(0.05)
        feed.settle()

    in_threads(*[lambda: ends.append(feed.next())] * 4, settle)
    assert ends == [None] * 4


def test_stop_releases_those_who_wait_and_hands_out_nothing_more(in_threads):
    feed, ends = Feed(photos(2)), []
    feed.suspect(feed.next())
    feed.next()

    def stop():
        time.sleep(0.05)
        feed.stop()

    in_threads(*[lambda: ends.append(feed.next())] * 3, stop)
    assert ends == [None] * 3
    feed.settle()
    assert feed.next() is None


def test_an_empty_feed_is_at_its_end():
    assert Feed([]).next() is None
