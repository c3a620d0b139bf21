# SPDX-License-Identifier: Apache-2.0
"""From when to when replicas were frozen: they used no CPU, and held less memory."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing was frozen before."""
    op.create_table(
        "freezes",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("started", WHOLE, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("ended", WHOLE),
        sa.Column("memory_mib", WHOLE, nullable=False),
    )
    op.create_index("freezes_by_channel", "freezes", ["channel", "ended"])


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was frozen is never dropped")
