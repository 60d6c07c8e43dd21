"""What stands between a library and its server, and what the server runs out of."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from picture_captioner.engines import claims as claiming
from picture_captioner.engines.claims import Claims, SeenFile, prune
from picture_captioner.engines.server import Server as Patient
from picture_captioner.errors import (
    ExitCode,
    LibraryError,
    LibraryNewerError,
    LibrarySetupError,
    LibraryUnreachableError,
)
from picture_captioner.library import copying, postgresql_access, postgresql_schema
from picture_captioner.library.home import Connection
from picture_captioner.library.store import Library
from picture_captioner.settings import ServerAddress
from tests import needs
from tests.library.filling import fill
from tests.server import PASSWORD, Server, own_by_server
from tests.support import caption, draw, effective

needs.need("psycopg")


class Proxy:
    """Passes connections on to a port of this machine; may fall silent, or cut them off."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.silent = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with contextlib.suppress(OSError, ValueError), client, server:
            while True:
                for ready in select.select([client, server], [], [], 0.05)[0]:
                    while self.silent:
                        time.sleep(0.02)
                    if not (data := ready.recv(65536)):
                        return
                    other[ready].sendall(data)

    def reset(self) -> None:
        """Cut all connections off, as a router does that was restarted."""
        for client, _ in self._pairs:
            with contextlib.suppress(OSError):
                now = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                client.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def close(self) -> None:
        self.silent = False
        self._listener.close()
        self.reset()


@pytest.fixture
def proxy(one_server) -> Iterator[Proxy]:
    made = Proxy(one_server.port)
    yield made
    made.close()


@pytest.fixture
def behind(one_server, collection, proxy) -> ServerAddress:
    """The collection by way of the proxy."""
    url = collection.url.replace(f":{one_server.port}/", f":{proxy.port}/")
    return ServerAddress(url, collection.collection)


@pytest.mark.parametrize("how", ["silent", "reset"])
def test_what_is_asked_while_the_network_is_cut_is_answered_later(behind, proxy, how, monkeypatch):
    monkeypatch.setattr(postgresql_access.impatient(), "silent_seconds", 0.5)
    said: list[str] = []
    contents = [bytes([i]) * 32 for i in range(40)]
    cuts: list[bool] = []

    def cut() -> None:
        if how == "silent":
            proxy.silent = True
            threading.Timer(1.5, setattr, (proxy, "silent", False)).start()
        else:
            proxy.reset()
        cuts.append(True)

    def ask_in_between(connection: Connection) -> object:
        connection.execute("SELECT 1")
        if len(cuts) == 3:
            cut()
        return connection.execute("SELECT 2").fetchone()

    with Library.open(behind, pytest.fail, restart_seconds=2) as library:
        server = Patient(library.database, 30, said.append)
        claims = Claims(server, "s", "here", "j", lease=0.001)
        claims.register()
        claims.see([SeenFile(content, 1, 1, content) for content in contents])
        claims.enqueue(contents)
        first = claims.claim()
        for ask in (claims.claim, lambda: claims.lives(first), claims.give_back):
            cut()
            ask()
        assert len(claims.claim()) == 16
        assert server.run(ask_in_between) == (2,)
    assert len(cuts) == 4
    assert "it said nothing for" in said[-2] or how == "reset"
    assert said[-1] == "The library's server is back"


def test_a_worker_whose_connections_are_cut_off_again_and_again(behind, proxy, plugin, tmp_path):
    for i in range(40):
        draw(tmp_path / "photos" / f"{i}.jpg", i)
    stop = threading.Event()

    def cut() -> None:
        cuts = 0
        while not stop.wait(0.7) and cuts < 5:
            if (tmp_path / "asked").exists():  # it has begun
                proxy.reset()
                cuts += 1

    threading.Thread(target=cut, daemon=True).start()
    try:
        done = caption(
            *("work", "--backend=service", f"--option=log={tmp_path / 'asked'}"),
            *("--option=delay=0.2", "--photos-dir=photos", "--max-workers=2", "--patience=60"),
            f"--collection={behind.collection}",
            "--lease=2",
            cwd=tmp_path,
            PYTHONPATH=plugin,
            CAPTION_LIBRARY=behind.url,
        )
    finally:
        stop.set()
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "asked").read_text().splitlines()) == 40
    assert len(effective(tmp_path / "captions.jsonl")) == 40
    assert PASSWORD not in done.stderr


def test_a_server_that_hangs_is_not_waited_for_for_ever(one_server, collection, monkeypatch):
    monkeypatch.setattr(postgresql_access.impatient(), "silent_seconds", 0.5)
    with Library.open(collection, pytest.fail, restart_seconds=1) as library:
        assert library.identities() == {}
        one_server.send(signal.SIGSTOP)
        try:
            with pytest.raises(LibraryUnreachableError, match="does not answer"):
                library.identities()
        finally:
            one_server.send(signal.SIGCONT)
        assert library.identities() == {}


