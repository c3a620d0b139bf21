# SPDX-License-Identifier: Apache-2.0
"""Scratch space of pods and of their replicas, which is billed from here on."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What ran before has none: it was not agreed on then."""
    for table in ("pods", "runs"):
        op.add_column(table, sa.Column("scratch_mib", WHOLE, nullable=False, server_default="0"))


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was booked cannot be found out again")
