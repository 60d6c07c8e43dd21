"""The parent's handle on one decoder process: start it, talk to it against a clock, end it.

`start_restricted` starts it under all restrictions under which a test picture decodes here.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker, util
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

from picture_captioner.errors import BackendUnavailableError, CaptionerError, DecoderCrashError
from picture_captioner.pipeline.decoding.messages import (
    HANDLED_BY_PARENT,
    DecodeLimits,
    Ready,
    Reply,
    Request,
    run_worker,
)
from picture_captioner.workers import sandbox
from picture_captioner.workers.starting import cause_of_death, clean_environment, kill_group

# Forking the parent is out of the question: it may hold CUDA, threads and locks. The fork server
# has imported the decoders and nothing else, so a new process costs a fork and no imports of ours.
_context = get_context("forkserver")
_context.set_forkserver_preload(["picture_captioner.pipeline.decoding.decoder_server"])

_children = threading.Lock()
"""Starting a process polls all of multiprocessing's children, and two polls of one child race."""

_MAX_MESSAGE_BYTES = 1 << 20
_SLICE_SECONDS = 1.0
_EXIT_SECONDS = 2.0
_SOCKET_NAME_BYTES = len("/pymp-12345678/listener-12345678")
_MAX_SOCKET_PATH_BYTES = 103  # of macOS; Linux allows 107
_RUNS_BEFORE_OTHERS = 10
_FORK_SERVER_LOST = 255

Overdue: TypeAlias = Callable[[], CaptionerError]

_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode


class DecoderProcess:
    """One worker process and the pipe to it; for one thread at a time.

    `busy` is to be set while a request is not answered completely: such a process cannot be used
    for the next one.
    """

    def __init__(
        self, limits: DecodeLimits, dropped: frozenset[str], *, trial: bool = False
    ) -> None:
        """`dropped` and `trial` as in `decoder_worker.serve`.

        Raises:
            BackendUnavailableError: the machine has no room for one more process.
        """
        self.busy = True
        with _scarcity():
            self._pipe, theirs = _context.Pipe()
            self._files = socket.socket(fileno=os.dup(self._pipe.fileno()))
        self._process = _context.Process(
            target=run_worker, args=(theirs, limits, dropped, trial), daemon=True
        )
        # multiprocessing would wait for the process at exit before it lets go of the pipe.
        self._end = util.Finalize(
            self,
            _end,
            args=(self._process, self._pipe, self._files),
            exitpriority=_RUNS_BEFORE_OTHERS,
        )
        try:
            with _scarcity():
                self._start(limits)
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
        self.busy = False

    def send(self, request: Request, files: Sequence[int] = ()) -> None:
        """With descriptors behind it; raise `DecoderCrashError` when the process is dead."""
        try:
            self._pipe.send_bytes(_encode(request))
            if files:
                socket.send_fds(self._files, [b"\0"], files)
        except OSError as error:
            raise DecoderCrashError(f"the decoder {self._cause_of_death()}") from error

    def receive(self, seconds: float, overdue: Overdue) -> Reply:
        """The next reply; what `overdue` makes is raised when it takes longer than `seconds`.

        Raises:
            DecoderCrashError: the process died, or talks nonsense.
        """
        data = self.receive_bytes(_MAX_MESSAGE_BYTES, seconds, overdue)
        try:
            reply: Reply = _decode_reply(data)
        except msgspec.MsgspecError as error:
            raise DecoderCrashError("the decoder sent a reply that makes no sense") from error
        return reply

    def receive_bytes(self, limit: int, seconds: float, overdue: Overdue) -> bytes:
        """As `receive`: a block of at most `limit` bytes."""
        try:
            self._wait(seconds, overdue)
            return self._pipe.recv_bytes(limit)
        except BlockingIOError as error:
            raise DecoderCrashError("the decoder fell silent in the middle of a reply") from error
        except (EOFError, OSError) as error:
            if self._exit_code() == -signal.SIGALRM:  # its own clock was faster than ours
                raise overdue() from error
            raise DecoderCrashError(f"the decoder {self._cause_of_death()}") from error

    def close(self) -> None:
        """End the process at once: it holds nothing that wants to be saved."""
        if self.busy and self._end.still_active():
            kill_group(self._process.pid)  # it may be dead and have left children
        self._end()

    def _start(self, limits: DecodeLimits) -> None:
        # `Connection.poll` makes a new one at each call: a sixth of what a photo costs the parent.
        self._events = select.poll()
        self._events.register(self._pipe.fileno(), select.POLLIN)
        _limit_silence(self._files, limits.decode_seconds)
        with _children, _signals_held_back(), _clean_environment(), _no_main_module():
            _make_socket_folder()
            self._process.start()
        self._events.register(self._process.sentinel, select.POLLIN)
        ready = self.receive(limits.start_seconds, _not_up)
        if not isinstance(ready, Ready):
            said = getattr(ready, "message", "nothing that makes sense")
            raise DecoderCrashError(f"test pictures do not decode: {said}")
        self.missing = ready.missing

    def _wait(self, seconds: float, overdue: Overdue) -> None:
        """Wait for the pipe, in slices.

        A pause by Ctrl-Z counts as one slice and not as hours. The death of the process is
        noticed although a child that it left behind holds the pipe open.
        """
        while not (ready := self._events.poll(min(_SLICE_SECONDS, seconds) * 1000)):
            seconds -= _SLICE_SECONDS
            if seconds <= 0:
                raise overdue()
        pipe = self._pipe.fileno()
        if all(descriptor != pipe for descriptor, _ in ready) and not self._pipe.poll():
            raise EOFError

    def _exit_code(self) -> int | None:
        if self._process.pid is None:
            return None
        wait([self._process.sentinel], _EXIT_SECONDS)
        with _children:
            return self._process.exitcode

    def _cause_of_death(self) -> str:
        code = self._exit_code()
        if code == _FORK_SERVER_LOST:
            return "ended without saying why"
        return cause_of_death(code)


