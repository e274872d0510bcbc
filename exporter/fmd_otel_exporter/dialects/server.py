"""What database servers have in common: far away, shared, guarded by a password, and silent at times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.errors import StorageError, safe_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 30
"""After this long the server gives a statement up."""
LOCK_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 40
"""After this long without an answer the client gives the server up: it hangs, or the network lost it."""
MIGRATION_LOCK_S = 60
"""Longest wait for another process that creates or upgrades the tables."""
POOL_OPTIONS: dict[str, Any] = {
    "pool_size": 4,
    "max_overflow": 8,
    "pool_timeout": CONNECT_TIMEOUT_S,
    # Firewalls and proxies drop idle connections without a word, and servers end them at night.
    "pool_pre_ping": True,
    "pool_recycle": 1800,
    # Each transaction has ended by then. To roll back once more takes MariaDB another answer, and where it
    # went away in between, SQLAlchemy tells the app's log with a traceback.
    "pool_reset_on_return": None,
}
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class Server:
    """Which database on which server, in words fit for a message."""

    product: str
    place: str
    """Host and port, or the socket."""
    database: str
    user: str
    password: str = ""

    def __repr__(self) -> str:
        """Show everything but the password."""
        return f"Server({self.product!r}, {self.place!r}, {self.database!r}, {self.user!r})"

    def said(self, text: object) -> str:
        """Return what a driver or server said as one short line without the password."""
        line = " ".join(str(text).split())
        if self.password:
            line = re.sub(rf"(?<!\w){re.escape(self.password)}(?!\w)", "***", line)
        return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble: what to say, and what callers may tell apart.

    The message may name ``{server}``, ``{db}``, ``{user}``, ``{database}`` and ``{text}``, which is what the
    server or its driver said.
    """

    message: str
    busy: bool = False
    again: bool = False
    no_tables: bool = False

    def error(self, server: Server, text: object) -> StorageError:
        """Return the error for a server."""
        message = self.message.format(
            server=f"the {server.product} server at {server.place}",
            db=f"the {server.product} database {server.database!r} at {server.place}",
            user=server.user,
            database=server.database,
            text=server.said(text),
        )
        return StorageError(message, busy=self.busy, again=self.again, no_tables=self.no_tables)


UNREACHABLE = Trouble(
    "{server} cannot be reached ({text}); check that it runs, and host and port in the setting DATABASE "
    "(FMD_OTEL_DATABASE)"
)
WRONG_PASSWORD = Trouble(
    "{server} does not let user {user!r} in ({text}); correct user and password in the setting DATABASE "
    "(FMD_OTEL_DATABASE)"
)
NO_DATABASE = Trouble(
    "{server} has no database {database!r} ({text}); create it there with CREATE DATABASE {database}, or "
    "correct its name in the setting DATABASE (FMD_OTEL_DATABASE)"
)
READ_ONLY = Trouble(
    "{db} takes no writes ({text}); name the primary server in the setting DATABASE (FMD_OTEL_DATABASE)"
)
SILENT = Trouble(f"{{server}} has not answered for {ANSWER_TIMEOUT_S} s ({{text}})")
LOST = Trouble("the connection to {server} was lost ({text})", again=True)
UNDONE = Trouble("{db} let another transaction go first ({text})", busy=True, again=True)
LOCKED = Trouble(f"another connection has held a lock in {{db}} for {LOCK_TIMEOUT_S} s ({{text}})", busy=True)
TOO_SLOW = Trouble(f"{{db}} did not finish a statement within {STATEMENT_TIMEOUT_S} s ({{text}})", busy=True)
FULL = Trouble(
    "{server} takes no more connections ({text}); raise its max_connections, or run fewer processes",
    busy=True,
)
POOL_EMPTY = Trouble("all connections of this process to {db} are in use ({text})", busy=True)
MIGRATION_LOCKED = Trouble(
    "another process has been creating or upgrading the tables of fmd-otel in {db} for {text}; if none is "
    "running, end its connection there",
    busy=True,
)
DISK_FULL = Trouble("the disk under {db} is full ({text})")
NO_TABLE = Trouble("{db} lacks a table of fmd-otel ({text})", no_tables=True)
OPTIONS = Trouble("{db} cannot be opened with the options of the setting DATABASE ({text})")
OTHER = Trouble("{db} cannot be used ({text})")


def server_of(url: URL, product: str, port: int, *, sockets: Sequence[str]) -> Server:
    """Return whom a URL means.

    Args:
        url: The database URL.
        product: What people call the database.
        port: The one used where the URL names none.
        sockets: Options of the URL that may name a socket or host instead of the URL's own host.
    """
    options = {key: value if isinstance(value, str) else value[0] for key, value in url.query.items()}
    socket = next((options[name] for name in sockets if options.get(name)), None)
    user = url.username or options.get("user") or ""
    return Server(
        product=product,
        place=socket or f"{url.host or 'localhost'}:{url.port or options.get('port') or port}",
        database=url.database or options.get("dbname") or user,
        user=user,
        password=str(url.password or options.get("password") or options.get("passwd") or ""),
    )


def require_driver(url: URL, driver: str) -> None:
    """Hold a URL to our driver, or to none.

    Raises:
        StorageError: It names another one; says how to write it instead.
    """
    backend, _, asked = url.drivername.partition("+")
    if asked not in ("", driver):
        shown = safe_url(url.render_as_string(hide_password=True))
        raise StorageError(
            f"database {shown!r}: fmd-otel uses the driver {driver}, not {asked}; write it as {backend}://…"
        )


def missing_driver(package: str, extra: str, exc: ImportError) -> StorageError:
    """Return the error of a driver that cannot be imported."""
    return StorageError(
        f"this database needs the package {package}, which cannot be imported ({exc}); install it with: "
        f"pip install 'fmd-otel[{extra}]'"
    )
