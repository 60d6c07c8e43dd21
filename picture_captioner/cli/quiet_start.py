"""Imported first: Ctrl+C while a program of ours loads or leaves ends it without a traceback.

Python turns SIGINT into an exception wherever it is, such as in the middle of somebody's import.
Until there is something to tidy up, the signal may simply end the process, as SIGTERM does.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_PROGRAMS = {"caption", "cluster-report", "cluster_report"}

if (
    Path(sys.argv[0]).stem in _PROGRAMS  # else somebody imports us: their signals are theirs
    and signal.getsignal(signal.SIGINT)
    is signal.default_int_handler  # else it is ignored: nohup, `&`
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While the block runs, Ctrl+C raises KeyboardInterrupt, unless it is ignored."""
    quiet = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if quiet:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if quiet:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
