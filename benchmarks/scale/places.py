"""Databases to measure on, full of made-up requests."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import func, inspect, make_url, select, text

from benchmarks.cpu.clock import cpu_ns
from benchmarks.fill import fill_store
from fmd_otel_exporter.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "clickhousedb": 8123}


@dataclass(frozen=True)
class Place:
    """A database engine, and where it keeps what is measured."""

    product: str
    url: str
    """Of SQLite, the folder that holds a file for each size."""

    def store(self, rows: int, *, what: str = "") -> Store:
        """Open the database of a size; it is made where it is not there."""
        name = f"{what}{short(rows)}"
        if self.product == "SQLite":
            Path(self.url).mkdir(parents=True, exist_ok=True)
            return open_store(f"sqlite:///{Path(self.url) / name}.db")
        return open_store(self.url, f"m{name}")

    def filled(self, rows: int) -> Store:
        """Open the database of a size, with as many requests in it."""
        store = self.store(rows)
        hits = store.tables.hits.c.n
        with store.read() as connection:
            there = int(connection.scalar(select(func.coalesce(func.sum(hits), 0))) or 0)
        if there not in (0, rows):
            raise SystemExit(
                f"{store} holds {there:,} requests instead of {rows:,}: remove it, and run again"
            )
        if not there:
            fill_store(store, rows, details=True)
            self.settle(store)
        return store

    def settle(self, store: Store) -> None:
        """Let the server know its tables, as it does by itself within a few minutes."""
        if self.product == "PostgreSQL":
            self.empty_transaction(store, ["VACUUM ANALYZE"])
        elif self.product == "ClickHouse":  # put together what was inserted, as by itself, too
            with store.write() as connection:
                for table in _tables(store):
                    connection.execute(text(f"OPTIMIZE TABLE {table.name} FINAL"))

    def empty_transaction(self, store: Store, statements: Sequence[str]) -> None:
        """Run statements that want no transaction around them."""
        with store.write() as connection:
            engine = connection.engine
        with closing(engine.connect().execution_options(isolation_level="AUTOCOMMIT")) as connection:
            for statement in statements:
                connection.execute(text(statement))

    def sizes(self, store: Store) -> dict[str, int]:
        """Return the bytes of each table, its indexes included."""
        tables = {table.name.removeprefix(f"{store.prefix}_"): table.name for table in _tables(store)}
        with store.read() as connection:
            if self.product == "SQLite":
                query = text("SELECT pgsize FROM dbstat WHERE name = :name AND aggregate = 1")
            elif self.product == "PostgreSQL":
                query = text(  # and of its days, each a table of its own
                    "SELECT pg_total_relation_size(:name) + coalesce((SELECT sum("
                    "pg_total_relation_size(inhrelid)) FROM pg_inherits "
                    "WHERE inhparent = CAST(:name AS regclass)), 0)"
                )
            elif self.product == "ClickHouse":
                query = text(
                    "SELECT sum(bytes_on_disk) FROM system.parts "
                    "WHERE active AND database = currentDatabase() AND table = :name SETTINGS final = 0"
                )
            else:
                query = text(
                    "SELECT data_length + index_length FROM information_schema.tables "
                    "WHERE table_schema = database() AND table_name = :name"
                )
            return {
                known_as: int(connection.scalar(query, {"name": name}) or 0)
                for known_as, name in tables.items()
            }

    def version(self, store: Store) -> str:
        """Return product and version."""
        query = "SELECT sqlite_version()" if self.product == "SQLite" else "SELECT version()"
        with store.read() as connection:
            found = str(connection.scalar(text(query)))
        number = next(word for word in found.replace("-", " ").split() if word[0].isdigit())
        return f"{self.product} {number}"

    def server_ns(self) -> int:
        """Return the CPU time of the server so far; 0 where the engine is in this process."""
        url = make_url(self.url) if "://" in self.url else None
        port = url and (url.port or _PORTS.get(url.get_backend_name()))
        for each in psutil.net_connections("tcp") if port else ():
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
                return cpu_ns(each.pid)
        return 0

    def forget(self, store: Store) -> None:
        """Remove a database."""
        if self.product == "SQLite":
            path = Path(make_url(store.url).database or "")
            store.dispose()
            for suffix in ("", "-wal", "-shm", ".lock"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return
        with store.write() as connection:
            names = [
                name for name in inspect(connection).get_table_names() if name.startswith(f"{store.prefix}_")
            ]
            for name in names:
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
        store.dispose()


def short(rows: int) -> str:
    """Return a number in few letters: ``10m``."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if rows >= size and rows % size == 0:
            return f"{rows // size}{letter}"
    return str(rows)


def load() -> str:
    """Return how busy the machine is, and when."""
    return f"{os.getloadavg()[0]:.1f} at {time.strftime('%H:%M', time.gmtime())} UTC"


def _tables(store: Store) -> list[Table]:
    t = store.tables
    return [t.request, t.hits, t.lat_hist, t.hits_day, t.lat_hist_day, t.subject_pack, t.subject, t.batch]
