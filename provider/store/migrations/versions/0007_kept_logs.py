# SPDX-License-Identifier: Apache-2.0
"""What containers wrote last, kept over the end of their replicas."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kept_logs",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("container", sa.String(63), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("restarts", WHOLE, nullable=False),
        sa.Column("replica", sa.String(253), nullable=False),
        sa.Column("ended", WHOLE, nullable=False),
        sa.Column("sealed_text", sa.LargeBinary, nullable=False),
    )
    op.create_index("kept_logs_by_run", "kept_logs", ["channel", "uid", "container", "restarts"], unique=True)


def downgrade() -> None:
    """There is no way back: an older daemon would leave what it does not know of."""
    raise NotImplementedError("an older daemon would never remove what is kept")
