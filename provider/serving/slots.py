# SPDX-License-Identifier: Apache-2.0
"""Slots of the facade for pods' services: many pods in one go, as after a start, or a single one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.core.scaler.types import Serve
from trustedpods.provider.core.traffic import SlotStats, TrafficMark, combine, mark_of
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.exposure import Exposure
from trustedpods.provider.facade.facade import PublishedService, UnpublishedService
from trustedpods.provider.facade.slots import ServiceSpec
from trustedpods.provider.pods.bundles import OpenBundle

ExposedServices = dict[int, Exposure]
"""What a pod serves, by slot."""


def service_spec_of(part: Exposure, served: Serve) -> ServiceSpec:
    """What the facade is to serve for one service, at its own port."""
    return ServiceSpec(
        part.label,
        part.routes,
        tuple(replace(pod, port=part.port) for pod in served.pods),
        tuple(replace(pod, port=part.port) for pod in served.draining),
        part.protocol,
        part.limits,
        part.https_only,
    )


async def give_slots(
    doors: Doors, meter: Meter, pods: Sequence[tuple[PodRecord, OpenBundle]]
) -> dict[ChannelId, ExposedServices | TrustedPodsError]:
    """Publish every service of the pods, and count their traffic from there.

    Those of an earlier bundle that are no more lose their slots. A pod that cannot be published does
    not keep the others from it; NetworkFailure when the facade cannot be reached.
    """
    parts = {record.channel: opened.exposures(record.label, doors.config) for record, opened in pods}
    wants = [service_spec_of(part, Serve()) for mine in parts.values() for part in mine]
    given = await doors.facade.publish_all(wants)
    found: dict[ChannelId, ExposedServices | TrustedPodsError] = {}
    marks: dict[ChannelId, TrafficMark] = {}
    by_pod = doors.facade.slots_by_pod()
    for record, opened in pods:
        taken = set(by_pod.get(record.label, {}).values())
        try:
            services, mark = await _one(doors, record, opened, parts[record.channel], given, taken)
        except NetworkFailure:
            raise
        except TrustedPodsError as error:
            found[record.channel] = error
        else:
            found[record.channel], marks[record.channel] = services, mark
    await meter.begin_traffic(marks)
    return found


async def _one(
    doors: Doors,
    record: PodRecord,
    opened: OpenBundle,
    parts: Iterable[Exposure],
    given: Mapping[str, PublishedService | UnpublishedService],
    taken: set[int],
) -> tuple[ExposedServices, TrafficMark]:
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
    return services, mark_of(combine(before))
