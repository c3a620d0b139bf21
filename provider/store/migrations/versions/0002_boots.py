# SPDX-License-Identifier: Apache-2.0
"""When each boot of the machine last counted."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "boots",
        sa.Column("boot_id", sa.LargeBinary, primary_key=True),
        sa.Column("last_counted", WHOLE, nullable=False),
    )


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("when a boot last counted cannot be found out again")
