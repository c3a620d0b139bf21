# SPDX-License-Identifier: Apache-2.0
"""Slots of the facade that pods were promised at admission and do not have yet.

A slot is taken when a pod is published, which may be a day after its bundle came: until then it is
counted here, so that nobody pays, or sends images, for a pod that could not be reached.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trustedpods.protocol.ids import ChannelId, host_label
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.provider import ServiceProtocol
from trustedpods.provider.core import admission
from trustedpods.provider.core.pod import LEAVING, WORKING
from trustedpods.provider.exposure.service_keys import service_of
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods

_COMING = WORKING - LEAVING

RequestedServices = Mapping[str, ServiceProtocol]


class SlotReservations:
    """Counts free slots, without those of pods that are on their way."""

    def __init__(
        self, facade: Facade, pods: Pods, bundles: Bundles, at_nodes: Mapping[ServiceProtocol, int]
    ) -> None:
        self._facade = facade
        self._at_nodes = at_nodes
        self._pods = pods
        self._bundles = bundles
        self._taken_in: dict[object, tuple[ChannelId, RequestedServices]] = {}

    def check(self, ask: AdmitBody, channel: ChannelId) -> dict[ServiceProtocol, int]:
        """Services of each protocol for which a slot is left with this pod here.

        Refused (rule `capacity-services`) where one is missing.

        A service of the pod that has its slot already needs none. Nothing is awaited in here: with
        `hold` right behind it, two pods cannot be promised the same slot.
        """
        wanted = admission.slots_wanted(ask.services, self._has(channel))
        free = self._free(channel)
        admission.check_slots(wanted, free)
        return {protocol: free[protocol] - wanted[protocol] for protocol in free}

    @contextmanager
    def hold(self, ask: AdmitBody, channel: ChannelId) -> Iterator[None]:
        """Count the pod while it is taken in; afterwards its record does."""
        token = object()
        self._taken_in[token] = (channel, ask.services)
        try:
            yield
        finally:
            del self._taken_in[token]

    def _free(self, but: ChannelId) -> dict[ServiceProtocol, int]:
        """Free slots of each kind for the pod *but*: those of others on their way are not."""
        promised: Counter[ServiceProtocol] = Counter()
        for channel, services in self._coming().items():
            if channel != but:
                promised += admission.slots_wanted(services, self._has(channel))
        slots: dict[ServiceProtocol, int] = {kind.value: self._facade.free(kind) for kind in SlotProtocol}
        others = [pod for pod in self._pods.standing if pod.channel != but]
        given = [one for pod in others for one in pod.exposures.values()]
        ports, balanced = (
            sum(len(one.node_ports) for one in given),
            sum(one.expose == "loadBalancer" for one in given if one.addresses),
        )
        served = sum(one.expose == "ingress" for one in given)
        taken: dict[str, int] = {"udp": ports, "nodePort": ports, "loadBalancer": balanced, "ingress": served}
        nodes = {kind: room - taken[kind] for kind, room in self._at_nodes.items()}
        return {kind: max(0, free - promised[kind]) for kind, free in {**slots, **nodes}.items()}

    def _coming(self) -> dict[ChannelId, RequestedServices]:
        """Services of pods that are not published as their newest bundle says."""
        found: dict[ChannelId, RequestedServices] = {
            record.channel: self._bundles.open(record).ask.services
            for record in self._pods.standing
            if record.phase in _COMING and self._bundles.held(record)
        }
        return found | dict(self._taken_in.values())

    def _has(self, channel: ChannelId) -> dict[str, str]:
        """The pod's services that have a slot, and of which kind."""
        slots = self._facade.slots_of(host_label(channel))
        return {service_of(key): self._facade.pools.protocol(slot) for key, slot in slots.items()}
