# SPDX-License-Identifier: Apache-2.0
"""What the daemon sees of the cluster: small immutable views of the API server's objects. Pure.

Times are the API server's own, so a daemon that was away reads the same as one that was not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.ingress.view import IngressView
from trustedpods.provider.cluster.objects.names import METERED, POD_LABEL, PROVEN, KubeObject
from trustedpods.provider.cluster.objects.workload import awake_cpu
from trustedpods.provider.core.pod import NodePort
from trustedpods.provider.core.volumes.growth import StoredVolume

_NOT_A_REASON = {"ContainerCreating", "PodInitializing"}
_OVER = {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class PodView:
    """One replica.

    `label` is the host label of the pod that it belongs to. `started_at` is when the kubelet
    took it up. `over` says that no container of it runs or will run again; `finished_at` is then
    when its last container ended (None where nothing ever ran, or the node did not say), and
    `turned_at` when the node last changed its conditions: an evicted replica may have no other end.
    `deleted_at` is when its end was asked for. `waiting` is what Kubernetes says it waits for.
    `metered` says that it still carries the meter's finalizer, `begun` that some container of it, an
    init container too, runs or has run. `containers` are the names of all of them. `cpu_milli` is what it has
    awake; `lent_milli` of it the scheduler may give to others now, as it sleeps. `asks_less`: some container
    asks for less than it has awake; of that nothing may be lent, where an init container asked for more.
    """

    namespace: str
    name: str
    uid: str
    label: str
    phase: str
    ip: str | None
    ready: bool
    started_at: UnixSeconds | None
    finished_at: UnixSeconds | None
    deleted_at: UnixSeconds | None
    waiting: str | None
    restarts: int
    cpu_milli: int
    memory_mib: int
    scratch_mib: int
    node: str | None
    over: bool = False
    turned_at: UnixSeconds | None = None
    metered: bool = False
    begun: bool = False
    containers: tuple[str, ...] = ()
    lent_milli: int = 0
    asks_less: bool = False


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One Service: its address in the cluster, its ports on nodes, its addresses as a load balancer.

    Of one with an Ingress they are those that the controller wrote. `targets` are the containers' ports
    behind its own, by protocol and number.
    """

    namespace: str
    name: str
    cluster_ip: str | None
    node_ports: tuple[NodePort, ...]
    addresses: tuple[str, ...] = ()
    targets: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeClaimView:
    """One persistent volume claim; `mib` is what was given, or asked for while none is given.

    `proven` are the MiB that the last version of the pod wanted which serves, or served, with it; None where
    none did. `stored` is how it is kept.
    """

    namespace: str
    name: str
    uid: str
    label: str
    mib: int
    created: UnixSeconds
    deleted: UnixSeconds | None
    stored: StoredVolume
    proven: int | None = None


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node: when its kubelet last said that it is there, by its own clock, and whether it is *silent*.

    It is once Kubernetes waits for it no longer, and has its pods made anew elsewhere.
    """

    heard: UnixSeconds
    silent: bool


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """One life of a pod; `blocked_by` is why a namespace that is being deleted still exists."""

    name: str
    label: str
    deleting: bool
    created: UnixSeconds
    blocked_by: str | None = None


def seconds(text: str | None) -> UnixSeconds | None:
    """Unix time of an RFC 3339 time, fractions cut off."""
    return UnixSeconds(int(datetime.fromisoformat(text).timestamp())) if text else None


def pod_view(pod: KubeObject) -> PodView:
    """View of one Pod object."""
    metadata, status, spec = pod["metadata"], pod.get("status", {}), pod["spec"]
    size = sizes.requested_by(awake_cpu.awake_spec(pod))
    deleted_at = _deletion_asked(metadata)
    over = is_over(pod)
    return PodView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        label=metadata.get("labels", {}).get(POD_LABEL, ""),
        phase=status.get("phase", "Unknown"),
        ip=status.get("podIP"),
        ready=deleted_at is None and not over and condition(pod, "Ready").get("status") == "True",
        started_at=seconds(status.get("startTime")),
        finished_at=_finished(pod) if over else None,
        deleted_at=deleted_at,
        waiting=waiting_for(pod),
        restarts=sum(container.get("restartCount", 0) for container in (*_sidecars(pod), *containers(pod))),
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        scratch_mib=size.storage_mib,
        node=spec.get("nodeName"),
        over=over,
        turned_at=_turned(pod) if over else None,
        metered=METERED in metadata.get("finalizers", []),
        begun=any(_has_run(container) for container in (*init_containers(pod), *containers(pod))),
        containers=tuple(
            one["name"] for one in (*spec.get("containers", []), *spec.get("initContainers", []))
        ),
        lent_milli=awake_cpu.lent_milli(pod),
        asks_less=awake_cpu.asks_less(pod),
    )


def service_view(service: KubeObject) -> ServiceView:
    """The view of a Service."""
    spec = service["spec"]
    address = spec.get("clusterIP")
    ports = [port for port in spec.get("ports", []) if port.get("nodePort")]
    given = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    return ServiceView(
        service["metadata"]["namespace"],
        service["metadata"]["name"],
        None if address in (None, "", "None") else str(address),
        tuple(NodePort(port.get("protocol", "TCP"), port["port"], port["nodePort"]) for port in ports),
        tuple(str(one.get("ip") or one.get("hostname")) for one in given),
        tuple(
            (port.get("protocol", "TCP"), port["port"], port.get("targetPort", port["port"]))
            for port in spec.get("ports", [])
        ),
    )


def with_ingresses(services: Iterable[ServiceView], served: Sequence[IngressView]) -> list[ServiceView]:
    """The *services*, those of which an Ingress has their name with its addresses."""
    written = {(one.namespace, one.name): one.addresses for one in served}
    return [replace(one, addresses=written.get((one.namespace, one.name), one.addresses)) for one in services]


def volume_claim_view(claim: KubeObject) -> VolumeClaimView:
    """View of one PersistentVolumeClaim object."""
    metadata = claim["metadata"]
    given = claim.get("status", {}).get("capacity", {}).get("storage")
    asked = claim["spec"].get("resources", {}).get("requests", {}).get("storage")
    created = seconds(metadata["creationTimestamp"])
    assert created is not None
    return VolumeClaimView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        label=metadata.get("labels", {}).get(POD_LABEL, ""),
        mib=sizes.mebibytes(given or asked),
        created=created,
        deleted=_deletion_asked(metadata),
        proven=None if (mark := metadata.get("annotations", {}).get(PROVEN)) is None else int(mark),
        stored=_stored(claim),
    )


_AT_NODE = "NodeResizePending"
_GROWTH_FAILS = ("ControllerResizeError", "NodeResizeError")
"""Conditions of a claim with what hinders its growth, of which Kubernetes keeps the last message."""


def _stored(claim: KubeObject) -> StoredVolume:
    """Sizes of a claim, and how far its growth is (`PersistentVolumeClaimStatus` of core/v1)."""
    status, spec = claim.get("status", {}), claim["spec"]
    given = status.get("capacity", {}).get("storage")
    asked = spec.get("resources", {}).get("requests", {}).get("storage")
    waits = condition(claim, "FileSystemResizePending").get("status") == "True"
    told = [condition(claim, name).get("message") for name in _GROWTH_FAILS]
    return StoredVolume(
        asked=sizes.mebibytes(asked or given),
        given=None if given is None else sizes.mebibytes(given),
        storage_class=spec.get("storageClassName"),
        access_mode=next(iter(spec.get("accessModes", [])), "ReadWriteOnce"),
        at_node=waits or status.get("allocatedResourceStatuses", {}).get("storage") == _AT_NODE,
        trouble=next((text for text in told if text), None),
    )


def namespace_view(namespace: KubeObject) -> NamespaceView:
    """View of one Namespace object."""
    metadata = namespace["metadata"]
    created = seconds(metadata["creationTimestamp"])
    assert created is not None
    blocks = [
        found.get("message", "")
        for found in namespace.get("status", {}).get("conditions", [])
        if found.get("status") == "True"
    ]
    return NamespaceView(
        name=metadata["name"],
        label=metadata.get("labels", {}).get(POD_LABEL, ""),
        deleting="deletionTimestamp" in metadata,
        created=created,
        blocked_by="; ".join(blocks) or None,
    )


def node_view(node: KubeObject, lease: KubeObject | None) -> NodeView:
    """View of one Node object and of the lease by which its kubelet says that it is there."""
    ready = condition(node, "Ready")
    renewed = None if lease is None else seconds(lease["spec"].get("renewTime"))
    told = [time for time in (renewed, seconds(ready.get("lastHeartbeatTime"))) if time is not None]
    return NodeView(max(told, default=UnixSeconds(0)), silent=ready.get("status") == "Unknown")


def node_views(nodes: Iterable[KubeObject], leases: Iterable[KubeObject]) -> dict[str, NodeView]:
    """Views of Node objects, by their names, with those of *leases* that are theirs."""
    renewed = {lease["metadata"]["name"]: lease for lease in leases}
    named = {node["metadata"]["name"]: node for node in nodes}
    return {name: node_view(node, renewed.get(name)) for name, node in named.items()}


def node_addresses(nodes: Iterable[KubeObject]) -> list[str]:
    """The addresses that nodes say they have, inside and outside."""
    found = [entry for node in nodes for entry in node.get("status", {}).get("addresses", [])]
    return [str(entry["address"]) for entry in found if entry.get("type") in ("InternalIP", "ExternalIP")]


def containers(pod: KubeObject) -> list[KubeObject]:
    """Statuses of the pod's containers."""
    return list(pod.get("status", {}).get("containerStatuses", []))


