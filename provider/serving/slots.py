# SPDX-License-Identifier: Apache-2.0
"""Slots of the facade for pods' services: many pods in one go, as after a start, or a single one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import MIB
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.cluster.views import ServiceView
from trustedpods.provider.core.pod import PodRecord, ServiceExposure
from trustedpods.provider.core.scaler.types import Serve
from trustedpods.provider.core.traffic import SlotStats, TrafficMark, combine, mark_of
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.exposure import Exposure, FacadeExposure, NodeExposure
from trustedpods.provider.exposure.ingress import IngressExposure
from trustedpods.provider.exposure.load_balancer import BalancedExposure
from trustedpods.provider.exposure.tcp import TcpExposure
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import PublishedService, ServiceSpec, SlotLimits, UnpublishedService
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.pods.host_proofs import HostProofs
from trustedpods.provider.serving.running_on.ways import slot_of, way_of

ExposedServices = dict[int, FacadeExposure]
"""What the facade serves of a pod, by slot; nothing of a pod that only works."""


def service_spec_of(
    part: FacadeExposure, served: Serve, most: SlotLimits, wished: int | None = None
) -> ServiceSpec:
    """What the facade is to serve for one service, at its own port; no limit is above *most*."""
    asked = part.limits
    body = None if asked.body_size is None else asked.body_size * MIB
    limits = SlotLimits(asked.connections, asked.requests_per_second, body, body)
    return ServiceSpec(
        part.label,
        part.routes,
        tuple(replace(pod, port=part.port) for pod in served.pods),
        tuple(replace(pod, port=part.port) for pod in served.draining),
        SlotProtocol(part.protocol),
        limits.within(most),
        part.https_only,
        part.affinity,
        wished,
    )


async def give_slots(
    doors: Doors,
    meter: Meter,
    pods: Sequence[tuple[PodRecord, OpenBundle]],
    hosts: HostProofs,
) -> dict[ChannelId, ExposedServices | TrustedPodsError]:
    """Publish every service of the pods, and count their traffic from there.

    *hosts* whose proof is lost lead nowhere. Those services of an earlier bundle that are no more lose their
    slots. A pod that cannot be published does not keep the others from it; NetworkFailure when the facade
    cannot be reached.
    """
    parts = {
        record.channel: [
            part.without(withheld)
            for withheld in [hosts.withheld(record.channel)]
            for part in opened.exposures(record.label, doors.config)
        ]
        for record, opened in pods
    }
    most = doors.config.facade.most
    wants = [
        service_spec_of(part, Serve(), most, _known_slot(doors, record, part))
        for record, _opened in pods
        for part in parts[record.channel]
    ]
    given = await doors.facade.publish_all(wants)
    found: dict[ChannelId, ExposedServices | TrustedPodsError] = {}
    marks: dict[ChannelId, TrafficMark] = {}
    by_pod = doors.facade.slots_by_pod()
    for record, opened in pods:
        taken = set(by_pod.get(record.label, {}).values())
        try:
            services, before = await _one(doors, opened, parts[record.channel], given, taken)
        except NetworkFailure:
            raise
        except TrustedPodsError as error:
            found[record.channel] = error
        else:
            found[record.channel] = services
            if before:
                marks[record.channel] = mark_of(combine(before))
            else:  # slots that it had count for others now
                await meter.end_traffic(record.channel)
    await meter.begin_traffic(marks)
    return found


def _known_slot(doors: Doors, record: PodRecord, part: FacadeExposure) -> int | None:
    """Whose port people were told; a facade that lost its books gives it again."""
    known = record.exposures.get(part.service)
    return None if known is None else slot_of(known, doors.config.facade)


async def _one(
    doors: Doors,
    opened: OpenBundle,
    parts: Iterable[FacadeExposure],
    given: Mapping[str, PublishedService | UnpublishedService],
    taken: set[int],
) -> tuple[ExposedServices, dict[int, SlotStats]]:
    """The slots of one pod's services, and what those had counted before."""
    services: ExposedServices = {}
    before: dict[int, SlotStats] = {}
    for part in parts:
        one = given[part.label]
        if not isinstance(one, PublishedService):
            raise one
        await doors.facade.certify(part.label, opened.certificate(part, None))
        services[one.slot], before[one.slot] = part, one.stats
    for slot in taken - services.keys():
        await doors.facade.withdraw(slot)
    return services, before


async def take_off(doors: Doors, meter: Meter, record: PodRecord, publishing: trio.Lock) -> None:
    """Take a pod off the facade that an earlier daemon published, with what passed until now in the books.

    Before its replicas end: others' may get their addresses. While *publishing* is held, as two who read the
    same counters would bill them twice: who comes second finds no slots.
    """
    async with publishing:
        taken = set(doors.facade.slots_of(record.label).values())
        if not taken:
            return
        passed = combine(await doors.facade.stats(taken))
        await meter.begin_traffic({record.channel: mark_of(passed)})
        read = await meter.count_traffic(lambda: {record.channel: taken})
        if read.unwritten is not None:
            raise read.unwritten
        for slot in taken:
            await doors.facade.withdraw(slot)
        await meter.end_traffic(record.channel)


def exposures_of(
    doors: Doors,
    record: PodRecord,
    opened: OpenBundle,
    made: Iterable[ServiceView] = (),
    withheld: Collection[str] = (),
) -> dict[str, ServiceExposure]:
    """What each service of a published pod is exposed by, for its record.

    What the cluster gave it is in *made*; what is not in there stays as the record has it. The facade does
    not lead there by hosts that are *withheld*.
    """
    views = {view.name: view for view in made}
    return {
        one.service: replace(
            _exposure(doors, one, views.get(one.service), record.exposures.get(one.service)),
            way=way_of(one.without(withheld)) if isinstance(one, FacadeExposure) else None,
        )
        for one in opened.services(record.label, doors.config)
    }


def _exposure(
    doors: Doors, one: Exposure, view: ServiceView | None, before: ServiceExposure | None
) -> ServiceExposure:
    known = view or before
    ports = known.node_ports if known is not None and isinstance(one, NodeExposure) else ()
    address = None if known is None else known.cluster_ip
    given = (
        known.addresses if known is not None and isinstance(one, BalancedExposure | IngressExposure) else ()
    )
    return ServiceExposure(one.expose, port_of(doors, one), address, ports, given)


def port_of(doors: Doors, exposure: Exposure) -> int | None:
    """The provider's port that a service has for itself, if it is exposed by one and published."""
    if not isinstance(exposure, TcpExposure):
        return None
    slot = doors.facade.slot_of(exposure.label)
    return None if slot is None else doors.config.facade.tcp_port(slot)
