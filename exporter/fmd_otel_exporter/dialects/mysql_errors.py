"""What MariaDB's, MySQL's and PyMySQL's errors mean, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.server import Trouble

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

_NO_RIGHTS = Trouble(
    "user {user!r} lacks rights in {db} ({text}); grant them there with GRANT SELECT, INSERT, UPDATE, "
    "DELETE, CREATE, ALTER, DROP, INDEX ON {database}.* TO {user}; if there is no such database yet, create "
    "it with CREATE DATABASE {database}"
)
_LOG_FORMAT = Trouble(
    "{server} logs statements instead of rows, which InnoDB refuses here ({text}); set its binlog_format to "
    "MIXED or ROW"
)
BAD_OPTION = -1
"""What PyMySQL itself refuses: an option, or a way to sign in for which it lacks a package."""
_PACKET = Trouble("{server} refuses packets of that size ({text}); raise its max_allowed_packet")
_BY_NUMBER = {
    BAD_OPTION: say.OPTIONS,
    1020: say.UNDONE,  # changed since it was read
    1021: say.DISK_FULL,
    1040: say.FULL,
    1044: _NO_RIGHTS,
    1045: say.WRONG_PASSWORD,
    1049: say.NO_DATABASE,
    1053: say.LOST,
    1114: say.DISK_FULL,
    1130: say.WRONG_PASSWORD,  # nobody from this host
    1142: _NO_RIGHTS,
    1143: _NO_RIGHTS,
    1146: say.NO_TABLE,
    1153: _PACKET,
    1203: say.FULL,
    1205: say.LOCKED,
    1213: say.UNDONE,
    1226: say.FULL,
    1290: say.READ_ONLY,
    1317: say.LOST,
    1665: _LOG_FORMAT,
    1698: say.WRONG_PASSWORD,
    1792: say.READ_ONLY,
    1836: say.READ_ONLY,
    1862: say.WRONG_PASSWORD,  # it has expired
    1927: say.LOST,
    1969: say.TOO_SLOW,
    2003: say.UNREACHABLE,
    3024: say.TOO_SLOW,
    3118: say.WRONG_PASSWORD,  # the account is locked
    4031: say.LOST,
}


def trouble_of(exc: DBAPIError, orig: BaseException) -> Trouble | None:
    """Return what an error means, or ``None`` when a value was at fault."""
    number = orig.args[0] if orig.args else None
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    if exc.connection_invalidated:
        return say.SILENT if "timed out" in str(orig) else say.LOST
    if isinstance(orig, pymysql.InterfaceError):
        return say.OTHER
    if exc.statement is None:  # it was about connecting
        return say.UNREACHABLE
    if isinstance(orig, pymysql.DataError | pymysql.IntegrityError) or not isinstance(number, int):
        return None  # not a number: the driver cannot write a value
    return say.OTHER
