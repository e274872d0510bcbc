"""Requests of the hot path and of the dashboard, over the driver's connections at a fraction of its cost.

The driver puts settings together anew for each statement, and urllib3 takes them apart.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from clickhouse_connect import dbapi
from clickhouse_connect.driver.binding import bind_query, format_str
from clickhouse_connect.driver.ctypes import RespBuffCls
from clickhouse_connect.driver.query import QueryContext
from clickhouse_connect.driver.transform import NativeTransform
from urllib3.exceptions import HTTPError, ProtocolError

from fmd_otel_exporter.dialects.clickhouse_line import Line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.query import QueryResult

    from fmd_otel_exporter.dialects.clickhouse_line import Answer

_OF_READING = {
    "final",
    "do_not_merge_across_partitions_select_final",
    "aggregate_functions_null_for_empty",
    "cast_keep_nullable",
    "join_use_nulls",
    "prefer_column_name_to_alias",
    "allow_experimental_correlated_subqueries",
    "mutations_sync",
    "lightweight_deletes_sync",
}
"""Settings that neither an insert nor a look for keys as they are stored has any use for."""


_ATTEMPTS = 3
"""Of a query, whose connection may have ended just before or in the middle of it."""
_PAUSE_S = 0.1


class Wire:
    """Sends statements as they are, and returns what comes back."""

    def __init__(self, client: Any) -> None:
        """Use a client's connections."""
        self._client = client
        self._line: Line | None = None
        self._of_writing = self._of_reading = ""

    def post(self, body: bytes) -> bytes:
        """Send a request, and return the answer.

        Raises:
            dbapi.Error: As the driver's own.
        """
        line = self._connected()
        try:
            return _answered(line.post(self._of_writing, body))
        except (HTTPError, OSError) as exc:
            raise _trouble(exc) from exc

    def finds(self, query: str) -> bool:
        """Tell whether a query finds anything."""
        return bool(self.post(f"{query} FORMAT RowBinary".encode()))

    def query(self, statement: str, parameters: Any, blobs: Iterable[str] = ()) -> QueryResult:
        """Return what a query finds, as the driver would.

        Args:
            statement: The query.
            parameters: Its values.
            blobs: Columns that hold bytes, where others hold text.

        Raises:
            dbapi.Error: As the driver's own.
        """
        line = self._connected()
        text, _ = bind_query(statement, parameters)
        body = (text if isinstance(text, bytes) else text.encode()) + b"\n FORMAT Native"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                found = _answered(line.post(self._of_reading, body))
                break
            except (HTTPError, OSError) as exc:
                if attempt == _ATTEMPTS or not isinstance(exc, ProtocolError | ConnectionError):
                    raise _trouble(exc) from exc
            time.sleep(_PAUSE_S * attempt)
        context = QueryContext(column_formats=dict.fromkeys(blobs, "bytes") or None)
        source = RespBuffCls(_Source(found))  # type: ignore[no-untyped-call]  # theirs has no types
        return cast("QueryResult", NativeTransform.parse_response(source, context))

    def _connected(self) -> Line:
        if self._line is None:
            client = self._client
            settings = {**client.params, "database": client.database}
            kept = {name: value for name, value in settings.items() if name not in _OF_READING}
            path = urlsplit(client.url).path
            self._of_reading, self._of_writing = (f"{path}/?{urlencode(each)}" for each in (settings, kept))
            self._line = Line(client)
        return self._line


class _Source:
    """An answer as the driver's parser wants to have it."""

    exception_tag = None

    def __init__(self, body: bytes) -> None:
        self.gen = iter((body,))

    def close(self) -> None:
        """Do nothing: it is here as a whole."""


def _answered(answer: Answer) -> bytes:
    code = answer.headers.get(b"x-clickhouse-exception-code", b"")
    if answer.status == HTTPStatus.OK and not code:
        return answer.body
    text = answer.body.decode(errors="replace")
    raise dbapi.DatabaseError(text, code=int(code) if code.isdigit() else None)


def _trouble(exc: Exception) -> dbapi.Error:
    return dbapi.OperationalError(f"{type(exc).__name__}: {exc}")


def settings_clause(settings: dict[str, Any]) -> str:
    """Return what says in a statement that some settings are to hold for it."""
    return "SETTINGS " + ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())


def literal(value: Any) -> str:
    """Return a value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"unhex('{value.hex()}')"
    return str(format_str(value)) if isinstance(value, str) else f"{value:d}"
