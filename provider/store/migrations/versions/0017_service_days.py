# SPDX-License-Identifier: Apache-2.0
"""What the provider could serve on each day, and how long first requests of sleeping pods waited."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; of earlier days nothing is known."""
    op.create_table(
        "service_days",
        sa.Column("day", WHOLE, primary_key=True),
        sa.Column("began", WHOLE, nullable=False),
        sa.Column("up_s", WHOLE, nullable=False),
        sa.Column("cold_starts", WHOLE, nullable=False),
        sa.Column("cold_start_ms", WHOLE, nullable=False),
        sa.Column("within", sa.String, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was measured is never dropped")
