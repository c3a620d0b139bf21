# SPDX-License-Identifier: Apache-2.0
"""The tables. Token amounts and terms are decimal text, as SQLite's integers have 64 bits.

Columns named `sealed_*` hold what only this boot of the machine can open.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

METADATA = MetaData()

PODS = Table(
    "pods",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("owner", String(42), nullable=False),
    Column("publisher", String(42), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("commanders", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("boot_id", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("previous", LargeBinary),
    Column("namespace", String(63), nullable=False),
    Column("exposures", String, nullable=False, server_default="{}"),
    Column("phase", String(32), nullable=False),
    Column("sealed_reason", LargeBinary, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("cpu_milli", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("volume_mib", Integer, nullable=False),
    Column("image_mib", Integer, nullable=False),
    Column("scratch_mib", Integer, nullable=False, server_default="0"),
    Column("scale_least", Integer, nullable=False),
    Column("scale_most", Integer, nullable=False),
    Column("idle_after_s", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("meter", String(42), nullable=False),
    Column("terms", String),
    Column("chain_left", String),
    Column("chain_up_to", Integer),
    Column("chain_unlock_at", Integer),
    Column("sealed_statement", LargeBinary),
    Column("changed_at", Integer, nullable=False),
    Column("stopped_at", Integer),
    Column("warned", Boolean, nullable=False),
    Column("failing", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("first_namespace", String(63), nullable=False),
    Column("other", String(63)),
    Column("outliving", String, nullable=False, server_default="{}"),
    Column("retained", Boolean, nullable=False, server_default="0"),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("uid", String(64), primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("started", Integer, nullable=False),
    Column("ended", Integer),
    Column("cpu_milli", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("scratch_mib", Integer, nullable=False, server_default="0"),
    Index("runs_by_channel", "channel", "ended"),
)

HOLDINGS = Table(
    "holdings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("mib", Integer, nullable=False),
    Column("started", Integer, nullable=False),
    Column("ended", Integer),
    Index("holdings_by_channel", "channel", "ended"),
)

CEILINGS = Table(
    "ceilings",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("since", Integer, primary_key=True),
    Column("cpu_milli", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("scratch_mib", Integer, nullable=False),
)

TRAFFIC = Table(
    "traffic",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("at", Integer, primary_key=True),
    Column("egress_total", Integer, nullable=False),
    Column("ingress_total", Integer, nullable=False),
)

MARKS = Table(
    "marks",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("boot", String, nullable=False),
    Column("total", Integer, nullable=False),
    Column("bytes_in", Integer, nullable=False),
    Column("bytes_out", Integer, nullable=False),
)

COUNTERS = Table(
    "counters",
    METADATA,
    Column("uid", String(64), primary_key=True),
    Column("egress_bytes", Integer, nullable=False),
    Column("ingress_bytes", Integer, nullable=False),
)

CLAIMS = Table(
    "claims",
    METADATA,
    Column("root", LargeBinary, primary_key=True),
    Column("signed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Integer, nullable=False),
    Column("tx", LargeBinary),
    Column("block", Integer),
    Index("claims_by_state", "state"),
)

CUTS = Table(
    "cuts",
    METADATA,
    Column("root", LargeBinary, ForeignKey("claims.root"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("life", String(63), nullable=False),
    Column("from_", Integer, nullable=False),
    Column("up_to", Integer, nullable=False),
    Column("cpu_core_ms", Integer, nullable=False),
    Column("memory_mib_s", Integer, nullable=False),
    Column("storage_mib_s", Integer, nullable=False),
    Column("egress_kib", Integer, nullable=False),
    Column("ingress_kib", Integer, nullable=False),
    Column("release", Boolean, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("flags", Integer),
    Column("paid", String),
    Index("cuts_by_channel", "channel", "up_to"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("at", Integer, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("sealed_text", LargeBinary, nullable=False),
    Index("events_by_channel", "channel", "id"),
)

NONCES = Table(
    "nonces",
    METADATA,
    Column("nonce", LargeBinary, primary_key=True),
    Column("expiry", Integer, nullable=False),
    Index("nonces_by_expiry", "expiry"),
)

BOOTS = Table(
    "boots",
    METADATA,
    Column("boot_id", LargeBinary, primary_key=True),
    Column("last_counted", Integer, nullable=False),
)

KEPT_LOGS = Table(
    "kept_logs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("container", String(63), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("replica", String(253), nullable=False),
    Column("ended", Integer, nullable=False),
    Column("sealed_text", LargeBinary, nullable=False),
    Index("kept_logs_by_run", "channel", "uid", "container", "restarts", unique=True),
)
