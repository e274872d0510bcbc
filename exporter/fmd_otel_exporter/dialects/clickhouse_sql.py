"""SQL for ClickHouse: clickhouse-connect's own dialect, with tables and changes as our store needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickhouse_connect import dbapi
from clickhouse_connect.cc_sqlalchemy.dialect import ClickHouseDialect
from clickhouse_connect.cc_sqlalchemy.sql.compiler import ChStatementCompiler
from sqlalchemy import BindParameter, LargeBinary, types
from sqlalchemy.sql.compiler import DDLCompiler, GenericTypeCompiler

from fmd_otel_exporter.dialects.clickhouse_quiet import keep_quiet
from fmd_otel_exporter.dialects.clickhouse_tables import (
    GONE,
    VERSION,
    engine_of,
    identity_of,
    is_laid_over,
    kind_of,
    tallies_of,
    type_of,
)
from fmd_otel_exporter.dialects.clickhouse_transaction import IF_NONE, THEN, Transaction

if TYPE_CHECKING:
    from sqlalchemy import Column

SENDER = "fmd_otel_sender"
"""Execution option: what sends the rows of this statement."""
NEW_ONLY = "fmd_otel_new_only"
"""Execution option of an insert: rows that are there already are left alone."""


class Bytes(LargeBinary):
    """Bytes, which the driver writes and reads as they are."""

    def bind_processor(self, dialect: Any) -> Any:  # noqa: ARG002 # SQLAlchemy's signature
        """Take whatever holds bytes."""
        return lambda value: None if value is None else bytes(value)

    def result_processor(self, dialect: Any, coltype: object) -> Any:  # noqa: ARG002 # as above
        """Return bytes as bytes."""
        return None


class Types(GenericTypeCompiler):
    """Names of types; SQLAlchemy names the methods, and what they get."""

    def visit_SMALLINT(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Two bytes."""
        return "Int16"

    def visit_INTEGER(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Four bytes."""
        return "Int32"

    def visit_BIGINT(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Eight bytes."""
        return "Int64"

    def visit_FLOAT(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Python's floats are double."""
        return "Float64"

    def visit_DOUBLE(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Return the same."""
        return "Float64"

    def visit_VARCHAR(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """No text is limited."""
        return "String"

    def visit_TEXT(self, type_: Any, **_: Any) -> str:  # noqa: ARG002, N802
        """Return the same."""
        return "String"

    def visit_BLOB(self, type_: Any, **_: Any) -> str:  # noqa: N802
        """Bytes are text to ClickHouse; of a fixed length they take less space."""
        return f"FixedString({type_.length})" if type_.length else "String"

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:
        """Return the same."""
        return self.visit_BLOB(type_, **kw)


class Tables(DDLCompiler):
    """``CREATE TABLE`` and what follows it."""

    def visit_create_table(self, create: Any, **_: Any) -> str:
        """Create a table as its kind wants it."""
        table = create.element
        columns = [self.get_column_specification(column) for column in table.columns]
        if kind_of(table) == "meta" and not is_laid_over(table):
            columns += [f"`{VERSION}` UInt64 DEFAULT 1", f"`{GONE}` UInt8 DEFAULT 0"]
        name = self.preparer.format_table(table)
        there = "IF NOT EXISTS " if create.if_not_exists else ""
        return f"CREATE TABLE {there}{name} ({', '.join(columns)}) {engine_of(table)}"

    def visit_drop_table(self, drop: Any, **_: Any) -> str:
        """Drop it at once, so that its name is free."""
        there = "IF EXISTS " if drop.if_exists else ""
        return f"DROP TABLE {there}{self.preparer.format_table(drop.element)} SYNC"

    def get_column_specification(self, column: Column[Any], **_: Any) -> str:
        """Return name, type and default."""
        plain = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        text = f"{self.preparer.format_column(column)} {type_of(column.table, column, plain)}"
        default = self.get_column_default_string(column)
        if default is not None and not is_laid_over(column.table):
            text += (
                f" DEFAULT {default.strip(chr(39)) if isinstance(column.type, types.Integer) else default}"
            )
        return text

    def visit_create_index(self, *_: Any, **__: Any) -> str:
        """Do nothing: what would be an index elsewhere is the order of the rows here."""
        return "SELECT 1"


class Statements(ChStatementCompiler):
    """``UPDATE`` and ``DELETE``, which are inserts of newer versions."""

    def visit_update(self, update_stmt: Any, visiting_cte: Any = None, **kw: Any) -> str:  # noqa: ARG002 # SQLAlchemy's signature
        """Insert the new state of the rows that meet the condition."""
        table = update_stmt.table
        compile_state = update_stmt._compile_state_factory(update_stmt, self, **kw)  # noqa: SLF001 # as SQLAlchemy's own
        statement = compile_state.statement
        if not self.stack:
            self.isupdate = True
            self.compile_state = compile_state
        self.stack.append({"correlate_froms": {table}, "asfrom_froms": {table}, "selectable": statement})
        try:
            values = self._new_values(compile_state, table)
            where = self._where(statement)
        finally:
            self.stack.pop()
        if is_laid_over(table):
            return self._lay_over(table, values, where)
        rows = [self._new_version(table, values, where, gone=0)]
        if any(column.name in values for column in identity_of(table)):
            # Rows get another key, and there are none of the old one any more; nobody ever sees both.
            rows.append(self._new_version(table, {}, where, gone=1))
        return self._counted(table, where, self._insert(table, *rows))

    def _new_values(self, compile_state: Any, table: Any) -> dict[str, str]:
        from sqlalchemy.sql import crud  # noqa: PLC0415 # SQLAlchemy's own door to what an UPDATE sets

        found = crud._get_crud_params(self, compile_state.statement, compile_state, True)  # noqa: SLF001, FBT003
        return {column.name: text for column, _, text, _ in found.single_params if column.table is table}

    def _new_version(self, table: Any, values: dict[str, str], where: str, *, gone: int) -> str:
        """Select rows as they are to be; columns that only a newer release knows stay as they are."""
        name = self.preparer.format_table(table)
        version = f"{name}.{VERSION}"
        new = {**values, VERSION: f"{version} + 1", GONE: str(gone)}
        replaced = ", ".join(f"{text} AS {self.preparer.quote(column)}" for column, text in new.items())
        return f"SELECT * REPLACE ({replaced}) FROM {name}{where}"  # noqa: S608 # names of the schema

    def _insert(self, table: Any, *rows: str) -> str:
        return f"INSERT INTO {self.preparer.format_table(table)} {' UNION ALL '.join(rows)}"

    def _lay_over(self, table: Any, values: dict[str, str], where: str) -> str:
        """Insert what is to be laid over rows; what adds up takes the difference."""
        name, quote = self.preparer.format_table(table), self.preparer.quote
        added = {each for each, merge in tallies_of(table).items() if merge == "sum"}
        changes = {
            each: f"({text}) - {name}.{quote(each)}" if each in added else text
            for each, text in values.items()
        }
        keys = [column.name for column in table.primary_key]
        into = ", ".join(map(quote, [*keys, *changes]))
        texts = ", ".join([*(f"{name}.{quote(each)}" for each in keys), *changes.values()])
        change = f"INSERT INTO {name} ({into}) SELECT {texts} FROM {name}{where}"  # noqa: S608 # names of the schema
        which = f"SELECT {', '.join(map(quote, keys))} FROM {name} FINAL{where}"  # noqa: S608
        empty = [
            # What is laid over rows cannot say that a value is to go.
            f"{IF_NONE}{value[2:-2]}\nALTER TABLE {name} UPDATE {quote(column)} = NULL "
            f"WHERE ({', '.join(map(quote, keys))}) IN ({which})"
            for column, value in changes.items()
            if value.startswith("%(") and value.endswith(")s")
        ]
        return self._counted(table, where, change, *empty)

    def _counted(self, table: Any, where: str, *changes: str) -> str:
        """Put what counts the rows that are about to change before what changes them."""
        return THEN.join([f"SELECT count() FROM {self.preparer.format_table(table)}{where}", *changes])  # noqa: S608 # as above

    def visit_delete(self, delete_stmt: Any, visiting_cte: Any = None, **kw: Any) -> str:  # noqa: ARG002 # as above
        """Insert that the rows are gone; empty a table that is to have no rows."""
        table = delete_stmt.table
        compile_state = delete_stmt._compile_state_factory(delete_stmt, self, **kw)  # noqa: SLF001 # as above
        if not self.stack:
            self.isdelete = True
            self.compile_state = compile_state
        self.stack.append({"correlate_froms": {table}, "asfrom_froms": {table}, "selectable": delete_stmt})
        versioned = kind_of(table) == "meta" and not is_laid_over(table)
        self._in_delete_where = not versioned
        try:
            where = self._where(delete_stmt)
        finally:
            self._in_delete_where = False
            self.stack.pop()
        name = self.preparer.format_table(table)
        if not where:
            return self._counted(table, where, f"TRUNCATE TABLE {name} SYNC")
        if versioned:
            return self._counted(
                table, where, self._insert(table, self._new_version(table, {}, where, gone=1))
            )
        return self._counted(table, where, f"DELETE FROM {name}{where}")  # noqa: S608 # as above

    def _where(self, statement: Any) -> str:
        if not statement._where_criteria:  # noqa: SLF001 # as above
            return ""
        from sqlalchemy import and_  # noqa: PLC0415

        return " WHERE " + self.process(and_(*statement._where_criteria))  # noqa: SLF001

    def visit_aggregate_strings_func(self, fn: Any, *, use_function_name: Any = None, **kw: Any) -> str:  # noqa: ARG002 # SQLAlchemy's signature
        """Return texts put together."""
        text, separator = fn.clauses
        joined = f"groupArray({self.process(text, **kw)})"
        return f"arrayStringConcat({joined}, {self.process(separator, **kw)})"

    def visit_mod_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002 # SQLAlchemy's signature
        """Return a remainder."""
        return f"modulo({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:  # noqa: ARG002
        """Return a quotient of whole numbers."""
        return f"intDiv({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"


class FmdClickhouseDialect(ClickHouseDialect):
    """SQLAlchemy's door to ClickHouse, with what our store takes for granted of a database."""

    supports_statement_cache = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    supports_default_values = False
    postfetch_lastrowid = True
    statement_compiler = Statements
    ddl_compiler = Tables  # type: ignore[assignment]  # theirs makes no tables of ours
    type_compiler_cls = Types
    colspecs = {LargeBinary: Bytes}  # noqa: RUF012 # SQLAlchemy's attribute

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver."""
        return dbapi

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Connect, and remember what a transaction has done."""
        settings = options.pop("fmd_settings", {})
        keep_quiet()
        connection: Any = dbapi.connect(*arguments, **options)
        known = connection.client.server_settings
        for name, value in settings.items():
            # Older servers do without some; and what is so anyway need not be said with every statement.
            if name in known and str(known[name].value) != str(value):
                connection.client.set_client_setting(name, value)
        connection.fmd_transaction = Transaction(connection)
        return connection

    def initialize(self, connection: Any) -> None:
        """Ask nothing: what there is to know was told at connecting."""

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement, or what stands for it."""
        if not self._do_otherwise(cursor, statement, [parameters], context):
            super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        """Run a statement without values."""
        if not self._do_otherwise(cursor, statement, [{}], context):
            super().do_execute_no_params(cursor, statement, context)  # type: ignore[no-untyped-call]

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement for each of some values."""
        if not self._do_otherwise(cursor, statement, parameters, context):
            super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_commit(self, dbapi_connection: Any) -> None:
        """Send what had to wait for the rest, and let others have their turn."""
        dbapi_connection.fmd_transaction.commit()

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Take back what can be, and let others have their turn."""
        dbapi_connection.fmd_transaction.rollback()

    def _do_otherwise(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:  # noqa: PLR0911 # a way out for each kind of statement
        transaction = context.root_connection.connection.dbapi_connection.fmd_transaction
        transaction.keep_turn()
        sender = context.execution_options.get(SENDER)
        if sender is not None:
            sender.send(transaction, parameters)
            return True
        compiled = context.compiled
        if compiled is None or context.isddl:
            return False
        if context.isinsert and compiled.statement.select is None:
            new_only = bool(context.execution_options.get(NEW_ONLY))
            values = [self._computed(transaction, compiled) | row for row in context.compiled_parameters]
            cursor.lastrowid = transaction.insert(compiled.statement.table, values, new_only=new_only)
            cursor._rowcount = len(context.compiled_parameters)  # noqa: SLF001 # the driver's, which has no other way
            return True
        if context.isupdate or context.isdelete:
            table = compiled.statement.table
            cursor._rowcount = sum(  # noqa: SLF001 # as above
                transaction.change(table, statement.split(THEN), each, deletes=context.isdelete)
                for each in parameters
            )
            return True
        if context.isinsert:
            table = compiled.statement.table
            cursor._rowcount = transaction.insert_from(table, statement, parameters[0])  # noqa: SLF001
            return True
        columns = getattr(compiled, "_result_columns", None)
        if columns and not context.is_text:
            self._read(transaction, cursor, statement, parameters[0], columns)
            return True
        return False

    def _computed(self, transaction: Transaction, compiled: Any) -> dict[str, Any]:
        """Return the values of an insert that are no values, but have to be worked out."""
        found: dict[str, Any] = {}
        for column, value in (compiled.statement._values or {}).items():  # noqa: SLF001 # as above
            if not isinstance(value, BindParameter):
                query = f"SELECT {value.compile(dialect=self)}"
                found[getattr(column, "name", column)] = transaction.client.query(query).result_rows[0][0]
        return found

    @staticmethod
    def _read(transaction: Transaction, cursor: Any, statement: str, parameters: Any, columns: Any) -> None:
        """Read rows; that there are none is no reason to ask what columns they would have."""
        blobs = [each[0] for each in columns if isinstance(each[3], LargeBinary) and not each[3].length]
        found = transaction.wire.query(statement, parameters or None, blobs)
        cursor.data = found.result_set
        cursor.names = found.column_names or [each[0] for each in columns]
        cursor.types = [None] * len(cursor.names)
        cursor._rowcount, cursor._ix = len(cursor.data), 0  # noqa: SLF001 # the driver's, which has no other way
