"""How a library's server is reached, what doctor sees of it, and what is said when it fails."""

from __future__ import annotations

import contextlib
import functools
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from picture_captioner.errors import (
    LibraryDeniedError,
    LibraryError,
    LibraryLockedError,
    LibrarySetupError,
    LibraryUnreachableError,
)
from picture_captioner.extras import how_to_install
from picture_captioner.library import postgresql_migrating
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    import psycopg

_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""A peer that fell silent is given up within a minute; the URL may say otherwise."""


_LONGEST_PAUSE_SECONDS = 1.0
"""Between two tries to connect; random, so that 500 workers do not come at once."""


SILENT_SECONDS = 120.0
"""A server that says nothing for so long has hung, though its machine answers: a statement takes
seconds, and locks are waited for `postgresql.BUSY_SECONDS`."""


CHECK_SECONDS = 10.0
"""The same before a connection of the pool is used, which asks for nothing."""


@functools.cache
def impatient() -> type[psycopg.Connection[Any]]:
    """Connections that are given up when the server says nothing for `silent_seconds`."""
    psycopg = needed_psycopg()

    class Impatient(psycopg.Connection):  # type: ignore[name-defined,misc]
        silent_seconds = SILENT_SECONDS

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._limited(gen), *arguments, **options)

        def _limited(self, gen: Any) -> Any:
            try:
                wanted, heard = next(gen), time.monotonic()
                while True:
                    if ready := (yield wanted):
                        heard = time.monotonic()
                    elif time.monotonic() - heard > self.silent_seconds:
                        self.close()  # or its pool would ask it to roll back
                        raise psycopg.OperationalError(
                            f"it said nothing for {self.silent_seconds:.0f} s"
                        )
                    wanted = gen.send(ready)
            except StopIteration as end:
                return end.value

    return Impatient


def connect(address: ServerAddress) -> psycopg.Connection[Any]:
    """A connection of psycopg; `sslmode`, PGPASSFILE and the like mean what they mean to libpq."""
    opened: psycopg.Connection[Any] = needed_psycopg().connect(address.url, **arguments_of(address))
    return opened


def first_connection(
    address: ServerAddress, notice: Callable[[str], None]
) -> psycopg.Connection[Any]:
    """As `connect`, but a server that is restarting is waited for, aloud: 10 s.

    The `connect_timeout` in the address is how long, where there is one.

    Raises:
        LibraryError: it does not answer, or lets nobody in.
    """
    began, pause = time.monotonic(), 0.0
    while True:
        try:
            with telling(address):
                return connect(address)
        except LibraryUnreachableError:
            given = needed_psycopg().conninfo.conninfo_to_dict(address.url)
            seconds = float((_PATIENCE | given)["connect_timeout"])
            left = seconds - (time.monotonic() - began)
            if left <= 0:
                raise
            if not pause:
                notice(f"{address} does not answer; it is tried again for {seconds:.0f} s")
            pause = min(2 * pause or 0.1, _LONGEST_PAUSE_SECONDS)
            time.sleep(min(left, random.uniform(pause / 2, pause)))  # noqa: S311 - no secret


def arguments_of(address: ServerAddress) -> dict[str, Any]:
    """What psycopg is told besides the URL.

    Raises:
        LibrarySetupError: the URL has a fault.
    """
    psycopg = needed_psycopg()
    try:
        given = psycopg.conninfo.conninfo_to_dict(address.url)
    except psycopg.ProgrammingError as error:
        raise _faulty(address, str(error)) from None
    patience = {name: value for name, value in _PATIENCE.items() if name not in given}
    if sys.platform != "linux":
        patience.pop("tcp_user_timeout", None)
    # Poolers know nothing of statements that were prepared on another connection.
    return {"prepare_threshold": None, "application_name": "picture-captioner"} | patience


def needed_psycopg() -> Any:
    """The package.

    Raises:
        LibrarySetupError: it is not installed.
    """
    try:
        import psycopg
        import psycopg_pool  # noqa: F401 - the sentence is for both
    except ImportError as error:
        raise LibrarySetupError(
            f"a library on a server needs the extra postgres: {how_to_install('postgres')}"
        ) from error
    return psycopg


_INVALID = re.compile(r"connection is bad: invalid|bad value for ")
"""What libpq and psycopg say of a parameter, before anything is sent."""

_DENIED = re.compile(r"password|authentication|pg_hba|role |permission", re.IGNORECASE)

_TLS = re.compile(r"\bSSL|certificate", re.IGNORECASE)


def _faulty(address: ServerAddress, said: str) -> LibrarySetupError:
    fault = " ".join(said.removeprefix("connection is bad: ").splitlines()[0][:200].split())
    return LibrarySetupError(f"the address of the library, {address}, has a fault: {fault}")


def sentence(address: ServerAddress, error: psycopg.Error) -> LibraryError:
    """What happened, without values of rows and without the password."""
    code = error.sqlstate or ""
    said = " ".join((error.diag.message_primary or str(error).splitlines()[0])[:200].split())
    if code in {"55P03", "40P01", "40001"}:
        return LibraryLockedError(
            f"{address} is being written by another process ({said}); run this again"
        )
    if code == "53100":
        return LibraryError(
            f"no room on the disk of {address}: free some space there and run the same command "
            "again; what was saved so far is kept"
        )
    if code[:2] == "28" or code == "42501":
        return LibraryDeniedError(
            f"{address} does not allow that ({said}): docs/scale.md has what the role needs"
        )
    if code == "3D000" or (not code and "database" in said and "does not exist" in said):
        return LibrarySetupError(f"{address}: {said}; an administrator makes it: docs/scale.md")
    if code == "25006":
        return LibraryUnreachableError(
            f"{address} takes no writes ({said}): it is a standby, or was set to read-only. Name "
            "the server that takes them, or run the same command again when this one does; what "
            "was saved so far is kept"
        )
    if code in {"42P01", "42703", "3F000"}:
        return LibraryError(
            f"the tables of {address} are not those that this program knows: they were changed or "
            f"taken away while it ran ({said}). Run the same command again, which says more or "
            "makes them anew; the journal is whole"
        )
    lost = code[:2] in {"08", "53", "57"} or code == "25P03"  # that one: we said nothing for long
    if code == "58030" or (code and not lost):
        return LibraryError(
            f"{address} cannot be used: {said}. Run the same command again when that is seen to; "
            "what was saved so far is kept"
        )
    if not code and _INVALID.match(said):
        return _faulty(address, said)
    if not code and _DENIED.search(said):
        return LibraryDeniedError(
            f"{address} lets nobody in with that: {said}. The password may stand in PGPASSWORD or "
            "in the file that PGPASSFILE names"
        )
    if not code and _TLS.search(said):
        return LibrarySetupError(
            f"{address} cannot be reached by TLS as it is asked for: {said}. sslmode and "
            "sslrootcert in the address say what is asked for (docs/scale.md)"
        )
    return LibraryUnreachableError(
        f"{address} does not answer ({said}): is the server running? Run the same command again; "
        "what was saved so far is kept"
    )


@contextlib.contextmanager
def telling(address: ServerAddress) -> Iterator[None]:
    """What psycopg raises becomes a sentence."""
    psycopg = needed_psycopg()
    try:
        yield
    except psycopg.Error as error:
        raise sentence(address, error) from None  # its text may quote a photo's row


def findings(address: ServerAddress) -> Iterator[str]:
    """What there is at an address, sentence by sentence; nothing is changed.

    Raises:
        LibraryError: something that the library needs is missing, or cannot be reached.
    """
    with telling(address), contextlib.closing(connect(address)) as raw:
        encrypted = "TLS" if raw.pgconn.ssl_in_use else "no TLS"
        major = raw.info.server_version // 10_000
        yield f"{address} answers: PostgreSQL {major}, {encrypted}"
        yield from postgresql_migrating.findings(raw, address)
