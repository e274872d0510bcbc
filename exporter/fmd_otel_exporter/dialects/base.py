"""What a database has to offer to the rest of the exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Column, ColumnElement, Connection, Engine, Insert, Select, Table
    from sqlalchemy.exc import SQLAlchemyError

    from fmd_otel_exporter.errors import StorageError
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.sizes import Sizes


class RowStatement(Protocol):
    """A statement for many rows; each is a tuple of all columns of a table, if not said otherwise."""

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run for all rows, in their order."""


class BatchGuard(Protocol):
    """Sees to what a batch may meet in a database that does not undo: each statement is there at once."""

    def watch(self, connection: Connection, endpoints: Collection[int], days: Collection[int]) -> None:
        """Have this transaction's batch refused if one of these endpoints is deleted, or a day summed up.

        That is an ``IntegrityError`` of the statement that inserts its rows, which then are not there, or of
        the commit.
        """

    def owe(self, connection: Connection, batch: bytes, rows: Iterable[tuple[int, bytes]]) -> None:
        """Note for which rows of a batch, by time and span, something is owed to days summed up before.

        It is done before they are written, and again for none when all that is owed is there.
        """

    def owed(self, connection: Connection, batch: bytes) -> set[tuple[int, bytes]]:
        """Return the rows for which something is owed, since whoever wrote them was cut short."""

    def unfinished(self, connection: Connection) -> Collection[int]:
        """Return the days of batches that were cut short and may come again, which must not be sealed.

        The caller keeps batches waiting.
        """


