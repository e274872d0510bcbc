"""The first user: from the settings, or through a one-time set-up link. There is no default password."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from fmd_otel_dash.auth import passwords, sessions, users
from fmd_otel_dash.roles import ADMIN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

LIFETIME_S = 86_400
DEFAULT_NAME = "admin"
_US = 1_000_000


def ensure(store: Store, settings: DashboardSettings) -> str | None:
    """Make sure that somebody can sign in.

    Where there is no user yet and the settings name a password, creates that user as an admin. Where they do
    not, returns the path of a set-up page with a fresh token; earlier ones stay good until the first user is
    there, since every worker process hands out its own. Where others say who somebody is, no link is needed.
    """
    tables = store.tables
    with store.read() as connection:
        if users.count(connection, tables):
            return None
    if settings.password:
        password_hash = passwords.hashed(settings.password)
        # Another worker may be doing the same; where transactions do not queue, the unique name decides.
        with suppress(IntegrityError), store.write() as connection:
            if not users.count(connection, tables):
                users.add(connection, tables, settings.username or DEFAULT_NAME, password_hash, ADMIN)
                connection.execute(delete(tables.setup_token))
        return None
    if settings.auth.elsewhere:
        return None
    token = secrets.token_urlsafe(32)
    now_us = time.time_ns() // 1000
    with store.write() as connection:
        connection.execute(delete(tables.setup_token).where(tables.setup_token.c.expires_ts <= now_us))
        connection.execute(
            insert(tables.setup_token).values(
                token_hash=sessions.digest(token), expires_ts=now_us + LIFETIME_S * _US
            )
        )
    return settings.url("/setup") + "?" + urlencode({"token": token})


def token_is_good(store: Store, token: str) -> bool:
    """Tell whether a set-up token may still be used."""
    tables = store.tables
    with store.read() as connection:
        return not users.count(connection, tables) and _is_good(connection, tables, token)


def complete(store: Store, token: str, name: str, password: str) -> str | None:
    """Create the first user and sign them in; returns the session's token, or None if the link is used up.

    Raises:
        UserError: the name or the password cannot be used.
    """
    name = name.strip()
    problem = users.name_problem(name) or passwords.problem(password, name)
    if problem:
        raise users.UserError(problem)
    if not token_is_good(store, token):
        return None
    password_hash = passwords.hashed(password)
    tables = store.tables
    with store.write() as connection:
        # Asked again, inside the transaction: two people may have the form open.
        if users.count(connection, tables) or not _is_good(connection, tables, token):
            return None
        user = users.add(connection, tables, name, password_hash, ADMIN)
        connection.execute(delete(tables.setup_token))
        return sessions.start(connection, tables, user.id)


def _is_good(connection: Connection, tables: Tables, token: str) -> bool:
    c = tables.setup_token.c
    now_us = time.time_ns() // 1000
    found = select(c.token_hash).where(c.token_hash == sessions.digest(token), c.expires_ts > now_us)
    return connection.scalar(found) is not None
