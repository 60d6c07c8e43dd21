"""Opening, repairing, locking and appending, with real files and real processes."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from picture_captioner.errors import JournalError, JournalLockedError
from picture_captioner.journal.lines import MAX_LINE_BYTES
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.writing import Journal
from tests.journal.support import append, caption_of, is_done, paths_in, photo, start, write_lines

# -- the torn tail ---------------------------------------------------------------------------------


def test_a_torn_tail_longer_than_one_step_of_the_search_is_cut_too(journal_path: Path):
    for length in ((1 << 16) - 1, 1 << 16, (1 << 16) + 1, 300_000):
        write_lines(journal_path, photo("1.jpg"), b"x" * length)
        append(journal_path, photo("2.jpg"))
        assert paths_in(journal_path) == {"1.jpg", "2.jpg"}


def test_a_file_that_is_torn_from_the_start_is_emptied(journal_path: Path):
    write_lines(journal_path, b"\0" * 5000)
    append(journal_path, photo("1.jpg"))
    assert journal_path.read_bytes() == photo("1.jpg").to_line()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("size", [MAX_LINE_BYTES + (1 << 20), 5 << 30])
def test_a_tail_that_no_record_tore_is_left_alone(journal_path: Path, size: int):
    write_lines(journal_path, photo("1.jpg"))
    os.truncate(journal_path, size)
    with pytest.raises(JournalError, match="hold no line end"):
        Journal(journal_path)
    assert journal_path.stat().st_size == size


def test_a_whole_journal_is_not_repaired(journal_path: Path):
    append(journal_path, photo("1.jpg"))
    with Journal(journal_path) as journal:
        assert journal.repairs == []
    assert not journal_path.with_name("captions.jsonl.broken").exists()


# -- the lock --------------------------------------------------------------------------------------


def test_another_process_is_named_in_under_a_second(journal_path: Path):
    with start("hold", journal_path) as holder:
        assert holder.stdout.readline() == "open\n"
        began = time.monotonic()
        with pytest.raises(JournalLockedError, match=f"by process {holder.pid} on "):
            Journal(journal_path)
        assert time.monotonic() - began < 1
        holder.kill()


def test_a_lock_left_by_a_killed_process_means_nothing(journal_path: Path):
    with start("hold", journal_path) as holder:
        holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
    lock = journal_path.with_name("captions.jsonl.lock")
    assert json.loads(lock.read_text())["pid"] == holder.pid
    lock.write_text(json.dumps({"pid": holder.pid, "host": "a longer name" * 20}))
    append(journal_path, photo("1.jpg"))
    assert json.loads(lock.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\0", b"9" * 5000, b"[" * 5000])
def test_a_lock_file_with_odd_content_still_locks(journal_path: Path, content: bytes):
    with Journal(journal_path):
        journal_path.with_name("captions.jsonl.lock").write_bytes(content)
        with pytest.raises(JournalLockedError, match="another process"):
            Journal(journal_path)


def test_deleting_the_lock_file_lets_no_second_writer_in(journal_path):
    with Journal(journal_path):
        journal_path.with_name("captions.jsonl.lock").unlink()
        with pytest.raises(JournalLockedError, match="whose lock file was deleted"):
            Journal(journal_path)
    Journal(journal_path).close()


def test_an_open_that_fails_lets_go_of_the_lock(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), b"\0" * (MAX_LINE_BYTES + 1))
    with pytest.raises(JournalError):
        Journal(journal_path)
    journal_path.unlink()
    append(journal_path, photo("1.jpg"))


def test_readers_need_no_lock(journal_path: Path):
    with Journal(journal_path) as journal:
        journal.append(photo("1.jpg"))
        assert is_done(read_index(journal_path), "1.jpg")


# -- where the journal is --------------------------------------------------------------------------


def test_a_link_is_followed_and_the_lock_lies_beside_the_real_file(tmp_path: Path):
    link, real = tmp_path / "link.jsonl", tmp_path / "disk" / "real.jsonl"
    real.parent.mkdir()
    link.symlink_to(real)
    append(link, photo("1.jpg"))  # the link dangled until now
    append(link, photo("2.jpg"))
    assert link.is_symlink()
    assert paths_in(real) == {"1.jpg", "2.jpg"}
    assert {p.name for p in real.parent.iterdir()} == {"real.jsonl", "real.jsonl.lock"}
    with Journal(real), pytest.raises(JournalLockedError):
        Journal(link)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["directory", "fifo", "loop", "device", "name too long"])
def test_what_is_no_regular_file_is_refused_at_once(journal_path: Path, kind: str):
    match kind:
        case "directory":
            journal_path.mkdir()
        case "fifo":
            os.mkfifo(journal_path)
        case "loop":
            journal_path.symlink_to(journal_path)
        case "device":
            os.mknod(journal_path, stat.S_IFCHR | 0o600, os.makedev(1, 3)) if os.geteuid() == 0 \
                else pytest.skip("only root makes devices")  # fmt: skip
        case "name too long":
            journal_path = journal_path.with_name("x" * 300)
    with pytest.raises(JournalError, match=r"captions\.jsonl|xxx"):
        Journal(journal_path)
    assert list(journal_path.parent.glob("*.lock")) == []  # /dev/null.lock, say


def test_a_directory_that_nobody_can_write_to_is_an_error():
    directory = Path("/proc/self/fdinfo")  # not even root makes files there
    if not directory.is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(JournalError, match="must be writable"):
        Journal(directory / "captions.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_an_error(journal_path: Path):
    journal_path.parent.chmod(0o500)
    with pytest.raises(JournalError, match="must be writable"):
        Journal(journal_path)


def test_the_mode_of_an_existing_file_is_left_alone(journal_path: Path):
    journal_path.touch(0o640)
    journal_path.chmod(0o640)
    append(journal_path, photo("1.jpg"))
    assert stat.S_IMODE(journal_path.stat().st_mode) == 0o640


# -- appending -------------------------------------------------------------------------------------


def test_several_records_of_one_call_stay_in_order(journal_path: Path):
    append(journal_path, *(photo("1.jpg", f"{n}") for n in range(5)), photo("2.jpg"))
    assert caption_of(journal_path, "1.jpg") == "4"
    assert read_index(journal_path).records == 6


def test_appending_nothing_writes_nothing(journal_path: Path):
    with Journal(journal_path) as journal:
        journal.append()
    assert journal_path.read_bytes() == b""


@pytest.mark.parametrize(
    "bad", [photo(""), photo("a\0b"), photo("a", "x" * MAX_LINE_BYTES), photo("a", size="3 MB")],
    ids=["no name", "nul", "too long", "wrong type"],
)  # fmt: skip
def test_a_record_that_no_reader_would_accept_harms_nobody_else(journal_path: Path, bad):
    with Journal(journal_path) as journal:
        journal.append(photo("1.jpg"))
        with pytest.raises(ValueError, match=r"."):
            journal.append(photo("2.jpg"), bad)
        journal.append(photo("3.jpg"))
    assert paths_in(journal_path) == {"1.jpg", "3.jpg"}
    assert read_index(journal_path).damage == []


def test_an_interrupted_writer_does_not_let_others_believe_they_are_saved(journal_path: Path):
    # This thread leads a group, a second one joins it, and Ctrl+C arrives while the leader waits
    # for its turn, which never comes: the test holds the lock.
    outcomes: list[object] = []

    def follow() -> None:
        while journal._open_group is None:
            time.sleep(0.001)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            journal.append(photo("2.jpg"))
        except JournalError as error:
            outcomes.append(error)
        else:
            outcomes.append("saved")

    with Journal(journal_path) as journal:
        follower = threading.Thread(target=follow)
        follower.start()
        with journal._commit_lock, pytest.raises(KeyboardInterrupt):
            journal.append(photo("1.jpg"))
        follower.join(timeout=5)
        assert not follower.is_alive()
        assert isinstance(outcomes[0], JournalError)
        with pytest.raises(JournalError, match="interrupted"):
            journal.append(photo("3.jpg"))


def test_what_another_program_adds_during_the_run_stops_it_and_costs_nothing(journal_path: Path):
    with Journal(journal_path) as journal:
        journal.append(photo("1.jpg"))
        with journal_path.open("ab") as stranger:
            stranger.write(b'{"half of a line')
        for _ in range(2):
            with pytest.raises(JournalError, match="another program changed the file"):
                journal.append(photo("2.jpg"))
    assert journal_path.read_bytes() == photo("1.jpg").to_line() + b'{"half of a line'


def test_a_record_glued_to_what_another_program_adds_is_not_acknowledged(
    journal_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with Journal(journal_path) as journal:
        write = journal._write_and_sync

        def write_second(data: bytes) -> None:
            with journal_path.open("ab") as stranger:
                stranger.write(b'{"half of a line')
            write(data)

        monkeypatch.setattr(journal, "_write_and_sync", write_second)
        with pytest.raises(JournalError, match="another program changed the file"):
            journal.append(photo("1.jpg"))
        assert not is_done(journal, "1.jpg")


def test_closing_twice_is_closing_once_and_ends_appending(journal_path: Path):
    journal = Journal(journal_path)
    journal.append(photo("1.jpg"))
    entry = journal.index.entries["1.jpg"]
    journal.close()
    stranger = os.open(journal_path.with_name("stranger"), os.O_RDWR | os.O_CREAT)
    journal.close()
    with pytest.raises(JournalError, match="it is closed"):
        journal.append(photo("2.jpg"))
    with pytest.raises(JournalError, match=os.strerror(errno.EBADF)):
        journal.read_record(entry)
    assert os.fstat(stranger).st_size == 0
    os.close(stranger)


def test_a_record_that_cannot_be_read_again_is_an_error(journal_path: Path):
    with Journal(journal_path) as journal:
        journal.append(photo("1.jpg", "x" * 10_000))
        entry = journal.index.entries["1.jpg"]
        assert journal.read_record(entry).caption == "x" * 10_000
        os.truncate(journal_path, 5_000)
        with pytest.raises(JournalError, match="ends inside"):
            journal.read_record(entry)
        journal_path.write_bytes(b"{}\n")
        with pytest.raises(JournalError, match="at byte 0"):
            journal.read_record(entry)
