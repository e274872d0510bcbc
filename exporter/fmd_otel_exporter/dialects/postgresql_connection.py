"""A connection to PostgreSQL: patient within bounds, alike on every server, and clean of NUL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.string import StrBinaryDumper, StrDumper

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.postgresql_errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_SESSION = {
    "statement_timeout": f"{say.STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{say.LOCK_TIMEOUT_S}s",
    # A process that is stopped in mid-transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": f"{2 * say.STATEMENT_TIMEOUT_S}s",
    # Our statements take milliseconds; compiling them would take longer.
    "jit": "off",
}


def connect(dialect: Any, record: Any, args: Any, options: dict[str, Any]) -> PatientConnection:  # noqa: ARG001 # SQLAlchemy's signature
    """Connect, as a listener to SQLAlchemy's ``do_connect``."""
    # A pooler may run the next transaction in another session, where a statement of that name is missing, or
    # is another one. And out of a URL a number comes as a text, which psycopg cannot compare.
    ours = {"autocommit": True, "prepare_threshold": None}
    connection = PatientConnection.connect(*args, **{**options, **ours})
    try:
        # Not by the connection option "options": poolers such as PgBouncer refuse that one.
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SESSION.items())
        connection.execute(f"SELECT {settings}")
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    connection.adapters.register_dumper(str, _CleanText)
    connection.adapters.register_dumper(str, _CleanBinaryText)
    return connection


class PatientConnection(psycopg.Connection[Any]):
    """A connection that waits for its server, but not for ever."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Wait as psycopg does, until nothing has come for too long."""
        try:
            return super().wait(bounded(gen, say.ANSWER_TIMEOUT_S), *args, **kwargs)
        except NoAnswerError:
            self.pgconn.finish()  # nobody knows what state it is in
            raise


def bounded(
    waiting: Generator[Any, Any, Any], limit_s: float, clock: Callable[[], float] = time.monotonic
) -> Generator[Any, Any, Any]:
    """Pass on what psycopg waits for; psycopg resumes it without news several times a second.

    Raises:
        NoAnswerError: There was no news for so long.
    """
    try:
        wanted = next(waiting)
        since = clock()
        while True:
            ready = yield wanted
            if ready:
                since = clock()
            elif clock() - since > limit_s:
                raise NoAnswerError(f"silent for {limit_s} s")
            wanted = waiting.send(ready)
    except StopIteration as end:
        return end.value


# PostgreSQL's text holds no NUL, and whoever fills in a form may well send one.


class _CleanText(StrDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(_clean(obj))


class _CleanBinaryText(StrBinaryDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(_clean(obj))


def _clean(value: str) -> str:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value
