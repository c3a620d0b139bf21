# SPDX-License-Identifier: Apache-2.0
"""How the facade leads to a service, as the books keep it, and what the facade is then to serve. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from trustedpods.manifests.spec.probe import Probe, TcpSocket
from trustedpods.protocol.units import MIB
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.config import FacadeSection
from trustedpods.provider.core.pod import FacadeWay, PodRecord, ServiceExposure
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.exposure.exposure import FacadeExposure
from trustedpods.provider.exposure.service_keys import key_of, service_of
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.readiness import ContainerProbe
from trustedpods.provider.facade.slots import ServiceSpec, SlotLimits


def way_of(part: FacadeExposure) -> FacadeWay:
    """What is written into the books of a service that the facade serves; nothing of it is secret."""
    return FacadeWay(
        part.protocol,
        part.port,
        part.routes,
        part.limits.connections,
        part.limits.requests_per_second,
        part.limits.body_size,
        part.https_only,
        part.affinity,
    )


def specs_of(record: PodRecord, replicas: Iterable[PodView], facade: FacadeSection) -> Iterator[ServiceSpec]:
    """What the facade is to serve of a pod with these *replicas*, each service in the slot of its port."""
    here = tuple(replicas)
    for service, exposure in record.exposures.items():
        if (way := exposure.way) is None:
            continue
        body = None if way.body_mib is None else way.body_mib * MIB
        yield ServiceSpec(
            key_of(record.label, service),
            way.routes,
            addresses(here, way.target),
            (),
            SlotProtocol(way.protocol),
            SlotLimits(way.connections, way.rate, body, body).within(facade.most),
            way.https_only,
            way.affinity,
            slot_of(exposure, facade),
        )


def addresses(replicas: Iterable[PodView], port: int) -> tuple[PodAddress, ...]:
    """Where these replicas take requests for one service."""
    return tuple(PodAddress(view.name, view.ip, port) for view in replicas if view.ip is not None)


def targets(record: PodRecord) -> dict[str, int]:
    """The containers' port of each service that the facade serves, by the service's name."""
    ways = {service: exposure.way for service, exposure in record.exposures.items()}
    return {service: way.target for service, way in ways.items() if way is not None}


def target_of(record: PodRecord, key: str) -> int | None:
    """The same of one service by its key at the facade; None where the record has none."""
    return targets(record).get(service_of(key))


def probes_of(record: PodRecord) -> tuple[ContainerProbe, ...]:
    """What a new replica is asked: a connection to each port, as nobody can read the manifest's probes."""
    ports = dict.fromkeys(targets(record).values())
    return tuple(ContainerProbe(Probe(tcp_socket=TcpSocket(port=port))) for port in ports)


def may_serve(record: PodRecord, view: PodView) -> bool:
    """Whether a replica is of the version that serves, with its containers ready and no end asked for."""
    same = view.namespace == record.namespace
    return same and view.ready and view.ip is not None and not view.over and view.deleted_at is None


def in_place(record: PodRecord, slots: Mapping[str, int], facade: FacadeSection) -> bool:
    """Whether the *slots* that a pod has here, by its services' keys, are those whose ports people know."""
    known = {key_of(record.label, service): slot_of(one, facade) for service, one in record.exposures.items()}
    return all(known.get(key) in (None, slot) for key, slot in slots.items())


def slot_of(exposure: ServiceExposure, facade: FacadeSection) -> int | None:
    """The slot whose own port people know; the same in all facades of a provider, as their pools are."""
    if exposure.port is None or not facade.tcp_binds:
        return None
    slots = facade.pools.slots(SlotProtocol.TCP)
    return next((slot for slot in slots if facade.tcp_port(slot) == exposure.port), None)
