# SPDX-License-Identifier: Apache-2.0
"""What was booked of each replica's traffic past the facade."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "counters",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("egress_bytes", WHOLE, nullable=False),
        sa.Column("ingress_bytes", WHOLE, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was booked cannot be found out again")
