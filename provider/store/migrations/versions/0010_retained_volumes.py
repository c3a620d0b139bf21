# SPDX-License-Identifier: Apache-2.0
"""Volumes that outlive their pod, and that they are all that is left of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of pods that are there none was deleted with volumes kept; which would be says the next start."""
    with op.batch_alter_table("pods") as pods:
        pods.add_column(sa.Column("outliving", sa.String, nullable=False, server_default="{}"))
        pods.add_column(sa.Column("retained", sa.Boolean, nullable=False, server_default="0"))


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of pods is never dropped")
