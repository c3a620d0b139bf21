# SPDX-License-Identifier: Apache-2.0
"""Which daemon's books these are, for books that others can name as theirs."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the next opening fills it."""
    op.create_table(
        "belonging",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("chain_id", WHOLE, nullable=False),
        sa.Column("payments", sa.String(42), nullable=False),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("daemon", WHOLE, nullable=False),
        sa.Column("cluster", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("whose books these are is never dropped")
