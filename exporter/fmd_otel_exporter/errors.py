"""Errors whose text is written for the person who has to act on it."""

from __future__ import annotations

import re

_USER_AND_PASSWORD = re.compile(r"^([^:/]+://+[^:/@]*):.*@", re.DOTALL)
_SECRET_OPTION = re.compile(r"(?i)\b(passw(?:or)?d|pwd|token|secret|sslpassword|access_token)=[^&\s]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)|")


def safe_url(url: str) -> str:
    """Return a database URL with its secrets masked, fit for a message or a log.

    Of what is no URL but looks like one gone wrong, nothing is shown but how it begins: a password may be
    anywhere in it.
    """
    if "://" not in url and (":" in url or "@" in url):
        scheme = _SCHEME.match(url)
        return f"{scheme[0] if scheme else ''}:***"
    return safe_text(url)


def safe_text(text: str) -> str:
    """Return a text that may be a database URL, or anything else, with what looks like its secrets masked."""
    return _SECRET_OPTION.sub(r"\1=***", _USER_AND_PASSWORD.sub(r"\1:***@", text))


class FmdOtelError(Exception):
    """Anything that fmd-otel tells its user; the message names the value, the place and the remedy."""


class SettingsError(FmdOtelError):
    """A setting that cannot be used as it stands."""


class StorageError(FmdOtelError):
    """The database cannot be used, now or at all.

    Everything that may pass by itself (locked, unreachable, disk full) is told through this class, whatever
    driver raised it, so that callers need to know neither drivers nor dialects.
    """

    def __init__(
        self, message: str, *, busy: bool = False, no_tables: bool = False, again: bool = False
    ) -> None:
        """Keep what callers may want to tell apart.

        Args:
            message: What is wrong, where, and what to do.
            busy: Somebody else holds the database just now, and nothing is wrong with it.
            no_tables: The database is there, but (some of) our tables are not.
            again: The transaction ended by chance (a deadlock, a connection gone stale) and may well succeed
                when it is run once more, at once. Where the connection broke, it may have been committed.
        """
        super().__init__(message)
        self.busy = busy
        self.no_tables = no_tables
        self.again = again


class EndpointGoneError(StorageError):
    """What was to be written is for an endpoint that has been deleted since its number was asked for."""
