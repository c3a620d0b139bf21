# SPDX-License-Identifier: Apache-2.0
"""Whom the operator lets in, and his key's unfinished transactions: they move with the books."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; they begin empty."""
    op.create_table(
        "draining",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("reason", sa.String, nullable=False),
    )
    op.create_table("denied", sa.Column("publisher", sa.String(42), primary_key=True))
    op.create_table(
        "transactions",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("unfinished", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("who is kept out, and what is under way, is never dropped")
