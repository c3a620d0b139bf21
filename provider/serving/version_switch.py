# SPDX-License-Identifier: Apache-2.0
"""From one version to a newer one without a gap.

The newer proves itself in a namespace of its own, and the one before finishes what it has.
"""

from collections.abc import Sequence

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.metering import drain_limit
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.core.scaler.types import ScalePhase
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade import readiness
from trustedpods.provider.facade.readiness import ContainerProbe, Tally
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.serving.limits import start_limit
from trustedpods.provider.serving.pod_scaler import PodScaler
from trustedpods.provider.serving.replica_watch import ReplicaWatch

LOOK_EVERY_S = 0.5
"""At why a replica under proof is not ready yet."""

FINISHED_LOOK_S = 0.25
"""At whether the version before still has requests: HAProxy tells nobody."""


async def prove(
    doors: Doors, replicas: ReplicaWatch, record: PodRecord, opened: OpenBundle, namespace: str
) -> None:
    """Run what was applied in *namespace* until its probes pass; Refused says why not."""
    ports = [part.port for part in opened.exposures(record.label, doors.config)]
    probes = readiness.probes_of(opened.manifest, ports)
    limit, count = start_limit(doors, opened.manifest), to_prove(opened)
    deadline, found = trio.current_time() + limit, None
    await doors.cluster.scale(namespace, count)
    proven: set[str] = set()
    while trio.current_time() < deadline:
        ready = [view for view in replicas.of(record.label) if view.namespace == namespace and view.ready]
        for view in [view for view in ready if view.uid not in proven]:
            assert view.ip is not None
            why_not = await _probe(doors, replicas, namespace, view.ip, probes, deadline)
            if why_not is not None:
                raise Refused(why_not, rule="start")
            proven.add(view.uid)
        if sum(view.uid in proven for view in ready) >= count:
            return
        found = await replicas.diagnose_unready(namespace)
        if found is not None and found.hopeless:
            raise Refused(found.text, rule="start")
        await trio.sleep(LOOK_EVERY_S)
    raise _late(len(proven), count, limit, found)


def to_prove(opened: OpenBundle) -> int:
    """Replicas that must run before a version is believed: one, or all of a pod with a fixed number."""
    spec = opened.manifest.spec
    return spec.scale.min if spec.fixed else 1


def _late(ready: int, count: int, limit: float, found: Diagnosis | None) -> Refused:
    """That a start took too long, and what was found to be in its way."""
    what = "not ready" if count == 1 else f"{ready} of {count} replicas ready"
    why = "" if found is None else f": {found.text}"
    return Refused(f"{what} within {limit:g} s{why}", rule="start")


async def until_all_ready(doors: Doors, replicas: ReplicaWatch, pod_scaler: PodScaler, count: int) -> None:
    """Wait until *count* replicas of a pod take requests; Refused says why they do not in time."""
    limit = pod_scaler.state.limits.start_limit
    deadline, found = trio.current_time() + limit, None
    while (ready := len(pod_scaler.state.ready)) < count:
        if trio.current_time() >= deadline:
            raise _late(ready, count, limit, found)
        await trio.sleep(LOOK_EVERY_S)
        found = await replicas.diagnose_unready(pod_scaler.published.namespace)
        if found is not None and found.hopeless:
            raise Refused(found.text, rule="start")


async def _probe(
    doors: Doors,
    replicas: ReplicaWatch,
    namespace: str,
    ip: str,
    probes: Sequence[ContainerProbe],
    deadline: float,
) -> str | None:
    """None when the probes pass; else why not, at once where the container ends meanwhile."""
    found: list[str | None] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            result = await doors.until_ready(ip, probes, deadline - trio.current_time(), Tally())
            found.append(None if result.ready else f"readiness probe: {result.reason}")
            nursery.cancel_scope.cancel()

        async def look() -> None:
            while True:
                await trio.sleep(LOOK_EVERY_S)
                try:
                    why = await replicas.diagnose(namespace)
                except TrustedPodsError:
                    continue
                if why is not None and why.hopeless:
                    found.append(why.text)
                    nursery.cancel_scope.cancel()

        nursery.start_soon(ask)
        nursery.start_soon(look)
    return found[0]


async def let_finish(doors: Doors, pod_scaler: PodScaler, names: set[str]) -> None:
    """Wait until replicas of these *names*, which get nothing new, have nothing in flight; not for ever."""
    with trio.move_on_after(drain_limit(pod_scaler.published.grace_s)):
        while names and await _serves(doors, pod_scaler, names):  # noqa: ASYNC110 - HAProxy tells nobody
            await trio.sleep(FINISHED_LOOK_S)


async def _serves(doors: Doors, pod_scaler: PodScaler, names: set[str]) -> bool:
    if pod_scaler.state.phase is ScalePhase.WAKING:
        return True
    stats = await doors.facade.stats(pod_scaler.published.services)
    return any(
        one.held or any(pod.name in names and (pod.serving or pod.current) for pod in one.pods)
        for one in stats.values()
    )
