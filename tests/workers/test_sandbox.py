"""Code that runs in a live decoder gets nowhere: no network, file, program, process or key.

Where the kernel has Landlock these tests fail, they never skip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from picture_captioner.workers import sandbox
from picture_captioner.workers.starting import clean_environment
from tests.images import faulty_png
from tests.support import caption, draw, effective, environment

linux = pytest.mark.skipif(sys.platform != "linux", reason="the restrictions are Linux's")
KEY = "sk-CANARY-in-the-environment-0123456789"

ATTACKS = """
import ctypes, os, resource, signal, socket, subprocess, threading
from pathlib import Path

OUTSIDE = Path(os.environ.get("TMPDIR", "/tmp"), "attacked.txt")
libc = ctypes.CDLL(None, use_errno=True)


def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def found_key():
    variables = ctypes.cast(
        ctypes.addressof(ctypes.c_void_p.in_dll(libc, "environ")),
        ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p)),
    ).contents
    held, number = [], 0
    while variables[number]:
        held.append(variables[number])
        number += 1
    if not any(b"CANARY" in variable for variable in held):
        raise LookupError("no key")


def in_a_thread(attack):
    refused = []

    def tried():
        try:
            attack()
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=tried)
    thread.start()
    thread.join()
    if refused:
        raise refused[0]


def memory_of(pid):
    piece = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(piece), 8)
    address = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    called(libc.process_vm_readv(pid, vector, 1, address, 1, 0))


def handed_on():
    code = os.spawnl(os.P_WAIT, "/bin/true", "true")
    if code:
        raise OSError(code, "not started")


ALL = {
    "connect": lambda: socket.create_connection(("127.0.0.1", int(os.environ["LC_PORT"])), 2),
    "connect in a thread": lambda: in_a_thread(lambda: socket.socket()),
    "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "local socket": lambda: socket.socketpair(),
    "read a file": lambda: open("/etc/passwd"),
    "read in a thread": lambda: in_a_thread(lambda: os.open("/etc/passwd", os.O_RDONLY)),
    "read the parent's environment": lambda: open(f"/proc/{os.getppid()}/environ", "rb"),
    "list a folder": lambda: os.listdir("/"),
    "write a file": lambda: OUTSIDE.write_text("x"),
    "make a folder": lambda: os.mkdir(f"{OUTSIDE}.d"),
    "make a link": lambda: os.symlink("/", f"{OUTSIDE}.l"),
    "change rights": lambda: os.chmod(__file__, 0o777),
    "truncate": lambda: os.truncate(__file__, os.stat(__file__).st_size),
    "rename": lambda: os.rename(__file__, __file__),
    "fork": lambda: os.fork() or os._exit(0),
    "a program": lambda: subprocess.run(["/bin/true"], check=True),
    "spawn": handed_on,
    "trace": lambda: called(libc.ptrace(16, os.getppid(), 0, 0)),
    "another's memory": lambda: memory_of(os.getppid()),
    "a signal": lambda: os.kill(os.getppid(), 0),
    "another's limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    "io_uring": lambda: called(libc.syscall(425, 1, ctypes.create_string_buffer(120))),
    "a key": found_key,
}


def allowed(leave_out=()):
    got = []
    for name, attack in ALL.items():
        if name in leave_out:
            continue
        try:
            attack()
        except (OSError, LookupError, subprocess.SubprocessError):
            continue
        got.append(name)
    return got
"""

PLANTED = """
from PIL import PngImagePlugin
import attacks

_real = PngImagePlugin.PngImageFile._open


def _open(self):
    _real(self)
    if self.info.get("fault") == "attack":
        raise ValueError(f"allowed: {'; '.join(attacks.allowed()) or 'nothing'}")


PngImagePlugin.PngImageFile._open = _open
"""


@pytest.fixture
def planted(tmp_path):
    """A folder for PYTHONPATH whose code runs in every decoder."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "attacks.py").write_text(ATTACKS)
    (folder / "sitecustomize.py").write_text(PLANTED)
    return folder


@linux
def test_code_in_a_live_decoder_is_refused_everything(tmp_path, planted):
    if sandbox.landlock_version() == 0:
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(faulty_png("attack"))
    given = {"PYTHONPATH": str(planted), "OPENAI_API_KEY": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
    done = caption("run", "--photos-dir=photos", cwd=tmp_path, LC_PORT="9", **given)
    assert "without" not in done.stderr
    error = effective(tmp_path / "captions.jsonl")["a.png"]["error"]
    assert "allowed: nothing" in error["message"], error
    assert not list(tmp_path.glob("attacked*"))


@linux
def test_without_restrictions_the_attacks_work(tmp_path, planted):
    """Else the test above would prove nothing."""
    program = "import attacks, json; print(json.dumps(attacks.allowed(['trace'])))"
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(
            PYTHONPATH=str(planted), TMPDIR=str(tmp_path), SOME_SECRET=KEY, LC_PORT="9"
        ),
        timeout=30,
        capture_output=True,
        check=True,
    )
    allowed = set(json.loads(found.stdout))
    for attack in (
        "read a file",
        "write a file",
        "fork",
        "a program",
        "a key",
        "datagram",
        "spawn",
    ):
        assert attack in allowed
    assert {"local socket", "list a folder", "change rights", "truncate", "a signal"} <= allowed


@linux
def test_a_restriction_under_which_nothing_decodes_is_dropped_aloud(tmp_path, planted):
    (planted / "sitecustomize.py").write_text(
        "from PIL import ImageFile\n"
        "real = ImageFile.ImageFile.load_prepare\n"
        "def load_prepare(self):\n"
        "    open('/dev/null').close()\n"
        "    real(self)\n"
        "ImageFile.ImageFile.load_prepare = load_prepare\n"
    )
    draw(tmp_path / "photos" / "a.jpg")
    done = caption("run", "--photos-dir=photos", cwd=tmp_path, PYTHONPATH=str(planted))
    assert done.returncode == 0, done.stderr
    assert "the decoders run without Landlock" in done.stderr
    assert "the decoders run without seccomp" in done.stderr
    assert "Traceback" not in done.stderr
    assert effective(tmp_path / "captions.jsonl")["a.jpg"]["status"] == "success"


def test_the_environment_of_decoders_and_models_is_one_list_of_names():
    given = {
        "PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "OPENAI_API_KEY": KEY, "HOME": "/root",
        "PYTHON_TOKEN": KEY, "SSH_AUTH_SOCK": "/x", "PHOTOS_DIR": "/p", "LD_SECRET": KEY,
        "HF_ENDPOINT": f"https://me:{KEY}@mirror", "CUDA_VISIBLE_DEVICES": "0",
    }  # fmt: skip
    assert clean_environment(given) == {
        "PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "HOME": "/root",
        "CUDA_VISIBLE_DEVICES": "0",
    }  # fmt: skip


def test_a_kernel_without_landlock_is_told_and_not_an_error(monkeypatch):
    monkeypatch.setattr(sandbox, "landlock_version", lambda: 0)
    assert sandbox._landlock(sandbox._libc()) is False


@linux
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_filter_is_made_of_whole_instructions_and_ends_by_allowing(machine):
    architecture, numbers = sandbox._MACHINES[machine]
    code = sandbox._filter(architecture, {**numbers, **sandbox._BOTH}, pid=os.getpid())
    assert set(sandbox._NOT_FOR_A_MODEL) <= {*numbers, *sandbox._BOTH}
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
    assert code[-8:] == sandbox._allow()
