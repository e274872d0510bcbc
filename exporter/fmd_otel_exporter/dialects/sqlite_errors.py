"""What SQLite's terse errors mean, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_UNSOUND = (
    "{place} is not a sound SQLite database ({text}); restore it from a copy, or move it away and a new one "
    "will be created"
)
_READ_ONLY = (
    "the SQLite database {place} cannot be written ({text}); give this user write access to the file and to "
    "its directory"
)
_UNOPENABLE = (
    "the SQLite database {place} cannot be opened; check that its directory exists and that this user may "
    "write in it"
)
_MEANINGS = (
    ("not a database", _UNSOUND),
    ("malformed", _UNSOUND),
    ("readonly", _READ_ONLY),
    ("read-only", _READ_ONLY),
    ("unable to open", _UNOPENABLE),
    ("full", "the disk under the SQLite database {place} is full"),
)


def explain(exc: BaseException, path: Path | None) -> StorageError:
    """Return what an error of SQLite means for the database at a path, or for one in memory."""
    text = str(exc)
    place = "in memory" if path is None else str(path)
    if "locked" in text or "busy" in text:
        return StorageError(f"another process holds the SQLite database {place} ({text})", busy=True)
    if "no such table" in text:
        return StorageError(f"the SQLite database {place} lacks a table of fmd-otel ({text})", no_tables=True)
    if path is not None and "unable to open" in text and not path.exists() and path.parent.is_dir():
        return StorageError(f"the SQLite database {place} is gone")
    for words, meaning in _MEANINGS:
        if words in text:
            return StorageError(meaning.format(place=place, text=text))
    return StorageError(f"the SQLite database {place} cannot be used: {text}")


def no_directory(path: Path) -> StorageError:
    """Return the error for a database in a directory that does not exist."""
    return StorageError(
        f"the SQLite database {path} cannot be created: there is no directory {path.parent}; create it, or "
        "point the setting DATABASE (FMD_OTEL_DATABASE) elsewhere"
    )


def cannot_write_beside(path: Path, exc: OSError) -> StorageError:
    """Return the error for a directory in which this user may create nothing."""
    if not path.parent.is_dir():
        return no_directory(path)
    return StorageError(
        f"no file can be written beside the SQLite database {path} ({exc.strerror}); give this user write "
        f"access to {path.parent}, which SQLite's write-ahead log needs, too"
    )


def cannot_lock(path: Path, exc: OSError) -> StorageError:
    """Return the error for a file system that has no locks, or no more of them, as some on a network."""
    return StorageError(
        f"no file can be locked beside the SQLite database {path} ({exc.strerror}), and SQLite needs locks, "
        "too; name a database on a local disk, or one of a server, in the setting DATABASE "
        "(FMD_OTEL_DATABASE)"
    )
