# SPDX-License-Identifier: Apache-2.0
"""Which version of a pod serves, and whether an unproven one is in the cluster."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a pod that is there runs its first version that is known of."""
    with op.batch_alter_table("pods") as pods:
        pods.add_column(sa.Column("version", WHOLE, nullable=False, server_default="1"))
        pods.add_column(sa.Column("applied", sa.Boolean, nullable=False, server_default=sa.false()))
    with op.batch_alter_table("pods") as pods:
        pods.alter_column("version", server_default=None)
        pods.alter_column("applied", server_default=None)


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of pods is never dropped")
