"""Every photo is handed out until it is settled, and never two at once when one is suspect."""

import random
import threading
import time
from collections import Counter

import pytest

from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import WorkQueue


def photos(count):
    return [Photo(f"{n:04d}.jpg", 1, 1) for n in range(count)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_whatever_happens_to_items_each_is_settled_once_and_suspects_are_alone(
    in_threads, seed, threads
):
    queue, lock, settled = WorkQueue(photos(120)), threading.Lock(), Counter()
    under_way = set()

    def decide(item, chance):
        if item.alone or chance < 0.6:
            settled[item.photo.rel_path] += 1
            return lambda: queue.settle()
        if chance < 0.8:
            return lambda: queue.suspect(item)
        return lambda: queue.put_back([item])

    def work(number):
        rng = random.Random(seed * 100 + number)
        while (item := queue.next()) is not None:
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
    queue = WorkQueue(photos(3))
    first, second = queue.next(), queue.next()
    queue.put_back([first, second])
    order = [queue.next() for _ in range(3)]
    assert order[:2] == [first, second]
    assert order[2].photo.rel_path == "0002.jpg"


def test_a_suspect_waits_for_the_end_and_for_everybody_else():
    queue = WorkQueue(photos(2))
    suspect = queue.next()
    queue.suspect(suspect)
    other = queue.next()
    assert other is not suspect
    found = []
    waiting = threading.Thread(target=lambda: found.append(queue.next()), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive(), "the suspect is not alone yet"
    queue.settle()
    waiting.join(5)
    assert found == [suspect]
    assert suspect.alone


def test_a_decoder_waits_for_an_item_that_may_come_back(in_threads):
    queue, seen = WorkQueue(photos(1)), []
    item = queue.next()

    def give_back():
        time.sleep(0.05)
        queue.put_back([item])

    def work():
        while (again := queue.next()) is not None:
            seen.append(again)
            queue.settle()

    in_threads(work, work, work, give_back)
    assert seen == [item]


def test_all_who_wait_are_released_when_the_last_item_is_settled(in_threads):
    queue, ends = WorkQueue(photos(1)), []
    queue.next()

    def settle():
        time.sleep(0.05)
        queue.settle()

    in_threads(*[lambda: ends.append(queue.next())] * 4, settle)
    assert ends == [None] * 4


def test_stop_releases_those_who_wait_and_hands_out_nothing_more(in_threads):
    queue, ends = WorkQueue(photos(2)), []
    queue.suspect(queue.next())
    queue.next()

    def stop():
        time.sleep(0.05)
        queue.stop()

    in_threads(*[lambda: ends.append(queue.next())] * 3, stop)
    assert ends == [None] * 3
    queue.settle()
    assert queue.next() is None


def test_an_empty_feed_is_at_its_end():
    assert WorkQueue([]).next() is None
