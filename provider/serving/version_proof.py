# SPDX-License-Identifier: Apache-2.0
"""A newer version proves itself in a namespace of its own, while the version before goes on serving."""

import trio

from trustedpods.protocol.errors import Refused
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
            result = await doors.until_ready(view.ip, probes, deadline - trio.current_time())
            if result.ready:
                return
            raise Refused(f"readiness probe: {result.reason}", rule="start")
        found = await doors.cluster.diagnose(namespace)
        if found is not None and found.hopeless:
            raise Refused(found.text, rule="start")
        await trio.sleep(LOOK_EVERY_S)
    raise Refused(f"not ready within {limit:g} s", rule="start")
