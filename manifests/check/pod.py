# SPDX-License-Identifier: Apache-2.0
"""Everything of a manifest that does not fit together."""

from collections.abc import Iterator, Sequence

from trustedpods.manifests.check.containers import container_problems, ordinal_problems
from trustedpods.manifests.check.csi import csi_problems
from trustedpods.manifests.check.ingress import ingress_problems
from trustedpods.manifests.check.names import repeated
from trustedpods.manifests.check.nodes import node_problems
from trustedpods.manifests.check.seeds import seeded_volume_problems
from trustedpods.manifests.check.services import service_problems
from trustedpods.manifests.check.tunnels import tunnel_problems
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import PAST_FACADE


def problems(manifest: PodManifest) -> Iterator[Problem]:
    """Everything that does not fit together; empty for a sound manifest."""
    spec = manifest.spec
    yield from repeated(("spec", "containers"), [c.name for c in spec.containers])
    first, rest = [c.name for c in spec.init_containers], {c.name for c in spec.containers}
    yield from repeated(("spec", "initContainers"), first)
    for index, name in enumerate(first):
        if name in rest:
            yield Problem(("spec", "initContainers", index, "name"), f"the name {name!r} is used twice")
    yield from repeated(("spec", "volumes"), [v.name for v in spec.volumes])
    yield from repeated(("spec", "services"), [s.name for s in spec.services])
    volumes = {volume.name: volume for volume in spec.volumes}
    for index, container in enumerate(spec.containers):
        yield from container_problems(("spec", "containers", index), container, volumes)
    for index, container in enumerate(spec.init_containers):
        yield from container_problems(("spec", "initContainers", index), container, volumes)
    yield from csi_problems(manifest)
    yield from node_problems(manifest)
    yield from tunnel_problems(manifest)
    yield from seeded_volume_problems(manifest)
    yield from _aliases(manifest)
    yield from _ordinals(manifest)
    yield from _grace(manifest)
    yield from service_problems(manifest)
    yield from ingress_problems(manifest)
    yield from _scale(manifest)
    yield from _warm_sleep(manifest)
    yield from _access(manifest)


def _aliases(manifest: PodManifest) -> Iterator[Problem]:
    """A name means one address, and those of the pod's own containers are taken."""
    own = {"localhost", *(container.name for container in manifest.spec.all_containers)}
    seen: dict[str, str] = {}
    for index, alias in enumerate(manifest.spec.host_aliases):
        for number, name in enumerate(alias.hostnames):
            at: Location = ("spec", "hostAliases", index, "hostnames", number)
            if name in own:
                yield Problem(at, f"{name} is this pod's own name: give the other host another")
            elif seen.setdefault(name, alias.ip) != alias.ip:
                yield Problem(at, f"{name} means two addresses")


def _ordinals(manifest: PodManifest) -> Iterator[Problem]:
    if manifest.spec.workload == "stateful":
        return
    for index, container in enumerate(manifest.spec.containers):
        yield from ordinal_problems(("spec", "containers", index), container)
    for index, container in enumerate(manifest.spec.init_containers):
        yield from ordinal_problems(("spec", "initContainers", index), container)


def _grace(manifest: PodManifest) -> Iterator[Problem]:
    """A wait before the end fits into the time that there is for the end."""
    grace = manifest.spec.termination_grace_period_seconds
    parts: list[tuple[str, Sequence[Container]]] = [
        ("containers", manifest.spec.containers),
        ("initContainers", manifest.spec.init_containers),
    ]
    for field, containers in parts:
        for index, container in enumerate(containers):
            sleep = container.lifecycle.pre_stop.sleep if container.lifecycle else None
            if sleep is not None and sleep.seconds >= grace:
                text = f"nothing is left to end in: set terminationGracePeriodSeconds above {sleep.seconds}"
                yield Problem(("spec", field, index, "lifecycle", "preStop", "sleep", "seconds"), text)


def _scale(manifest: PodManifest) -> Iterator[Problem]:
    asleep = manifest.spec.scale.min == 0
    unheard = [service for service in manifest.spec.services if service.expose in PAST_FACADE]
    if asleep and unheard:
        part = unheard[0]
        text = f"what comes for {part.name!r} wakes no pod (expose: {part.expose}): set scale.min to 1"
        yield Problem(("spec", "scale", "min"), text)
    elif asleep and not any(service.wakes for service in manifest.spec.services):
        text = "nothing wakes this pod: give it a service with expose: http or tcp, or set scale.min to 1"
        yield Problem(("spec", "scale", "min"), text)
    alone = [one for one in manifest.persistent_volumes.values() if one.access_mode != "ReadWriteMany"]
    if manifest.spec.scale.max > manifest.claims_each and alone:
        field: Location = ("spec", "replicas") if manifest.spec.fixed else ("spec", "scale", "max")
        text = "a persistent volume serves one replica at a time: have one replica, or workload: stateful, "
        yield Problem(field, text + "in which each has its own, or accessMode: ReadWriteMany")


def _warm_sleep(manifest: PodManifest) -> Iterator[Problem]:
    """The kubelet would ask frozen containers, get no answer, and end them."""
    if manifest.spec.scale.sleep != "warm":
        return
    parts: list[tuple[str, Sequence[Container]]] = [
        ("containers", manifest.spec.containers),
        ("initContainers", manifest.spec.init_containers),
    ]
    text = "the kubelet asks it of a frozen container too, and ends that: leave it out, or scale.sleep: cold"
    for field, containers in parts:
        for index, container in enumerate(containers):
            if container.liveness_probe is not None:
                yield Problem(("spec", field, index, "livenessProbe"), text)
            if container.readiness_probe is not None and container.readiness_probe.needs_kubelet:
                yield Problem(("spec", field, index, "readinessProbe"), text)


def _access(manifest: PodManifest) -> Iterator[Problem]:
    """What a provider's default class can do is not advertised: more than the usual mode needs a class."""
    for index, volume in enumerate(manifest.spec.volumes):
        one = volume.persistent
        shared = one is not None and one.access_mode == "ReadWriteMany" and manifest.claims_each == 1
        if shared and volume.seed is not None and manifest.spec.scale.max > 1:
            text = "replicas would seed the volume that they share over each other's work: have one replica"
            yield Problem(("spec", "volumes", index, "seed"), text)
        if one is not None and one.access_mode != "ReadWriteOnce" and one.storage_class_name is None:
            at: Location = ("spec", "volumes", index, "persistent", "accessMode")
            yield Problem(
                at, f"{one.access_mode} needs a storageClassName: it depends on the provider's class"
            )
