# SPDX-License-Identifier: Apache-2.0
"""The tables. Token amounts and terms are decimal text, as integers have 64 bits in both databases.

Columns named `sealed_*` hold what only this boot of the machine can open.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, MetaData, String, Table

from trustedpods.provider.store.engines.dialects import WHOLE

METADATA = MetaData()

PODS = Table(
    "pods",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("owner", String(42), nullable=False),
    Column("publisher", String(42), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("commanders", String, nullable=False),
    Column("generation", WHOLE, nullable=False),
    Column("boot_id", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("previous", LargeBinary),
    Column("namespace", String(63), nullable=False),
    Column("exposures", String, nullable=False, server_default="{}"),
    Column("phase", String(32), nullable=False),
    Column("sealed_reason", LargeBinary, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("cpu_milli", WHOLE, nullable=False),
    Column("memory_mib", WHOLE, nullable=False),
    Column("volume_mib", WHOLE, nullable=False),
    Column("image_mib", WHOLE, nullable=False),
    Column("scratch_mib", WHOLE, nullable=False, server_default="0"),
    Column("scale_least", WHOLE, nullable=False),
    Column("scale_most", WHOLE, nullable=False),
    Column("idle_after_s", WHOLE, nullable=False),
    Column("concurrency", WHOLE, nullable=False),
    Column("meter", String(42), nullable=False),
    Column("terms", String),
    Column("chain_left", String),
    Column("chain_up_to", WHOLE),
    Column("chain_unlock_at", WHOLE),
    Column("sealed_statement", LargeBinary),
    Column("changed_at", WHOLE, nullable=False),
    Column("stopped_at", WHOLE),
    Column("warned", Boolean, nullable=False),
    Column("failing", Boolean, nullable=False),
    Column("version", WHOLE, nullable=False),
    Column("applied", Boolean, nullable=False),
    Column("first_namespace", String(63), nullable=False),
    Column("other", String(63)),
    Column("outliving", String, nullable=False, server_default="{}"),
    Column("retained", Boolean, nullable=False, server_default="0"),
    Column("parked_at", WHOLE),
)

RUNS = Table(
    "runs",
    METADATA,
    Column("uid", String(64), primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("started", WHOLE, nullable=False),
    Column("ended", WHOLE),
    Column("cpu_milli", WHOLE, nullable=False),
    Column("memory_mib", WHOLE, nullable=False),
    Column("scratch_mib", WHOLE, nullable=False, server_default="0"),
    Index("runs_by_channel", "channel", "ended"),
)

FREEZES = Table(
    "freezes",
    METADATA,
    Column("uid", String(64), primary_key=True),
    Column("started", WHOLE, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("ended", WHOLE),
    Column("memory_mib", WHOLE, nullable=False),
    Index("freezes_by_channel", "channel", "ended"),
)

HOLDINGS = Table(
    "holdings",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("mib", WHOLE, nullable=False),
    Column("started", WHOLE, nullable=False),
    Column("ended", WHOLE),
    Index("holdings_by_channel", "channel", "ended"),
)

CEILINGS = Table(
    "ceilings",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("since", WHOLE, primary_key=True),
    Column("cpu_milli", WHOLE, nullable=False),
    Column("memory_mib", WHOLE, nullable=False),
    Column("scratch_mib", WHOLE, nullable=False),
)

TRAFFIC = Table(
    "traffic",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("at", WHOLE, primary_key=True),
    Column("egress_total", WHOLE, nullable=False),
    Column("ingress_total", WHOLE, nullable=False),
)

MARKS = Table(
    "marks",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("boot", String, nullable=False),
    Column("total", WHOLE, nullable=False),
    Column("bytes_in", WHOLE, nullable=False),
    Column("bytes_out", WHOLE, nullable=False),
)

COUNTERS = Table(
    "counters",
    METADATA,
    Column("uid", String(64), primary_key=True),
    Column("egress_bytes", WHOLE, nullable=False),
    Column("ingress_bytes", WHOLE, nullable=False),
)

CLAIMS = Table(
    "claims",
    METADATA,
    Column("root", LargeBinary, primary_key=True),
    Column("signed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", WHOLE, nullable=False),
    Column("tx", LargeBinary),
    Column("block", WHOLE),
    Column("number", WHOLE, nullable=False, server_default="0"),
    Column("gas_wei", String),
    Index("claims_by_state", "state"),
)

CUTS = Table(
    "cuts",
    METADATA,
    Column("root", LargeBinary, ForeignKey("claims.root"), primary_key=True),
    Column("place", WHOLE, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("life", String(63), nullable=False),
    Column("from_", WHOLE, nullable=False),
    Column("up_to", WHOLE, nullable=False),
    Column("cpu_core_ms", WHOLE, nullable=False),
    Column("memory_mib_s", WHOLE, nullable=False),
    Column("storage_mib_s", WHOLE, nullable=False),
    Column("egress_kib", WHOLE, nullable=False),
    Column("ingress_kib", WHOLE, nullable=False),
    Column("release", Boolean, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("flags", WHOLE),
    Column("paid", String),
    Index("cuts_by_channel", "channel", "up_to"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("at", WHOLE, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("sealed_text", LargeBinary, nullable=False),
    Index("events_by_channel", "channel", "id"),
)

NONCES = Table(
    "nonces",
    METADATA,
    Column("nonce", LargeBinary, primary_key=True),
    Column("expiry", WHOLE, nullable=False),
    Index("nonces_by_expiry", "expiry"),
)

BOOTS = Table(
    "boots",
    METADATA,
    Column("boot_id", LargeBinary, primary_key=True),
    Column("last_counted", WHOLE, nullable=False),
)

KEPT_LOGS = Table(
    "kept_logs",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("container", String(63), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("restarts", WHOLE, nullable=False),
    Column("replica", String(253), nullable=False),
    Column("ended", WHOLE, nullable=False),
    Column("sealed_text", LargeBinary, nullable=False),
    Index("kept_logs_by_run", "channel", "uid", "container", "restarts", unique=True),
)

WRITERS = Table(
    "writers",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("number", WHOLE, nullable=False),
    Column("written", WHOLE, nullable=False),
    Column("holder", String(400), nullable=False),
)

BELONGING = Table(
    "belonging",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("chain_id", WHOLE, nullable=False),
    Column("payments", String(42), nullable=False),
    Column("owner", String(42), nullable=False),
    Column("daemon", WHOLE, nullable=False),
    Column("cluster", String(64), nullable=False),
)

DRAINING = Table(
    "draining",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column("reason", String, nullable=False),
    Column("at", WHOLE),
)

DENIED = Table("denied", METADATA, Column("publisher", String(42), primary_key=True))

TRANSACTIONS = Table(
    "transactions",
    METADATA,
    Column("name", String(120), primary_key=True),
    Column("unfinished", LargeBinary, nullable=False),
)

FEES = Table(
    "fees",
    METADATA,
    Column("tx", LargeBinary, primary_key=True),
    Column("at", WHOLE, nullable=False),
    Column("wei", String, nullable=False),
    Index("fees_by_time", "at"),
)

EARNED = Table(
    "earned",
    METADATA,
    Column("channel", String(48), primary_key=True),
    Column("life", String(63), primary_key=True),
    Column("day", WHOLE, primary_key=True),
    Column("publisher", String(42)),
    Column("paid", String, nullable=False),
    Column("items", WHOLE, nullable=False),
)

SERVICE_DAYS = Table(
    "service_days",
    METADATA,
    Column("day", WHOLE, primary_key=True),
    Column("began", WHOLE, nullable=False),
    Column("up_s", WHOLE, nullable=False),
    Column("cold_starts", WHOLE, nullable=False),
    Column("cold_start_ms", WHOLE, nullable=False),
    Column("within", String, nullable=False),
)
