"""What ClickHouse's and its driver's errors mean, and what to do about them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from clickhouse_connect import dbapi
from sqlalchemy.exc import DBAPIError

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.server import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_NO_RIGHTS = Trouble(
    "user {user!r} lacks rights in {db} ({text}); grant them there with GRANT SELECT, INSERT, ALTER, CREATE, "
    "DROP, TRUNCATE, OPTIMIZE ON {database}.* TO {user}"
)
_TOO_MANY_PARTS = Trouble(
    "{db} is behind with merging what was inserted ({text}); it takes further rows when it has caught up",
    busy=True,
)
_BY_NUMBER = {
    60: say.NO_TABLE,
    81: say.NO_DATABASE,
    115: say.OPTIONS,
    159: say.TOO_SLOW,
    160: say.TOO_SLOW,
    164: say.READ_ONLY,
    192: say.WRONG_PASSWORD,
    193: say.WRONG_PASSWORD,
    194: say.WRONG_PASSWORD,
    202: say.FULL,
    209: say.LOST,
    210: say.LOST,
    236: say.LOST,
    241: say.OTHER,
    242: say.READ_ONLY,
    243: say.DISK_FULL,
    252: _TOO_MANY_PARTS,
    497: _NO_RIGHTS,
    516: say.WRONG_PASSWORD,
}
_OF_DATA = {
    70,  # CANNOT_CONVERT_TYPE
    131,  # TOO_LARGE_STRING_SIZE
    321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    407,  # DECIMAL_OVERFLOW
    469,  # VIOLATED_CONSTRAINT
}
"""What a server says of a value. Whatever is not here may be a disk, a quota or a view, and passes: of its
hundreds of numbers no list is complete."""


def trouble_of(exc: DBAPIError, orig: BaseException) -> Trouble | None:
    """Return what an error means, or ``None`` when a value was at fault."""
    number = getattr(orig, "code", None)
    if number is not None and number not in _OF_DATA:
        return _BY_NUMBER.get(number, say.OTHER)
    if number in _OF_DATA or isinstance(orig, dbapi.IntegrityError | dbapi.DataError):
        return None
    text = str(orig).lower()
    if "timed out" in text and "connect" not in text:
        return say.SILENT
    if exc.statement is None:  # it was about connecting
        return (
            say.UNREACHABLE if isinstance(orig, dbapi.OperationalError | dbapi.DatabaseError) else say.OPTIONS
        )
    if isinstance(orig, dbapi.OperationalError):
        return say.UNREACHABLE if "refused" in text or "resolve" in text else say.LOST
    # Without a number, the driver says by this that it cannot write a value.
    return None if isinstance(orig, dbapi.ProgrammingError) else say.OTHER


@contextmanager
def as_of_sqlalchemy(connection: Connection, what: str) -> Iterator[None]:
    """Raise errors of what goes to the driver without SQLAlchemy as if they came from there."""
    try:
        yield
    except dbapi.Error as exc:
        raise DBAPIError.instance(what, {}, exc, dbapi.Error, dialect=connection.dialect) from exc
