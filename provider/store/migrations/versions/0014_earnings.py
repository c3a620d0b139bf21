# SPDX-License-Identifier: Apache-2.0
"""What the operator's transactions cost, and earnings by day of claims that are no longer kept one by one."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; they begin empty: what earlier transactions cost is not known."""
    op.create_table(
        "fees",
        sa.Column("tx", sa.LargeBinary, primary_key=True),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("wei", sa.String, nullable=False),
    )
    op.create_table(
        "earned",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("life", sa.String(63), primary_key=True),
        sa.Column("day", WHOLE, primary_key=True),
        sa.Column("publisher", sa.String(42)),
        sa.Column("paid", sa.String, nullable=False),
        sa.Column("items", WHOLE, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was earned is never dropped")
