"""The statements of the hot path, compiled once and fed with plain tuples.

SQLAlchemy's own ``execute`` with dictionaries costs about 8 µs a row more than the driver's ``executemany``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, insert, literal_column, select, union_all, update

from fmd_otel_exporter.subject_sums import OPEN, SEALED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import BindParameter, ColumnElement, Connection, Table
    from sqlalchemy.sql.expression import Executable

    from fmd_otel_exporter.store import Store


class Compiled:
    """SQL for one database, and the order in which it takes its values."""

    def __init__(self, statement: Executable, connection: Connection, names: Sequence[str]) -> None:
        """Compile for the database of a connection; ``names`` says in which order callers give the values."""
        self._names = list(names)
        # Where values go by name, what runs is not what was compiled, but whatever stands for it there.
        self._statement = None if connection.dialect.positional else statement
        compiled = statement.compile(dialect=connection.dialect, column_keys=self._names)  # type: ignore[attr-defined]  # every Executable has it
        order = list(compiled.positiontup or self._names)
        self.sql = str(compiled)
        self._picks = None if order == list(names) else [list(names).index(name) for name in order]

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run once for each row."""
        if self._statement is not None:
            for row in rows:
                connection.execute(self._statement, dict(zip(self._names, row, strict=True)))
            return
        if self._picks is not None:
            rows = [tuple([row[pick] for pick in self._picks]) for row in rows]
        if rows:
            connection.exec_driver_sql(self.sql, rows)

    def fetch(self, connection: Connection, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run once, and return what was found."""
        if self._statement is not None:
            named = dict(zip(self._names, values, strict=True))
            return [tuple(row) for row in connection.execute(self._statement, named)]
        if self._picks is not None:
            values = tuple([values[pick] for pick in self._picks])
        return [tuple(row) for row in connection.exec_driver_sql(self.sql, values)]


class Lookup:
    """A query for many values at a time, compiled once for each of a few numbers of them.

    SQLAlchemy writes an ``IN (…)`` anew each time, which takes longer than to answer it.
    """

    SIZES = (8, 16, 32, 64, 128, 256, 512)

    def __init__(self, of: ColumnElement[Any], columns: Sequence[ColumnElement[Any]]) -> None:
        """Ask for some columns of the rows in which one column has some values, and the first a given one.

        Args:
            of: The column whose values are looked up.
            columns: What to fetch. Where the first is not that column, it has to equal the value given first.
        """
        self._of = of
        self._columns = columns
        self._compiled: dict[int, Compiled] = {}

    def fetch(
        self, connection: Connection, values: Sequence[Any], scope: Any = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what is found, values that are not there left out; of a scope, if the query has one."""
        largest = self.SIZES[-1]
        for start in range(0, len(values), largest):
            chunk = values[start : start + largest]
            size = next(size for size in self.SIZES if size >= len(chunk))
            filled = [*chunk, *[chunk[-1]] * (size - len(chunk))]
            given = () if scope is None else (scope,)
            yield from self._of_size(connection, size).fetch(connection, (*given, *filled))

    def _of_size(self, connection: Connection, size: int) -> Compiled:
        found = self._compiled.get(size)
        if found is None:
            names = [f"value_{number}" for number in range(size)]
            query = select(*self._columns).where(self._of.in_([bindparam(name) for name in names]))
            if self._columns[0] is not self._of:
                query = query.where(self._columns[0] == bindparam("scope"))
                names = ["scope", *names]
            found = self._compiled[size] = Compiled(query, connection, names)
        return found


def update_one_by_one(
    connection: Connection,
    table: Table,
    *,
    least: Sequence[str],
    greatest: Sequence[str],
    add: Sequence[str],
) -> Compiled:
    """Return a dialect's ``row_updater`` for drivers that run many updates as fast as one."""
    old, key = table.c, next(iter(table.primary_key))
    new: dict[str, BindParameter[int]] = {
        name: bindparam(f"new_{name}") for name in (key.name, *least, *greatest, *add)
    }
    changes: dict[str, Any] = {
        name: case((old[name] <= new[name], old[name]), else_=new[name]) for name in least
    }
    changes |= {name: case((old[name] >= new[name], old[name]), else_=new[name]) for name in greatest}
    changes |= {name: old[name] + new[name] for name in add}
    statement = update(table).where(key == new[key.name]).values(changes)
    return Compiled(statement, connection, [each.key for each in new.values()])


class Statements:
    """All statements of a batch's transaction."""

    def __init__(self, store: Store, connection: Connection) -> None:
        """Compile them for this store."""
        tables, dialect = store.tables, store.dialect

        self.guard = dialect.batch_guard(tables)
        self.ledger = Compiled(insert(tables.batch), connection, tables.batch.columns.keys())
        # A plain insert: a row that is there already must be noticed, since its share of the sums is there,
        # too.
        self.request = dialect.row_inserter(connection, tables.request)
        self.hits = dialect.row_adder(
            connection, tables.hits, add=("n", "sum_us"), least=("min_us",), greatest=("max_us",)
        )
        self.latencies = dialect.row_adder(connection, tables.lat_hist, add=("n",))
        # What became of the days of a batch is asked after its sums were added: from then on, nobody sums up
        # or seals a day before this transaction ends.
        # And so is which endpoints are deleted.
        days, subjects, gone = tables.rollup_day.c, tables.subject_rollup.c, tables.removed_endpoint.c
        asked: tuple[Any, Any] = bindparam("first"), bindparam("last")
        self.closed_days = Compiled(
            union_all(
                select(literal_column("0"), days.day, days.sealed).where(days.day.between(*asked)),
                select(literal_column("1"), subjects.day, subjects.state).where(subjects.day.between(*asked)),
                select(literal_column("2"), gone.id, literal_column("0")),
            ),
            connection,
            ("first", "last"),
        )
        self.reopen_day = Compiled(
            delete(tables.rollup_day).where(
                days.day == bindparam("day_start"), days.sealed <= literal_column("0")
            ),
            connection,
            ("day_start",),
        )
        self.reopen_subjects = Compiled(
            update(tables.subject_rollup)
            .where(subjects.day == bindparam("day_start"), subjects.state < literal_column(str(SEALED)))
            .values(state=literal_column(str(OPEN)), mark=literal_column("0")),
            connection,
            ("day_start",),
        )
        self.mark_subjects = Compiled(
            update(tables.subject_rollup)
            .where(subjects.day == bindparam("day_start"))
            .values(mark=bindparam("new_mark")),
            connection,
            ("day_start", "new_mark"),
        )
        # Their key holds the batch: they can only be there if it was cut short.
        self.subject_day = dialect.insert_new(tables.subject_day)
        self.hits_day = dialect.row_adder(
            connection, tables.hits_day, add=("n", "sum_us"), least=("min_us",), greatest=("max_us",)
        )
        self.latencies_day = dialect.row_adder(connection, tables.lat_hist_day, add=("n",))
        self.touch = dialect.row_updater(
            connection, tables.endpoint, least=("first_ts",), greatest=("last_ts",), add=("level0_n",)
        )
        version = tables.version.c
        self.first_seen = Compiled(
            update(tables.version)
            .where(version.id == bindparam("version"), version.first_ts > bindparam("ts"))
            .values(first_ts=bindparam("ts")),
            connection,
            ("version", "ts"),
        )
