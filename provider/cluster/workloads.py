# SPDX-License-Identifier: Apache-2.0
"""How a pod's replicas are run: one strategy for each kind of Kubernetes workload.

A strategy knows where its objects live, how their number of replicas is set and owned, when their
controllers have seen it, and which objects say why no replica could be made. A pod's namespace
holds one workload, named WORKLOAD: a Deployment, or a StatefulSet for `stateful` pods.

Two field managers apply: one for the objects, one for `spec.replicas`. An apply that leaves
`spec.replicas` out would set it to 1, were nobody else its owner. So a new workload is made with
0, the scaler takes the field at once, and an apply to a workload whose number the scaler does not
own (a daemon was killed in between) gives it to the scaler first.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from trustedpods.provider.cluster import rollout as rollouts
from trustedpods.provider.cluster.api.errors import ImmutableChange
from trustedpods.provider.cluster.api.http import Api, path_under
from trustedpods.provider.cluster.objects.names import APPLIER, POD_LABEL, SCALER, WORKLOAD, KubeObject
from trustedpods.provider.cluster.objects.workload import deployment, stateful_set
from trustedpods.provider.cluster.rollout import Rollout


class Workload(ABC):
    """One kind of workload that has `spec.replicas` and the scale subresource.

    What asks the API server raises as `Cluster` does, whose methods these serve.
    """

    kind: ClassVar[str]
    root: ClassVar[str]
    """Path of its API group and version."""
    plural: ClassVar[str]

    def path(self, namespace: str | None = None) -> str:
        """Where a namespace's workload lives, or the list of all of this kind."""
        return path_under(self.root, self.plural, namespace, WORKLOAD if namespace else None)

    async def find(self, api: Api, namespace: str) -> KubeObject | None:
        """The namespace's workload; None where nothing was applied."""
        return await api.find(self.path(namespace))

    async def replicas(self, api: Api, namespace: str) -> int:
        """See `Cluster.replicas`."""
        found = await self.find(api, namespace)
        return 0 if found is None else rollouts.asked_for(found)

    async def all_replicas(self, api: Api) -> dict[str, int]:
        """See `Cluster.all_replicas`."""
        found = await api.items(self.path(), POD_LABEL)
        ours = [one for one in found if one["metadata"]["name"] == WORKLOAD]
        return {one["metadata"]["namespace"]: rollouts.asked_for(one) for one in ours}

    async def apply(self, api: Api, wanted: KubeObject) -> None:
        """Apply the workload; a new one starts at zero replicas, one that exists keeps its number."""
        namespace = wanted["metadata"]["namespace"]
        path = self.path(namespace)
        there = await api.find(path)
        if there is None:
            await api.apply(path, {**wanted, "spec": {**wanted["spec"], "replicas": 0}}, APPLIER)
            await self.scale(api, namespace, 0)
            return
        if not _scaler_owns(there):
            await self.scale(api, namespace, int(there["spec"].get("replicas", 0)))
        await api.apply(path, wanted, APPLIER)

    async def scale(self, api: Api, namespace: str, replicas: int) -> None:
        """Set the number of replicas through the scale subresource, as the scaler."""
        wanted = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": WORKLOAD, "namespace": namespace},
            "spec": {"replicas": replicas},
        }
        await api.apply(self.path(namespace) + "/scale", wanted, SCALER)

    @abstractmethod
    async def rollout(self, api: Api, namespace: str) -> Rollout:
        """See `Cluster.rollout`."""

    @abstractmethod
    async def makers(self, api: Api, workload: KubeObject) -> list[KubeObject]:
        """Objects whose conditions say why no replica could be made, the nearest to the replicas first."""


class DeploymentWorkload(Workload):
    """Replicas that are alike. The Deployment's controller hands their number to a ReplicaSet."""

    kind = deployment.KIND
    root = "/apis/apps/v1"
    plural = "deployments"

    async def rollout(self, api: Api, namespace: str) -> Rollout:
        """Settled when both controllers have seen the number; the ReplicaSets are read last."""
        found = await self.find(api, namespace)
        if found is None:
            return Rollout(0, settled=True)
        if not rollouts.observed(found):
            return Rollout(rollouts.asked_for(found), settled=False)
        return rollouts.rollout(found, await self._replica_sets(api, namespace))

    async def makers(self, api: Api, workload: KubeObject) -> list[KubeObject]:
        """The ReplicaSets, then the Deployment."""
        return [*await self._replica_sets(api, workload["metadata"]["namespace"]), workload]

    async def _replica_sets(self, api: Api, namespace: str) -> list[KubeObject]:
        return [*await api.items(path_under(self.root, "replicasets", namespace), POD_LABEL)]


class StatefulSetWorkload(Workload):
    """Replicas with a name and volumes of their own. The StatefulSet's controller makes them itself."""

    kind = stateful_set.KIND
    root = "/apis/apps/v1"
    plural = "statefulsets"

    async def apply(self, api: Api, wanted: KubeObject) -> None:
        """As of any workload; one that cannot be changed in place is made anew, and its claims stay.

        It has no replica then: whoever changes a pod with volumes has brought it to zero before.
        """
        try:
            await super().apply(api, wanted)
        except ImmutableChange:
            await api.delete(self.path(wanted["metadata"]["namespace"]))
            await super().apply(api, wanted)

    async def rollout(self, api: Api, namespace: str) -> Rollout:
        """Settled when its controller has seen the number."""
        found = await self.find(api, namespace)
        if found is None:
            return Rollout(0, settled=True)
        return Rollout(rollouts.asked_for(found), settled=rollouts.observed(found))

    async def makers(self, api: Api, workload: KubeObject) -> list[KubeObject]:
        """The set itself."""
        return [workload]


DEPLOYMENTS: Workload = DeploymentWorkload()
"""How the replicas of `http` and `replicated` pods are run."""

STATEFUL_SETS: Workload = StatefulSetWorkload()
"""How the replicas of `stateful` pods are run."""

ALL = (DEPLOYMENTS, STATEFUL_SETS)

_BY_KIND = {workload.kind: workload for workload in ALL}


def of_kind(kind: str) -> Workload | None:
    """The strategy for objects of that kind; None for what is no workload."""
    return _BY_KIND.get(kind)


class WorkloadKinds:
    """Of which kind each namespace's workload is, as it was applied or seen last.

    A namespace that is not known is looked at: a daemon that was started again has applied nothing.
    """

    def __init__(self) -> None:
        self._known: dict[str, Workload] = {}

    def learn(self, namespace: str, workload: Workload) -> None:
        """The namespace has a workload of this kind from now on."""
        self._known[namespace] = workload

    def forget(self, namespace: str) -> None:
        """The namespace goes, or changes its kind."""
        self._known.pop(namespace, None)

    async def of(self, api: Api, namespace: str) -> Workload:
        """The namespace's; a Deployment where nothing was applied."""
        if namespace not in self._known:
            for workload in ALL:
                if await workload.find(api, namespace) is not None:
                    self._known[namespace] = workload
                    break
            else:
                return DEPLOYMENTS
        return self._known[namespace]

    async def all_replicas(self, api: Api) -> dict[str, int]:
        """Replicas that are asked for in each namespace, of all kinds."""
        found: dict[str, int] = {}
        for workload in ALL:
            those = await workload.all_replicas(api)
            self._known.update(dict.fromkeys(those, workload))
            found |= those
        return found


def _scaler_owns(workload: KubeObject) -> bool:
    for entry in workload["metadata"].get("managedFields", []):
        if entry.get("manager") == SCALER and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {}):
            return True
    return False
