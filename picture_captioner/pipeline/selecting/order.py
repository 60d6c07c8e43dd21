"""Which photos come first (`--order`), and which are this machine's (`--shard`)."""

from __future__ import annotations

import enum
import hashlib
import os
import re
import zlib
from collections.abc import Iterable

from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.walk import Photo, path_key


class Order(enum.StrEnum):
    """In which order photos are worked through (`--order`)."""

    PATH = "path"
    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"


def order_photos(photos: Iterable[Photo], order: Order, seed: int = 0) -> list[Photo]:
    """The photos in another order; of the same age, in path order.

    `RANDOM` is the same for the same seed on every machine, and a photo that is added or done
    leaves the others where they were, so that a restarted run goes on where it stopped.
    """
    ordered = sorted(photos, key=lambda photo: path_key(photo.rel_path))
    if order is not Order.PATH:
        ordered.sort(key=lambda photo: _rank(photo, order, seed))  # stable
    return ordered


def _rank(photo: Photo, order: Order, seed: int) -> int:
    if order is Order.NEWEST:
        return -photo.mtime_ns
    if order is Order.OLDEST:
        return photo.mtime_ns
    name = b"%d/%s" % (seed, os.fsencode(photo.rel_path))
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")


def parse_shard(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4): the second of four shards. Raises `UsageError` for anything else."""
    numbers = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise UsageError(f"--shard {text!r}: write I/N with I from 1 to N, such as 2/4")
    return int(numbers[1]), int(numbers[2])


def in_shard(rel_path: str, index: int, count: int) -> bool:
    """Whether a photo belongs to shard `index` (from 1) of `count`.

    By CRC-32 of the path's bytes: every machine agrees, whatever else it has on its disk.
    """
    return zlib.crc32(os.fsencode(rel_path)) % count == index - 1
