"""Files that change under the reader, and things that only look like files."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from picture_captioner.errors import CaptionerError, CorruptImageError, PhotoSkipped
from picture_captioner.image_loader.loading import load_image
from picture_captioner.pipeline.decoding.decoder import DecodeLimits, Decoder
from tests.images import encoded
from tests.support import caption, effective, make_socket
from tests.torture.healthy import picture


@pytest.fixture
def loader():
    with Decoder(DecodeLimits(read_seconds=5)) as loader:
        yield loader


def outcome(action):
    try:
        return action().image
    except CaptionerError as error:
        return error


def replaced(path, data):
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


CHANGES = {
    "grows": lambda path, data: path.write_bytes(data * 2),
    "shrinks": lambda path, data: os.truncate(path, len(data) // 3),
    "is emptied": lambda path, data: os.truncate(path, 0),
    "is replaced": lambda path, data: replaced(path, data[::-1]),
    "is overwritten": lambda path, data: path.write_bytes(data[::-1]),
    "is removed": lambda path, data: path.unlink(missing_ok=True),
    "becomes a folder": lambda path, data: (path.unlink(missing_ok=True), path.mkdir()),
    "becomes a pipe": lambda path, data: (path.unlink(missing_ok=True), os.mkfifo(path)),
}
WHOLE_AFTER = {"is replaced", "is removed", "becomes a folder", "becomes a pipe"}
"""Who has opened the old file reads the old file."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("moment", ["before fstat", "after fstat"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, change, moment):
    data = encoded(picture(), "BMP")
    path = tmp_path / "photo.bmp"
    path.write_bytes(data)
    os.utime(path, (1, 1))
    real = os.fstat

    def fstat(descriptor):
        before = real(descriptor) if moment == "after fstat" else None
        monkeypatch.setattr("picture_captioner.image_loader.reading.os.fstat", real)
        CHANGES[change](path, data)
        return before or real(descriptor)

    monkeypatch.setattr("picture_captioner.image_loader.reading.os.fstat", fstat)
    found = outcome(lambda: load_image(path, 64))
    if change in WHOLE_AFTER:
        assert found.mode == "RGB"
    elif moment == "before fstat":  # what is read is what is there
        assert isinstance(found, CorruptImageError) or change == "grows"
    else:
        assert isinstance(found, PhotoSkipped)
        assert "changed while" in str(found)


def test_a_writer_beside_the_loader(tmp_path, loader, share, tried):
    """A bitmap is as long as its header says, so each state of the file is known."""
    data = encoded(picture(size=(600, 400)), "BMP")
    path = tmp_path / "photo.bmp"
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            path.write_bytes(data)
            os.truncate(path, len(data) * (number % 10) // 10)

    writer = threading.Thread(target=write)
    path.write_bytes(data)
    writer.start()
    times = share(200, 20_000)
    lost, kinds = 0, set()
    try:
        for _ in range(times):
            found = outcome(lambda: loader.load(path, 64))
            kind = getattr(found, "code", "picture")
            kinds.add(kind)
            lost += kind not in {"picture", "truncated", "empty_file", "unreadable"}
    finally:
        stop.set()
        writer.join()
    tried("photos that a writer cuts and rewrites meanwhile", times, lost=lost)
    assert not lost
    assert len(kinds) > 1


def test_a_truncated_page_of_a_mapped_file_kills_nobody(tmp_path, loader):
    """A raw bitmap is what Pillow would map into memory, and shrinking it would raise SIGBUS."""
    path = tmp_path / "photo.bmp"
    path.write_bytes(encoded(picture("L", (4000, 3000)), "BMP"))
    maps = []

    class Known:
        def __contains__(self, content_sha256):
            os.truncate(path, 4096)  # everything is read, nothing decoded
            pid = loader._process._process.pid
            maps.append(Path(f"/proc/{pid}/maps").read_text())
            return False

    assert loader.load(path, 64, Known()).image.size == (64, 48)
    assert "libc" in maps[0]
    assert path.name not in maps[0]


def odd_things(folder):
    """What must not be opened, waited for or read to its end, by name."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.jpg").write_bytes(encoded(picture(), "JPEG"))
    (folder / "empty.jpg").touch()
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(5 << 30)
    (folder / "endless.jpg").symlink_to("/dev/zero")
    (folder / "nothing.jpg").symlink_to("/dev/null")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    make_socket(folder / "socket.jpg")


ODD = {
    "pipe.jpg": "unreadable", "folder.jpg": "unreadable", "empty.jpg": "empty_file",
    "sparse.jpg": "too_large", "endless.jpg": "unreadable", "nothing.jpg": "unreadable",
    "gone.jpg": "unreadable", "loop.jpg": "unreadable", "socket.jpg": "unreadable",
}  # fmt: skip


def test_what_is_no_file_is_not_waited_for(tmp_path, loader):
    odd_things(tmp_path)
    started = time.monotonic()
    codes = {name: outcome(lambda n=name: loader.load(tmp_path / n, 64)).code for name in ODD}
    assert codes == ODD
    assert [error.code for error in loader.read_headers([tmp_path / name for name in ODD])] == list(
        ODD.values()
    )
    assert time.monotonic() - started < 20


def test_a_run_past_what_is_no_file(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    odd_things(folder)
    done = caption("run", "--backend=mock", "--photos-dir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = effective(tmp_path / "captions.jsonl")
    codes = {name: record.get("error", {}).get("code") for name, record in found.items()}
    verdicts = {"empty.jpg": "empty_file", "sparse.jpg": "too_large"}
    assert codes == verdicts | {"folder.jpg/inside.jpg": None}
