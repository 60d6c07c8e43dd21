"""What a process that reads foreign bytes may do, as the kernel enforces it.

A decoder is a million lines of C that parse what anybody may have made: whoever finds a hole in one
runs code in its process. On Linux that process then holds no key, opens no file, reaches no
network, starts no program and touches no other process:

- **environment**: a list of names that may pass, none of them a secret's (starting.py)
- **no_new_privs**: no program that it starts gains rights (and the two below need no root)
- **Landlock**: no path is opened, made, renamed or removed; no TCP; no signals to others
- **seccomp**: no opening at all, no sockets, no program or process, no look into other processes

The photo comes as an open descriptor. The model's process opens its files, compiles and talks to
drivers; it gives up the network and other processes (`leave_network`). Elsewhere (macOS) there are
the environment, no core dumps and the process border itself: `sandbox_init` is deprecated there,
and has no public profile.

Landlock's ABI: docs.kernel.org/userspace-api/landlock.html; seccomp: seccomp(2), with filters in
classic BPF. ctypes, since Python wraps neither, and no kept package was found that does both.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Collection, Mapping
from typing import NamedTuple

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 4, 38, 22
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many kinds of access to files each version of Landlock knows: bits from 0."""
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


def forbid_core_dumps() -> None:
    """Let no crash leave the keys and photos in this process's memory on the disk.

    A limit of 0 is not enough on Linux: a core that goes to a program (systemd-coredump) ignores
    it. A process that is not dumpable cannot be traced by others of the same user either.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Restriction(NamedTuple):
    """One of the kernel's restrictions, and what it keeps a process from."""

    name: str
    keeps_from: str


LANDLOCK = Restriction("Landlock", "opening files")
SECCOMP = Restriction("seccomp", "sockets, programs and other processes")
ALL = (LANDLOCK, SECCOMP)


def restrict(dropped: frozenset[str]) -> tuple[str, ...]:
    """Give up, for good, all that a decoder does not need; returns what the kernel cannot do.

    To be called while the process has one thread, when all that it needs is imported: nothing can
    be opened after it.

    Args:
        dropped: names of restrictions that failed on this machine.

    Raises:
        OSError: the kernel knows a restriction and refuses it all the same.
    """
    if sys.platform != "linux":
        return tuple(restriction.name for restriction in ALL)
    libc = _libc()
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    missing = []
    if LANDLOCK.name not in dropped and not _landlock(libc):
        missing.append(LANDLOCK.name)
    if SECCOMP.name not in dropped and not _seccomp(libc):
        missing.append(SECCOMP.name)
    return tuple(missing)


def leave_network() -> bool:
    """Give up, in all threads and for good, what a model does not need; False if there is no way.

    No sockets but local ones, which drivers use, and no look into other processes. Files can be
    opened and programs started, which inherit this: kernels are compiled on first use.

    Raises:
        OSError: the kernel knows the restriction and refuses it all the same.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return _seccomp(libc, _NOT_FOR_A_MODEL)


def landlock_version() -> int:
    """The version of Landlock that the kernel speaks; 0 for none."""
    if sys.platform != "linux":
        return 0
    version = _libc().syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    return max(int(version), 0)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _landlock(libc: ctypes.CDLL) -> bool:
    """Forbid every access that this kernel's Landlock knows, by a ruleset without rules."""
    version = landlock_version()
    if version == 0:
        return False
    files = (1 << _FS_RIGHTS[min(version, max(_FS_RIGHTS))]) - 1
    network = _BIND_AND_CONNECT_TCP if version >= 4 else 0
    scopes = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    ruleset = struct.pack("=QQQ", files, network, scopes)
    known = ruleset[: 8 if version < 4 else 16 if version < 6 else 24]
    descriptor = _checked(libc.syscall(_LANDLOCK_CREATE_RULESET, known, len(known), 0))
    try:
        _checked(libc.syscall(_LANDLOCK_RESTRICT_SELF, descriptor, 0))
    finally:
        os.close(descriptor)
    return True


# --- seccomp: a program of classic BPF ---

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; an argument has 8 bytes, the lower half first."""

_AF_UNIX = 1
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000


def _table(text: str) -> dict[str, int]:
    """Names of system calls with their numbers, as the kernel's own headers give them."""
    pairs = (word.split("=") for word in text.split())
    return {name: int(number) for name, number in pairs}


