# SPDX-License-Identifier: Apache-2.0
"""What a cluster in memory keeps of networks of pods, and how writes of it fail."""

from dataclasses import dataclass, field
from itertools import count

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.api.errors import Conflict
from trustedpods.provider.cluster.networks.documents import NetworkLease, NetworkObject, StoredDocument


@dataclass
class FakeNetworks:
    """Each write of a network's document takes one word from `network_faults`: "busy" is an answer of 429
    or 500, "lost" stands though nobody hears of it, "slow" takes 5 s, "conflict" is a 409, "late" stands a
    write later only."""

    unreachable: bool = False
    calls: list[str] = field(default_factory=list)
    """Whatever was asked of the cluster."""

    networks: dict[str, tuple[NetworkObject, StoredDocument]] = field(default_factory=dict)
    network_leases: dict[str, NetworkLease] = field(default_factory=dict)
    with_lease: dict[str, NetworkObject] = field(default_factory=dict)
    network_faults: list[str] = field(default_factory=list)
    egress_limits: tuple[int | None, int | None] = (None, None)
    _late: tuple[NetworkObject, bytes, str | None] | None = None
    _versions: count = field(default_factory=lambda: count(1))

    async def _called(self, what: str) -> None:
        await trio.lowlevel.checkpoint()
        self.calls.append(what)
        if self.unreachable:
            raise NetworkFailure("cannot be reached", where="fake cluster")

    async def note_egress_limits(self, mbit: int | None, connections: int | None) -> bool:
        await self._called(f"note egress limits {mbit} {connections}")
        changed = self.egress_limits != (mbit, connections)
        self.egress_limits = (mbit, connections)
        return changed

    async def network_document(self, name: str) -> StoredDocument | None:
        await self._called(f"read network {name}")
        kept = self.networks.get(name)
        return None if kept is None else kept[1]

    async def keep_network_document(self, network: NetworkObject, data: bytes, version: str | None) -> str:
        await self._called(f"write network {network.name}")
        fault = self.network_faults.pop(0) if self.network_faults else ""
        if fault == "slow":
            await trio.sleep(5)
        if fault in ("busy", "late"):
            if fault == "late":
                self._late = (network, data, version)
            raise NetworkFailure("too many requests, please try again later", where="fake cluster")
        there = self.networks.get(network.name)
        if fault == "conflict" or (there[1].version if there else None) != version:
            raise Conflict("the object has been modified", where="fake cluster", rule="Conflict")
        made = str(next(self._versions))
        self.networks[network.name] = (network, StoredDocument(data, made))
        if fault == "lost":
            raise NetworkFailure("no answer in time", where="fake cluster")
        return made

    async def remove_network_document(self, network: NetworkObject, version: str) -> None:
        await self._called(f"remove network {network.name}")
        fault = self.network_faults.pop(0) if self.network_faults else ""
        if fault == "busy":
            raise NetworkFailure("too many requests, please try again later", where="fake cluster")
        there = self.networks.get(network.name)
        if there is not None and there[1].version != version:
            raise Conflict("the object has been modified", where="fake cluster", rule="Conflict")
        self.networks.pop(network.name, None)
        if fault == "lost":
            raise NetworkFailure("no answer in time", where="fake cluster")

    async def late_write_arrives(self) -> None:
        """What was sent by a "late" write is only now taken by the API server, if it still fits."""
        assert self._late is not None
        network, data, version = self._late
        await self.keep_network_document(network, data, version)

    async def kept_networks(self) -> list[NetworkObject]:
        await self._called("kept networks")
        return [network for network, _ in self.networks.values()]

    async def networks_with_lease(self) -> list[NetworkObject]:
        await self._called("networks with a lease")
        return [self.with_lease[name] for name in self.network_leases]

    async def tell_network_lease(self, network: NetworkObject, lease: NetworkLease | None) -> None:
        await self._called(f"tell lease {network.name}")
        if lease is None:
            self.network_leases.pop(network.name, None)
        else:
            self.network_leases[network.name] = lease
            self.with_lease[network.name] = network
