"""Passwords: hashed with scrypt, checked in the same time whether or not the user exists."""

from __future__ import annotations

from functools import lru_cache
from threading import BoundedSemaphore

from werkzeug.security import check_password_hash, generate_password_hash

MIN_LENGTH = 8
MAX_LENGTH = 1024
"""Beyond this a password is refused before it is hashed: hashing costs memory and time."""
ELSEWHERE = "oidc:"
"""Begins what stands in the place of the hash of somebody whose password is kept elsewhere."""
_WAIT_S = 5.0
# One at a time: a check takes 32 MB and part of a second, in a process that may serve the monitored app, too.
_turn = BoundedSemaphore(1)


class Busy(Exception):  # noqa: N818 # a state, not an error
    """Too many people are signing in at this moment."""


def problem(password: str, username: str = "") -> str | None:
    """Return what is wrong with a new password, in words for its owner."""
    if len(password) < MIN_LENGTH:
        return f"The password needs at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"The password is longer than {MAX_LENGTH} characters."
    if username and password.casefold() == username.casefold():
        return "The password must differ from the user name."
    return None


def hashed(password: str) -> str:
    """Return the hash to store."""
    return generate_password_hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Check a password; None, for a user who does not exist, takes as long and never matches.

    Raises:
        Busy: others are being checked, and the wait was too long.
    """
    if not _turn.acquire(timeout=_WAIT_S):
        raise Busy
    try:
        known = (
            password_hash is not None
            and not password_hash.startswith(ELSEWHERE)
            and len(password) <= MAX_LENGTH
        )
        same = check_password_hash(
            password_hash if known and password_hash else _dummy_hash(), password[:MAX_LENGTH]
        )
        return same and known
    finally:
        _turn.release()


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return generate_password_hash("nobody's password")
