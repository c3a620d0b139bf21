# SPDX-License-Identifier: Apache-2.0
"""A cluster in memory with the methods of `trustedpods.provider.cluster.client.Cluster`.

It does at once what Kubernetes does in a while: a replica is ready when it is asked for and over
when it is no longer, and stays readable until its finalizer is dropped. The attributes below
make it slow, full, broken or unreachable; `clock` is its time.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import trio

from tests.fakes import services as fake_services
from tests.fakes.cluster_networks import FakeNetworks
from tests.fakes.cluster_policies import FakePolicies, FakeWays
from tests.fakes.commands import FakeCommands
from tests.fakes.provider import claims as fake_claims
from tests.fakes.provider.claims import FakeLife
from tests.provider.core.leadership.fake_leases import FakeLeases
from tests.provider.server.following.fake_logs import FakeLogs
from trustedpods.protocol.units import Resources, UnixSeconds
from trustedpods.provider.cluster.api.errors import NamespaceEnding, NotThere
from trustedpods.provider.cluster.api.watch import PodChange
from trustedpods.provider.cluster.applying import OPTIONAL
from trustedpods.provider.cluster.capacity import ClusterCapacity
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.isolation_proof import probe_pods
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.isolation_proof.proof import Proof
from trustedpods.provider.cluster.isolation_proof.scratch import WritablePlace
from trustedpods.provider.cluster.isolation_proof.users import OWN_WITHIN_S, SharedUsers
from trustedpods.provider.cluster.objects.ingress.view import IngressView
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.network_nodes import local_policy
from trustedpods.provider.cluster.objects.sizes import requested_by
from trustedpods.provider.cluster.objects.workload.awake_cpu import ASLEEP_MILLI
from trustedpods.provider.cluster.rollout import Rollout
from trustedpods.provider.cluster.views import (
    NamespaceView,
    NodeView,
    PodView,
    ServiceView,
    VolumeClaimView,
)
from trustedpods.provider.core.placement.nodes import NodePlace
from trustedpods.provider.core.placement.offered import ClusterFeatures

NODE_USERS = SharedUsers(own_ids=False, processes=None, inotify_instances=128)
"""Of nodes whose pods have the machine's user ids."""