class Dialect(Protocol):
    """One database, as the store and the writer see it.

    Engines are made on demand and belong to the caller. The statements of the hot path are compiled once.
    """

    name: str
    single_connection: bool
    """Reads and writes have to share one connection and take turns (a database that lives in memory)."""
    undoes: bool
    """A transaction that ends early leaves nothing. Without it, statements last one by one: a batch may have
    its rows and miss what was to follow, until it is sent again."""
    sums_itself: bool
    """Sums of raw rows come by themselves."""
    in_one_go: bool
    """Many rows are deleted by one statement, which holds up nobody, rather than a few at a time."""

    has_clock: bool
    """It tells the time by itself, the same for all who use it."""
    plans_long: bool
    """To plan a part of a query takes longer than to read it, so there should be few parts."""
    raw_by_day: bool
    """Days of raw rows go as a whole, at next to no cost; it is worth waiting until one is old to its end."""
    forgets_itself: bool
    """It can be told once when rows are to go, for when nobody deletes them; see :meth:`expire`."""

    def write_engine(self) -> Engine:
        """Return an engine whose transactions may write and never fail for having begun as a read."""

    def read_engine(self) -> Engine:
        """Return an engine that cannot write, and whose transactions see one moment of the database."""

    def migration_lock(self) -> AbstractContextManager[None]:
        """Hold every other process off the schema; raises ``StorageError`` when that takes too long."""

    def prepare(self, *, create: bool) -> bool:
        """Tell whether the database is ready for engines.

        With ``create``, which needs the migration lock, make it ready.

        Raises:
            StorageError: It is not there (or cannot be created), and what to do about it.
        """

    def identity(self) -> object:
        """Return a value that changes when somebody puts another database in this one's place."""

    def problem(self, exc: SQLAlchemyError) -> StorageError | None:
        """Translate trouble with the database; ``None`` when a value was at fault."""

    def insert_new(self, table: Table) -> Insert:
        """Return an insert that leaves rows alone whose unique key is there already."""

    def row_inserter(self, connection: Connection, table: Table) -> RowStatement:
        """Return the fastest insert of many rows; a key that exists is an ``IntegrityError``."""

    def row_adder(
        self,
        connection: Connection,
        table: Table,
        *,
        add: Sequence[str],
        least: Sequence[str] = (),
        greatest: Sequence[str] = (),
    ) -> RowStatement:
        """Return the fastest insert of many rows of numbers that may exist.

        Where the key exists, some columns are added up, and the smaller or greater of others is kept.
        """

    def row_updater(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> RowStatement:
        """Return the fastest update of many rows of numbers; rows that do not exist are left out.

        The smaller or greater of some columns is kept, or the new one where there was none, and others are
        added up. Each tuple holds the key, which is one column, then the columns in the arguments' order.
        """

    def batch_guard(self, tables: Tables) -> BatchGuard | None:
        """Return what a database needs that does not undo; ``None`` where transactions see to it."""

    def require_text(self, connection: Connection) -> None:
        """Make sure, before the first tables are made, that they can hold any text.

        Raises:
            StorageError: They could not; says what to do.
        """

    def complete(self, connection: Connection, tables: Tables) -> None:
        """Make what tables of the newest revision need besides columns; again is no harm."""

    def make_parts(self, connection: Connection, table: Table, now_us: int) -> None:
        """Make room for the rows of the days to come, where tables are made of parts."""

    def expire(self, connection: Connection, kept_days: Mapping[Table, int]) -> None:
        """Have rows go by themselves that are far older than retention keeps them, where that can be had.

        Args:
            connection: Of a transaction of the process that retention is up to.
            kept_days: How many days retention keeps the rows of each table; 0 is for ever.
        """

    def expiry_days(self, connection: Connection, table: Table) -> int | None:
        """Return after how many days rows of a table may have gone by themselves, None where none do."""

    def parts_within(
        self, connection: Connection, table: Table, ranges: Sequence[tuple[int, int]], end: int
    ) -> Sequence[Any]:
        """Return the parts of a table that hold rows of these times only, for :meth:`drop_part`.

        And those before an end that hold none.
        """

    def drop_part(self, connection: Connection, table: Table, part: Any) -> int:
        """Drop a part, and return how many rows it had.

        Raises:
            SQLAlchemyError: Somebody uses the table just now.
        """

    def ends_of_each(
        self, endpoint: Table, time: Column[Any], *, newest: bool, within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Return a query for the first or last time that each endpoint has in a table.

        Its rows hold the endpoint's id and the time, which may be None. The key of the table begins with
        ``endpoint_id`` and the time.
        """

    def earliest(
        self, endpoint: Table, time: Column[Any], within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Return such a query, of whose times only the first of all is asked: the others may be missing."""

    def replace_sums(
        self, connection: Connection, table: Table, old: ColumnElement[bool], new: Select[Any]
    ) -> None:
        """Put what a query finds, which has all columns of the table, in the place of sums.

        A sum that is there and is not found again may stay.
        """

    def delete_times(
        self, connection: Connection, table: Table, time: Column[Any], ranges: Sequence[tuple[int, int]]
    ) -> int:
        """Delete all rows of some ranges of time at once, and return how many."""

    def vacuum(self, prefix: str) -> str:
        """Give the space of deleted rows back to the disk, where that is for us to do.

        Returns:
            What was done, or who does it and how, in a sentence or two for the user.

        Raises:
            StorageError: It cannot be done now.
        """

    def version(self, connection: Connection) -> str:
        """Return which database it is and of which version, as people say it."""

    def now_us(self, connection: Connection) -> int:
        """Return what the database's clock shows, or ours where it has none, in microseconds."""

    def sizes(self, connection: Connection, prefix: str) -> Sizes:
        """Return how much is in our tables, without reading large ones."""

    def total_bytes(self, connection: Connection, prefix: str) -> int:
        """Return how much space they take, at next to no cost."""

    def take_turn(self, connection: Connection, prefix: str) -> None:
        """Wait until no other transaction that has called this is under way, and let further ones wait."""

    def begin_batch(self, connection: Connection, prefix: str, *, alone: bool = False) -> None:
        """Let :meth:`hold_batches` know that this transaction adds to the sums; first thing in it.

        Args:
            connection: Of the transaction.
            prefix: Of the tables.
            alone: Another that is alone may insert the same rows just now: see to it that one of the two
                finds those of the other. Unique keys do.
        """

    def hold_batches(self, connection: Connection, prefix: str) -> None:
        """Wait for transactions that add to the sums, and make further ones wait for this one to end.

        What has been added is then seen in full, and what comes later also sees what this transaction did.
        """
