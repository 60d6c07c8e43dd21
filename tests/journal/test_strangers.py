"""Files that are not the journal's own: nothing is written to them, nothing is cut from them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from picture_captioner.errors import ConfigurationError, JournalError
from picture_captioner.journal.durable import make_folders
from picture_captioner.journal.maintenance import compact
from picture_captioner.journal.writing import Journal
from tests.journal.support import append, paths_in, photo


def make_link(lock: Path, target: Path) -> None:
    lock.symlink_to(target)


def make_hard_link(lock: Path, target: Path) -> None:
    os.link(target, lock)


def make_copy(lock: Path, target: Path) -> None:
    lock.write_bytes(target.read_bytes())


@pytest.mark.parametrize("make", [make_link, make_hard_link, make_copy])
def test_what_lies_in_the_lock_files_place_is_not_emptied(journal_path: Path, make):
    diary = journal_path.with_name("diary.txt")
    diary.write_text("Dear diary")
    lock = journal_path.with_name("captions.jsonl.lock")
    make(lock, diary)
    with pytest.raises(JournalError, match="no lock file of this program"):
        Journal(journal_path)
    assert diary.read_text() == lock.read_text() == "Dear diary"
    assert not journal_path.exists()
    lock.unlink()
    append(journal_path, photo("1"))
    append(journal_path, photo("2"))


def test_a_torn_tail_is_not_kept_through_a_link(journal_path: Path):
    journal_path.write_bytes(photo("1").to_line() + b"torn")
    other = journal_path.with_name("other")
    other.write_text("mine")
    journal_path.with_name("captions.jsonl.broken").symlink_to(other)
    with pytest.raises(JournalError):
        Journal(journal_path)
    assert other.read_text() == "mine"
    assert journal_path.read_bytes().endswith(b"torn")


@pytest.mark.parametrize(
    "content",
    [
        b"Milk\nBread\nEggs",
        b"Milk\nBread\n",
        b"one line without an end",
        b'{"name": "something"}\n{"name": "else"}\n',
        b'{\n  "scripts": {}\n}\n',
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    ],
)
def test_a_file_that_is_no_journal_is_refused_as_it_is(journal_path: Path, content: bytes):
    journal_path.write_bytes(content)
    for work in (Journal, compact):
        with pytest.raises(ConfigurationError, match="is no journal"):
            work(journal_path)
    assert journal_path.read_bytes() == content
    assert not journal_path.with_name("captions.jsonl.broken").exists()


@pytest.mark.parametrize("cut", range(len(photo("1").to_line())))
def test_a_first_record_torn_anywhere_is_no_stranger(journal_path: Path, cut: int):
    journal_path.write_bytes(photo("1").to_line()[:cut] + b"\0" * (cut % 3))
    append(journal_path, photo("2"))
    assert paths_in(journal_path) == {"2"}


def test_a_journal_whose_folder_is_gone_is_not_called_safe(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with Journal(folder / "captions.jsonl") as journal:
        journal.append(photo("1"))
        shutil.rmtree(folder)
        with pytest.raises(JournalError, match="deleted, moved or replaced") as caught:
            journal.append(photo("2"))
    assert "safe" not in str(caught.value)
    assert "put it back" in str(caught.value)


def test_new_folders_are_their_owners_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        make_folders(tmp_path / "a" / "b")
        make_folders(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")]
    assert modes == [0o700, 0o700]