@dataclass
class FakeCluster(
    FakeNetworks, FakePolicies, FakeWays, FakeCommands, FakeLogs, FakeLeases, fake_services.FakeControllers
):
    """See the module. `failing[namespace]` keeps its replicas from getting ready, for that reason;
    without `enforces` its network ignores policies, without `balancers` none of those gets an address;
    while `behind`, its controllers have not seen what was asked for last; of one namespace's replicas only
    `most_ready` get ready; `classes` says which storage classes allow growth, which without `expands` does
    not come to pass: for the driver's part, or `at_node` for the node's."""

    clock: int = 1_800_000_000
    hold_starts: bool = False
    most_ready: int | None = None
    behind: bool = False
    enforces: bool = True
    users: SharedUsers = NODE_USERS
    balancers: bool = True
    foreign: list[IngressView] = field(default_factory=list)
    failing: dict[str, Diagnosis] = field(default_factory=dict)
    silent: dict[str, NodeView] = field(default_factory=dict)
    allocatable: Resources = field(default_factory=lambda: Resources(8000, 16_384, 65_536))
    labels: dict[str, str] = field(default_factory=dict)
    csi_drivers: frozenset[str] = frozenset()
    classes: dict[str, bool] = field(default_factory=lambda: {"local-path": False, "growing": True})
    default_class: str = "growing"
    expands: bool = True
    at_node: bool = False
    lives: dict[str, FakeLife] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _watchers: list[trio.MemorySendChannel[PodChange]] = field(default_factory=list)

    def _life(self, namespace: str) -> FakeLife:
        if namespace not in self.lives:
            raise NotThere(f'deployments.apps "pod" not found in {namespace}', rule="NotFound")
        return self.lives[namespace]

    async def version(self) -> str:
        await self._called("version")
        return "v1.36.3-fake"

    async def apply(self, objects: Sequence[KubeObject]) -> None:
        await self._called("apply")
        for asked in objects:
            metadata, wanted = asked["metadata"], asked
            if wanted["kind"] == "Namespace":
                label = metadata["labels"]["trustedpods.dev/pod"]
                self.lives.setdefault(metadata["name"], FakeLife(metadata["name"], label, self.clock))
            life = self._life(metadata.get("namespace", metadata["name"]))
            if life.deleting:
                raise NamespaceEnding("namespace is being terminated", rule="namespace-terminating")
            if asked["kind"] == "Service":
                wanted = fake_services.given(asked, life.objects, self._numbers, balancers=self.balancers)
            if asked["kind"] == "Ingress":
                wanted = fake_services.served(asked, controllers=self.balancers)
            before = life.objects.get((wanted["kind"], metadata["name"]))
            if wanted["kind"] == "PersistentVolumeClaim" and before is not None:
                fake_claims.check(before, wanted, self.classes)
            life.objects[wanted["kind"], metadata["name"]] = wanted

    async def services(self, namespace: str | None = None) -> list[ServiceView]:
        await self._called("services")
        lives = [life for life in self.lives.values() if namespace in (None, life.name)]
        return [view for life in lives for view in fake_services.views_of(life.objects)]

    async def move_services(self, source: str, services: Sequence[KubeObject]) -> None:
        await self._called(f"move services from {source}")
        if source in self.lives:
            fake_services.end(self.lives[source].objects, services)
        await self.apply(services)

    async def ingresses(self) -> list[IngressView]:
        await self._called("ingresses")
        return [*fake_services.ingresses_of(life.objects for life in self.lives.values()), *self.foreign]

    async def write_ingresses(self, namespace: str, wanted: Sequence[KubeObject]) -> None:
        await self._called("write ingresses")
        fake_services.replace_ingresses(self.lives[namespace].objects, wanted)

    async def prune(self, namespace: str, kept: Collection[tuple[str, str]]) -> None:
        await self._called("prune")
        if namespace in self.lives:
            held = self.lives[namespace].objects
            may_go = {*OPTIONAL, "Deployment", "StatefulSet"}
            labelled = [key for key in held if key != ("NetworkPolicy", local_policy.NAME)]
            for key in [key for key in labelled if key[0] in may_go and key not in kept]:
                del held[key]
                self.lives[namespace].given.pop(key[1], None)
                self.lives[namespace].proven.pop(key[1], None)

    async def discard(self, namespace: str, objects: Collection[tuple[str, str]]) -> None:
        await self._called("discard")
        for key in objects:
            self.lives[namespace].objects.pop(key, None)

    async def scale(self, namespace: str, replicas: int) -> None:
        await self._called(f"scale {namespace} {replicas}")
        life = self._life(namespace)
        life.wanted = replicas
        for ordinal in range(replicas):
            fake_claims.make(life, ordinal)
        alive = [pod for pod in life.pods.values() if pod.deleted_at is None]
        alive.sort(key=lambda pod: life.costs.get(pod.name, 0), reverse=True)
        for pod in alive[replicas:]:
            self._end(life, pod)
        for _ in range(replicas - len(alive)):
            self._start(life)

    def _start(self, life: FakeLife) -> None:
        number = next(self._numbers)
        workload = life.objects.get(("Deployment", "pod")) or life.objects["StatefulSet", "pod"]
        template = workload["spec"]["template"]
        size = requested_by(template["spec"])
        room = self.most_ready is None or sum(pod.ready for pod in life.pods.values()) < self.most_ready
        ready = room and not self.hold_starts and life.name not in self.failing
        failure = self.failing.get(life.name)
        self._put(
            life,
            PodView(
                namespace=life.name,
                name=f"pod-{number}",
                uid=f"uid-{number}",
                label=life.label,
                phase="Running" if ready else "Pending",
                ip=f"10.0.{number // 250}.{number % 250 + 1}" if ready else None,
                ready=ready,
                started_at=UnixSeconds(self.clock),
                finished_at=None,
                deleted_at=None,
                waiting=failure.text if failure else None,
                restarts=0,
                cpu_milli=size.cpu_milli,
                memory_mib=size.memory_mib,
                scratch_mib=size.storage_mib,
                node="fake",
                metered=True,
                begun=ready,
                containers=tuple(one["name"] for one in template["spec"]["containers"]),
            ),
        )

    def _end(self, life: FakeLife, pod: PodView) -> None:
        now = UnixSeconds(self.clock)
        ended = replace(pod, phase="Succeeded", ready=False, finished_at=now, deleted_at=now, over=True)
        self._put(life, ended)

    def lose_node(self, namespace: str, heard: int) -> PodView:
        """The node falls silent, and its replica of the namespace is to end; another one takes its place."""
        self.silent["fake"] = NodeView(UnixSeconds(heard), silent=True)
        life = self._life(namespace)
        (lost,) = [pod for pod in life.pods.values() if pod.deleted_at is None]
        ending = replace(lost, ready=False, deleted_at=UnixSeconds(self.clock))
        self._put(life, ending)
        self._start(life)
        return ending

    def return_node(self, namespace: str, lost: PodView) -> None:
        """The node is heard again, and ends what it still ran: it says when."""
        self.silent.clear()
        self._end(self._life(namespace), lost)

    def _put(self, life: FakeLife, pod: PodView, *, gone: bool = False) -> None:
        if gone:
            life.pods.pop(pod.name, None)
        else:
            life.pods[pod.name] = pod
        for watcher in self._watchers:
            watcher.send_nowait(PodChange(pod, gone))

    def release_starts(self) -> None:
        """Let replicas get ready that `hold_starts` has kept waiting."""
        self.hold_starts = False
        for life in self.lives.values():
            for pod in list(life.pods.values()):
                if pod.phase == "Pending" and life.name not in self.failing:
                    self._put(
                        life,
                        replace(pod, phase="Running", ready=True, begun=True, ip=f"10.1.0.{len(life.pods)}"),
                    )

    async def replicas(self, namespace: str) -> int:
        await self._called("replicas")
        return self.lives[namespace].wanted if namespace in self.lives else 0

    async def all_replicas(self) -> dict[str, int]:
        await self._called("all replicas")
        return {life.name: life.wanted for life in self.lives.values()}

    async def rollout(self, namespace: str) -> Rollout:
        await self._called("rollout")
        wanted = self.lives[namespace].wanted if namespace in self.lives else 0
        return Rollout(wanted, settled=not self.behind)

    async def delete_namespace(self, namespace: str) -> None:
        await self._called(f"delete {namespace}")
        life = self.lives.get(namespace)
        if life is None:
            return
        life.deleting = True
        for pod in list(life.pods.values()):
            if pod.deleted_at is None:
                self._end(life, pod)
        self._forget(life)

    def _forget(self, life: FakeLife) -> None:
        if life.deleting and not life.pods:
            del self.lives[life.name]

    async def namespaces(self) -> list[NamespaceView]:
        await self._called("namespaces")
        return [
            NamespaceView(life.name, life.label, life.deleting, UnixSeconds(life.created))
            for life in self.lives.values()
        ]

    async def pods(self, namespace: str | None = None) -> list[PodView]:
        await self._called("pods")
        return [
            pod
            for life in self.lives.values()
            if namespace in (None, life.name)
            for pod in life.pods.values()
        ]

    @asynccontextmanager
    async def watch_pods(self, namespace: str | None = None) -> AsyncIterator[AsyncIterator[PodChange]]:
        await self._called("watch")
        sender, receiver = trio.open_memory_channel[PodChange](1000)
        for pod in await self.pods(namespace):
            sender.send_nowait(PodChange(pod, gone=False))
        self._watchers.append(sender)
        try:
            yield receiver
        finally:
            self._watchers.remove(sender)

    async def volume_claims(self, namespace: str | None = None) -> list[VolumeClaimView]:
        await self._called("volume_claims")
        return [
            view
            for life in self.lives.values()
            if namespace in (None, life.name)
            for view in fake_claims.views_of(life, expands=self.expands, at_node=self.at_node)
        ]

    async def prove_volume_claims(self, namespace: str, wanted: Mapping[str, int]) -> None:
        await self._called("prove volume claims")
        found = {view.name for view in await self.volume_claims(namespace)}
        self.lives[namespace].proven |= {name: mib for name, mib in wanted.items() if name in found}

    async def capacity(self) -> ClusterCapacity:
        running = [pod for pod in await self.pods() if not pod.over]
        asked = Resources(
            sum(pod.cpu_milli - pod.lent_milli for pod in running),
            sum(pod.memory_mib for pod in running),
            sum(claim.stored.reserved for claim in await self.volume_claims()),
        )
        of_pods = Resources(asked.cpu_milli, asked.memory_mib, sum(pod.scratch_mib for pod in running))
        node = ClusterCapacity(self.allocatable, of_pods, {}).free
        lent = sum(pod.lent_milli for pod in running)
        return ClusterCapacity(self.allocatable, asked, {"fake": node}, {"fake": self._place}, lent)

    @property
    def _place(self) -> NodePlace:
        return NodePlace(self.labels, size=self.allocatable, csi_drivers=self.csi_drivers)

    async def features(self) -> ClusterFeatures:
        ingress = frozenset({"traefik"})
        return ClusterFeatures({"fake": self._place}, self.classes, ingress, self.default_class)

    async def drop_finalizer(self, namespace: str, pod: str, uid: str) -> None:
        await self._called(f"drop {pod}")
        life = self.lives.get(namespace)
        found = life.pods.get(pod) if life else None
        if life is None or found is None or found.uid != uid:
            return
        ended = found.over and found.deleted_at is not None  # else its object stays, as Kubernetes keeps it
        self._put(life, replace(found, metered=False), gone=ended)
        self._forget(life)

    async def delete_ended(self, namespace: str, pod: str, uid: str) -> None:
        await self._called(f"delete {pod}")
        life = self.lives.get(namespace)
        found = life.pods.get(pod) if life else None
        if life is None or found is None or found.uid != uid:
            return
        self._put(life, replace(found, deleted_at=UnixSeconds(self.clock)), gone=not found.metered)
        self._forget(life)

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        await self._called(f"cost {pod} {cost}")
        if namespace in self.lives:
            self.lives[namespace].costs[pod] = cost

    async def set_asleep_cpu(self, namespace: str, pod: str, uid: str, *, asleep: bool) -> None:
        await self._called(f"{'lend' if asleep else 'reclaim'} {uid}")
        life = self.lives.get(namespace)
        if life is not None and (found := life.pods.get(pod)) is not None and found.uid == uid:
            lent = found.cpu_milli - ASLEEP_MILLI if asleep else 0
            self._put(life, replace(found, lent_milli=lent, asks_less=asleep))

    async def note_replica(self, namespace: str, pod: str, key: str, text: str) -> None:
        await self._called(f"note {pod} {key}")
        if namespace in self.lives:
            self.lives[namespace].notes[pod] = (key, text)

    async def events(self, namespace: str) -> list[str]:
        await self._called("events")
        failing = self.failing.get(namespace)
        return [f"Warning Failed Pod/pod: {failing.text}"] if failing else []

    async def diagnose(self, namespace: str, *, all_ready: bool = False) -> Diagnosis | None:
        await self._called("diagnose")
        life = self.lives.get(namespace)
        ready = sum(pod.ready for pod in life.pods.values()) if life else 0
        if life is None or not life.wanted or ready >= (life.wanted if all_ready else 1):
            return None
        return self.failing.get(namespace)

    async def why_not_ready(self, namespace: str) -> str | None:
        found = await self.diagnose(namespace)
        return found.text if found else None

    async def prove(self, place: ProbePlace) -> Proof:
        await self._called(f"prove {place.image} in {place.namespace}")
        return Proof(True, True, self.enforces, self.enforces)

    async def unbounded_places(self, place: ProbePlace) -> list[WritablePlace]:
        await self._called(f"unbounded places by {place.image} in {place.namespace}")
        return []

    async def shared_users(self, place: ProbePlace, own_within_s: float = OWN_WITHIN_S) -> SharedUsers:
        await self._called(f"shared users by {place.image} in {place.namespace} within {own_within_s:g} s")
        return self.users

    async def sweep_probes(self, older_than_s: float = probe_pods.ABANDONED_S) -> None:
        await self._called(f"sweep probes older than {older_than_s:g} s")

    async def nodes(self) -> dict[str, NodeView]:
        await self._called("nodes")
        return {"fake": NodeView(UnixSeconds(self.clock), silent=False), **self.silent}

    async def node_addresses(self, node: str) -> list[str]:
        await self._called(f"addresses of {node}")
        return ["192.0.2.1"]
