# SPDX-License-Identifier: Apache-2.0
"""Whether publishers still control the hosts that their pods are reached under: asked again and again.

A name may be sold, and its next owner must not find it served here. What DNS does not say is never "gone":
a host is withheld only after its proof was seen to be absent for a day, and comes back with the proof.
"""

import logging
from collections.abc import Collection

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, address_bytes
from trustedpods.provider.cluster.objects.ingress.ingress import ingresses
from trustedpods.provider.cluster.objects.names import of_pod
from trustedpods.provider.core.admission import hosts_to_prove
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.dns.control import publisher_proof
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.pods.turns import PodTurns
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.slots import exposures_of

_log = logging.getLogger(__name__)

PROVE_EVERY_S = 6 * 3600.0
"""A day without the proof is four looks."""

ASKED_AT_ONCE = 8


class HostWatch:
    """Looks at all hosts every `PROVE_EVERY_S`; what it saw before a restart is seen anew.

    It writes a pod's objects in the pod's turn, as everybody does who writes any.
    """

    def __init__(
        self, doors: Doors, pods: Pods, bundles: Bundles, autoscaler: Autoscaler, turns: PodTurns
    ) -> None:
        self._turns = turns
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._told: dict[ChannelId, frozenset[str]] = {}
        """Hosts of each pod that were last withheld from whoever serves it. Of a pod that is not in here
        nobody knows: an earlier daemon may have withheld some, or this one before the pod stopped."""

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await trio.sleep(PROVE_EVERY_S)

    async def look(self) -> None:
        """Ask for every host of every pod that serves, some side by side."""
        limiter = trio.CapacityLimiter(ASKED_AT_ONCE)
        serving = [
            one for one in self._pods.standing if one.phase is Phase.SERVING and self._bundles.held(one)
        ]
        hosts = {record.channel: self._own_hosts(record) for record in serving}
        self._autoscaler.hosts.keep_only({one.channel: hosts.get(one.channel) for one in self._pods.standing})
        self._told = {channel: told for channel, told in self._told.items() if channel in hosts}
        async with trio.open_nursery() as nursery:
            for record in serving:
                for host in hosts[record.channel]:
                    nursery.start_soon(self._ask, record, host, limiter)
        async with trio.open_nursery() as nursery:
            for channel, own in hosts.items():
                if own:
                    nursery.start_soon(self._withhold, channel, own, limiter)

    def _own_hosts(self, record: PodRecord) -> list[str]:
        parts = self._bundles.open(record).with_hosts(record.label, self._doors.config)
        own = dict.fromkeys(host for part in parts for host in part.own_hosts)
        return hosts_to_prove(own, record.label, self._doors.config.identity.domain)

    async def _ask(self, record: PodRecord, host: str, limiter: trio.CapacityLimiter) -> None:
        proofs = [record.label, publisher_proof(address_bytes(record.ref.publisher))]
        found: bool | None = True
        async with limiter:
            try:
                await self._doors.resolver.check_control(host, proofs)
            except Refused as error:
                found = False
                _log.warning("%s: %s", record.label, error)
            except NetworkFailure as error:
                found = None
                _log.warning("%s: %s", record.label, error)
        if self._autoscaler.hosts.looked(record.channel, host, found):
            text = f"the proof that you control {host} is gone from DNS; it is served a day more"
            await self._pods.note(record.channel, "host-unproven", text)

    async def _withhold(self, channel: ChannelId, own: list[str], limiter: trio.CapacityLimiter) -> None:
        """Let the pod be served under what is proven, and nothing else of the publisher's own."""
        async with self._turns.of(channel), limiter:
            record, lost = self._pods.get(channel), self._autoscaler.hosts.withheld(channel)
            before = self._told.get(channel)
            if record is None or record.phase is not Phase.SERVING:
                self._told.pop(channel, None)  # what begins to serve now may have been written without hosts
                return
            if lost == before:
                return
            try:
                await self._serve(record, lost, changed=bool(lost or before))
            except TrustedPodsError as error:  # the next look tries again
                _log.warning("%s: hosts cannot be changed: %s", record.label, error)
                return
            self._told[channel] = lost
        for host in sorted((lost ^ (before or frozenset())).intersection(own)):
            told = withheld_told([host]) if host in lost else f"{host} is served again: its proof is back"
            await self._pods.note(channel, "host-unproven" if host in lost else "host-proven", told)

    async def _serve(self, record: PodRecord, lost: Collection[str], *, changed: bool) -> None:
        """Tell the facade, and a controller of the cluster's, without the hosts that are *lost*.

        The facade was told all there is when the pod began to serve: it hears only what *changed*.
        """
        opened = self._bundles.open(record)
        if changed:
            await self._autoscaler.publish(record, opened)
            led = exposures_of(self._doors, record, opened, withheld=lost)
            await self._pods.change(record.channel, exposures=led)
        parts = opened.manifest.spec.services
        if any(part.ingress is not None for part in parts):
            wanted = [of_pod(one, record.namespace, record.label) for one in ingresses(parts, lost)]
            await self._doors.cluster.write_ingresses(record.namespace, wanted)


def withheld_told(hosts: Collection[str]) -> str:
    """That hosts of a pod are not served, in words; empty where there are none."""
    if not hosts:
        return ""
    return f"not served under {', '.join(sorted(hosts))}: DNS has no proof of control over it any more"
