# SPDX-License-Identifier: Apache-2.0
"""Whether a pod fits: what the cluster has left for it, and a slot of the facade for each service."""

from collections.abc import Sequence

from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.provider import Capacity
from trustedpods.protocol.units import Resources
from trustedpods.provider.admission.slot_reservations import SlotReservations
from trustedpods.provider.cluster.capacity import ClusterCapacity
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.objects.sizes import total
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core import admission
from trustedpods.provider.core.placement.nodes import check_drivers, check_placement
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.core.volumes.classes import check_default
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler


class CapacityCheck:
    """What is left to sell. Nothing is reserved here but slots for services, by `SlotReservations`."""

    def __init__(
        self,
        cluster: Cluster,
        overcommit: float,
        labels: Sequence[str],
        pods: Pods,
        autoscaler: Autoscaler,
        reservations: SlotReservations,
    ) -> None:
        self._cluster = cluster
        self._overcommit = overcommit
        self._labels = labels
        self._pods = pods
        self._autoscaler = autoscaler
        self._reservations = reservations

    async def check(self, ask: AdmitBody, channel: ChannelId, replaced: PodRecord | None) -> Capacity:
        """What is left when the pod came; Refused where it does not fit. *replaced* makes room for it."""
        found = await self._cluster.capacity()
        leaving, volume_mib = await self._held(replaced)
        free = self._free(found, replaced, leaving, volume_mib)
        left = admission.check_size(ask, free)
        fitting = check_placement(ask.placement, ask.max_replicas, found.places, self._labels)
        if ask.csi_drivers or (ask.volumes and replaced is None):
            features = await self._cluster.features()
            check_drivers(ask.csi_drivers, features.nodes, fitting)
            check_default(ask.volumes if replaced is None else (), features.default_class)
        nodes = _nodes(found, leaving)
        admission.check_nodes(ask, [room for name, room in nodes.items() if name in fitting], free)
        return left.model_copy(update={"services": self._reservations.check(ask, channel)})

    async def _held(self, replaced: PodRecord | None) -> tuple[list[PodView], int]:
        """The replicas and the MiB of volumes that the pod has which a newer bundle replaces.

        As the cluster has them: what a bundle says that was never applied takes no room, and makes none.
        """
        if replaced is None:
            return [], 0
        replicas = [view for view in await self._cluster.pods(replaced.namespace) if not view.over]
        claims = await self._cluster.volume_claims(replaced.namespace)
        return replicas, sum(claim.stored.reserved for claim in claims)

    def _free(
        self,
        capacity: ClusterCapacity,
        replaced: PodRecord | None,
        leaving: Sequence[PodView],
        volume_mib: int,
    ) -> Capacity:
        found = total((capacity.free, Resources(0, 0, volume_mib), *map(_size, leaving)))
        free = Capacity(
            cpu_milli=found.cpu_milli,
            memory_mib=found.memory_mib,
            storage_mib=found.storage_mib,
            services={},  # counted by `SlotReservations`, by kind
        )
        lent = capacity.lent_milli - sum(view.lent_milli for view in leaving)
        asleep, images = [Resources(max(0, lent), 0, 0)], 0  # what is frozen wakes too
        for record in self._pods.standing:
            running, _ = self._autoscaler.replicas_of(record)
            if replaced is not None and record.channel == replaced.channel:
                continue
            images += record.size.image_mib
            if running == 0 and record.phase is not Phase.REMOVING:
                asleep.append(record.size.replica)
        left = max(0, free.storage_mib - images)  # Kubernetes does not count what it pulls
        return admission.sellable(free.model_copy(update={"storage_mib": left}), asleep, self._overcommit)


def _size(view: PodView) -> Resources:
    """What the scheduler holds for it."""
    return Resources(view.cpu_milli - view.lent_milli, view.memory_mib, view.scratch_mib)


def _nodes(capacity: ClusterCapacity, leaving: Sequence[PodView]) -> dict[str, Resources]:
    """What each node has for a replica, with the room of those that a newer bundle replaces."""
    room = dict(capacity.nodes)
    for view in leaving:
        if view.node in room:
            room[view.node] = total((room[view.node], _size(view)))
    return room