def init_containers(pod: KubeObject) -> list[KubeObject]:
    """Statuses of the containers that run before the pod's own."""
    return list(pod.get("status", {}).get("initContainerStatuses", []))


def _sidecars(pod: KubeObject) -> list[KubeObject]:
    """Statuses of the init containers that go on beside the pod's own."""
    first = pod["spec"].get("initContainers", [])
    names = {container["name"] for container in first if container.get("restartPolicy") == "Always"}
    return [status for status in init_containers(pod) if status["name"] in names]


def _has_run(container: KubeObject) -> bool:
    """Whether it runs, ended, or was started before."""
    state = container.get("state", {})
    return "running" in state or "terminated" in state or bool(container.get("lastState"))


def waiting_for(pod: KubeObject) -> str | None:
    """`Reason: message` of the first thing that the pod waits for and that is no normal step."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _words(scheduled)
    for container in (*init_containers(pod), *containers(pod)):
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in _NOT_A_REASON:
            return _words(waiting)
    status = pod.get("status", {})
    return _words(status) if status.get("phase") == "Failed" and status.get("reason") else None


def _words(part: KubeObject) -> str:
    return ": ".join(word for word in (part.get("reason"), part.get("message")) if word)


def condition(holder: KubeObject, kind: str) -> KubeObject:
    """The condition of that type in an object's status; empty where there is none."""
    conditions = holder.get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})


