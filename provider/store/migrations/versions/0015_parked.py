# SPDX-License-Identifier: Apache-2.0
"""Since when a pod's publisher has it stopped."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No publisher could stop a pod before."""
    with op.batch_alter_table("pods") as pods:
        pods.add_column(sa.Column("parked_at", WHOLE))


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of pods is never dropped")
