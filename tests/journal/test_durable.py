"""What is written beside a journal when the disk stops half-way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from picture_captioner.journal.durable import append_durably, output_file


def test_an_append_that_fails_half_way_leaves_nothing_to_glue_to(tmp_path: Path):
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is full")

    path = tmp_path / "captions.jsonl.broken"
    append_durably(path, [b"one\n"])
    with pytest.raises(OSError, match="full"):
        append_durably(path, pieces())
    append_durably(path, [b"two\n"])
    assert path.read_bytes() == b"one\ntwo\n"


def test_an_output_file_takes_the_place_of_a_link_that_leads_to_itself(tmp_path: Path):
    path = tmp_path / "people.csv"
    path.symlink_to(path)
    with output_file(path) as stream:
        stream.write(b"id,name\n")
    assert path.read_bytes() == b"id,name\n"
