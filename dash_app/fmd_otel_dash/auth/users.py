"""The user table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, func, insert, select, update

from fmd_otel_dash.auth import passwords
from fmd_otel_dash.roles import ADMIN, Role, User
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

ROLES: tuple[Role, ...] = ("admin", "guest")


class UserError(FmdOtelError):
    """A user that cannot be made or changed as wished; the message is for the person who wished it."""


@dataclass(frozen=True)
class Credentials:
    """A user with the hash of the password."""

    user: User
    password_hash: str


def find(connection: Connection, tables: Tables, name: str) -> Credentials | None:
    """Return the user of a name."""
    c = tables.user.c
    row = connection.execute(
        select(c.id, c.username, c.role, c.password_hash).where(c.username == name)
    ).first()
    return None if row is None else Credentials(User(row[0], row[1], cast("Role", row[2])), row[3])


def everyone(store: Store) -> tuple[User, ...]:
    """Return all users, by name."""
    c = store.tables.user.c
    with store.read() as connection:
        rows = connection.execute(select(c.id, c.username, c.role).order_by(c.username))
        return tuple(User(row[0], row[1], cast("Role", row[2])) for row in rows)


def count(connection: Connection, tables: Tables) -> int:
    """Return how many users there are."""
    return connection.scalar(select(func.count()).select_from(tables.user)) or 0


def add(connection: Connection, tables: Tables, name: str, password_hash: str, role: Role) -> User:
    """Insert a user, within the caller's transaction.

    Raises:
        UserError: the name or the role cannot be used.
    """
    problem = name_problem(name)
    if problem:
        raise UserError(problem)
    _check_role(role)
    if find(connection, tables, name):
        raise UserError(f"There is a user named “{name}” already.")
    made = connection.execute(
        insert(tables.user).values(
            username=name, password_hash=password_hash, role=role, created_ts=time.time_ns() // 1000
        )
    )
    # An INSERT into a table with a key of one column always returns it.
    (user_id,) = made.inserted_primary_key or (0,)
    return User(int(user_id), name, role)


def create(store: Store, name: str, password: str, role: Role) -> User:
    """Create a user.

    Raises:
        UserError: the name, the password or the role cannot be used.
    """
    name = name.strip()
    problem = name_problem(name) or passwords.problem(password, name)
    if problem:
        raise UserError(problem)
    password_hash = passwords.hashed(password)
    with store.write() as connection:
        return add(connection, store.tables, name, password_hash, role)


def has_password(store: Store, user_id: int, password: str) -> bool:
    """Tell whether this is a user's password.

    Raises:
        Busy: others are being checked, and the wait was too long.
    """
    c = store.tables.user.c
    with store.read() as connection:
        known = connection.scalar(select(c.password_hash).where(c.id == user_id))
    return passwords.matches(known, password)


def set_password(store: Store, user_id: int, password: str, *, keep: bytes | None = None) -> None:
    """Change a password; whoever is signed in as that user is signed out.

    Args:
        store: where the users are.
        user_id: whose.
        password: the new one.
        keep: digest of the session from which it is changed, which goes on.

    Raises:
        UserError: the password cannot be used.
    """
    problem = passwords.problem(password)
    if problem:
        raise UserError(problem)
    password_hash = passwords.hashed(password)
    tables = store.tables
    with store.write() as connection:
        connection.execute(
            update(tables.user).where(tables.user.c.id == user_id).values(password_hash=password_hash)
        )
        others = delete(tables.session).where(tables.session.c.user_id == user_id)
        if keep is not None:
            others = others.where(tables.session.c.token_hash != keep)
        connection.execute(others)


def set_role(store: Store, user_id: int, role: Role) -> None:
    """Promote or demote a user, with immediate effect.

    Raises:
        UserError: there is no such role, or there would be no admin left.
    """
    _check_role(role)
    tables = store.tables
    with store.write() as connection:
        connection.execute(update(tables.user).where(tables.user.c.id == user_id).values(role=role))
        _check_admins(connection, tables)


def remove(store: Store, user_id: int) -> None:
    """Delete a user and all of their sessions.

    Raises:
        UserError: there would be no admin left.
    """
    tables = store.tables
    with store.write() as connection:
        connection.execute(delete(tables.session).where(tables.session.c.user_id == user_id))
        connection.execute(delete(tables.user).where(tables.user.c.id == user_id))
        _check_admins(connection, tables)


def name_problem(name: str) -> str | None:
    """Return what is wrong with a user name."""
    if not name.strip():
        return "The user name is empty."
    if len(name) > NAME_LENGTH:
        return f"The user name is longer than {NAME_LENGTH} characters."
    if not name.isprintable():
        return "The user name contains characters that cannot be shown."
    return None


def _check_role(role: object) -> None:
    if role not in ROLES:
        raise UserError(f"The role must be admin or guest, not “{role}”.")


def _check_admins(connection: Connection, tables: Tables) -> None:
    c = tables.user.c
    if not connection.scalar(select(func.count()).select_from(tables.user).where(c.role == ADMIN)):
        raise UserError("This is the last admin; make somebody else an admin first.")
