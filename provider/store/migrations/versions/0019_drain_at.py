# SPDX-License-Identifier: Apache-2.0
"""Until when pods run at a provider that is being drained."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody was given time before."""
    with op.batch_alter_table("draining") as draining:
        draining.add_column(sa.Column("at", WHOLE))


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what publishers were told is never dropped")
