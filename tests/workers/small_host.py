"""A host for tests: it does what its items say, in a process that imports nothing heavy."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

from picture_captioner.errors import (
    AccessDeniedError,
    DeviceLostError,
    ModelError,
    TransientError,
)


class SmallHost:
    """Answers an item with itself, or with whatever the item's name says."""

    def __init__(self, arguments, child):
        self.arguments, self.child = arguments, child
        self.done = 0
        if arguments.get("notice"):
            child.notice("loading")
        self._do(arguments.get("loading", ""))

    def work(self, kind, items, shared):
        if kind == "plain":
            self._do(self.arguments.get("plain", ""))
            return [None]
        for item in items:  # as a batch that waits for the device
            if item == "prepares":
                time.sleep(shared.get("seconds", 1.0))
            if item.startswith("shows:"):
                open(item.removeprefix("shows:"), "w").close()
        self.child.on_device()
        return [self._do(item) or [item, os.getpid()] for item in items]

    def state(self):
        return {"done": self.done, "before": self.arguments.get("before", {})}

    def close(self):
        if self.arguments.get("closed"):
            with open(self.arguments["closed"], "w") as file:
                file.write("closed")

    def _do(self, word):
        self.done += 1
        match word.split(":"):
            case ["once", way, file] if not os.path.exists(file):
                open(file, "w").close()
                self._do(way)
            case ["slow", seconds]:
                time.sleep(float(seconds))
            case ["waits", file]:
                for _ in range(300):
                    if os.path.exists(file):
                        return None
                    time.sleep(0.1)
                raise ModelError("nobody came")
            case ["dies"]:
                sys.stderr.write("last words\n")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGSEGV)
                time.sleep(600)  # another thread may be the one that gets it
            case ["killed"]:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(600)
            case ["exits"]:
                os._exit(7)
            case ["hangs"]:
                time.sleep(600)
            case ["lost"]:
                raise DeviceLostError("CUDA error: gone")
            case ["verdict"]:
                raise ModelError("no words", code="empty", usage={"output_tokens": 3})
            case ["busy"]:
                raise TransientError("later", code="out_of_memory", retry_after=0.5)
            case ["denied"]:
                raise AccessDeniedError("not you")
            case ["bug"]:
                raise ZeroDivisionError("oops")
            case ["prints"]:
                sys.stdout.write("to stdout\n")
                os.write(1, b"and past python\n")
            case ["environment"]:
                return [dict(os.environ), os.getpgid(0), os.getppid()]
            case ["reaches"]:
                return [attacks()]
            case ["score"]:
                with open("/proc/self/oom_score_adj") as file:
                    return [file.read().strip()]
        return None


def attacks():
    """What of this is possible: only the local socket and the file should be."""
    libc = ctypes.CDLL(None, use_errno=True)
    tries = {
        "tcp": lambda: socket.socket(socket.AF_INET),
        "udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "io_uring": lambda: called(libc, libc.syscall(425, 1, ctypes.create_string_buffer(120))),
        "memory": lambda: called(libc, libc.process_vm_readv(os.getppid(), None, 0, None, 0, 0)),
        "a program's socket": lambda: subprocess.run(
            [sys.executable, "-c", "import socket; socket.socket()"], check=True, stderr=-3
        ),
        "local": lambda: socket.socket(socket.AF_UNIX).close(),
        "file": lambda: os.close(os.open(__file__, os.O_RDONLY)),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
    }
    found = []
    for name, attack in tries.items():
        try:
            attack()
        except (OSError, subprocess.SubprocessError):
            continue
        found.append(name)
    return found


def called(libc, result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def make(arguments, child):
    if arguments.get("needs_network"):
        socket.socket(socket.AF_INET).close()
    return SmallHost(arguments, child)
