# SPDX-License-Identifier: Apache-2.0
"""Versions of a pod run in namespaces of their own; the first one names the pod's life in the books."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a pod that is there lives in its first namespace."""
    with op.batch_alter_table("pods") as pods:
        pods.add_column(sa.Column("first_namespace", sa.String(63), nullable=False, server_default=""))
        pods.add_column(sa.Column("other", sa.String(63)))
    with op.batch_alter_table("pods") as pods:
        pods.alter_column("first_namespace", server_default=None)


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of pods is never dropped")
