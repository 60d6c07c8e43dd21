"""Faults in the decoders, for tests of what surrounds them; the product knows nothing of this.

Put this folder first on PYTHONPATH: every Python below it, decoder processes too, then acts upon

    a PNG with the text chunk  fault = crash       SIGSEGV while it is decoded
                               fault = hang        decoding never ends
                               fault = allocate    decoding asks for 4 GiB
                               fault = kill        SIGKILL, as the kernel does when out of memory
                               fault = exit        the process ends with exit code 3
                               fault = leave       it ends with exit code 0, as if all were well
                               fault = swallow     it allocates without end, a megabyte at a time
                               fault = stubborn    as hang, and SIGTERM and SIGALRM are ignored
                               fault = garbage     nonsense goes into the pipe, and it goes on
                               fault = half        half a message goes into the pipe, then as hang
                               fault = giant       a message of 2 GB is announced, then as hang
                               fault = close       the pipe is closed, then as hang
                               fault = fork        a child is left behind that holds the pipe open
                               fault = fork-exit   the same, and the process ends
                               fault = interrupt   SIGINT, SIGTERM and SIGHUP reach the process
    the same with the key      fault-open          already while the header is read
    a file name that contains  stalls-reading      opening it never ends, as on a dead network disk

tests/images.py makes such a PNG: `faulty_png("crash")`, `faulty_png("crash", "fault-open")`.
"""

import contextlib
import os
import signal
import stat
import time

from PIL import PngImagePlugin

STALLS = "stalls-reading"


def forever():
    while True:
        time.sleep(3600)


def interrupt():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)


def pipes():
    """The descriptors that are sockets: the worker's end of its pipe."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield descriptor


def say(data):
    for descriptor in pipes():
        os.write(descriptor, data)


def swallow():
    held = []
    while True:
        held.append(b"x" * (1 << 20))


def stubborn():
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    forever()


def say_and_hang(data):
    say(data)
    forever()


def close():
    for descriptor in list(pipes()):
        os.close(descriptor)
    forever()


def leave_a_child():
    # A restricted decoder may not fork; where the kernel restricts nothing, the child is there.
    with contextlib.suppress(PermissionError):
        if os.fork() == 0:
            forever()


def leave_a_child_and_exit():
    leave_a_child()
    os._exit(4)


FAULTS = {
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": forever,
    "allocate": lambda: len(bytearray(4 << 30)),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "interrupt": interrupt,
    "leave": lambda: os._exit(0),
    "swallow": swallow,
    "stubborn": stubborn,
    "garbage": lambda: say(bytes(range(256)) * 5),
    "half": lambda: say_and_hang(b"\0\0\0\x40half a message"),
    "giant": lambda: say_and_hang(b"\x7f\xff\xff\xff" + bytes(1000)),
    "close": close,
    "fork": leave_a_child,
    "fork-exit": leave_a_child_and_exit,
}

_real_open, _real_load, _real_os_open = (
    PngImagePlugin.PngImageFile._open,
    PngImagePlugin.PngImageFile.load_prepare,
    os.open,
)


def faulty_open(self):
    _real_open(self)
    if "fault-open" in self.info:
        FAULTS[self.info["fault-open"]]()


def faulty_load(self):
    if "fault" in self.info:
        FAULTS[self.info["fault"]]()
    return _real_load(self)


def stalling_open(path, *args, **kwargs):
    if isinstance(path, str | os.PathLike) and STALLS in os.fspath(path):
        forever()
    return _real_os_open(path, *args, **kwargs)


PngImagePlugin.PngImageFile._open = faulty_open
PngImagePlugin.PngImageFile.load_prepare = faulty_load
os.open = stalling_open
