"""How a database gets from one revision of the schema to the next.

Importing this module imports no Alembic: a start with nothing to upgrade only compares two names.

A revision is *additive* if whoever knows only the tables before it may go on writing to the tables after it:
it adds tables, or columns that may be left out. Such ones are applied by whichever process comes first, and
older processes write on beside newer ones. All others change what is there; they are listed in
:data:`NOT_ADDITIVE` and applied by ``fmd-otel db upgrade`` only, when somebody has decided that it is time.

Beside the revision a database notes the oldest one whose code may write to it. Code that knows that revision
may, however much newer the database is; other code spools until it is upgraded itself.
"""

from __future__ import annotations

from typing import NamedTuple

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision this release knows, oldest first; a test holds it against the files in ``versions/``."""

NOT_ADDITIVE: frozenset[str] = frozenset()
"""Those after which code that does not know them must not write."""

HEAD = REVISIONS[-1]

OLDEST_WRITER = "oldest_writer"
"""Column beside the revision: the oldest revision whose code may write."""


class Schema(NamedTuple):
    """What a database says of its tables."""

    revision: str
    oldest_writer: str | None
    """None where nobody has noted it: then only code that knows the revision itself may write."""

    @property
    def known(self) -> bool:
        """Whether this release knows the revision."""
        return self.revision in REVISIONS

    @property
    def writable(self) -> bool:
        """Whether this release may write, once it has applied what it knows to be additive."""
        return self.known or self.oldest_writer in REVISIONS


def oldest_writer() -> str:
    """Return the oldest revision whose code may write to tables of the newest one."""
    return next((name for name in reversed(REVISIONS) if name in NOT_ADDITIVE), REVISIONS[0])


def by_hand_after(revision: str) -> str | None:
    """Return the first revision after this one that is not applied at start; ``None`` where all are."""
    later = REVISIONS[REVISIONS.index(revision) + 1 :] if revision in REVISIONS else ()
    return next((name for name in later if name in NOT_ADDITIVE), None)


def version_table(prefix: str) -> str:
    """Return the table in which Alembic notes the revision."""
    return f"{prefix}_schema_version"
