"""What the fork server of the decoders imports: the decoders, and an order to clear up.

multiprocessing puts the server's socket into a temporary folder, which the parent removes when it
ends. A parent that was killed removes nothing; the server outlives it, and does it instead. But a
server that dies of an error, since the machine has no room for one process more, has a parent that
is alive: it would miss the folder, for the next server and at its own end.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import sys
from pathlib import Path
from types import TracebackType

import picture_captioner.pipeline.decoding.decoder_worker  # noqa: F401 - imported once here, and not in every new process
from picture_captioner.image_loader.samples import import_all

_MOST_DESCRIPTORS = 64
_FOLDER_PREFIX = "pymp-"  # multiprocessing.util.get_temp_dir


def socket_folder() -> Path | None:
    """The folder of the socket on which this process listens, which it got when it was started."""
    for descriptor in range(3, _MOST_DESCRIPTORS):
        try:
            with socket.socket(fileno=os.dup(descriptor)) as found:
                name = found.getsockname()
        except OSError:
            continue
        if isinstance(name, str) and Path(name).parent.name.startswith(_FOLDER_PREFIX):
            return Path(name).parent
    return None


def die_of(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Leave the folder to the parent, which says what this means for the run."""
    del traceback  # of multiprocessing's loop: it would tell the person nothing
    atexit.unregister(shutil.rmtree)
    sys.stderr.write(f"the decoders' fork server ended: {kind.__name__}: {error}\n")


import_all()
sys.excepthook = die_of
if (_folder := socket_folder()) is not None:
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
