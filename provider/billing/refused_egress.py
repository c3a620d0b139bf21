# SPDX-License-Identifier: Apache-2.0
"""The limits of egress: told to the nodes, and which pods are held back by them, in memory only.

Counts are the kernel's, of each replica: they begin anew with the node, and end with the replica.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import trio

from trustedpods.protocol.units import UnixSeconds, utc_text
from trustedpods.provider.cluster.pod_counters import PodCounters
from trustedpods.provider.doors import Doors

_log = logging.getLogger(__name__)

QUIET_S = 600
"""Without a refused packet for so long a pod is limited no more; the next one is told anew."""

NOTE_EVERY_S = 60.0
"""What somebody changed or removed by hand is put back within a minute."""


@dataclass(frozen=True, slots=True)
class EgressRefusals:
    """A pod that is limited: packets refused `since` then, the newest seen at `last` (Unix seconds)."""

    packets: int
    since: UnixSeconds
    last: UnixSeconds


class RefusedEgress:
    """What was refused since the daemon's first look: what it finds then is not new."""

    def __init__(self) -> None:
        self._counts: dict[str, int] | None = None
        self._limited: dict[str, EgressRefusals] = {}
        self.total = 0
        """Packets of all pods since then."""

    def take(self, found: Iterable[PodCounters], present: Collection[str], now: UnixSeconds) -> list[str]:
        """Take in what the agents told; the namespaces of pods that have just become limited.

        Counted are replicas that are *present*, by uid: of ended ones the agents tell for days. Of a node
        that does not answer nothing is forgotten.
        """
        known, counts = self._counts, {one.uid: one for one in found if one.uid in present}
        came: dict[str, int] = {}
        for uid, one in counts.items():
            before = 0 if known is None else known.get(uid, 0)
            # Fewer than before: the node began anew, and all of them are new.
            grown = one.refused_packets - (before if one.refused_packets >= before else 0)
            if known is not None and grown:
                came[one.namespace] = came.get(one.namespace, 0) + grown
        kept = {uid: count for uid, count in (known or {}).items() if uid in present}
        self._counts = kept | {uid: one.refused_packets for uid, one in counts.items()}
        self._limited = {one: held for one, held in self._limited.items() if now - held.last <= QUIET_S}
        began = [namespace for namespace in came if namespace not in self._limited]
        for namespace, packets in came.items():
            self.total += packets
            held = self._limited.get(namespace, EgressRefusals(0, now, now))
            self._limited[namespace] = EgressRefusals(held.packets + packets, held.since, now)
        return began

    def of(self, namespace: str, now: UnixSeconds) -> EgressRefusals | None:
        """How the pod of *namespace* is limited; None where it is not, or has been quiet since."""
        held = self._limited.get(namespace)
        return None if held is None or now - held.last > QUIET_S else held

    def limited(self, now: UnixSeconds) -> int:
        """How many pods are limited."""
        return sum(self.of(namespace, now) is not None for namespace in self._limited)

    def told(self, namespace: str, now: UnixSeconds) -> str:
        """That of the pod of *namespace* in words; "" where it is not limited."""
        held = self.of(namespace, now)
        if held is None:
            return ""
        return f"egress limited since {utc_text(held.since)}: {held.packets} packets refused"


async def keep_egress_limits(doors: Doors) -> None:
    """Let the nodes' agents have the limits of the settings, also where somebody changes them. Never returns.

    NetworkFailure while the cluster cannot be reached: what it was told last holds on.
    """
    egress = doors.config.egress
    while True:
        if await doors.cluster.note_egress_limits(egress.pod_mbit, egress.pod_connections):
            _log.info("each replica may send: %s", egress.limits or "any number of bytes and connections")
        await trio.sleep(NOTE_EVERY_S)
