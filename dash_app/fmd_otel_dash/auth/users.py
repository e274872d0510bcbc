"""The user table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from fmd_otel_dash.auth import passwords, sessions
from fmd_otel_dash.roles import ADMIN, Role, User
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

OUTSIDER_LIFETIME_S = 12 * 3600
"""How long a session lasts that a provider vouched for: it is asked again every day."""
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
    return (
        None
        if row is None
        else Credentials(User(row[0], row[1], cast("Role", row[2]), sessions.way_of(row[3])), row[3])
    )


def everyone(store: Store) -> tuple[User, ...]:
    """Return all users, by name."""
    c = store.tables.user.c
    with store.read() as connection:
        rows = connection.execute(select(c.id, c.username, c.role, c.password_hash).order_by(c.username))
        return tuple(User(row[0], row[1], cast("Role", row[2]), sessions.way_of(row[3])) for row in rows)


def count(connection: Connection, tables: Tables) -> int:
    """Return how many users there are that have a password here."""
    return connection.scalar(select(func.count()).select_from(tables.user).where(_own(tables))) or 0


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
        _check_own(connection, tables, user_id)
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
        _check_own(connection, tables, user_id)
        connection.execute(update(tables.user).where(tables.user.c.id == user_id).values(role=role))
        _check_admins(connection, tables)


def remove(store: Store, user_id: int) -> None:
    """Delete a user and all of their sessions.

    Raises:
        UserError: there would be no admin left.
    """
    tables = store.tables
    with store.write() as connection:
        own = _is_own(connection, tables, user_id)
        connection.execute(delete(tables.session).where(tables.session.c.user_id == user_id))
        connection.execute(delete(tables.user).where(tables.user.c.id == user_id))
        if own:
            _check_admins(connection, tables)


def admit_outsider(store: Store, identity: bytes, name: str, role: Role) -> str:
    """Begin a session for somebody for whom a provider vouches, and return its token.

    They stand in the user table under a name of their own, so that they can be seen and removed there, but
    never take over the row of somebody with a password who is called the same.
    """
    try:
        return _admit(store, identity, name, role)
    except IntegrityError:  # another worker has just added them, or somebody of that name
        return _admit(store, identity, name, role)


def _admit(store: Store, identity: bytes, name: str, role: Role) -> str:
    with store.write() as connection:
        user_id = _outsider(connection, store.tables, identity, name, role)
        return sessions.start(connection, store.tables, user_id, OUTSIDER_LIFETIME_S)


def forget_outsider(store: Store, identity: bytes) -> None:
    """Remove somebody whom the provider no longer lets in here, and end their sessions."""
    tables = store.tables
    c = tables.user.c
    with store.write() as connection:
        user_id = connection.scalar(select(c.id).where(c.password_hash == _mark(identity)))
        if user_id is not None:
            connection.execute(delete(tables.session).where(tables.session.c.user_id == user_id))
            connection.execute(delete(tables.user).where(c.id == user_id))


def _outsider(connection: Connection, tables: Tables, identity: bytes, name: str, role: Role) -> int:
    c = tables.user.c
    known = connection.scalar(select(c.id).where(c.password_hash == _mark(identity)))
    if known is not None:
        connection.execute(update(tables.user).where(c.id == known).values(role=role))
        return int(known)
    free = name
    if find(connection, tables, name):
        suffix = f" ({identity.hex()[:8]})"
        free = name[: NAME_LENGTH - len(suffix)] + suffix
    return add(connection, tables, free, _mark(identity), role).id


def _mark(identity: bytes) -> str:
    return passwords.ELSEWHERE + identity.hex()


def _own(tables: Tables) -> ColumnElement[bool]:
    return tables.user.c.password_hash.not_like(f"{passwords.ELSEWHERE}%")


def _is_own(connection: Connection, tables: Tables, user_id: int) -> bool:
    c = tables.user.c
    known = connection.scalar(select(c.password_hash).where(c.id == user_id))
    return known is None or sessions.way_of(known) == "password"


def _check_own(connection: Connection, tables: Tables, user_id: int) -> None:
    if not _is_own(connection, tables, user_id):
        raise UserError("This user is signed in by the identity provider, which keeps password and role.")


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
    if not connection.scalar(
        select(func.count()).select_from(tables.user).where(c.role == ADMIN, _own(tables))
    ):
        raise UserError("This is the last admin; make somebody else an admin first.")