_X86_64 = _table(
    """
    open=2 socket=41 connect=42 accept=43 sendto=44 bind=49 listen=50 socketpair=53 clone=56
    fork=57 vfork=58 execve=59 kill=62 truncate=76 rename=82 mkdir=83 rmdir=84 creat=85 link=86
    unlink=87 symlink=88 chmod=90 chown=92 lchown=94 ptrace=101 mknod=133 uselib=134
    pivot_root=155 chroot=161 mount=165 umount2=166 setxattr=188 lsetxattr=189 removexattr=197
    lremovexattr=198 tkill=200 utime=132 utimes=235 tgkill=234 add_key=248 request_key=249
    keyctl=250 openat=257 mkdirat=258 mknodat=259 fchownat=260 futimesat=261 unlinkat=263
    renameat=264 linkat=265 symlinkat=266 fchmodat=268 unshare=272 utimensat=280 accept4=288
    perf_event_open=298 name_to_handle_at=303 open_by_handle_at=304 setns=308 prlimit64=302
    process_vm_readv=310 process_vm_writev=311 kcmp=312 renameat2=316 bpf=321 execveat=322
    userfaultfd=323 rt_sigqueueinfo=129 rt_tgsigqueueinfo=297 setrlimit=160 ioprio_set=251
    """
)
_AARCH64 = _table(
    """
    setxattr=5 lsetxattr=6 removexattr=14 lremovexattr=15 mknodat=33 mkdirat=34 unlinkat=35
    symlinkat=36 linkat=37 renameat=38 umount2=39 mount=40 pivot_root=41 truncate=45 chroot=51
    fchmodat=53 fchownat=54 openat=56 utimensat=88 unshare=97 ptrace=117 kill=129 tkill=130
    tgkill=131 rt_sigqueueinfo=138 socket=198 socketpair=199 bind=200 listen=201 accept=202
    connect=203 sendto=206 add_key=217 request_key=218 keyctl=219 clone=220 execve=221
    rt_tgsigqueueinfo=240 perf_event_open=241 accept4=242 prlimit64=261 name_to_handle_at=264
    open_by_handle_at=265 setns=268 process_vm_readv=270 process_vm_writev=271 kcmp=272
    renameat2=276 bpf=280 execveat=281 userfaultfd=282 ioprio_set=30
    """
)
_BOTH = _table(
    """
    pidfd_send_signal=424 io_uring_setup=425 io_uring_enter=426 io_uring_register=427
    open_tree=428 move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 pidfd_open=434
    clone3=435 openat2=437 pidfd_getfd=438 process_madvise=440 mount_setattr=442 fchmodat2=452
    setxattrat=463 removexattrat=466 open_tree_attr=467
    """
)
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
"""AUDIT_ARCH of each machine, and its system calls that are refused."""

_NOT_FOR_A_MODEL = (
    *("socket", "io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "kcmp", "bpf"),
    *("process_vm_readv", "process_vm_writev", "pidfd_getfd", "perf_event_open", "userfaultfd"),
    *("add_key", "request_key", "keyctl", "mount", "umount2", "move_mount", "fsopen", "fsmount"),
    *("open_tree", "mount_setattr", "pivot_root", "chroot", "setns", "open_by_handle_at"),
)
"""Of the table, what is refused to the model's process too; local sockets are left to it."""

_ON_OWN_PROCESS = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "prlimit64")
"""Allowed if their first argument is this process (or 0 for `prlimit64`): `abort` needs it."""


def _seccomp(libc: ctypes.CDLL, refused: Collection[str] | None = None) -> bool:
    """Refuse system calls with EPERM, in all threads; False where the numbers are not known.

    `refused` names some of the table; then local sockets are left.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.maxsize < 2**32:
        return False
    architecture, numbers = machine
    if refused is None:
        code = _filter(architecture, {**numbers, **_BOTH}, pid=os.getpid())
    else:
        some = {n: number for n, number in {**numbers, **_BOTH}.items() if n in refused}
        code = _filter(architecture, some, pid=os.getpid(), local_sockets=True)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    ctypes.set_errno(0)
    number = 317 if platform.machine() == "x86_64" else 277
    flags = _SECCOMP_FILTER_FLAG_TSYNC
    if libc.syscall(number, _SECCOMP_SET_MODE_FILTER, flags, program) == 0:
        return True
    if ctypes.get_errno() in (errno.ENOSYS, errno.EINVAL):  # a kernel built without it
        return False
    return bool(_checked(-1))


def _filter(
    architecture: int, refused: Mapping[str, int], pid: int, *, local_sockets: bool = False
) -> bytes:
    """The program: every jump goes to one of the two or three returns right behind it."""
    code = [_load(_ARCHITECTURE), *_unless(architecture, _errno(errno.EPERM)), _load(_NUMBER)]
    if architecture == _MACHINES["x86_64"][0]:
        code += [_instruction(_JGE, _X32, 0, 1), _errno(errno.EPERM)]
    for name, number in refused.items():
        if name == "clone3":  # its flags are out of reach: glibc then falls back to clone
            code += _if(number, [_errno(errno.ENOSYS)])
        elif name == "socket" and local_sockets:
            local = _instruction(_JEQ, _AF_UNIX, 0, 1)
            code += _if(number, [_load(_ARGUMENT), local, _allow(), _errno(errno.EPERM)])
        elif name == "clone":
            threads = _instruction(_JSET, _CLONE_THREAD, 0, 1)
            code += _if(number, [_load(_ARGUMENT), threads, _allow(), _errno(errno.EPERM)])
        elif name in _ON_OWN_PROCESS:
            own = [_load(_ARGUMENT), _instruction(_JEQ, pid, 0, 1), _allow()]
            own += [_instruction(_JEQ, 0, 0, 1), _allow()] if name == "prlimit64" else []
            code += _if(number, [*own, _errno(errno.EPERM)])
        else:
            code += _if(number, [_errno(errno.EPERM)])
    return b"".join([*code, _allow()])


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LD, offset)


def _allow() -> bytes:
    return _instruction(_RET, _ALLOW)


def _errno(number: int) -> bytes:
    return _instruction(_RET, _ERRNO | number)


def _if(value: int, then: list[bytes]) -> list[bytes]:
    return [_instruction(_JEQ, value, 0, len(then)), *then]


def _unless(value: int, then: bytes) -> list[bytes]:
    return [_instruction(_JEQ, value, 1, 0), then]
