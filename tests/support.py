"""What the end-to-end tests share: the real program as a subprocess, small real photos, records."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from tests.preloaded import shared

ROOT = Path(__file__).parent.parent
SETTINGS_IN_ENVIRONMENT = ("PHOTOS_DIR", "CAPTIONS_JSONL", "BACKEND", "MODEL", "PROMPT")
READ_AT_START = ("HF_", "HOME", "LANG", "LC_", "LD_", "OMP_", "PYTHONIO", "PYTHONUNB", "PYTHONUTF8")
"""By python and its libraries, when they are started or imported."""
SET_BY_OTHERS = ("NUMBA_CACHE_DIR", "UV_RUN_RECURSION_DEPTH")
"""By reports that are made in this process, and by `uv run` around the tests, which would stand
in each suggested command."""


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without settings that the tests do not mean."""
    own = {k: v for k, v in os.environ.items() if k not in SETTINGS_IN_ENVIRONMENT + SET_BY_OTHERS}
    own = {k: v for k, v in own.items() if not k.endswith("_API_KEY")}
    own = {k: v for k, v in own.items() if not k.startswith("CAPTION_")}
    own["CAPTION_PATIENCE"] = "2"  # a service that is down ends a run after seconds, not minutes
    return own | {"PYTHONPATH": extra.pop("PYTHONPATH", "")} | extra


def command(*arguments: object, program: str = "caption.py") -> list[str]:
    """The program's command line."""
    return [sys.executable, str(ROOT / program), *map(str, arguments)]


def caption(*arguments: object, cwd: Path, timeout: float = 60, **env: str):
    """Run the program to its end; stdout and stderr are text with surrogate escapes."""
    return _run("caption.py", arguments, cwd, timeout, env)


def report(*arguments: object, cwd: Path, timeout: float = 120, **env: str):
    """Run `cluster_report.py` in the same way."""
    return _run("cluster_report.py", arguments, cwd, timeout, env)


