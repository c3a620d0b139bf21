# SPDX-License-Identifier: Apache-2.0
"""The first form of the store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "pods",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("publisher", sa.String(42), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("commanders", sa.String, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("boot_id", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("slot", sa.Integer),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("sealed_reason", sa.LargeBinary, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("cpu_milli", sa.Integer, nullable=False),
        sa.Column("memory_mib", sa.Integer, nullable=False),
        sa.Column("volume_mib", sa.Integer, nullable=False),
        sa.Column("image_mib", sa.Integer, nullable=False),
        sa.Column("scale_least", sa.Integer, nullable=False),
        sa.Column("scale_most", sa.Integer, nullable=False),
        sa.Column("idle_after_s", sa.Integer, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("meter", sa.String(42), nullable=False),
        sa.Column("terms", sa.String),
        sa.Column("chain_left", sa.String),
        sa.Column("chain_up_to", sa.Integer),
        sa.Column("chain_unlock_at", sa.Integer),
        sa.Column("sealed_statement", sa.LargeBinary),
        sa.Column("changed_at", sa.Integer, nullable=False),
        sa.Column("stopped_at", sa.Integer),
        sa.Column("warned", sa.Boolean, nullable=False),
        sa.Column("failing", sa.Boolean, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("started", sa.Integer, nullable=False),
        sa.Column("ended", sa.Integer),
        sa.Column("cpu_milli", sa.Integer, nullable=False),
        sa.Column("memory_mib", sa.Integer, nullable=False),
    )
    op.create_index("runs_by_channel", "runs", ["channel", "ended"])
    op.create_table(
        "holdings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("mib", sa.Integer, nullable=False),
        sa.Column("started", sa.Integer, nullable=False),
        sa.Column("ended", sa.Integer),
    )
    op.create_index("holdings_by_channel", "holdings", ["channel", "ended"])
    op.create_table(
        "traffic",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("at", sa.Integer, primary_key=True),
        sa.Column("egress_total", sa.Integer, nullable=False),
        sa.Column("ingress_total", sa.Integer, nullable=False),
    )
    op.create_table(
        "marks",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("bytes_in", sa.Integer, nullable=False),
        sa.Column("bytes_out", sa.Integer, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("root", sa.LargeBinary, primary_key=True),
        sa.Column("signed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.Integer, nullable=False),
        sa.Column("tx", sa.LargeBinary),
        sa.Column("block", sa.Integer),
    )
    op.create_index("claims_by_state", "claims", ["state"])
    op.create_table(
        "cuts",
        sa.Column("root", sa.LargeBinary, sa.ForeignKey("claims.root"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("life", sa.String(63), nullable=False),
        sa.Column("from_", sa.Integer, nullable=False),
        sa.Column("up_to", sa.Integer, nullable=False),
        sa.Column("cpu_core_ms", sa.Integer, nullable=False),
        sa.Column("memory_mib_s", sa.Integer, nullable=False),
        sa.Column("storage_mib_s", sa.Integer, nullable=False),
        sa.Column("egress_kib", sa.Integer, nullable=False),
        sa.Column("ingress_kib", sa.Integer, nullable=False),
        sa.Column("release", sa.Boolean, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.Column("flags", sa.Integer),
        sa.Column("paid", sa.String),
    )
    op.create_index("cuts_by_channel", "cuts", ["channel", "up_to"])
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_channel", "events", ["channel", "id"])
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.LargeBinary, primary_key=True),
        sa.Column("expiry", sa.Integer, nullable=False),
    )
    op.create_index("nonces_by_expiry", "nonces", ["expiry"])


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("the first form has no form before it")
