# SPDX-License-Identifier: Apache-2.0
"""The most that a claim under way may cost in gas; and fees by time."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of claims that are out already it is not known; they are few, and final within minutes."""
    with op.batch_alter_table("claims") as claims:
        claims.add_column(sa.Column("gas_wei", sa.String))
    op.create_index("fees_by_time", "fees", ["at"])


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what was spent cannot be found out again")
