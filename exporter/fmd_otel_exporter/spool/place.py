"""Which directory the spool of a database lives in."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from fmd_otel_exporter.settings import absolute_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_SQLITE_PATH = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*)", re.DOTALL)
_CREDENTIALS = re.compile(r"[^/?#]*@|[^:/]*:[^@]*@")
"""Up to the host. A password may hold what elsewhere ends the part of a URL it is in, as in ``u:s3#cret@h``:
SQLAlchemy takes it, and so it must not hide the rest of the URL from us."""
_SECRET = re.compile(r"(?i)passw(?:or)?d|pwd|token|secret")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def spool_directory(
    database: str,
    table_prefix: str,
    *,
    configured: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Path | None:
    """Return where the requests for one database and table prefix wait, or None for memory.

    That is for a database in memory, and for a SQLite file in a directory that does not exist: whoever
    mistyped its path is told so, and must not find the directory made by the spool.

    No two of them ever share a directory. A SQLite database keeps its spool beside itself, so that moving or
    mounting one brings the other along; a server's spool lies in the user's state directory, or in the
    temporary one where the user has no home to write to, as in many containers.

    Args:
        database: The database URL.
        table_prefix: The tables' prefix.
        configured: A directory the user chose; each database still gets its own directory in it.
        environ: Environment variables, for ``XDG_STATE_HOME`` and ``HOME``.
    """
    url = absolute_url(database)
    sqlite = _SQLITE_PATH.match(url)
    if url.startswith("sqlite") and (
        not sqlite or sqlite["path"] in {"", ":memory:"} or "mode=memory" in url
    ):
        return None
    name = f"{_UNSAFE.sub('_', table_prefix)}-{_digest(url)}"
    if configured:
        return Path(os.path.abspath(configured)) / name  # noqa: PTH100 # no resolving of links
    if sqlite and not sqlite["path"].startswith("file:"):
        beside = Path(f"{sqlite['path']}.spool")
        return beside / table_prefix if beside.parent.is_dir() else None
    state = _state_home(environ)
    if state is not None:
        return state / "fmd-otel" / "spool" / name
    return Path(tempfile.gettempdir()) / f"fmd-otel-spool-{_user_id()}-{name}"


def details_directory(directory: Path) -> Path:
    """Return where details of single requests wait: apart, so that they never take the place of requests."""
    return directory / "details"


def _digest(url: str) -> str:
    """Return a digest of what makes a database another one: not its password, driver or order of options."""
    scheme, _, rest = url.partition("://")
    found = _CREDENTIALS.match(rest)
    credentials = found[0][:-1] if found else ""
    address, _, query = rest[found.end() if found else 0 :].partition("?")
    host, slash, path = address.partition("/")
    options = sorted((key, value) for key, value in parse_qsl(query) if not _SECRET.search(key))
    identity = (
        scheme.lower().partition("+")[0],
        credentials.partition(":")[0],
        host.lower(),
        slash + path,
        urlencode(options),
    )
    return hashlib.blake2b("\n".join(identity).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _state_home(environ: Mapping[str, str]) -> Path | None:
    """Return the first of the user's usual directories for such things that can be written, or made."""
    candidates = []
    if (state := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        candidates.append(Path(state))
    if (home := environ.get("HOME", "")).startswith("/"):
        candidates.append(Path(home) / ".local" / "state")
    for candidate in candidates:
        existing = next(path for path in (candidate, *candidate.parents) if path.exists())
        if os.access(existing, os.W_OK | os.X_OK) and existing != Path("/"):
            return candidate
    return None


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
