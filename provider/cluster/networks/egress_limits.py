# SPDX-License-Identifier: Apache-2.0
"""The limits of what pods send, noted where the nodes' network policy agents watch: at our own namespace.

`deploy/kube/netpol/agent/limited.go` reads them. They hold for pods that run as soon as they are noted.
"""

from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import NETWORKS_NAMESPACE

MBIT_NOTE = "trustedpods.dev/egress-mbit-of-a-pod"
CONNECTIONS_NOTE = "trustedpods.dev/new-connections-of-a-pod"

_MANAGER = "trustedpods-egress-limits"
"""Owns these annotations alone: whoever else applies the namespace leaves them as they are."""


class EgressLimits:
    """The part of the door to a cluster that is about what pods may send."""

    _api: Api

    async def note_egress_limits(self, mbit: int | None, connections: int | None) -> bool:
        """Let the agents hold each replica to these limits, None for no limit; whether anything changed."""
        wanted = notes_of(mbit, connections)
        path = path_of("Namespace", name=NETWORKS_NAMESPACE)
        there = await self._api.find(path)
        held = {} if there is None else there["metadata"].get("annotations") or {}
        if {key: held[key] for key in (MBIT_NOTE, CONNECTIONS_NOTE) if key in held} == wanted:
            return False
        metadata = {"name": NETWORKS_NAMESPACE, "annotations": wanted}
        await self._api.apply(path, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, _MANAGER)
        return True


def notes_of(mbit: int | None, connections: int | None) -> dict[str, str]:
    """The annotations; without limits none."""
    given = {MBIT_NOTE: mbit, CONNECTIONS_NOTE: connections}
    return {key: str(number) for key, number in given.items() if number is not None}
