# SPDX-License-Identifier: Apache-2.0
"""Which services the kernel may carry, and why HAProxy carries the others. Pure."""

from collections.abc import Mapping

from trustedpods.provider.core.facade_ways.ways import KernelWay
from trustedpods.provider.facade.haproxy.maps import SlotMap
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import TCP_CONNECTIONS, ServiceSpec

KERNEL = "by the kernel"

ELSEWHERE = "in HAProxy: the node's agent does not lead there (its replica is on another node, or ends)"


def in_haproxy(want: ServiceSpec) -> str | None:
    """Why HAProxy carries new connections of this service; None where the kernel may."""
    if want.protocol is not SlotProtocol.TCP:
        return "in HAProxy: it reads what passes"
    if want.affinity is not None:
        return "in HAProxy: has affinity"
    if SlotMap.RATES in want.settings():
        return "in HAProxy: has a limit of requests per second"
    if not want.pods:
        return "in HAProxy: no replica takes connections, the activator waits for one"
    if len(want.pods) > 1:
        return "in HAProxy: several replicas share it"
    return None


def way_of(want: ServiceSpec, port: int, pod: str) -> KernelWay | None:
    """The way of a service at its *port* of the facade; None where HAProxy carries it."""
    if in_haproxy(want) is not None:
        return None
    (replica,) = want.pods
    return KernelWay(port, pod, replica.ip, replica.port, want.limits.connections or TCP_CONNECTIONS)


def told(want: ServiceSpec, port: int, leading: Mapping[int, KernelWay] | frozenset[int]) -> str:
    """Which way a service's new connections go, for people."""
    why = in_haproxy(want)
    if why is None:
        why = KERNEL if port in leading else ELSEWHERE
    return why
