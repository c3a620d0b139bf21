# SPDX-License-Identifier: Apache-2.0
"""The most CPU, memory and scratch that a second of each channel is billed for."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ceilings",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("since", WHOLE, primary_key=True),
        sa.Column("cpu_milli", WHOLE, nullable=False),
        sa.Column("memory_mib", WHOLE, nullable=False),
        sa.Column("scratch_mib", WHOLE, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was agreed cannot be found out again")
