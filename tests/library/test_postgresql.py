"""A library on a server: made once, never mixed with another, and told of in sentences."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.errors import (
    ExitCode,
    LibraryDeniedError,
    LibraryError,
    LibraryLockedError,
    LibraryNewerError,
    LibrarySetupError,
    LibraryUnreachableError,
)
from picture_captioner.library import postgresql, postgresql_schema
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.postgresql import translated
from picture_captioner.library.postgresql_access import connect, findings
from picture_captioner.library.store import Library
from picture_captioner.settings import ServerAddress
from tests import needs
from tests.library.filling import fill
from tests.server import PASSWORD, Server

needs.need("psycopg")

SHA = "a" * 64


@pytest.fixture
def db(collection):
    with Library.open(collection, pytest.fail) as db:
        yield db


@pytest.fixture
def own_server():
    server = Server(durable=True)
    yield server
    server.close()


def test_both_homes_have_the_same_tables_and_columns(db):
    with Library.in_memory(pytest.fail) as file, file.database.reading() as connection:
        in_file = set(connection.columns())
    with db.database.reading() as connection:
        served = {one for one in connection.columns() if one[0] not in postgresql_schema.OF_WORKERS}
    assert served == in_file


def test_what_looks_through_all_photos_goes_through_each_table_once(db):
    """Whatever the server believes of a table that it has not counted yet."""
    believed = (
        "EXPLAIN SELECT located.rel_path FROM located JOIN capture_times "
        "ON capture_times.rel_path = located.rel_path WHERE substr(taken_at, 1, 10) >= ?"
    )
    fill(db)
    with db.transaction(), db.database.reading() as connection:
        plan = "\n".join(row for (row,) in connection.look_through(believed, ("2010-01-01",)))
        assert "Hash Join" in plan
        assert "Nested Loop" not in plan
        assert connection.execute("SHOW enable_nestloop").fetchone() == ("on",)


def test_collections_of_one_database_are_never_mixed(one_server, db):
    fill(db)
    said = []
    with Library.open(one_server.new_collection(), said.append) as other:
        assert (other.identities(), other.ledger.history()) == ({}, {})
        fill(other, 1)
        assert db.identities() == {"m:1": 3}
        assert other.identities() == {"m:1": 1}
    (notice,) = said
    assert "is begun in postgresql://club@127.0.0.1" in notice
    assert PASSWORD not in notice


def test_several_clients_may_make_a_collection_at_once(one_server):
    address = one_server.new_collection()
    said, failed = [], []

    def open_it():
        try:
            Library.open(address, said.append).close()
        except LibraryError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Library.open(address, pytest.fail) as db:
        fill(db)


def test_a_step_that_fails_leaves_the_collection_as_it_was(collection, monkeypatch):
    with Library.open(collection, pytest.fail) as db:
        fill(db)
    steps = (*postgresql_schema.MIGRATIONS, "ALTER TABLE photos ADD lens text; SELECT 1/0;")
    monkeypatch.setattr(postgresql_schema, "MIGRATIONS", steps)
    with pytest.raises(LibraryError, match="division by zero"):
        Library.open(collection, pytest.fail)
    steps = (*steps[:-1], "ALTER TABLE photos ADD lens text;")
    monkeypatch.setattr(postgresql_schema, "MIGRATIONS", steps)
    said = []
    with Library.open(collection, said.append) as db:
        assert db.identities() == {"m:1": 3}
    assert f"from version {len(steps) - 1} to {len(steps)}" in said[0]
    monkeypatch.undo()
    with pytest.raises(LibraryNewerError, match="a newer version of this program") as newer:
        Library.open(collection, pytest.fail)
    assert newer.value.exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    ("how", "kind", "code", "word"),
    [
        ("password", LibraryDeniedError, 77, "PGPASSFILE"),
        ("role", LibraryDeniedError, 77, "lets nobody in"),
        ("database", LibrarySetupError, 78, "an administrator makes it"),
        ("port", LibraryUnreachableError, 69, "does not answer .*again; what was saved"),
        ("host", LibraryUnreachableError, 69, "does not answer .*again; what was saved"),
    ],
)
def test_who_cannot_get_in_reads_why(one_server, how, kind, code, word):
    url = {
        "password": one_server.url(password="wrong-horse-8"),
        "role": one_server.url("nobody_here"),
        "database": one_server.url(database="none"),
        "port": "postgresql://club:secret-horse@127.0.0.1:1/postgres?connect_timeout=2",
        "host": "postgresql://club:secret-horse@no.such.host.invalid/postgres?connect_timeout=2",
    }[how]
    said: list[str] = []
    with pytest.raises(kind, match=word) as told:
        Library.open(ServerAddress(url, "photos"), said.append)
    waited = [one.partition(" does not answer; ")[2] for one in said]
    assert waited == ["it is tried again for 2 s"] * (code == 69)
    assert told.value.exit_code == code
    assert "horse" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("?sslmode=bogus", 'invalid sslmode value: "bogus"'),
        ("?passwordd=horse-3", 'invalid URI query parameter: "passwordd"'),
        ("?connect_timeout=soon", "bad value for connect_timeout"),
        ("?port=99999", 'invalid port number: "99999"'),
    ],
)
def test_a_fault_of_the_address_is_said_to_be_one(more, word):
    url = f"postgresql://club:secret-horse@127.0.0.1:1/postgres{more}"
    with pytest.raises(LibrarySetupError, match="has a fault") as told:
        Library.open(ServerAddress(url, "photos"), pytest.fail)
    assert (told.value.exit_code, word in str(told.value)) == (78, True), told.value
    assert "horse" not in str(told.value)


def test_the_password_may_come_from_the_environment(one_server, collection, monkeypatch, tmp_path):
    address = dataclasses.replace(collection, url=one_server.url(password=None))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    Library.open(address, pytest.fail).close()
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(LibraryDeniedError, match="no password supplied"):
        Library.open(address, pytest.fail)
    (tmp_path / "pass").write_text(f"127.0.0.1:{one_server.port}:*:club:{PASSWORD}\n")
    (tmp_path / "pass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    Library.open(address, pytest.fail).close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://anna:pw@host:5432/db?sslmode=require", "postgresql://anna@host:5432/db"),
        ("postgres://anna:p%40w@h/db?password=x", "postgres://anna@h/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://anna@host1,host2/db", "postgresql://anna@host1,host2/db"),
        ("postgresql:///db?host=/tmp", "postgresql:///db"),
        ("postgresql://anna:p/w@pw?pw@h:1/db", "postgresql://anna@h:1/db"),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    address = ServerAddress(url, "photos")
    assert str(address) == shown
    assert "pw" not in repr(address)


def test_a_role_without_the_right_to_make_a_collection_reads_so(one_server):
    one_server.sql(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    address = ServerAddress(one_server.url("guest"), "for_guests")
    with pytest.raises(LibraryDeniedError, match=r"permission denied for database.*scale\.md"):
        Library.open(address, pytest.fail)
    one_server.sql("CREATE SCHEMA for_guests AUTHORIZATION guest")
    with Library.open(address, lambda said: None) as db:
        fill(db)


def test_a_database_without_pgvector_needs_somebody_who_may_add_it(one_server):
    one_server.sql("CREATE DATABASE bare")
    address = ServerAddress(one_server.url("club", database="bare"), "photos")
    with pytest.raises(LibraryDeniedError, match="permission denied"):
        Library.open(address, pytest.fail)
    superuser = ServerAddress(one_server.url("postgres", database="bare"), "photos")
    with Library.open(superuser, lambda said: None) as db:
        fill(db)


def test_a_server_without_pgvector_is_said_to_lack_it(one_server):
    one_server.sql(
        "CREATE DATABASE debian",
        "GRANT CREATE ON DATABASE debian TO club",
        "ALTER DATABASE debian SET extension_control_path = '/nowhere'",  # as if not installed
    )
    address = ServerAddress(one_server.url(database="debian"), "photos")
    for ask in (lambda: Library.open(address, pytest.fail), lambda: list(findings(address))):
        with pytest.raises(LibrarySetupError, match="has no pgvector: an administrator") as told:
            ask()
        assert told.value.exit_code == ExitCode.CONFIGURATION
        assert "apt install postgresql-18-pgvector" in str(told.value)


@pytest.mark.parametrize(
    ("offered", "cure"), [(True, "ALTER EXTENSION vector UPDATE"), (False, "installs pgvector 0.8")]
)
def test_a_pgvector_that_is_too_old_is_said_to_be(one_server, offered, cure):
    name = "old_offered" if offered else "old"
    one_server.sql(f"CREATE DATABASE {name}", f"GRANT CREATE ON DATABASE {name} TO club")
    with contextlib.closing(
        connect(ServerAddress(one_server.url("postgres", database=name), "c"))
    ) as raw:
        raw.autocommit = True
        raw.execute("CREATE EXTENSION vector")
        raw.execute("UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'")
    if not offered:
        one_server.sql(f"ALTER DATABASE {name} SET extension_control_path = '/nowhere'")
    address = ServerAddress(one_server.url(database=name), "photos")
    for ask in (lambda: Library.open(address, pytest.fail), lambda: list(findings(address))):
        with pytest.raises(LibrarySetupError, match=r"has pgvector 0\.6\.2.*too old") as told:
            ask()
        assert cure in str(told.value)


def test_a_server_that_restarts_is_waited_for_by_the_first_connection(own_server):
    address = own_server.new_collection()
    own_server.stop()
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(Library.open, address, said.append)
        time.sleep(1)
        own_server.start()
        with opening.result() as db:
            fill(db)
    assert said[0] == f"{address} does not answer; it is tried again for 10 s"
    assert len(said) == 2  # and that the collection is begun


def test_a_restart_of_the_server_loses_nothing(own_server):
    address = own_server.new_collection()
    with Library.open(address, lambda said: None) as db:
        fill(db)
        own_server.stop()
        own_server.start()
        assert db.identities() == {"m:1": 3}  # another connection, without a word
        with pytest.raises(LibraryUnreachableError, match="what was saved so far is kept"):
            cut_off_inside_a_transaction(db, own_server)
        own_server.start()
        assert db.thumbnail(SHA) is None
        db.save_thumbnail(SHA, b"webp")
        own_server.stop(signal.SIGQUIT)  # as a crash
        own_server.start()
        assert db.thumbnail(SHA) == b"webp"


def cut_off_inside_a_transaction(db, server):
    with db.transaction():
        db.save_thumbnail(SHA, b"half")
        server.stop()
        db.save_thumbnail(SHA, b"other half")


def test_a_server_that_stays_away_is_not_waited_for_for_ever(own_server):
    with Library.open(own_server.new_collection(), lambda said: None, restart_seconds=1.0) as db:
        own_server.stop()
        began = time.monotonic()
        with pytest.raises(LibraryUnreachableError, match="does not answer") as told:
            db.identities()
        assert time.monotonic() - began < 20
        assert PASSWORD not in str(told.value)


def test_a_full_disk_is_a_sentence_and_what_was_saved_stays(db):
    fill(db)
    with db.database.transaction() as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON thumbnails "
            "FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    with pytest.raises(LibraryError, match="no room on the disk") as told:
        db.save_thumbnail(SHA, b"webp")
    assert told.value.exit_code == ExitCode.IO_FAILED
    assert db.identities() == {"m:1": 3}


def test_rows_that_another_client_holds_are_not_waited_for_for_ever(db, collection, monkeypatch):
    monkeypatch.setattr(postgresql, "BUSY_SECONDS", 1)
    db.save_thumbnail(SHA, b"webp")
    with Library.open(collection, pytest.fail) as other, other.transaction():
        other.save_thumbnail(SHA, b"mine")
        with pytest.raises(LibraryLockedError, match="another process") as told:
            db.save_thumbnail(SHA, b"theirs")
        assert told.value.exit_code == ExitCode.LOCKED
    assert db.thumbnail(SHA) == b"mine"


def test_a_transaction_of_one_thread_is_not_that_of_another(db):
    with db.transaction():
        db.save_thumbnail(SHA, b"webp")
        seen = []
        thread = threading.Thread(target=lambda: seen.append(db.thumbnail(SHA)))
        thread.start()
        thread.join()
    assert seen == [None]
    assert db.thumbnail(SHA) == b"webp"


@settings(max_examples=30)
@given(
    rel_path=st.text(st.characters(), min_size=1),
    camera=st.none() | st.text(),
    bits=st.none() | st.integers(0, 2**64 - 1),
)
def test_odd_names_and_values_survive(one_library, rel_path, camera, bits):
    facts = PhotoFacts(
        content_sha256=SHA, width=1, height=2, camera=camera or None, perceptual_hash=bits
    )
    one_library.facts.save(rel_path, 1, 2, facts)
    found = one_library.facts.of_file(rel_path, 1, 2)
    assert (found.content_sha256, found.perceptual_hash) == (SHA, bits)
    kept = camera.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if camera else None
    assert found.camera == kept
    assert rel_path in one_library.paths_of(SHA)


@pytest.fixture(scope="module")
def one_library(one_server):
    with Library.open(one_server.new_collection(), lambda said: None) as db:
        yield db


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 'a?b' LIKE ? ESCAPE '\\'", "SELECT 'a?b' ILIKE %s ESCAPE '\\'"),
        ("a IS NOT b.c AND a IS NOT NULL", "a IS DISTINCT FROM b.c AND a IS NOT NULL"),
        ("a LIKE '%it''s :x%'", "a ILIKE '%%it''s :x%%'"),
        ("VALUES (:content, CAST(? AS x), y::int)", "VALUES (%(content)s, CAST(%s AS x), y::int)"),
        ("INSERT OR IGNORE INTO t VALUES (?)", "INSERT INTO t VALUES (%s) ON CONFLICT DO NOTHING"),
    ],
)
def test_sql_is_told_in_the_words_of_the_server(sql, told):
    assert translated(sql).decode() == told