def _run(
    program: str, arguments: Sequence[object], cwd: Path, timeout: float, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    line = command(*arguments, program=program)
    own = environment(**env)
    if not _read_at_start(env):
        ended = shared().capture(program, *arguments, cwd=cwd, seconds=timeout, env=own)
        return subprocess.CompletedProcess(line, *ended)
    return subprocess.run(
        line,
        cwd=cwd,
        env=own,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=timeout,
        check=False,
    )


def _read_at_start(env: dict[str, str]) -> bool:
    """Whether an interpreter of its own is needed: by variables, or for what hides packages."""
    if any(name.startswith(READ_AT_START) for name in env):
        return True
    searched = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    return any(
        Path(folder, "sitecustomize.py").exists() or not any(Path(folder).glob("*.dist-info"))
        for folder in searched
    )


@contextlib.contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """An SQLite file; what was changed is kept at the end, and the file closed."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def start(*arguments: object, cwd: Path, **env: str) -> subprocess.Popen[bytes]:
    """Start the program in a process group of its own, with its output in a file."""
    with open(cwd / "output.txt", "ab") as output:
        return subprocess.Popen(
            command(*arguments),
            cwd=cwd,
            env=environment(**env),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (48, 36), **save: object) -> Path:
    """A small photo whose bytes differ from seed to seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    image = Image.new("RGB", size, (rng.randrange(256), rng.randrange(256), seed % 256))
    for x in range(0, size[0], 4):
        image.putpixel((x, rng.randrange(size[1])), (255, x % 256, rng.randrange(256)))
    image.save(path, **save)
    return path


def library(folder: Path, count: int, suffix: str = ".jpg") -> Path:
    """A folder with `count` different photos in sub-folders of a hundred."""
    for i in range(count):
        draw(folder / f"{i // 100:03d}" / f"{i:05d}{suffix}", seed=i)
    return folder


def make_socket(path: Path) -> None:
    """A file that is a socket. Its whole path may be too long for a socket's address (108 bytes),
    and going into its folder would take the process's other threads there."""
    folder = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def spoil(folder: Path) -> None:
    """Other bytes under the same size and time: only who opens a photo notices."""
    for path in filter(Path.is_file, folder.rglob("*")):
        before = path.stat()
        path.write_bytes(b"?" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def records(journal: Path) -> list[dict]:
    """Every record of a journal that is expected to be whole; a run that failed may leave none."""
    data = journal.read_bytes() if journal.exists() else b""
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def effective(journal: Path) -> dict[str, dict]:
    """The last record of each path, real ones before placeholders."""
    found: dict[str, dict] = {}
    for record in records(journal):
        if record.get("dry_run") and record["status"] != "error_corrupt":
            continue
        old = found.get(record["rel_path"])
        if old is None or old.get("placeholder") or not record.get("placeholder"):
            found[record["rel_path"]] = record
    return found


PLUGIN = '''
"""A caption backend as another package brings it: real enough to count what it was asked."""
import os, threading, time
from picture_captioner.backends.base import BackendOptions, Caption, CaptionBackend
from picture_captioner.errors import AccessDeniedError, ApiError, ModelError, TransientError

LOCK = threading.Lock()

class Service(CaptionBackend):
    name = "service"
    summary = "a service in a test"
    default_model = "service-1"
    default_workers = 8

    class Options(BackendOptions):
        log: str = ""            # one line for each request
        delay: float = 0.0
        fail: str = ""           # connection, refused, denied, bug, empty, killed
        fail_first: int = 0      # so many requests fail, then all is well; 0: for ever
        price: float = 0.001     # of a request; 0: it has none
        fail_red: int = -1       # only photos whose first pixel has this red value

    requests = 0
    destination = "service.test"

    def caption(self, image, hints):
        options = self.settings.options
        with LOCK:
            type(self).requests += 1
            number = self.requests
            if options.log:
                with open(options.log, "a") as log:
                    log.write(f"{image.size} {image.info}\\n")
        time.sleep(options.delay)
        red = image.getpixel((1, 0))[0]
        wanted = options.fail_red < 0 or abs(red - options.fail_red) < 3
        if options.fail == "killed" and wanted:
            os.kill(os.getpid(), 9)
        if options.fail and wanted and (not options.fail_first or number <= options.fail_first):
            raise {
                "connection": TransientError("connection lost", code="connection"),
                "refused": ModelError("the model refuses", code="refused"),
                "policy": ApiError("against the rules", code="policy"),
                "denied": AccessDeniedError("the service rejects the key"),
                "bug": KeyError("oops"),
            }.get(options.fail) or ModelError("nothing", code=options.fail)
        if not options.price:
            return Caption(f"Red {red}.", model_version="1.0", requests=1)
        return Caption(f"Red {red}.", model_version="1.0", input_tokens=10, output_tokens=3,
                       cost_usd=options.price, requests=1)

class Batches(Service):
    name = "batches"
    batch_size = 8

    def caption_batch(self, images, hints):
        return [self._caption_or_error(image, h) for image, h in zip(images, hints)]
'''


def install_package(
    folder: Path, modules: Mapping[str, str], *entry_points: str, kind: str = "backends"
) -> str:
    """Put `other-package` with these modules and entry points (name=module:Class) into a folder;
    returns the folder as PYTHONPATH."""
    info = folder / "other_package-1.0.dist-info"
    info.mkdir(parents=True)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "\n".join([f"[picture_captioner.{kind}]", *entry_points, ""])
    )
    return str(folder)


def install_plugin(folder: Path) -> str:
    """A package with the backends `service` and `batches`."""
    points = ("service = test_service:Service", "batches = test_service:Batches")
    return install_package(folder, {"test_service": PLUGIN}, *points)


def run_service(cwd: Path, plugin: str, *arguments: object, **options: object):
    """Run with the plugin's backend, which notes each request in requests.txt."""
    pairs = [f"--option={name}={value}" for name, value in options.items()]
    log = f"--option=log={cwd / 'requests.txt'}"
    return caption("run", "--backend=service", log, *pairs, *arguments, cwd=cwd, PYTHONPATH=plugin)


def requests(cwd: Path) -> int:
    """How many requests that backend was asked."""
    log = cwd / "requests.txt"
    return len(log.read_text().splitlines()) if log.exists() else 0
