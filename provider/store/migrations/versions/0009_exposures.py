# SPDX-License-Identifier: Apache-2.0
"""What each service of a pod is exposed by, in the place of one slot."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pods that are there are published again at the start that runs this, and say it then."""
    with op.batch_alter_table("pods") as pods:
        pods.add_column(sa.Column("exposures", sa.String, nullable=False, server_default="{}"))
        pods.drop_column("slot")


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of pods is never dropped")
