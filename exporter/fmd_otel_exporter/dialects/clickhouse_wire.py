"""Requests of the hot path, over the driver's connections and at a third of the driver's own cost.

What is asked goes into the body, and so do settings: urllib3 goes through an address letter by letter,
several times.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from clickhouse_connect import dbapi
from clickhouse_connect.driver.binding import format_str
from urllib3.exceptions import HTTPError

from fmd_otel_exporter.dialects.clickhouse_line import Line

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


class Wire:
    """Sends statements as they are, and returns what comes back as it is."""

    def __init__(self, client: Any) -> None:
        """Use a client's connections."""
        self._client = client
        self._line: tuple[Line, str] | None = None

    def post(self, body: bytes) -> bytes:
        """Send a request, and return the answer.

        Raises:
            dbapi.Error: As the driver's own.
        """
        if self._line is None:
            client = self._client
            kept = {name: value for name, value in client.params.items() if name not in _OF_READING}
            query = urlencode({**kept, "database": client.database})
            self._line = Line(client), f"{urlsplit(client.url).path}/?{query}"
        line, target = self._line
        try:
            answer = line.post(target, body)
        except (HTTPError, OSError) as exc:
            raise dbapi.OperationalError(f"{type(exc).__name__}: {exc}") from exc
        if answer.status == HTTPStatus.OK:
            return answer.body
        code = answer.headers.get(b"x-clickhouse-exception-code", b"")
        text = answer.body.decode(errors="replace")
        raise dbapi.DatabaseError(text, code=int(code) if code.isdigit() else None)

    def finds(self, query: str) -> bool:
        """Tell whether a query finds anything."""
        return bool(self.post(f"{query} FORMAT RowBinary".encode()))


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
