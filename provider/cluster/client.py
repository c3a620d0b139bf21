# SPDX-License-Identifier: Apache-2.0
"""The cluster as the daemon uses it. Every method may be repeated; none waits for an outcome.

All methods raise NetworkFailure when the API server cannot be reached or does not answer in
time, which says nothing of what was asked about, and Refused, with Kubernetes' own words, when
the server says no.
"""

from base64 import b64decode
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from trustedpods.protocol.messages.exec import TerminalSize
from trustedpods.provider.cluster import applying, diagnosis, views, workloads
from trustedpods.provider.cluster.api import errors, kubeconfig, watch
from trustedpods.provider.cluster.api.commands import RunningCommand
from trustedpods.provider.cluster.api.http import USUAL, Api, ApiPatience, open_api, path_of
from trustedpods.provider.cluster.api.watch import PodChange
from trustedpods.provider.cluster.capacity import ClusterCapacity, capacity, features
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.freezer.sleepers_cpu import SleepersCpu
from trustedpods.provider.cluster.isolation_proof.live_proofs import LiveProofs
from trustedpods.provider.cluster.leases import ClusterLeases
from trustedpods.provider.cluster.log_parts import USUAL_PART, LogPart
from trustedpods.provider.cluster.networks import documents
from trustedpods.provider.cluster.networks.documents import NetworkLease, NetworkObject, StoredDocument
from trustedpods.provider.cluster.networks.egress_limits import EgressLimits
from trustedpods.provider.cluster.networks.ways import NodeWays
from trustedpods.provider.cluster.objects.ingress.view import IngressView, ingress_view
from trustedpods.provider.cluster.objects.names import (
    APPLIER,
    DELETION_COST,
    MADE_HERE,
    METERED,
    NODE_LEASES,
    POD_LABEL,
    PROVEN,
    KubeObject,
)
from trustedpods.provider.cluster.objects.secret import made_files
from trustedpods.provider.cluster.rollout import Rollout
from trustedpods.provider.cluster.views import (
    NamespaceView,
    NodeView,
    PodView,
    ServiceView,
    VolumeClaimView,
)
from trustedpods.provider.core.generated.values import MadeFiles
from trustedpods.provider.core.placement.offered import ClusterFeatures

MAX_REPLICAS_SET = 1000
"""A guard against nonsense, far above any manifest's maximum."""


