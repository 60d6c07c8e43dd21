"""A collection brought to this program's version: forward only, one transaction a step.

Of several processes that come at once one takes the steps, and the others wait for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from picture_captioner.errors import LibraryDeniedError, LibraryNewerError, LibrarySetupError, count
from picture_captioner.library import postgresql_schema
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    import psycopg

LEAST_SERVER = 130000
"""PostgreSQL 13: the oldest that pgvector 0.8 runs on, which has all that is asked of it."""

LEAST_PGVECTOR = (0, 8)
"""What the tables and searches are tested with; before 0.7 there were no vectors of 16 bits."""

_STEP_SECONDS = 600
"""How long another process may take to bring the collection to a new version."""


def prepare(
    raw: psycopg.Connection[Any], address: ServerAddress, notice: Callable[[str], None]
) -> tuple[list[str], dict[str, tuple[list[str], list[str]]]]:
    """Take the steps that the collection lacks; a new one gets all tables.

    Returns the schemas to look into, and of each table its columns and its primary key.

    Raises:
        LibraryNewerError: a later version of this program wrote the collection.
        LibrarySetupError: the server or its pgvector is too old, or it has none.
        psycopg.Error: a step failed; the collection is as that step found it.
    """
    if raw.info.server_version < LEAST_SERVER:
        raise LibrarySetupError(f"{address} is older than PostgreSQL 13, which is too old")
    first = version_of(raw, address.collection)
    if first != len(postgresql_schema.MIGRATIONS):
        version = first
        while version < len(postgresql_schema.MIGRATIONS):
            version = _take_step(raw, address)
        _refuse_newer(version, address)
        if first:
            notice(f"{address} was brought from version {first} to {version}")
        else:
            notice(f"the collection '{address.collection}' is begun in {address}")
    return [address.collection, *_schema_of_pgvector(raw)], _tables(raw, address.collection)


def version_of(raw: psycopg.Connection[Any], collection: str) -> int:
    """The version of the collection's tables; 0 where there is none."""
    with raw.transaction():
        table = f'"{collection}".version'
        (there,) = _one(raw, "SELECT to_regclass(%s) IS NOT NULL", table)
        return int(_one(raw, f"SELECT number FROM {table}")[0]) if there else 0  # noqa: S608


def findings(raw: psycopg.Connection[Any], address: ServerAddress) -> Iterator[str]:
    """What there is of pgvector and of the collection; nothing is changed.

    Raises:
        LibraryError: what is missing cannot be made by this role.
    """
    pgvector = _pgvector(raw, address)
    may_begin = bool(_one(raw, "SELECT has_database_privilege(current_database(), 'CREATE')")[0])
    if not pgvector and not may_begin:
        raise LibrarySetupError(f"{address} has no pgvector: CREATE EXTENSION vector adds it")
    yield f"pgvector {pgvector}" if pgvector else "no pgvector yet: the first use adds it"
    version, known = version_of(raw, address.collection), len(postgresql_schema.MIGRATIONS)
    _refuse_newer(version, address)
    if version == 0:
        schema = "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s"
        if not (_one(raw, schema, address.collection) or (may_begin,))[0]:
            raise LibraryDeniedError(f"{address}: its role may not make a collection")
        yield f"no collection '{address.collection}' yet: the first use makes it"
        return
    table = f'"{address.collection}".photos'
    rights = "SELECT has_table_privilege(%s, 'SELECT') AND has_table_privilege(%s, 'INSERT')"
    if not _one(raw, rights, table, table)[0]:
        raise LibraryDeniedError(f"{address}: its role may not write '{address.collection}'")
    (photos,) = _one(raw, f"SELECT count(*) FROM {table}")  # noqa: S608
    step = "" if version == known else f", to be brought from version {version} to {known}"
    yield f"collection '{address.collection}': {count(photos)}{step}"


