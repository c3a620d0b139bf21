# SPDX-License-Identifier: Apache-2.0
"""The first form of the store."""

import sqlalchemy as sa
from alembic import op

from trustedpods.provider.store.engines.dialects import WHOLE

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
        sa.Column("generation", WHOLE, nullable=False),
        sa.Column("boot_id", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("slot", WHOLE),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("sealed_reason", sa.LargeBinary, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("cpu_milli", WHOLE, nullable=False),
        sa.Column("memory_mib", WHOLE, nullable=False),
        sa.Column("volume_mib", WHOLE, nullable=False),
        sa.Column("image_mib", WHOLE, nullable=False),
        sa.Column("scale_least", WHOLE, nullable=False),
        sa.Column("scale_most", WHOLE, nullable=False),
        sa.Column("idle_after_s", WHOLE, nullable=False),
        sa.Column("concurrency", WHOLE, nullable=False),
        sa.Column("meter", sa.String(42), nullable=False),
        sa.Column("terms", sa.String),
        sa.Column("chain_left", sa.String),
        sa.Column("chain_up_to", WHOLE),
        sa.Column("chain_unlock_at", WHOLE),
        sa.Column("sealed_statement", sa.LargeBinary),
        sa.Column("changed_at", WHOLE, nullable=False),
        sa.Column("stopped_at", WHOLE),
        sa.Column("warned", sa.Boolean, nullable=False),
        sa.Column("failing", sa.Boolean, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("started", WHOLE, nullable=False),
        sa.Column("ended", WHOLE),
        sa.Column("cpu_milli", WHOLE, nullable=False),
        sa.Column("memory_mib", WHOLE, nullable=False),
    )
    op.create_index("runs_by_channel", "runs", ["channel", "ended"])
    op.create_table(
        "holdings",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("mib", WHOLE, nullable=False),
        sa.Column("started", WHOLE, nullable=False),
        sa.Column("ended", WHOLE),
    )
    op.create_index("holdings_by_channel", "holdings", ["channel", "ended"])
    op.create_table(
        "traffic",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("at", WHOLE, primary_key=True),
        sa.Column("egress_total", WHOLE, nullable=False),
        sa.Column("ingress_total", WHOLE, nullable=False),
    )
    op.create_table(
        "marks",
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("total", WHOLE, nullable=False),
        sa.Column("bytes_in", WHOLE, nullable=False),
        sa.Column("bytes_out", WHOLE, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("root", sa.LargeBinary, primary_key=True),
        sa.Column("signed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", WHOLE, nullable=False),
        sa.Column("tx", sa.LargeBinary),
        sa.Column("block", WHOLE),
    )
    op.create_index("claims_by_state", "claims", ["state"])
    op.create_table(
        "cuts",
        sa.Column("root", sa.LargeBinary, sa.ForeignKey("claims.root"), primary_key=True),
        sa.Column("place", WHOLE, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("life", sa.String(63), nullable=False),
        sa.Column("from_", WHOLE, nullable=False),
        sa.Column("up_to", WHOLE, nullable=False),
        sa.Column("cpu_core_ms", WHOLE, nullable=False),
        sa.Column("memory_mib_s", WHOLE, nullable=False),
        sa.Column("storage_mib_s", WHOLE, nullable=False),
        sa.Column("egress_kib", WHOLE, nullable=False),
        sa.Column("ingress_kib", WHOLE, nullable=False),
        sa.Column("release", sa.Boolean, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.Column("flags", WHOLE),
        sa.Column("paid", sa.String),
    )
    op.create_index("cuts_by_channel", "cuts", ["channel", "up_to"])
    op.create_table(
        "events",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("channel", sa.String(48), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_channel", "events", ["channel", "id"])
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.LargeBinary, primary_key=True),
        sa.Column("expiry", WHOLE, nullable=False),
    )
    op.create_index("nonces_by_expiry", "nonces", ["expiry"])


def downgrade() -> None:
    """There is no way back: the books are never dropped."""
    raise NotImplementedError("the first form has no form before it")
