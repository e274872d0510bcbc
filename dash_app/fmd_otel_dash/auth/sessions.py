"""Sessions on the server: the browser holds a random token, the database only its digest."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, insert, select

from fmd_otel_dash.auth import passwords
from fmd_otel_dash.queries.statements import Statement, built_once, integer
from fmd_otel_dash.roles import Role, User, Way

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

LIFETIME_S = 14 * 86_400
_US = 1_000_000
_MAX_PER_USER = 50
_MAX_TOKEN = 128


def digest(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(token: str) -> str:
    """Return the token that forms of a session carry: known to its pages, and to no other site."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def start(connection: Connection, tables: Tables, user_id: int, lifetime_s: int = LIFETIME_S) -> str:
    """Begin a session within the caller's transaction and return its token.

    Clears away what has expired, and the oldest of a user who never signs out.
    """
    now_us = time.time_ns() // 1000
    token = secrets.token_urlsafe(32)
    c = tables.session.c
    connection.execute(delete(tables.session).where(c.expires_ts <= now_us))
    mine = (
        select(c.token_hash)
        .where(c.user_id == user_id)
        .order_by(c.created_ts.desc())
        .offset(_MAX_PER_USER - 1)
    )
    oldest = connection.scalars(mine.limit(_MAX_PER_USER)).all()
    if oldest:
        connection.execute(delete(tables.session).where(c.token_hash.in_(oldest)))
    connection.execute(
        insert(tables.session).values(
            token_hash=digest(token), user_id=user_id, created_ts=now_us, expires_ts=now_us + lifetime_s * _US
        )
    )
    return token


def user_of(store: Store, token: str | None) -> User | None:
    """Return whose session it is, as the user table says now: deleting or demoting a user works at once."""
    if not token or len(token) > _MAX_TOKEN:
        return None
    wanted = _user_of(store.tables.session, store.tables.user)
    with store.read() as connection:
        row = connection.execute(wanted, {"digest": digest(token), "now": time.time_ns() // 1000}).first()
    return None if row is None else User(row[0], row[1], cast("Role", row[2]), way_of(row[3]))


@built_once
def _user_of(session: Table, user: Table) -> Statement:
    return (
        select(user.c.id, user.c.username, user.c.role, user.c.password_hash)
        .join_from(session, user, user.c.id == session.c.user_id)
        .where(session.c.token_hash == bindparam("digest"), session.c.expires_ts > integer("now"))
    )


def way_of(password_hash: str) -> Way:
    """Return how somebody signs in, from what is kept in the place of a password."""
    return "oidc" if password_hash.startswith(passwords.ELSEWHERE) else "password"


def end(store: Store, token: str | None) -> None:
    """End a session."""
    if not token or len(token) > _MAX_TOKEN:
        return
    with store.write() as connection:
        connection.execute(
            delete(store.tables.session).where(store.tables.session.c.token_hash == digest(token))
        )