def _deletion_asked(metadata: KubeObject) -> UnixSeconds | None:
    """The API server notes when the grace ends; when it was asked for is that much earlier."""
    end = seconds(metadata.get("deletionTimestamp"))
    return None if end is None else UnixSeconds(end - int(metadata.get("deletionGracePeriodSeconds") or 0))


def is_over(pod: KubeObject) -> bool:
    """Whether no container runs or will run: a final phase, or the kubelet has let the deleted pod go."""
    status, metadata = pod.get("status", {}), pod["metadata"]
    if status.get("phase") in _OVER:
        return True
    if "deletionTimestamp" not in metadata:
        return False
    never_placed = not pod["spec"].get("nodeName")
    return never_placed or metadata.get("deletionGracePeriodSeconds") == 0


def _turned(pod: KubeObject) -> UnixSeconds | None:
    """When the node said that its containers are not ready any more, or why it was disrupted."""
    kinds = ("Ready", "ContainersReady", "DisruptionTarget")
    times = [seconds(condition(pod, kind).get("lastTransitionTime")) for kind in kinds]
    return max((time for time in times if time is not None), default=None)


def _finished(pod: KubeObject) -> UnixSeconds | None:
    ends = []
    for container in (*init_containers(pod), *containers(pod)):
        for state in (container.get("state", {}), container.get("lastState", {})):
            end = seconds(state.get("terminated", {}).get("finishedAt"))
            if end is not None and end > 0:
                ends.append(end)
    return max(ends, default=None)
