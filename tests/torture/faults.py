"""What goes wrong inside a run, put there before it starts (`Preloaded.start(faults=...)`).

The program runs as it is; these functions change what lies below it, such as `os.write`, or
shorten a wait. Arguments are what JSON can say.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from tests.support import draw, make_socket

POINTS = ("answered", "torn", "written", "synced")
"""Where `die_at_group` kills: before the write of a group of records, in the middle of it, between
write and sync, and between the sync and the acknowledgement."""


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # never reached


def die_at_group(journal: str, synced: str, point: str, when: int) -> None:
    """SIGKILL at `point` of the group number `when`; each sync notes in `synced` how far it got."""
    write, sync = os.write, os.fdatasync
    notes = os.open(synced, os.O_WRONLY | os.O_CREAT, 0o600)
    groups = 0

    def is_journal(descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(journal))
        except FileNotFoundError:
            return False

    def writing(descriptor: int, data: bytes) -> int:
        nonlocal groups
        if not is_journal(descriptor):
            return write(descriptor, data)
        groups += 1
        if groups == when and point == "answered":
            _die()
        if groups == when and point == "torn":
            write(descriptor, data[: len(data) // 2])
            _die()
        return write(descriptor, data)

    def syncing(descriptor: int) -> None:
        if groups == when and point == "written" and is_journal(descriptor):
            _die()
        sync(descriptor)
        if is_journal(descriptor):
            os.pwrite(notes, b"%020d" % os.fstat(descriptor).st_size, 0)
            if groups == when and point == "synced":
                _die()

    os.write, os.fdatasync = writing, syncing


def note_syncs(journal: str, synced: str) -> None:
    """Only the notes of `die_at_group`."""
    die_at_group(journal, synced, "", -1)


def at(where: str, fault: str, *arguments: object) -> None:
    """Do something when a function is entered for the first time: `module:name`."""
    module_name, _, name = where.partition(":")
    holder: Any = importlib.import_module(module_name)
    *parents, last = name.split(".")
    holder = functools.reduce(getattr, parents, holder)
    real: Callable[..., Any] = getattr(holder, last)
    done = threading.Event()

    @functools.wraps(real)
    def entered(*args: Any, **kwargs: Any) -> Any:
        if not done.is_set():
            done.set()
            globals()[fault](*arguments)
        return real(*args, **kwargs)

    setattr(holder, last, entered)


def send_signal(number: int, times: int = 1) -> None:
    """As from outside: to the process, wherever its main thread is."""
    for _ in range(times):
        os.kill(os.getpid(), number)


def touch(path: str) -> None:
    """Tell the test that the run has got here."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def short_waits(seconds: float) -> None:
    """The waits between attempts, at most so long."""
    importlib.import_module("picture_captioner.pipeline.asking.retry").MAX_WAIT_SECONDS = seconds


def short_grace(seconds: float) -> None:
    """How long what is under way may take after a signal."""
    run = importlib.import_module("picture_captioner.cli.commands.run")
    run.RunOptions = functools.partial(run.RunOptions, grace_seconds=seconds)


def short_decodes(seconds: float) -> None:
    """How long decoding one photo may take."""
    isolation = importlib.import_module("picture_captioner.pipeline.decoding.decoder")
    limits = replace(isolation.DEFAULT_LIMITS, decode_seconds=seconds)
    isolation.Decoder.__init__.__defaults__ = (limits,)


def change(photo: str, kind: str) -> None:
    """A photo becomes something else: what somebody else does in the middle of a run."""
    path = Path(photo)
    if kind == "truncated":
        os.truncate(path, path.stat().st_size // 2)
        return
    path.unlink()
    {
        "deleted": lambda: None,
        "directory": path.mkdir,
        "FIFO": lambda: os.mkfifo(path),
        "symlink loop": lambda: path.symlink_to(path),
        "dangling symlink": lambda: path.symlink_to("nowhere.jpg"),
        "device": lambda: path.symlink_to("/dev/zero"),
        "socket": lambda: make_socket(path),
        "empty file": path.touch,
        "text": lambda: path.write_text("no photo at all"),
        "another photo": lambda: draw(path, seed=999),
    }[kind]()


def change_all(changes: dict[str, str]) -> None:
    """`change` each of these photos."""
    for photo, kind in changes.items():
        change(photo, kind)


def take_away(photos: str, kind: str) -> None:
    """The photos directory is renamed to `elsewhere`, and something else may be in its place."""
    path = Path(photos)
    path.rename(path.with_name("elsewhere"))
    {
        "renamed": lambda: None,
        "an empty directory": path.mkdir,
        "other photos": lambda: draw(path / "other.jpg", seed=999),
        "a file": path.touch,
        "a link to nowhere": lambda: path.symlink_to("nowhere"),
    }[kind]()


def disk_turns_read_only(directory: str, after: int) -> None:
    """As a kernel does after an error: so many writes below it succeed, and none from then on."""
    write, opened, writes = os.write, os.open, 0

    def writing(descriptor: int, data: bytes) -> int:
        nonlocal writes
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(directory):
            writes += 1
            if writes > after:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return write(descriptor, data)

    def opening(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        below = os.path.abspath(os.fsdecode(path)).startswith(directory)
        if below and writes > after and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, flags, *rest, **more)

    os.write, os.open = writing, opening


def bedrock_takes_small_jobs() -> None:
    """As if Amazon took jobs of a single photo: a hundred for each test would take long.

    Answers are read in pieces as much smaller, so that lines lie across two of them.
    """
    module = importlib.import_module("picture_captioner.batch.bedrock")
    module.BedrockJobs.limits = replace(module.BedrockJobs.limits, least=1)
    module._PIECE_BYTES = 5_000


def die_at_step(number: int) -> None:
    """SIGKILL at a step of a batch command: before or after a sync or a request, all counted."""
    httpx2 = importlib.import_module("httpx2")
    sync, send = os.fdatasync, httpx2.Client.send
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == number:
            _die()

    def syncing(descriptor: int) -> None:
        step()
        sync(descriptor)
        step()

    def sending(client: Any, *arguments: Any, **more: Any) -> Any:
        step()
        answer = send(client, *arguments, **more)
        step()
        return answer

    os.fdatasync = syncing
    httpx2.Client.send = sending