POOLER = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
"""
TLS = """client_tls_sslmode = require
client_tls_key_file = {folder}/key.pem
client_tls_cert_file = {folder}/cert.pem
"""


@contextlib.contextmanager
def pooler(server: Server, folder: Path, more: str = "") -> Iterator[int]:
    """pgbouncer, which gives each transaction any of three connections; its port."""
    program = needs.need("pgbouncer")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = (POOLER + more).format(server=server.port, port=port, folder=folder)
    (folder / "pooler.ini").write_text(settings)
    (folder / "users").write_text(f'"club" "{PASSWORD}"\n')
    own_by_server(folder)
    words = [*server.as_nobody(), program, str(folder / "pooler.ini")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture
def pooled(one_server, collection) -> Iterator[ServerAddress]:
    """The collection by way of pgbouncer."""
    with pooler(one_server, Path(tempfile.mkdtemp(prefix="pooler"))) as port:
        url = collection.url.replace(f":{one_server.port}/", f":{port}/")
        yield ServerAddress(url, collection.collection)


@pytest.fixture(scope="module")
def with_tls(one_server):
    """A port that takes TLS, as `localhost`, and a folder with its authority's certificate.

    The server in the wheel knows no TLS: pgbouncer stands before it.
    """
    folder = Path(tempfile.mkdtemp(prefix="tls"))
    authority, stranger = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    stranger.cert_pem.write_to_path(folder / "stranger.pem")
    (folder / "key.pem").chmod(0o600)
    one_server.sql("CREATE SCHEMA IF NOT EXISTS by_tls AUTHORIZATION club")
    with pooler(one_server, folder, TLS) as port:
        yield one_server.url().replace(f":{one_server.port}/", f":{port}/"), folder


def by_tls(with_tls, host: str, mode: str, authority: str | None) -> ServerAddress:
    url, folder = with_tls
    url = url.replace("127.0.0.1", host) + f"?sslmode={mode}"
    url += f"&sslrootcert={folder / authority}" if authority else ""
    return ServerAddress(url, "by_tls")


def test_the_library_is_reached_by_tls(with_tls):
    for mode, authority in (("require", None), ("verify-full", "ca.pem")):
        address = by_tls(with_tls, "localhost", mode, authority)
        with Library.open(address, lambda said: None) as library:
            assert library.identities() == {}
        assert ", TLS" in next(iter(postgresql_access.findings(address)))


@pytest.mark.parametrize(
    ("host", "authority", "said"),
    [
        ("127.0.0.1", "ca.pem", "does not match host name"),
        ("localhost", "stranger.pem", "certificate verify failed"),
        ("localhost", "none.pem", "does not exist"),
    ],
)
def test_a_certificate_that_does_not_hold_is_said_to_be_the_fault(with_tls, host, authority, said):
    address = by_tls(with_tls, host, "verify-full", authority)
    with pytest.raises(LibrarySetupError, match=said) as told:
        Library.open(address, pytest.fail)
    assert told.value.exit_code == ExitCode.CONFIGURATION
    assert "sslrootcert" in str(told.value)
    assert PASSWORD not in str(told.value)


def test_a_server_without_tls_is_said_to_have_none(one_server):
    address = ServerAddress(f"{one_server.url()}?sslmode=require", "photos")
    with pytest.raises(LibrarySetupError, match="server does not support SSL") as told:
        Library.open(address, pytest.fail)
    assert PASSWORD not in str(told.value)


def test_several_clients_bring_a_collection_to_the_next_version_at_once(one_server, monkeypatch):
    address, steps = one_server.new_collection(), postgresql_schema.MIGRATIONS
    monkeypatch.setattr(postgresql_schema, "MIGRATIONS", steps[:1])
    with Library.open(address, lambda said: None) as older:
        fill(older)
        monkeypatch.setattr(postgresql_schema, "MIGRATIONS", steps)
        said: list[str] = []
        failed: list[LibraryError] = []

        def open_it() -> None:
            try:
                Library.open(address, said.append).close()
            except LibraryError as error:
                failed.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert any(f"to {len(steps)}" in one for one in said), said  # each step is somebody's
        assert older.identities() == {"m:1": 3}  # it goes on; only when it comes anew it is told
    monkeypatch.setattr(postgresql_schema, "MIGRATIONS", steps[:1])
    with pytest.raises(LibraryNewerError, match="update the program"):
        Library.open(address, pytest.fail)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 24 MB for the server."""
    folder = Path(tempfile.mkdtemp(prefix="small"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("mounting is not allowed here")
    own_by_server(folder)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_of_the_server(small_disk):
    server = Server()
    try:
        server.sql(
            f"CREATE TABLESPACE small LOCATION '{small_disk}'",
            "CREATE DATABASE small TABLESPACE small",
            "GRANT CREATE ON DATABASE small TO club",
        )
        superuser = ServerAddress(server.url("postgres", database="small"), "photos")
        with Library.open(superuser, lambda said: None) as library:
            fill(library)
            saved = 0
            with pytest.raises(LibraryError, match="no room on the disk of") as told:
                for saved in range(100):
                    library.save_thumbnail(f"{saved:064x}", os.urandom(500_000))
            assert told.value.exit_code == ExitCode.IO_FAILED
            assert 5 < saved < 60
            remount = ["mount", "-o", "remount,size=64m", str(small_disk)]
            subprocess.run(remount, check=True)
            library.save_thumbnail(f"{saved:064x}", b"webp")
            assert len(library.thumbnail(f"{saved - 1:064x}") or b"") == 500_000
            assert library.identities() == {"m:1": 3}
    finally:
        server.close()


@pytest.mark.needs("pgbouncer")
def test_workers_share_a_library_behind_a_pooler(pooled, plugin, tmp_path):
    for i in range(60):
        draw(tmp_path / "photos" / f"{i}.jpg", i)
    workers = [_worker(name, pooled, plugin, tmp_path) for name in ("one", "two")]
    assert [worker.wait(90) for worker in workers] == [0, 0], [
        output.read_text() for output in tmp_path.glob("*.output")
    ]
    asked = sum(len(log.read_text().splitlines()) for log in tmp_path.glob("*.asked"))
    assert asked == 60
    with (
        Library.open(pooled, pytest.fail) as library,
        Library.open(tmp_path / "copy.db", pytest.fail) as file,
        library.database.snapshot() as everything,
    ):
        assert copying.copy(everything, file.database)["files"] == 60


def _worker(name, pooled, plugin, folder):
    from tests.support import command, environment

    words = command(
        *("work", "--backend=service", f"--option=log={folder / name}.asked"),
        *("--option=delay=0.05", "--photos-dir=photos", f"--captions-jsonl={name}.jsonl"),
        *("--max-requests=100", "--stages=caption,normalize,metadata"),
        f"--collection={pooled.collection}",
    )
    own = environment(PYTHONPATH=plugin, CAPTION_LIBRARY=pooled.url)
    with (folder / f"{name}.output").open("wb") as output:
        return subprocess.Popen(words, cwd=folder, env=own, stdout=output, stderr=output)


def test_a_transaction_that_the_server_ended_is_tried_again(collection):
    """A worker that got no processor for seconds, or a laptop that was closed."""
    slept: list[bool] = []

    def work(connection: Connection) -> object:
        connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '50', true)")
        if not slept:
            slept.append(True)
            time.sleep(0.5)
        return connection.execute("SELECT 3").fetchone()

    said: list[str] = []
    with Library.open(collection, pytest.fail) as library:
        assert Patient(library.database, 30, said.append).run(work) == (3,)
    assert "terminating connection due to idle" in said[0]


def test_no_transaction_is_about_more_files_than_a_slow_worker_gets_through(
    one_server, collection, monkeypatch
):
    monkeypatch.setattr(claiming, "ROWS_AT_ONCE", 7)
    contents = [bytes([i]) * 32 for i in range(20)]
    with Library.open(collection, pytest.fail) as library:
        server = Patient(library.database)
        transactions: list[object] = []
        once = server.run
        monkeypatch.setattr(server, "run", lambda work: [transactions.append(work), once(work)][1])
        claims = Claims(server, "s", "here", "j")
        claims.see([SeenFile(content, 1, 1, content) for content in contents])
        transactions.clear()
        assert [file.content for file in claims.seen()] == contents
        claims.enqueue(contents)
        assert len(transactions) == 4 + 3
        seen_files = f'"{collection.collection}".seen_files'
        one_server.sql(f"UPDATE {seen_files} SET seen_at = now() - interval '2 days'")
        claims.still_there(contents)
        recent = f"SELECT count(*) FROM {seen_files} WHERE seen_at > now() - interval '1 day'"
        assert one_server.sql(recent) == [(20,)]
        claims.register()
        assert sorted([*claims.claim(), *claims.claim()]) == contents


def test_what_is_old_is_forgotten(one_server, collection):
    contents = [bytes([i]) * 32 for i in range(3)]
    with Library.open(collection, pytest.fail) as library:
        server = Patient(library.database)
        for name in ("gone", "holds", "new"):
            claims = Claims(server, "s", "here", name)
            claims.register()
            claims.see([SeenFile(content, 1, 1, content) for content in contents])
            claims.enqueue(contents)
            if name == "holds":
                claims.claim()
        schema = collection.collection
        one_server.sql(
            f"UPDATE \"{schema}\".workers SET heartbeat_at = now() - interval '31 days' "
            "WHERE journal <> 'new'",
            f"UPDATE \"{schema}\".seen_files SET seen_at = now() - interval '181 days'",
        )
        claims.still_there(contents[:1])
        assert server.run(prune) == {"old_workers": 1, "old_files": 2}
        assert server.run(prune) == {"old_workers": 0, "old_files": 0}
        workers = f'SELECT journal FROM "{schema}".workers ORDER BY journal'
        assert one_server.sql(workers) == [("holds",), ("new",)]
        assert [file.content for file in claims.seen()] == contents[:1]
