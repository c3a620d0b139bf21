# SPDX-License-Identifier: Apache-2.0
"""Names of the publisher's own pods: `SERVICE.POD.internal` is the service's address in the cluster.

`NODE.NETWORK.internal` is the address that a node of the pod's network has in this cluster; it goes first.

Which pods may be asked for stands in the asking pod's policy `names`, with the mark of each. An answer opens
nothing: the policies of both pods say already who may call whom.
"""

from collections import OrderedDict

import trio

from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.objects import named_egress
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.core.names import own_pods
from trustedpods.provider.core.names.opened import HostAnswer
from trustedpods.provider.names.openings import NamesUnknown

MAX_KEPT = 4096
"""Answers that are remembered: a pod may ask for names without pause, and each look is three questions."""

UNKNOWN_KEPT_S = 1.0
"""How long a name that is not there is remembered: a pod that has just come is found soon."""


class OwnPods:
    """All of them, as *cluster* held them at most `ANSWER_S` ago: an answer promises no more."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kept: OrderedDict[tuple[str, str], tuple[float, HostAnswer | None]] = OrderedDict()

    async def resolve(self, namespace: str, _label: str, host: str) -> HostAnswer:
        """The address of the service that *host* names, for a replica of *namespace*.

        NamesUnknown where the pod may not call it, or it is not there.
        """
        until, known = self._kept.get((namespace, host), (0.0, None))
        if trio.current_time() >= until:
            known = await self._look(namespace, host)
            self._keep(namespace, host, known)
        if known is None:
            raise NamesUnknown(host)
        return known

    async def _look(self, namespace: str, host: str) -> HostAnswer | None:
        asks = await self._cluster.find_policy(namespace, named_egress.ASKS)
        if asks is None:
            return None
        if (service := named_egress.nodes_of(asks).get(host)) is not None:
            return await self._address(namespace, service)
        meant, mark = own_pods.own_host(host), _mark_of(asks, host)
        if meant is None or mark is None:
            return None
        for life in await self._cluster.namespaces_labelled(own_pods.NAMED, mark):
            if (found := await self._address(life.name, meant.service)) is not None:
                return found
        return None

    async def _address(self, namespace: str, service: str) -> HostAnswer | None:
        for view in await self._cluster.services(namespace):
            if view.name == service and view.cluster_ip is not None:
                return HostAnswer((view.cluster_ip,), own_pods.ANSWER_S)
        return None

    def _keep(self, namespace: str, host: str, answer: HostAnswer | None) -> None:
        kept_s = UNKNOWN_KEPT_S if answer is None else own_pods.ANSWER_S
        self._kept[namespace, host] = (trio.current_time() + kept_s, answer)
        self._kept.move_to_end((namespace, host))
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    async def allowed(self, namespace: str, _label: str, host: str) -> bool:
        """Whether the pods of *namespace* may ask for *host* at all."""
        asks = await self._cluster.find_policy(namespace, named_egress.ASKS)
        return asks is not None and (host in named_egress.nodes_of(asks) or _mark_of(asks, host) is not None)


def _mark_of(asks: KubeObject, host: str) -> str | None:
    meant = own_pods.own_host(host)
    return None if meant is None else named_egress.pods_of(asks).get(meant.pod)
