"""Following a journal: every record once, and from the beginning when it is another file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import JournalError, Status
from picture_captioner.journal.record import Record
from picture_captioner.journal.tail import JournalTail
from picture_captioner.journal.writing import Journal


def record(number):
    return Record(rel_path=f"{number}.jpg", caption="c" * (1 + number % 90), status=Status.SUCCESS)


def read(path, position):
    with JournalTail(path, position) as tail:
        names = [r.rel_path for r in tail.records()]
        return names, tail.position(), tail.restarted


@given(sizes=st.lists(st.integers(0, 40), max_size=6), mark=st.booleans())
def test_every_record_is_read_once_however_often_one_looks(tmp_path_factory, sizes, mark):
    path = tmp_path_factory.mktemp("j") / "captions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" if mark else b"")
    position, seen, number = None, [], 0
    for size in sizes:
        with path.open("ab") as stream:
            for _ in range(size):
                stream.write(record(number).to_line())
                number += 1
        names, position, restarted = read(path, position)
        seen += names
        assert not restarted or len(seen) == size or len(seen) == len(names)
    assert seen == [f"{n}.jpg" for n in range(number)]


def test_it_is_up_to_date_until_a_byte_is_added(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_bytes(record(1).to_line())
    _, position, restarted = read(path, None)
    assert restarted
    with JournalTail(path, position) as tail:
        assert tail.up_to_date
    with path.open("ab") as stream:
        stream.write(b"{")
    with JournalTail(path, position) as tail:
        assert not tail.up_to_date
        assert list(tail.records()) == []
        assert tail.position() == position


def test_a_run_may_write_while_it_is_read(tmp_path):
    path = tmp_path / "captions.jsonl"
    with Journal(path) as journal:
        journal.append(record(1))
        names, position, _ = read(path, None)
        journal.append(record(2))
        assert (names, read(path, position)[0]) == (["1.jpg"], ["2.jpg"])


@pytest.mark.parametrize("change", ["shorter", "other beginning", "other inode"])
def test_another_file_is_read_from_its_beginning(tmp_path, change):
    path = tmp_path / "captions.jsonl"
    lines = [record(n).to_line() for n in range(50)]
    path.write_bytes(b"".join(lines))
    _, position, _ = read(path, None)
    if change == "shorter":
        path.write_bytes(b"".join(lines[:20]))
    elif change == "other beginning":
        path.write_bytes(b"".join(lines).replace(b'"0.jpg"', b'"X.jpg"'))
    else:
        copy = tmp_path / "copy"
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
    names, _, restarted = read(path, position)
    assert restarted
    assert len(names) == (20 if change == "shorter" else 50)


def test_a_journal_that_cannot_be_read(tmp_path):
    with pytest.raises(JournalError, match="No such file"):
        JournalTail(tmp_path / "none.jsonl", None)
    with pytest.raises(JournalError, match="not a regular file"):
        JournalTail(tmp_path, None)