def _pgvector(raw: psycopg.Connection[Any], address: ServerAddress) -> str:
    """The version in this database; nothing if it is only to be added.

    Raises:
        LibrarySetupError: the server has none, or one that is too old.
    """
    added = _one(raw, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    offers = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    offered = _one(raw, offers)
    least = ".".join(map(str, LEAST_PGVECTOR))
    there = (
        f"an administrator installs pgvector {least} or later on the server (Debian 13: apt install"
        f" postgresql-{raw.info.server_version // 10_000}-pgvector)"
    )
    if not added and not offered:
        raise LibrarySetupError(f"{address} has no pgvector: {there}; then run this again")
    if _is_recent(*(added or offered)):
        return "".join(added)
    update = f"'ALTER EXTENSION vector UPDATE' in this database brings it to {''.join(offered)}"
    cure = update if offered and _is_recent(*offered) else there
    old = "".join(added or offered)
    raise LibrarySetupError(f"{address} has pgvector {old}, which is too old: {cure}")


def _is_recent(pgvector: str) -> bool:
    return tuple(map(int, re.findall(r"\d+", pgvector)[:2])) >= LEAST_PGVECTOR


def _one(raw: psycopg.Connection[Any], sql: str, *values: object) -> tuple[Any, ...]:
    row = raw.execute(sql.encode(), values or None).fetchone()
    return tuple(row or ())


def _take_step(raw: psycopg.Connection[Any], address: ServerAddress) -> int:
    """Take the next step, if another process has not done so meanwhile; the version then."""
    with raw.transaction():
        _one(raw, "SELECT set_config('lock_timeout', %s, true)", f"{_STEP_SECONDS}s")
        # One lock for the whole database: collections share the extension.
        _one(raw, "SELECT pg_advisory_xact_lock(hashtextextended('picture captioner', 0))")
        version = version_of(raw, address.collection)
        _refuse_newer(version, address)
        if version == len(postgresql_schema.MIGRATIONS):
            return version
        if version == 0:
            _begin(raw, address)
        path = ", ".join(f'"{name}"' for name in [address.collection, *_schema_of_pgvector(raw)])
        _one(raw, "SELECT set_config('search_path', %s, true)", path)
        raw.execute(postgresql_schema.MIGRATIONS[version].encode())
        raw.execute("UPDATE version SET number = %s", (version + 1,))
        return version + 1


def _begin(raw: psycopg.Connection[Any], address: ServerAddress) -> None:
    if not _pgvector(raw, address):
        raw.execute("CREATE EXTENSION vector")
    # IF NOT EXISTS would ask for the right to make one where it is there already.
    if not _one(raw, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", address.collection)[0]:
        raw.execute(f'CREATE SCHEMA "{address.collection}"'.encode())
    raw.execute(f'CREATE TABLE "{address.collection}".version (number integer NOT NULL)'.encode())
    raw.execute(f'INSERT INTO "{address.collection}".version VALUES (0)'.encode())  # noqa: S608


def _refuse_newer(version: int, address: ServerAddress) -> None:
    if version > (known := len(postgresql_schema.MIGRATIONS)):
        raise LibraryNewerError(
            f"the collection '{address.collection}' in {address} was written by a newer version of "
            f"this program (tables {version}, this one knows {known}): update the program"
        )


def _schema_of_pgvector(raw: psycopg.Connection[Any]) -> list[str]:
    rows = raw.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    return [str(name) for (name,) in rows]


def _tables(
    raw: psycopg.Connection[Any], collection: str
) -> dict[str, tuple[list[str], list[str]]]:
    rows = raw.execute(
        "SELECT relname, attname, coalesce(attnum = ANY (indkey), false) FROM pg_class "
        "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped "
        "LEFT JOIN pg_index ON indrelid = pg_class.oid AND indisprimary "
        "WHERE nspname = %s AND relkind = 'r' AND relname <> 'version' ORDER BY relname, attnum",
        (collection,),
    )
    found: dict[str, tuple[list[str], list[str]]] = {}
    for table, column, in_key in rows:
        columns, key = found.setdefault(table, ([], []))
        columns.append(column)
        key += [column] * in_key
    return found
