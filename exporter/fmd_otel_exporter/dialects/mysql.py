"""MariaDB and MySQL through PyMySQL: many rows in one ``INSERT .. VALUES (..), (..)``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, func, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from fmd_otel_exporter.dialects import mysql_sizes
from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.mysql_rows import InsertRows, UpdateRows, send_rows
from fmd_otel_exporter.dialects.server import Server, missing_driver, require_driver, server_of
from fmd_otel_exporter.dialects.transactional import Transactional
from fmd_otel_exporter.errors import StorageError, safe_url
from fmd_otel_exporter.migrations import version_table

try:
    import pymysql
    from pymysql.cursors import Cursor

    from fmd_otel_exporter.dialects.mysql_errors import BAD_OPTION, trouble_of
except ImportError as exc:
    raise missing_driver("pymysql", "mysql", exc) from exc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, Insert, Select, Table

    from fmd_otel_exporter.sizes import Sizes

# What a server may have set otherwise for all its users. /*M! */ is a comment to all but MariaDB, /*!50708 */
# to all but MySQL from that version on.
_SESSION = (
    "SET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', "
    "time_zone = '+00:00', sql_safe_updates = 0, default_storage_engine = InnoDB, "
    "group_concat_max_len = 1048576, "
    f"innodb_lock_wait_timeout = {say.LOCK_TIMEOUT_S}, lock_wait_timeout = {say.LOCK_TIMEOUT_S} "
    f"/*M! , max_statement_time = {say.STATEMENT_TIMEOUT_S} */ "
    f"/*!50708 , max_execution_time = {1000 * say.STATEMENT_TIMEOUT_S} */ "
    # Or it tells the sizes of tables as they were up to a day ago.
    "/*!80000 , information_schema_stats_expiry = 0 */"
)
_LOCK_STEP_S = 2
_MOST_BYTES = 1 << 20


def create(url: str, parsed: URL) -> MysqlDialect:
    """Return the dialect of one MariaDB or MySQL database.

    Raises:
        StorageError: The URL names no database, or another driver.
    """
    require_driver(parsed, "pymysql")
    if not parsed.database:
        raise StorageError(
            f"database {safe_url(url)!r} does not say which database of the server; write it like "
            "'mysql://user:password@host/name'"
        )
    return MysqlDialect(parsed)


class MysqlDialect(Transactional):
    """One database on a MariaDB or MySQL server."""

    name = "mysql"
    single_connection = False

    def __init__(self, url: URL) -> None:
        """Work out what the URL means; nothing is opened."""
        product = "MariaDB" if url.get_backend_name() == "mariadb" else "MySQL"
        self._server: Server = server_of(url, product, 3306, sockets=("unix_socket",))
        # What SQLAlchemy calls "mariadb" is the same, but reads no "mysql_.." option of a table.
        self._url = url.set(drivername="mysql+pymysql")

    # Engines

    def write_engine(self) -> Engine:
        """Return an engine whose statements each see all that was committed before them, and lock no gaps."""
        return self._engine("READ COMMITTED", **say.POOL_OPTIONS)

    def read_engine(self) -> Engine:
        """Return an engine whose transactions are read only and see one moment of the database."""
        return self._engine("REPEATABLE READ, READ ONLY", **say.POOL_OPTIONS)

    def _engine(self, transactions: str, **options: Any) -> Engine:
        try:
            engine = create_engine(
                self._url,
                connect_args={
                    "charset": "utf8mb4",
                    "use_unicode": True,
                    # Whatever the URL says: a batch whose statements each last would be there by half.
                    "autocommit": False,
                    "connect_timeout": say.CONNECT_TIMEOUT_S,
                    "read_timeout": say.ANSWER_TIMEOUT_S,
                    "write_timeout": say.ANSWER_TIMEOUT_S,
                },
                # Parameters are what users of the monitored app typed: they stay out of messages.
                hide_parameters=True,
                paramstyle="format",
                **options,
            )
        except ValueError as exc:  # an option that is no number
            raise say.OPTIONS.error(self._server, self._about_options(exc)) from exc

        def connect(dialect: Any, record: Any, args: Any, arguments: dict[str, Any]) -> SizedConnection:  # noqa: ARG001 # SQLAlchemy's signature
            try:
                return _connect(arguments, transactions)
            except pymysql.Error:
                raise
            except Exception as exc:
                # Whatever values of a wrong kind lead to, or a file that one names and that is not there.
                raise pymysql.InterfaceError(BAD_OPTION, self._about_options(exc)) from exc

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "do_execute", send_rows)
        event.listen(engine, "do_executemany", send_rows)
        return engine

    def _about_options(self, exc: Exception) -> str:
        """Name them, since what PyMySQL says often does not; but no values, which may be secret."""
        return f"{exc}; they are: {', '.join(self._url.query) or 'none'}"

    # Reading

    def ends_of_each(
        self, endpoint: Table, time: Column[Any], *, newest: bool, within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Order by the whole key: where the endpoint is left out, which is one and the same, MySQL sorts.

        To group by endpoint would be faster there by 0.2 ms for each, as long as the server's statistics are
        right; while they are not, it reads all rows.
        """
        owner = next(iter(time.table.primary_key))
        ordered = (owner.desc(), time.desc()) if newest else (owner, time)
        end = (
            select(time).where(owner == endpoint.c.id, *within).order_by(*ordered).limit(1).scalar_subquery()
        )
        return select(endpoint.c.id, end.label("at"))

    # Start

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold a named lock of the server; it goes with its connection, however that ends."""
        # The server's locks know no databases, and their names are short.
        name = f"fmd_otel.{blake2b(self._server.database.encode(), digest_size=16).hexdigest()}"
        engine = self._engine("READ COMMITTED", poolclass=NullPool)
        try:
            with engine.connect() as connection:
                deadline = time.monotonic() + say.MIGRATION_LOCK_S
                while connection.scalar(select(func.get_lock(name, _LOCK_STEP_S))) != 1:
                    if time.monotonic() > deadline:
                        raise say.MIGRATION_LOCKED.error(self._server, f"{say.MIGRATION_LOCK_S} s")
                yield
        except SQLAlchemyError as exc:
            problem = self.problem(exc)
            if problem is None:
                raise
            raise problem from exc
        finally:
            engine.dispose()

    def prepare(self, *, create: bool) -> bool:  # noqa: ARG002 # a database is its owner's to create
        """Do nothing: the first statement tells what is amiss."""
        return True

    def identity(self) -> object:
        """Return what never changes: a database that was dropped shows by its missing tables."""
        return self.name

    # Trouble

    def problem(self, exc: SQLAlchemyError) -> StorageError | None:
        """Tell trouble with the server from a fault in a statement or in its data."""
        if isinstance(exc, PoolTimeoutError):
            return say.POOL_EMPTY.error(self._server, exc)
        if not isinstance(exc, DBAPIError) or exc.orig is None:
            return None
        trouble = trouble_of(exc, exc.orig)
        # Number and text; the number is no use to anybody who does not know it by heart.
        return None if trouble is None else trouble.error(self._server, (*exc.orig.args, exc.orig)[1])

    # Statements

    def insert_new(self, table: Table) -> Insert:
        """Return an insert that changes nothing where the key exists; ``IGNORE`` would ignore errors, too."""
        column = next(iter(table.primary_key))
        return insert(table).on_duplicate_key_update({column.name: column})

    def row_inserter(self, connection: Connection, table: Table) -> InsertRows:
        """Return one insert for many rows."""
        return InsertRows(connection, table)

    def row_adder(
        self,
        connection: Connection,
        table: Table,
        *,
        add: Sequence[str],
        least: Sequence[str] = (),
        greatest: Sequence[str] = (),
    ) -> InsertRows:
        """Return one ``INSERT .. ON DUPLICATE KEY UPDATE`` for many rows."""
        # MySQL warns of VALUES(), at every statement; what it has instead MariaDB does not know.
        names_rows = _is_mysql(connection, (8, 0, 20))
        alias, new = (" AS new", "new.{0}") if names_rows else ("", "VALUES({0})")
        old = f"{connection.dialect.identifier_preparer.format_table(table)}.{{0}}"
        changes = [f"{{0}} = {old} + {new}".format(each) for each in add]
        changes += [f"{{0}} = LEAST({old}, {new})".format(each) for each in least]
        changes += [f"{{0}} = GREATEST({old}, {new})".format(each) for each in greatest]
        return InsertRows(connection, table, f"{alias} ON DUPLICATE KEY UPDATE {', '.join(changes)}")

    def row_updater(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> UpdateRows:
        """Return one update for many rows."""
        return UpdateRows(connection, table, least=least, greatest=greatest, add=add)

    def vacuum(self, prefix: str) -> str:
        """Do nothing: rebuilding tables is for whoever runs the server to decide."""
        return (
            "The server fills the space of deleted rows again by itself. To give it back to the disk as "
            "well, run this there at a quiet hour: "
            f"OPTIMIZE TABLE {prefix}_request, {prefix}_hits, {prefix}_lat_hist, {prefix}_profile, "
            f"{prefix}_profile_day, {prefix}_outlier;"
        )

    def version(self, connection: Connection) -> str:
        """Ask the server, which says so if it is the other one."""
        found = str(connection.exec_driver_sql("SELECT version()").scalar())
        return f"{'MariaDB' if 'mariadb' in found.lower() else 'MySQL'} {found}"

    def now_us(self, connection: Connection) -> int:
        """Return what the server's clock shows."""
        seconds = connection.scalar(select(func.unix_timestamp(func.now(6))))
        return round(float(seconds or 0) * 1_000_000)

    def sizes(self, connection: Connection, prefix: str) -> Sizes:
        """Return what the server thinks it has."""
        return mysql_sizes.sizes(connection, prefix)

    def total_bytes(self, connection: Connection, prefix: str) -> int:
        """Return what the server thinks it has."""
        return self.sizes(connection, prefix).total_bytes or 0

    def take_turn(self, connection: Connection, prefix: str) -> None:
        """Lock the one row that every set of tables has; batches wait, too, but not for long."""
        self.hold_batches(connection, prefix)

    def begin_batch(self, connection: Connection, prefix: str, *, alone: bool = False) -> None:  # noqa: ARG002
        """Share a lock on the one row that every set of tables has."""
        guard = connection.dialect.identifier_preparer.quote(version_table(prefix))
        connection.exec_driver_sql(f"SELECT version_num FROM {guard} LOCK IN SHARE MODE")  # noqa: S608 # our own name

    def hold_batches(self, connection: Connection, prefix: str) -> None:
        """Take that lock alone; it is granted in the order of asking, so no stream of batches puts it off."""
        guard = connection.dialect.identifier_preparer.quote(version_table(prefix))
        connection.exec_driver_sql(f"SELECT version_num FROM {guard} FOR UPDATE")  # noqa: S608 # our own name


class SizedConnection(pymysql.Connection):
    """A connection that knows how long a statement may be."""

    most_bytes = _MOST_BYTES


def _is_mysql(connection: Connection, since: tuple[int, ...]) -> bool:
    """Tell whether it is MySQL itself, of a version or later."""
    dialect: Any = connection.dialect
    return not dialect.is_mariadb and dialect.server_version_info >= since


def _connect(arguments: dict[str, Any], transactions: str) -> SizedConnection:
    connection = SizedConnection(**arguments)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {transactions}")
            cursor.execute("SELECT @@max_allowed_packet")
            (allowed,) = cursor.fetchone() or (_MOST_BYTES,)
    except BaseException:
        connection.close()
        raise
    connection.most_bytes = max(min(int(allowed) // 2, _MOST_BYTES), 1000)
    connection.cursorclass = type("SizedCursor", (Cursor,), {"max_stmt_length": connection.most_bytes})
    return connection
