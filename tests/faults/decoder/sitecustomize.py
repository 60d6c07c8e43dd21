"""Faults in the decoders, for tests of what surrounds them; the product knows nothing of this.

Put this folder first on PYTHONPATH: every Python below it, decoder processes too, then acts upon

    a PNG with the text chunk  fault = crash       SIGSEGV while it is decoded
                               fault = hang        decoding never ends
                               fault = allocate    decoding asks for 4 GiB
                               fault = kill        SIGKILL, as the kernel does when out of memory
                               fault = exit        the process ends with exit code 3
                               fault = interrupt   SIGINT, SIGTERM and SIGHUP reach the process
    the same with the key      fault-open          already while the header is read
    a file name that contains  stalls-reading      opening it never ends, as on a dead network disk

tests/images.py makes such a PNG: `faulty_png("crash")`, `faulty_png("crash", "fault-open")`.
"""

import os
import signal
import time

from PIL import PngImagePlugin

STALLS = "stalls-reading"


def forever():
    while True:
        time.sleep(3600)


def interrupt():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)


FAULTS = {
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": forever,
    "allocate": lambda: len(bytearray(4 << 30)),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "interrupt": interrupt,
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
