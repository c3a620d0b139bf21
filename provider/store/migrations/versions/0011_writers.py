# SPDX-License-Identifier: Apache-2.0
"""Who writes, for books that several daemons reach; and in which order claims were signed."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import POSTGRESQL, WHOLE

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table with its one row. SQLite kept the order of claims as that of its rows."""
    writers = op.create_table(
        "writers",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("written", WHOLE, nullable=False),
        sa.Column("holder", sa.String(400), nullable=False),
    )
    op.bulk_insert(writers, [{"id": 1, "number": 0, "written": 0, "holder": ""}])
    op.add_column("claims", sa.Column("number", WHOLE, nullable=False, server_default="0"))
    if op.get_bind().dialect.name != POSTGRESQL:  # there no claim is older than this column
        op.execute("UPDATE claims SET number = rowid")


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("what is known of claims is never dropped")
