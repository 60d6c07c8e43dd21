"""The buffer is bounded, loses nothing, and wakes everybody when it is closed."""

import threading
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.pipeline.work_queue import BatchBuffer, Buffer


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


# --- batches of one kind -------------------------------------------------------------------------


def filled(words, size=40):
    """A buffer with these words, whose first letter is their kind."""
    buffer = BatchBuffer(size, lambda word: word[0])
    for word in words.split():
        buffer.put(word)
    return buffer


def test_a_batch_is_of_one_kind_and_in_order():
    buffer = filled("a1 b1 a2 c1 b2 a3 b3 a4 c2 b4")
    assert buffer.take(4) == ["a1", "a2", "a3", "a4"]
    assert buffer.take(4) == ["b1", "b2", "b3", "b4"]
    assert buffer.take(4) == ["c1", "c2"], "half a batch goes alone"


def test_of_full_kinds_the_oldest_goes_first_and_of_others_the_largest():
    assert filled("a1 b1 b2 a2 b3").take(2) == ["a1", "a2"]
    assert filled("a1 b1 b2 c1 b3").take(4) == ["b1", "b2", "b3"]


def test_less_than_half_a_batch_of_a_kind_does_not_go_alone():
    buffer = filled("a1 b1 c1 d1 e1 b2")
    assert buffer.take(5) == ["a1", "b1", "c1", "d1", "e1"]
    assert buffer.take(5) == ["b2"]


def test_one_at_a_time_they_go_in_their_order():
    buffer = filled("a1 b1 a2")
    assert [buffer.take(1) for _ in range(3)] == [["a1"], ["b1"], ["a2"]]


def test_a_rare_kind_is_passed_over_only_so_often():
    buffer = filled("r1")
    batches = []
    for number in range(BatchBuffer.PASSED_OVER + 1):
        for place in range(4):
            buffer.put(f"a{number}{place}")
        batches.append(buffer.take(4))
    assert all(word[0] == "a" for batch in batches[:-1] for word in batch)
    assert batches[-1][0] == "r1"


@given(kinds=st.text("abcdef", max_size=120), most=st.integers(1, 9))
def test_every_item_goes_once_and_nobody_waits_for_ever(kinds, most):
    buffer = BatchBuffer(len(kinds) + 1, lambda item: item[1])
    waiting = list(enumerate(kinds))
    for item in waiting:
        buffer.put(item)
    passed = 0
    while waiting:
        batch = buffer.take(most)
        assert 0 < len(batch) <= most
        assert batch == sorted(batch)
        largest = max(Counter(kind for _, kind in waiting).values())
        if 2 * largest >= most and passed < BatchBuffer.PASSED_OVER:
            assert len({kind for _, kind in batch}) == 1
        passed = passed + 1 if waiting[0] not in batch else 0
        assert passed <= BatchBuffer.PASSED_OVER
        waiting = [item for item in waiting if item not in batch]
    buffer.close()
    assert buffer.take(most) == []


def test_many_threads_pass_on_every_item_of_every_kind_once(in_threads):
    buffer, taken, lock = BatchBuffer(6, lambda item: item % 3), [], threading.Lock()

    def make():
        for number in range(300):
            assert buffer.put(number)
        buffer.close()

    def take():
        while batch := buffer.take(4, linger=0.001):
            with lock:
                taken.extend(batch)

    in_threads(make, take, take)
    assert sorted(taken) == list(range(300))


@pytest.mark.parametrize(
    ("words", "size"), [("a1 b1 b2 b3", 40), ("a1 b1 c1", 3)], ids=["kind", "room"]
)
def test_nobody_lingers_when_a_kind_or_the_buffer_is_full(words, size):
    started = time.monotonic()
    assert len(filled(words, size).take(3, linger=60)) == 3
    assert time.monotonic() - started < 5


def test_a_kind_that_is_not_full_is_waited_for(in_threads):
    buffer, batches = filled("a1 b1 c1 b2"), []

    def put_later():
        time.sleep(0.1)
        buffer.put("a2")
        buffer.put("a3")

    in_threads(lambda: batches.append(buffer.take(3, linger=60)), put_later)
    assert batches == [["a1", "a2", "a3"]]
