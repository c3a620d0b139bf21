# SPDX-License-Identifier: Apache-2.0
"""A newer version proves itself in a namespace of its own, while the version before goes on serving."""

from collections.abc import Sequence

import trio

from trustedpods.manifests.model import Probe
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade import readiness
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.serving.replica_watch import ReplicaWatch

LOOK_EVERY_S = 0.5


async def prove(
    doors: Doors, replicas: ReplicaWatch, record: PodRecord, opened: OpenBundle, namespace: str
) -> None:
    """Run one replica of what was applied in *namespace* until its probes pass; Refused says why not."""
    ports = [part.port for part in opened.exposures(record.label, doors.config)]
    probes = readiness.probes_of(opened.manifest, ports)
    limit = float(doors.config.terms.start_limit_s)
    deadline = trio.current_time() + limit
    await doors.cluster.scale(namespace, 1)
    while trio.current_time() < deadline:
        ready = [view for view in replicas.of(record.label) if view.namespace == namespace and view.ready]
        for view in ready:
            assert view.ip is not None
            why_not = await _probe(doors, namespace, view.ip, probes, deadline - trio.current_time())
            if why_not is None:
                return
            raise Refused(why_not, rule="start")
        found = await doors.cluster.diagnose(namespace)
        if found is not None and found.hopeless:
            raise Refused(found.text, rule="start")
        await trio.sleep(LOOK_EVERY_S)
    raise Refused(f"not ready within {limit:g} s", rule="start")


async def _probe(doors: Doors, namespace: str, ip: str, probes: Sequence[Probe], limit: float) -> str | None:
    """None when the probes pass; else why not, at once where the container ends meanwhile."""
    found: list[str | None] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            result = await doors.until_ready(ip, probes, limit)
            found.append(None if result.ready else f"readiness probe: {result.reason}")
            nursery.cancel_scope.cancel()

        async def look() -> None:
            while True:
                await trio.sleep(LOOK_EVERY_S)
                try:
                    why = await doors.cluster.diagnose(namespace)
                except TrustedPodsError:
                    continue
                if why is not None and why.hopeless:
                    found.append(why.text)
                    nursery.cancel_scope.cancel()

        nursery.start_soon(ask)
        nursery.start_soon(look)
    return found[0]
