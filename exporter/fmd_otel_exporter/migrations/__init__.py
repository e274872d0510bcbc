"""How a database gets from one revision of the schema to the next.

Importing this module imports no Alembic: a start with nothing to upgrade only compares two names.
"""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision this release knows, oldest first; a test holds it against the files in ``versions/``."""

HEAD = REVISIONS[-1]


def version_table(prefix: str) -> str:
    """Return the table in which Alembic notes the revision."""
    return f"{prefix}_schema_version"
