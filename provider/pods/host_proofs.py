# SPDX-License-Identifier: Apache-2.0
"""What DNS said of publishers' control over their hosts. Whoever looks tells this, and only this decides."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.admission import HostProof


@dataclass
class HostProofs:
    """The proofs of all pods' hosts, by the clock *now*. A host of which nothing is known has its proof."""

    now: Callable[[], UnixSeconds]
    _proofs: dict[ChannelId, dict[str, HostProof]] = field(default_factory=dict)

    def looked(self, channel: ChannelId, host: str, found: bool | None) -> bool:
        """A look at DNS, None where it did not say; whether the proof is missing for the first time."""
        mine = self._proofs.setdefault(channel, {})
        before = mine.get(host, HostProof())
        mine[host] = before.after(found, self.now())
        return bool(mine[host].looks and not before.looks)

    def withheld(self, channel: ChannelId) -> frozenset[str]:
        """Hosts under which the pod is not served: their proof was seen to be absent for long enough."""
        now = self.now()
        return frozenset(host for host, proof in self._proofs.get(channel, {}).items() if proof.lost(now))

    def keep_only(self, standing: Mapping[ChannelId, Collection[str] | None]) -> None:
        """Forget pods that are gone and hosts that a pod has no more; None, where that cannot be told now."""
        for channel in list(self._proofs):
            hosts = standing.get(channel, ())
            if hosts is not None:
                known = self._proofs.pop(channel)
                self._proofs[channel] = {host: proof for host, proof in known.items() if host in hosts}
            if not self._proofs[channel]:
                del self._proofs[channel]
