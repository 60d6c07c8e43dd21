"""Orders are total and shards are complete, whatever bytes the names hold."""

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.selection import (
    Order,
    in_shard,
    order_photos,
    parse_shard,
)
from picture_captioner.pipeline.selecting.walk import Photo

RAW_PATHS = st.binary(min_size=1, max_size=12).filter(lambda raw: b"\0" not in raw)


@given(st.lists(st.tuples(RAW_PATHS, st.integers(0, 3)), unique_by=lambda p: p[0]), st.data())
def test_every_order_is_total(raw_photos, data):
    photos = [Photo(os.fsdecode(raw), 1, mtime) for raw, mtime in raw_photos]
    shuffled = data.draw(st.permutations(photos))
    for order in Order:
        assert order_photos(photos, order) == order_photos(shuffled, order)


def test_orders():
    photos = [Photo("b.jpg", 1, 20), Photo("a.jpg", 1, 20), Photo("c.jpg", 1, 30)]

    def names(order, **kwargs):
        return "".join(photo.rel_path[0] for photo in order_photos(photos, order, **kwargs))

    assert [names(order) for order in (Order.PATH, Order.NEWEST, Order.OLDEST)] == [
        "abc",
        "cab",
        "abc",
    ]
    assert len({names(Order.RANDOM, seed=seed) for seed in range(100)}) == 6


def test_a_random_order_keeps_its_order_when_photos_are_done():
    photos = [Photo(f"{n}.jpg", 1, 1) for n in range(50)]
    whole = order_photos(photos, Order.RANDOM)
    assert order_photos(photos[10:30], Order.RANDOM) == [p for p in whole if p in photos[10:30]]


@given(RAW_PATHS, st.integers(1, 40))
def test_every_photo_is_in_exactly_one_shard(raw, count):
    rel_path = os.fsdecode(raw)
    assert sum(in_shard(rel_path, index, count) for index in range(1, count + 1)) == 1


def test_shards_of_camera_names_are_of_like_size_and_never_change():
    names = [f"20{n % 24:02d}/IMG_{n:04d}.jpg" for n in range(8000)]
    for count in (2, 3, 4, 8):
        sizes = Counter(next(i for i in range(1, 9) if in_shard(n, i, count)) for n in names)
        assert all(abs(size - 8000 / count) < 0.1 * 8000 / count for size in sizes.values())
    assert in_shard("2023/IMG_0001.jpg", 1, 4)  # CRC-32 by gzip: 3756740676


def test_parse_shard():
    assert parse_shard("2/4") == (2, 4)


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "\u0661/2"])
def test_a_bad_shard_says_the_form(text):
    with pytest.raises(UsageError, match="I/N"):
        parse_shard(text)
