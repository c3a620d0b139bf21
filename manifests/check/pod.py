# SPDX-License-Identifier: Apache-2.0
"""Everything of a manifest that does not fit together."""

from collections.abc import Iterator

from trustedpods.manifests.check.containers import container_problems
from trustedpods.manifests.check.names import repeated
from trustedpods.manifests.check.services import service_problems
from trustedpods.manifests.problem import Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import AT_NODES


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
    yield from service_problems(manifest)
    yield from _scale(manifest)


def _scale(manifest: PodManifest) -> Iterator[Problem]:
    asleep = manifest.spec.scale.min == 0
    unheard = [service for service in manifest.spec.services if service.expose in AT_NODES]
    if asleep and unheard:
        part = unheard[0]
        text = f"what comes for {part.name!r} wakes no pod (expose: {part.expose}): set scale.min to 1"
        yield Problem(("spec", "scale", "min"), text)
    elif asleep and not any(service.wakes for service in manifest.spec.services):
        text = "nothing wakes this pod: give it a service with expose: http or tcp, or set scale.min to 1"
        yield Problem(("spec", "scale", "min"), text)
    if manifest.spec.scale.max > 1 and manifest.volume_mib:
        text = "a persistent volume serves one replica at a time: set max to 1, or do without the volume"
        yield Problem(("spec", "scale", "max"), text)
