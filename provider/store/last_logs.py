# SPDX-License-Identifier: Apache-2.0
"""What containers wrote last, kept over the end of their replicas: sealed, and within bounds.

A pod that sleeps has no replica whose logs could be read, and a replica that ended badly is gone
when somebody asks why.
"""

from dataclasses import dataclass

from sqlalchemy import delete, func, select

from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.limits import KIB, MIB
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.pod import ENDED, Phase
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import KEPT_LOGS, PODS

KEPT_RUN_BYTES = 32 * KIB
"""Of one run of a container its end is kept: some hundred lines."""

KEPT_RUNS = 3
"""Last runs of each container of a pod."""

KEPT_POD_BYTES = 256 * KIB
"""Of all containers of one pod together; the oldest runs go first."""

KEPT_ENDED_BYTES = 16 * MIB
"""Of all pods that failed and are gone, together: starts that fail cost little, and are many."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One run of a container: what it wrote last, and when it ended as far as is known.

    A replica (*uid*, *replica* its name) has run its container again after each of *restarts*.
    """

    container: str
    uid: str
    replica: str
    restarts: int
    ended: UnixSeconds
    data: bytes


def keep(tx: Tx, channel: ChannelId, run: KeptRun) -> None:
    """Keep a run's end; a later look at the same run takes the place of an earlier one.

    Of a pod that was removed nothing is kept: what was being read meanwhile comes too late.
    """
    phase = tx.connection.execute(select(PODS.c.phase).where(PODS.c.channel == channel_hex(channel))).scalar()
    if phase is None or phase == str(Phase.GONE):
        return
    values = {
        "channel": channel_hex(channel),
        "container": run.container,
        "uid": run.uid,
        "restarts": run.restarts,
        "replica": run.replica,
        "ended": run.ended,
        "sealed_text": tx.vault.seal(run.data[-KEPT_RUN_BYTES:]),
    }
    place = ["channel", "uid", "container", "restarts"]
    statement = insert(tx.connection, KEPT_LOGS).values(values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=place, set_=values))
    _trim(tx, channel_hex(channel))


def _trim(tx: Tx, key: str) -> None:
    """Let go of what is beyond a container's runs or the pod's bytes."""
    columns = (KEPT_LOGS.c.id, KEPT_LOGS.c.container, func.length(KEPT_LOGS.c.sealed_text).label("size"))
    newest = select(*columns).where(KEPT_LOGS.c.channel == key).order_by(KEPT_LOGS.c.id.desc())
    runs: dict[str, int] = {}
    total, too_many = 0, []
    for row in tx.connection.execute(newest):
        runs[row.container] = runs.get(row.container, 0) + 1
        total += row.size
        if runs[row.container] > KEPT_RUNS or total > KEPT_POD_BYTES:
            too_many.append(row.id)
    tx.connection.execute(delete(KEPT_LOGS).where(KEPT_LOGS.c.id.in_(too_many)))


def runs_of(tx: Tx, channel: ChannelId) -> list[KeptRun]:
    """All kept runs of a pod, oldest first; what an earlier boot of the machine sealed does not count."""
    query = select(KEPT_LOGS).where(KEPT_LOGS.c.channel == channel_hex(channel)).order_by(KEPT_LOGS.c.id)
    found = [(row, tx.vault.open(row.sealed_text)) for row in tx.connection.execute(query)]
    return [
        KeptRun(row.container, row.uid, row.replica, row.restarts, UnixSeconds(row.ended), data)
        for row, data in found
        if data is not None
    ]


def forget(tx: Tx, channel: ChannelId) -> None:
    """Nothing is kept of a pod that was removed."""
    tx.connection.execute(delete(KEPT_LOGS).where(KEPT_LOGS.c.channel == channel_hex(channel)))


def trim_ended(tx: Tx, most: int = KEPT_ENDED_BYTES) -> None:
    """Of pods that failed and are gone, let go of the oldest beyond *most* bytes.

    Of pods that were removed, of what a full disk kept from being forgotten then.
    """
    removed = select(PODS.c.channel).where(PODS.c.phase == str(Phase.GONE))
    tx.connection.execute(delete(KEPT_LOGS).where(KEPT_LOGS.c.channel.in_(removed)))
    ended = select(PODS.c.channel).where(PODS.c.phase.in_([str(phase) for phase in ENDED]))
    size = func.length(KEPT_LOGS.c.sealed_text).label("size")
    newest = (
        select(KEPT_LOGS.c.id, size).where(KEPT_LOGS.c.channel.in_(ended)).order_by(KEPT_LOGS.c.id.desc())
    )
    total = 0
    for row in tx.connection.execute(newest):
        total += row.size
        if total > most:
            oldest = KEPT_LOGS.c.id <= row.id
            tx.connection.execute(delete(KEPT_LOGS).where(oldest, KEPT_LOGS.c.channel.in_(ended)))
            return
