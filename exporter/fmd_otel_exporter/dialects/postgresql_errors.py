"""What PostgreSQL's and psycopg's errors mean, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.server import Trouble

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

_NO_RIGHTS = Trouble(
    "user {user!r} lacks rights in {db} ({text}); grant them there with GRANT USAGE, CREATE ON SCHEMA public "
    "TO {user}, and for tables of another owner with GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN "
    "SCHEMA public TO {user}"
)
NOT_UTF8 = Trouble(
    "{db} has the encoding {text}, which cannot hold all names of users and endpoints; make one that can, "
    "with CREATE DATABASE fmd_otel TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C', and name "
    "it in the setting DATABASE (FMD_OTEL_DATABASE)"
)
_BY_STATE = {
    "25006": say.READ_ONLY,
    "25P03": say.LOST,  # idle in a transaction for too long
    "28000": say.WRONG_PASSWORD,
    "28P01": say.WRONG_PASSWORD,
    "3D000": say.NO_DATABASE,
    "3F000": _NO_RIGHTS,  # no schema that this user may use
    "40001": say.UNDONE,
    "40P01": say.UNDONE,
    "42501": _NO_RIGHTS,
    "42P01": say.NO_TABLE,
    "53100": say.DISK_FULL,
    "53300": say.FULL,
    "55P03": say.LOCKED,
    "57014": say.TOO_SLOW,
    "57P01": say.LOST,
    "57P02": say.LOST,
    "57P03": say.UNREACHABLE,  # starting up or shutting down
    "57P05": say.LOST,
}
_OF_DATA = {"22", "23"}
"""Classes of what a server says of a value, or of a key that is there."""
# A refusal to connect comes as a text only.
_BY_TEXT = (
    ("too many", say.FULL),
    ("connection slots", say.FULL),
    ("permission denied", _NO_RIGHTS),
    ("authentication failed", say.WRONG_PASSWORD),
    ("no password supplied", say.WRONG_PASSWORD),
    ("pg_hba.conf", say.WRONG_PASSWORD),
    ('role "', say.WRONG_PASSWORD),
    ('database "', say.NO_DATABASE),
    ("connection option", say.OTHER),
)


class NoAnswerError(psycopg.OperationalError):
    """The server has said nothing for a long time."""


def trouble_of(exc: DBAPIError, orig: BaseException) -> Trouble | None:
    """Return what an error means, or ``None`` when a value was at fault."""
    state = getattr(orig, "sqlstate", None)
    if state in _BY_STATE:
        return _BY_STATE[state]
    if isinstance(orig, NoAnswerError):
        return say.SILENT
    if exc.statement is None and not exc.connection_invalidated:  # it was about connecting
        return next((trouble for words, trouble in _BY_TEXT if words in str(orig)), say.UNREACHABLE)
    if exc.connection_invalidated or isinstance(orig, psycopg.InterfaceError):
        return say.LOST
    if state is None:  # the driver cannot write a value
        return say.OTHER if isinstance(orig, psycopg.OperationalError | psycopg.InternalError) else None
    return None if state[:2] in _OF_DATA else say.OTHER
