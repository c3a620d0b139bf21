# SPDX-License-Identifier: Apache-2.0
"""What frozen replicas ask of the scheduler: next to no CPU, and all of it once they run again."""

from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import AWAKE_CPU
from trustedpods.provider.cluster.objects.workload import awake_cpu


class SleepersCpu:
    """The part of the door to a cluster that changes what CPU a replica that runs asks for."""

    _api: Api

    async def set_asleep_cpu(self, namespace: str, pod: str, uid: str, *, asleep: bool) -> None:
        """Let a replica ask for the CPU of its sleep, or for all that it has awake; done already is done.

        What it has awake is noted at it before anything changes. The node carries it out a moment later, or
        once it has room. A replica of that name but another uid is left alone. Refused where the cluster
        changes no pod in place (Kubernetes before 1.33), or does not let the daemon.
        """
        path = path_of("Pod", namespace, pod)
        found = await self._api.find(path)
        if found is None or found["metadata"]["uid"] != uid:
            return
        try:
            if asleep and not awake_cpu.noted(found):
                note = {"annotations": {AWAKE_CPU: awake_cpu.note_of(found)}, "uid": uid}
                found = await self._api.merge(path, {"metadata": note})
            if steps := awake_cpu.steps(found, asleep=asleep):
                await self._api.patch(f"{path}/resize", steps)
        except errors.NotThere:
            if await self._api.find(path) is not None:
                raise  # it is the subresource that is not there