class Cluster(LiveProofs, ClusterLeases, NodeWays, EgressLimits, SleepersCpu):
    """One Kubernetes cluster. Made by `open_cluster`."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._kinds = workloads.WorkloadKinds()

    async def version(self) -> str:
        """The API server's version, such as `v1.36.3`."""
        return str((await self._api.get("/version")).get("gitVersion", ""))

    # ---- a pod's objects -----------------------------------------------------------------------

    async def apply(self, objects: Sequence[KubeObject]) -> None:
        """Make the cluster hold these objects, as `pod_objects.objects` returns them.

        A new workload starts at zero replicas; one that exists keeps its number. Raises
        errors.ImmutableChange where Kubernetes cannot change an object in place, and
        errors.NamespaceEnding where the namespace is being deleted.
        """
        for namespace, workload in (await applying.apply_all(self._api, objects)).items():
            self._kinds.learn(namespace, workload)

    async def prune(self, namespace: str, kept: Collection[tuple[str, str]]) -> None:
        """Take out of a pod's namespace what other versions of it left; *kept* has kinds and names.

        A network that is not asked for any more is shut, and a volume that nobody has is not stored unpaid.
        """
        await applying.prune(self._api, namespace, kept)
        self._kinds.forget(namespace)

    async def discard(self, namespace: str, objects: Collection[tuple[str, str]]) -> None:
        """Take *objects*, by kind and name, out of a pod's namespace; what is gone already is no error."""
        await applying.discard(self._api, namespace, objects)

    async def secret_files(self, namespace: str, name: str) -> dict[str, bytes]:
        """What a Secret of a pod holds; nothing where there is none."""
        found = await self._api.find(path_of("Secret", namespace, name))
        return {} if found is None else {k: b64decode(v) for k, v in (found.get("data") or {}).items()}

    async def made_files(self, namespace: str, name: str) -> MadeFiles:
        """The same with which renewals they are of, of a Secret with values that were made here."""
        return made_files(await self._api.find(path_of("Secret", namespace, name)))

    async def made_secrets(self, namespace: str) -> list[str]:
        """Names of the pod's Secrets that hold values which were made here, and which nobody else has."""
        found = await self._api.items(path_of("Secret", namespace))
        return [
            one["metadata"]["name"] for one in found if MADE_HERE in one["metadata"].get("annotations", {})
        ]

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret of a pod; done already is done."""
        await self._api.delete(path_of("Secret", namespace, name))

    async def find_policy(self, namespace: str, name: str) -> KubeObject | None:
        """A NetworkPolicy as it is; None where there is none."""
        return await self._api.find(path_of("NetworkPolicy", namespace, name))

    async def write_policy(self, policy: KubeObject) -> int:
        """Make a NetworkPolicy be this; its version, which grows with each write to any of them."""
        metadata = policy["metadata"]
        path = path_of("NetworkPolicy", metadata["namespace"], metadata["name"])
        made = await self._api.apply(path, policy, APPLIER)
        return int(made["metadata"]["resourceVersion"])

    async def policies_named(self, name: str) -> list[tuple[str, str]]:
        """Namespaces of pods that have a NetworkPolicy of that name, each with its pod's label."""
        found = await self._api.items(path_of("NetworkPolicy"), POD_LABEL, f"metadata.name={name}")
        return [(one["metadata"]["namespace"], one["metadata"]["labels"][POD_LABEL]) for one in found]

    async def scale(self, namespace: str, replicas: int) -> None:
        """Set how many replicas shall run; refused (NotThere) where nothing was applied."""
        if not 0 <= replicas <= MAX_REPLICAS_SET:
            raise ValueError(f"replicas: {replicas}")
        workload = await self._kinds.of(self._api, namespace)
        await workload.scale(self._api, namespace, replicas)

    async def replicas(self, namespace: str) -> int:
        """How many replicas shall run; 0 where nothing was applied."""
        return await (await self._kinds.of(self._api, namespace)).replicas(self._api, namespace)

    async def all_replicas(self) -> dict[str, int]:
        """The same of all pods at once, by their namespaces; what is not in it has none."""
        return await self._kinds.all_replicas(self._api)

    async def rollout(self, namespace: str) -> Rollout:
        """What `scale` asked for last, and whether every controller has seen it.

        Look at the pods after this: then one that is there, and is not being deleted, stays.
        """
        return await (await self._kinds.of(self._api, namespace)).rollout(self._api, namespace)

    async def delete_namespace(self, namespace: str) -> None:
        """Ask for the end of a pod's life with all that it holds; done already is done."""
        await self._api.delete(path_of("Namespace", name=namespace))
        self._kinds.forget(namespace)

    # ---- what is there -------------------------------------------------------------------------

    async def namespaces(self) -> list[NamespaceView]:
        """All lives of pods that this provider made and that are not wholly gone."""
        found = await self._api.items(path_of("Namespace"), POD_LABEL)
        return [views.namespace_view(namespace) for namespace in found]

    async def namespaces_labelled(self, key: str, value: str) -> list[NamespaceView]:
        """Those of them that have this label, the oldest first."""
        found = await self._api.items(path_of("Namespace"), f"{POD_LABEL},{key}={value}")
        return sorted(map(views.namespace_view, found), key=lambda view: (view.created, view.name))

    async def pods(self, namespace: str | None = None) -> list[PodView]:
        """Replicas of one namespace or of all; also those that ended and were not yet metered."""
        found = await self._api.items(path_of("Pod", namespace), POD_LABEL)
        return [views.pod_view(pod) for pod in found]

    def watch_pods(
        self, namespace: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[PodChange]]:
        """`async with` this, then `async for`: each replica as it is now, then each change.

        It survives the API server's own time limits by listing again. NetworkFailure comes out
        of the iteration; open a new watch then.
        """
        return watch.watch_pods(self._api, namespace)

    async def volume_claims(self, namespace: str | None = None) -> list[VolumeClaimView]:
        """Persistent volume claims of one namespace or of all."""
        found = await self._api.items(path_of("PersistentVolumeClaim", namespace), POD_LABEL)
        return [views.volume_claim_view(claim) for claim in found]

    async def prove_volume_claims(self, namespace: str, wanted: Mapping[str, int]) -> None:
        """Mark the claims of a namespace with what a version that serves *wanted* of each, in MiB.

        A claim stays marked for its life.
        """
        for view in await self.volume_claims(namespace):
            if view.name in wanted and view.proven != wanted[view.name]:
                mark = {"metadata": {"annotations": {PROVEN: str(wanted[view.name])}}}
                await self._api.merge(path_of("PersistentVolumeClaim", namespace, view.name), mark)

    async def services(self, namespace: str | None = None) -> list[ServiceView]:
        """Services of pods, in one namespace or in all, with the addresses of their Ingresses."""
        found = await self._api.items(path_of("Service", namespace), POD_LABEL)
        served = [
            ingress_view(one) for one in await self._api.items(path_of("Ingress", namespace), POD_LABEL)
        ]
        return views.with_ingresses([views.service_view(service) for service in found], served)

    async def ingresses(self) -> list[IngressView]:
        """All Ingresses of the cluster, those of pods and of anybody else."""
        return [ingress_view(one) for one in await self._api.items(path_of("Ingress"))]

    async def write_ingresses(self, namespace: str, wanted: Sequence[KubeObject]) -> None:
        """Let a pod have these Ingresses and no others."""
        await applying.write_ingresses(self._api, namespace, wanted)

    async def ready_pods(self, namespace: str, labels: Mapping[str, str]) -> int:
        """Pods of anybody in a namespace, with these labels, that say that they are ready."""
        return await diagnosis.ready_pods(self._api, namespace, labels)

    async def move_services(self, source: str, services: Sequence[KubeObject]) -> None:
        """Make *services*, which have the addresses of those in the namespace *source*, in its stead.

        Between the two nobody answers at the addresses, for as long as a few calls take. May be repeated.
        """
        await applying.leave(self._api, source, services)
        await self.apply(services)

    async def capacity(self) -> ClusterCapacity:
        """What the ready nodes offer, and what pods and volume claims of anybody have asked for."""
        nodes = await self._api.items(path_of("Node"))
        pods = await self._api.items(path_of("Pod"))
        volume_claims = await self._api.items(path_of("PersistentVolumeClaim"))
        return capacity(nodes, pods, volume_claims)

    async def features(self) -> ClusterFeatures:
        """What pods can choose of the cluster: its nodes, classes of volumes, and drivers."""
        nodes = await self._api.items(path_of("Node"))
        classes = await self._api.items(path_of("StorageClass"))
        ingress_classes = await self._api.items(path_of("IngressClass"))
        return features(nodes, classes, await self._api.items(path_of("CSINode")), ingress_classes)

    # ---- single replicas -----------------------------------------------------------------------

    async def drop_finalizer(self, namespace: str, pod: str, uid: str) -> None:
        """Let a replica go that has been metered. A replica of that name but another uid is left alone."""
        path = path_of("Pod", namespace, pod)
        found = await self._api.find(path)
        if found is None or found["metadata"]["uid"] != uid:
            return
        finalizers = found["metadata"].get("finalizers", [])
        if METERED not in finalizers:
            return
        place = f"/metadata/finalizers/{finalizers.index(METERED)}"
        steps = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": place, "value": METERED},
            {"op": "remove", "path": place},
        ]
        try:
            await self._api.patch(path, steps)
        except errors.NotThere:
            return

    async def delete_ended(self, namespace: str, pod: str, uid: str) -> None:
        """Remove the object of a replica in a final phase: nobody else would (an evicted one stays for ever).

        A replica of that name but another uid is left alone.
        """
        body = {"apiVersion": "v1", "kind": "DeleteOptions"} | {
            "preconditions": {"uid": uid},
            "gracePeriodSeconds": 0,
        }
        try:
            await self._api.call("DELETE", path_of("Pod", namespace, pod), body=body)
        except (errors.NotThere, errors.Conflict):
            return

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Of a pod's replicas those with the least cost end first; 0 is the default."""
        annotation = {"metadata": {"annotations": {DELETION_COST: str(cost)}}}
        try:
            await self._api.merge(path_of("Pod", namespace, pod), annotation)
        except errors.NotThere:
            return

    async def note_replica(self, namespace: str, pod: str, key: str, text: str) -> None:
        """Write an annotation of a replica; its node then looks at the replica, and its files, at once."""
        try:
            await self._api.merge(path_of("Pod", namespace, pod), {"metadata": {"annotations": {key: text}}})
        except errors.NotThere:
            return

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        tail: int = 100,
        *,
        previous: bool = False,
        since_s: int | None = None,
    ) -> bytes:
        """The last *tail* lines that a container wrote, at most MAX_LOG_REPLY bytes, as it wrote them.

        *previous* asks for the run before a restart, *since_s* for lines of so many last seconds. Refused
        where the container never started.
        """
        return await diagnosis.read_logs(
            self._api, namespace, pod, container, tail, previous=previous, since_s=since_s
        )

    def follow_logs(
        self, namespace: str, pod: str, container: str, part: LogPart = USUAL_PART
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """`async with` this, then `async for`: pieces of what a container writes, until it ends."""
        query = {"container": container, "follow": "true", **part.query()}
        return self._api.stream(path_of("Pod", namespace, pod) + "/log", query)

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        stdin: bool,
        size: TerminalSize | None = None,
    ) -> AbstractAsyncContextManager[RunningCommand]:
        """`async with` this: a command that runs in a container of a replica, with its input and outputs.

        With *size* it runs on a terminal. Refused where the container does not run. Leaving early ends the
        command's input, not the command.
        """
        return self._api.exec(path_of("Pod", namespace, pod), container, command, stdin=stdin, size=size)

    # ---- why ------------------------------------------------------------------------------------

    async def events(self, namespace: str) -> list[str]:
        """Kubernetes' events of a namespace as lines, oldest first."""
        return diagnosis.event_lines(await self._api.items(path_of("Event", namespace)))

    async def diagnose(self, namespace: str, *, all_ready: bool = False) -> Diagnosis | None:
        """Why no replica is ready; None when one is, when none is wanted, or nothing is known.

        With *all_ready* it says why one is not ready, also where others are.
        """
        workload = await self._kinds.of(self._api, namespace)
        return await diagnosis.diagnose(self._api, workload, namespace, all_ready=all_ready)

    async def why_not_ready(self, namespace: str) -> str | None:
        """The text of `diagnose`."""
        found = await self.diagnose(namespace)
        return found.text if found else None

    async def node_addresses(self, node: str) -> list[str]:
        """All addresses that a node says it has."""
        found = (await self._api.get(path_of("Node", name=node))).get("status", {}).get("addresses", [])
        return [str(entry["address"]) for entry in found if entry.get("type") in ("InternalIP", "ExternalIP")]

    async def nodes(self) -> dict[str, NodeView]:
        """All nodes by their names: when each was last heard, and whether Kubernetes has given up on it."""
        found = await self._api.items(path_of("Node"))
        return views.node_views(found, await self._api.items(path_of("Lease", NODE_LEASES)))

    # ---- networks of pods -----------------------------------------------------------------------

    async def network_document(self, name: str) -> StoredDocument | None:
        """What is kept of a network, with its version; None only where Kubernetes says that it has none."""
        return await documents.read(self._api, name)

    async def keep_network_document(self, network: NetworkObject, data: bytes, version: str | None) -> str:
        """Write it over *version* (None: there is none yet); the new version. errors.Conflict otherwise."""
        return await documents.write(self._api, network, data, version)

    async def remove_network_document(self, network: NetworkObject, version: str) -> None:
        """Delete it at *version*; Conflict as above. One that is gone is removed already."""
        await documents.remove(self._api, network, version)

    async def kept_networks(self) -> list[NetworkObject]:
        """Each network that is kept, as its objects are called."""
        return await documents.kept(self._api)

    async def networks_with_lease(self) -> list[NetworkObject]:
        """Each network of which a Lease object stands, right or not."""
        return await documents.with_lease(self._api)

    async def tell_network_lease(self, network: NetworkObject, lease: NetworkLease | None) -> None:
        """Write or, for None, delete a network's Lease object, for people; nobody decides by it."""
        await documents.tell_lease(self._api, network, lease)


@asynccontextmanager
async def open_cluster(
    path: Path, context: str | None = None, patience: ApiPatience = USUAL
) -> AsyncIterator[Cluster]:
    """The cluster of the kubeconfig at *path*; NoContext where the file cannot be used.

    Nothing is asked of the cluster before the first call.
    """
    access = await kubeconfig.load(path, context)
    async with open_api(access, patience) as api:
        yield Cluster(api)
