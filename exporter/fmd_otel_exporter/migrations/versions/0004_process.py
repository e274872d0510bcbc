"""What the processes that write say of themselves."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