def _not_up() -> CaptionerError:
    return BackendUnavailableError("no decoder process came up in time")


@contextmanager
def _scarcity() -> Iterator[None]:
    """Say what is scarce: pipes need open files, a process needs memory as well."""
    try:
        yield
    except (OSError, EOFError, DecoderCrashError) as error:
        raise BackendUnavailableError(
            f"no decoder process can be started ({error}): is the machine out of memory, processes "
            "or open files (ulimit -n)? Fewer --decode-workers need less of each"
        ) from error


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let the fork server and its processes inherit a mask that blocks Ctrl+C and its kind.

    Ignoring the signals is not enough: the fork server does not, and a new process has a moment
    before it does. The resource tracker is started first because starting it unblocks them.
    """
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_BY_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def _clean_environment() -> Iterator[None]:
    """Let the fork server, and so the decoders, start without the keys in the environment.

    What is in the environment of a program lies in its memory from its first moment. So it does not
    help to clear it later, and multiprocessing hands it on as it is.
    """
    usual = util.spawnv_passfds
    setattr(util, "spawnv_passfds", _spawn_clean)  # noqa: B010 - its type says more than it takes
    try:
        yield
    finally:
        util.spawnv_passfds = usual


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Let no decoder import the program that started it, which multiprocessing does to unpickle.

    `caption.py` brings the whole command line: 0.1 s of processor time for each decoder.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _spawn_clean(path: bytes, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
    kept = [(os.POSIX_SPAWN_DUP2, number, number) for number in descriptors]
    environment = clean_environment(os.environ)
    # The server imports the decoders before it is told the parent's search path.
    searched = [os.fspath(Path(__file__).parents[3]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, searched))
    return os.posix_spawn(path, list(arguments), environment, file_actions=kept)


def _make_socket_folder() -> None:
    """Let multiprocessing put the fork server's socket below /tmp where TMPDIR is too long."""
    longest = _MAX_SOCKET_PATH_BYTES - _SOCKET_NAME_BYTES
    if len(os.fsencode(tempfile.gettempdir())) > longest:
        usual, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 - mkdtemp: ours alone
        try:
            util.get_temp_dir()  # made once in each process
        finally:
            tempfile.tempdir = usual


def _limit_silence(pipe: socket.socket, seconds: float) -> None:
    """Let a read fail that gets not one byte more for so long: half a message may have come."""
    timeval = struct.pack("ll", max(1, round(seconds)), 0)
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def _end(process: ForkServerProcess, pipe: Connection, files: socket.socket) -> None:
    pipe.close()
    files.close()
    if process.pid is None:
        return
    if not wait([process.sentinel], 0):
        kill_group(process.pid)
    with _children:
        process.kill()
    # A process that hangs in the kernel, on a dead network disk, ignores even SIGKILL for now.
    if wait([process.sentinel], _EXIT_SECONDS):
        with _children:
            process.join(_EXIT_SECONDS)
            if process.exitcode is not None:
                process.close()


_aloud = logging.getLogger("caption.aloud")


class _Policy:
    """What the first decoder of this process found out for all that come after it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.dropped: frozenset[str] | None = None


_policy = _Policy()


def start_restricted(limits: DecodeLimits) -> DecoderProcess:
    """A decoder that decoded test pictures under its restrictions, or as others of them did.

    Each restriction that is missing or had to be dropped is said, once.

    Raises:
        BackendUnavailableError: as `DecoderProcess`.
    """
    with _policy.lock:
        if _policy.dropped is None:
            return _first(limits, _policy)
    return DecoderProcess(limits, _policy.dropped)


def _first(limits: DecodeLimits, policy: _Policy) -> DecoderProcess:
    refused: BackendUnavailableError | None = None
    for dropped in _fewer_and_fewer():
        try:
            process = DecoderProcess(limits, dropped, trial=True)
        except BackendUnavailableError as error:
            refused = refused or error
            continue
        policy.dropped = dropped
        _tell(dropped, process.missing)
        return process
    raise refused or BackendUnavailableError("no decoder process can be started")


def _fewer_and_fewer() -> Iterator[frozenset[str]]:
    """All restrictions, then all but one, then none."""
    yield frozenset()
    yield from (frozenset({restriction.name}) for restriction in sandbox.ALL)
    yield frozenset(restriction.name for restriction in sandbox.ALL)


def _tell(dropped: frozenset[str], missing: tuple[str, ...]) -> None:
    for name, keeps_from in sandbox.ALL:
        if name in dropped:
            _aloud.warning(
                "the decoders run without %s, which keeps them from %s: test pictures do not "
                "decode under it on this machine; please report it",
                name,
                keeps_from,
            )
        elif name in missing:
            _aloud.warning(
                "this system has no %s: nothing keeps the decoders of photos from %s",
                name,
                keeps_from,
            )
