"""The buffer is bounded, loses nothing, and wakes everybody when it is closed."""

import threading
import time

import pytest

from picture_captioner.pipeline.work_queue import Buffer


@pytest.mark.parametrize(("size", "most", "linger"), [(1, 1, 0.0), (4, 8, 0.001), (8, 3, 0.001)])
def test_many_threads_pass_every_item_on_exactly_once(in_threads, size, most, linger):
    buffer, taken, lock = Buffer(size), [], threading.Lock()
    makers = 4

    def make(maker):
        for number in range(200):
            assert buffer.put((maker, number))
        with lock:
            ended.append(maker)
            if len(ended) == makers:
                buffer.close()

    def take():
        while batch := buffer.take(most, linger):
            assert len(batch) <= most
            with lock:
                taken.extend(batch)

    ended = []
    in_threads(*(lambda m=m: make(m) for m in range(makers)), take, take, take)
    assert sorted(taken) == [(m, n) for m in range(makers) for n in range(200)]


def test_one_taker_gets_items_in_the_order_they_were_put():
    buffer = Buffer(10)
    for number in range(10):
        buffer.put(number)
    assert buffer.take(3) + buffer.take(100) == list(range(10))


def test_put_waits_for_room():
    buffer = Buffer(2)
    buffer.put(1)
    buffer.put(2)
    late = threading.Thread(target=buffer.put, args=(3,), daemon=True)
    late.start()
    late.join(0.1)
    assert late.is_alive()
    assert buffer.take(1) == [1]
    late.join(5)
    assert not late.is_alive()
    assert buffer.take(5) == [2, 3]


def test_a_batch_waits_no_longer_than_it_lingers():
    buffer = Buffer(8)
    buffer.put("only")
    started = time.monotonic()
    assert buffer.take(8, linger=0.2) == ["only"]
    assert 0.15 <= time.monotonic() - started < 5


def test_a_full_batch_does_not_linger():
    buffer = Buffer(2)
    buffer.put(1)
    buffer.put(2)
    started = time.monotonic()
    assert buffer.take(2, linger=60) == [1, 2]
    assert time.monotonic() - started < 5


def test_a_taker_that_lost_the_race_waits_on_instead_of_seeing_an_end(in_threads):
    buffer, batches = Buffer(8), []
    buffer.put(1)

    def take():
        batches.append(buffer.take(8, linger=0.05))

    def put_later():
        time.sleep(0.3)
        buffer.put(2)

    in_threads(take, take, put_later)
    assert sorted(batches) == [[1], [2]]


def test_closing_wakes_those_who_wait_on_either_side(in_threads):
    full, empty, answers = Buffer(1), Buffer(1), []
    full.put(1)

    def close():
        time.sleep(0.05)
        full.close()
        empty.close()

    in_threads(
        lambda: answers.append(full.put(2)),
        lambda: answers.append(full.put(3)),
        lambda: answers.append(empty.take(1, 60.0)),
        lambda: answers.append(empty.take(5, 60.0)),
        close,
    )
    assert answers.count(False) == 2
    assert answers.count([]) == 2
    assert full.take(5) == [1], "what was inside can still be taken"
    assert full.take(5) == []


def test_discarding_empties_the_buffer():
    buffer = Buffer(3)
    buffer.put(1)
    buffer.close(discard=True)
    assert buffer.take(1) == []
    assert buffer.put(2) is False
