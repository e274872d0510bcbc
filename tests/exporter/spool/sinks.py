"""Where batches go in tests that kill: to the product's own database, or to one that forgives less."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.records import UNHANDLED, CodeLine, ExceptionRecord, ProfileNode, ProfileRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from fmd_otel_exporter.records import DetailRecord, RequestRecord
    from fmd_otel_exporter.store import Store

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE ledger (id BLOB PRIMARY KEY);
CREATE TABLE request (id INTEGER);
CREATE TABLE total (name TEXT PRIMARY KEY, n INTEGER);
INSERT INTO total VALUES ('requests', 0), ('replays', 0);
"""


def nothing(_point: str) -> None:
    return


class ToySink:
    """Ledger, rows and a sum in one transaction, as in the product.

    Nothing else is unique, so a request lost or doubled anywhere on the way shows in the rows.
    """

    def __init__(self, path: Path, at: Callable[[str], None] = nothing) -> None:
        self.connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = OFF")  # a killed process is no power cut
        self.at = at

    @staticmethod
    def create(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)

    def write(self, records: Sequence[RequestRecord]) -> None:
        ids = [record.span_id for record in records]
        batch = hashlib.blake2b(b"".join(ids), digest_size=16).digest()
        run = self.connection.execute
        self.at("before")
        run("BEGIN IMMEDIATE")
        if run("INSERT OR IGNORE INTO ledger VALUES (?)", (batch,)).rowcount == 0:
            run("UPDATE total SET n = n + 1 WHERE name = 'replays'")
        else:
            half = len(ids) // 2
            rows = [(int.from_bytes(each, "big"),) for each in ids]
            self.connection.executemany("INSERT INTO request VALUES (?)", rows[:half])
            self.at("inside")
            self.connection.executemany("INSERT INTO request VALUES (?)", rows[half:])
            run("UPDATE total SET n = n + ? WHERE name = 'requests'", (len(ids),))
        run("COMMIT")
        self.at("after")

    def rows(self) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT id FROM request ORDER BY id")]

    def total(self, name: str) -> int:
        return self.connection.execute("SELECT n FROM total WHERE name = ?", (name,)).fetchone()[0]


class ProductSink:
    """The product's writer: a request counted twice shows in the rollups."""

    def __init__(self, place: Path | str, at: Callable[[str], None] = nothing) -> None:
        from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # the toy needs no SQLAlchemy
        from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

        class KilledWriter(Writer):
            def _insert(self, connection: Connection, batch: Any, *, alone: bool) -> None:
                super()._insert(connection, batch, alone=alone)
                at("inside")

        self.store: Store = open_store(place if isinstance(place, str) else f"sqlite:///{place}")
        self.writer = KilledWriter(self.store)
        self.at = at
        self.replays = 0

    @staticmethod
    def create(place: Path | str) -> None:
        ProductSink(place).store.dispose()

    def write(self, records: Sequence[RequestRecord]) -> None:
        self.at("before")
        self.replays += self.writer.write(records).duplicate > 0
        self.at("after")

    def rows(self) -> list[int]:
        from sqlalchemy import select  # noqa: PLC0415

        with self.store.read() as connection:
            return sorted(
                int.from_bytes(span_id, "big")
                for span_id in connection.scalars(select(self.store.tables.request.c.span_id))
            )

    def total(self, name: str) -> int:
        from sqlalchemy import func, select  # noqa: PLC0415

        assert name == "requests"
        tables = self.store.tables
        with self.store.read() as connection:
            hits = connection.scalar(select(func.sum(tables.hits.c.n)))
            latencies = connection.scalar(select(func.sum(tables.lat_hist.c.n)))
        assert hits == latencies
        return int(hits)


class DetailSink:
    """The product's writer of details: profiles, and exceptions that leave no row but a count."""

    def __init__(self, path: Path, at: Callable[[str], None] = nothing) -> None:
        from fmd_otel_exporter.detail_writer import DetailWriter  # noqa: PLC0415
        from fmd_otel_exporter.store import open_store  # noqa: PLC0415

        class KilledWriter(DetailWriter):
            def _insert(self, *arguments: Any) -> int:
                written = super()._insert(*arguments)
                at("inside")
                return written

        self.store: Store = open_store(f"sqlite:///{path}")
        self.writer = KilledWriter(self.store)
        self.at = at
        self.replays = 0

    @staticmethod
    def create(path: Path) -> None:
        DetailSink(path).store.dispose()

    @staticmethod
    def record(number: int) -> DetailRecord:
        span = number.to_bytes(8, "big")
        if number & 4:
            return ExceptionRecord(
                "shop", "cart", "1", number, span, bytes(16), number, UNHANDLED, "Error", "", "me", None
            )
        lines = tuple(CodeLine("a.py", "f", 1 + number % 3 + line, None, in_app=True) for line in range(3))
        nodes = tuple(ProfileNode(line - 1, line, 10, 5, 1) for line in range(3))
        return ProfileRecord(
            "shop",
            "cart",
            "1",
            number,
            span,
            bytes(16),
            30,
            15,
            3,
            10,
            exact=False,
            truncated=False,
            lines=lines,
            nodes=nodes,
        )

    def write(self, records: Sequence[DetailRecord]) -> None:
        self.at("before")
        self.replays += self.writer.write(records).duplicate > 0
        self.at("after")

    def rows(self) -> list[int]:
        from sqlalchemy import select  # noqa: PLC0415

        tables = self.store.tables
        with self.store.read() as connection:
            spans = connection.scalars(select(tables.profile.c.span_id)).all()
            hits = connection.execute(
                select(tables.exception_hits.c.group_id, tables.exception_hits.c.n)
            ).all()
        return sorted(
            [int.from_bytes(span, "big") for span in spans] + [own for own, n in hits for _ in range(n)]
        )

    def total(self, name: str) -> int:
        from sqlalchemy import func, select  # noqa: PLC0415

        assert name == "requests"
        tables = self.store.tables
        with self.store.read() as connection:
            profiles = connection.scalar(select(func.sum(tables.profile_day_n.c.n)))
            roots = connection.scalar(
                select(func.sum(tables.profile_day.c.total_us)).where(
                    tables.profile_day.c.stack_id == tables.stack.c.id, tables.stack.c.depth == 1
                )
            )
            assert roots == profiles * 30
            assert connection.scalar(select(func.sum(tables.profile_day.c.hits))) == profiles * 3
            met = connection.scalar(select(func.sum(tables.exception_subject.c.n)))
        return int(profiles) + int(met)
