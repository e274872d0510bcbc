"""What is kept of single requests: profiles, outliers, exceptions, spans."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
