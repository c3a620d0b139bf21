# SPDX-License-Identifier: Apache-2.0
"""Times, ends and reasons as the API server writes them."""

from datetime import UTC, datetime

import pytest

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster import views
from trustedpods.provider.cluster.capacity import capacity, features
from trustedpods.provider.cluster.objects.names import AWAKE_CPU, METERED, POD_LABEL, PROVEN
from trustedpods.provider.cluster.views import NodeView
from trustedpods.provider.core.placement.nodes import Taint
from trustedpods.provider.core.volumes.growth import StoredVolume

T0 = 1_700_000_000


def at(second: int) -> str:
    return datetime.fromtimestamp(T0 + second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(*, statuses=(), metadata=None, **status):
    return {
        "metadata": {
            "namespace": "n", "name": "p", "uid": "u", "labels": {POD_LABEL: "l"}, "finalizers": [METERED],
            **(metadata or {}),
        },
        "spec": {
            "nodeName": "node",
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}] * 2,
        },
        "status": {"phase": "Running", "startTime": at(0), "containerStatuses": list(statuses), **status},
    }  # fmt: skip


def ended(second, code=0, **more):
    return {"terminated": {"finishedAt": at(second), "exitCode": code, **more}}


def test_a_running_pod():
    view = views.pod_view(
        pod(statuses=[{"name": "c", "state": {"running": {}}, "restartCount": 2}], podIP="10.0.0.1",
            conditions=[{"type": "Ready", "status": "True"}])
    )  # fmt: skip
    assert (view.ready, view.over, view.ip, view.restarts) == (True, False, "10.0.0.1", 2)
    assert (view.started_at, view.finished_at, view.deleted_at) == (T0, None, None)
    assert (view.cpu_milli, view.memory_mib, view.metered, view.label) == (200, 128, True, "l")


def test_it_ends_with_its_last_container():
    statuses = [{"name": "a", "state": ended(5)}, {"name": "b", "state": ended(9)}]
    view = views.pod_view(pod(statuses=statuses, phase="Succeeded"))
    assert view.over
    assert view.finished_at == T0 + 9


def test_one_container_that_ended_is_no_end():
    statuses = [{"name": "a", "state": ended(5)}, {"name": "b", "state": {"running": {}}}]
    view = views.pod_view(pod(statuses=statuses))
    assert not view.over
    assert view.finished_at is None


def test_a_crash_loop_that_was_deleted_ends_with_its_last_run():
    status = {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended(7, 1)}
    gone = {"deletionTimestamp": at(40), "deletionGracePeriodSeconds": 0}
    view = views.pod_view(pod(statuses=[status], metadata=gone))
    assert (view.over, view.finished_at) == (True, T0 + 7)


def test_deletion_is_when_it_was_asked_for_not_when_the_grace_ends():
    going = {"deletionTimestamp": at(40), "deletionGracePeriodSeconds": 30}
    view = views.pod_view(pod(metadata=going, conditions=[{"type": "Ready", "status": "True"}]))
    assert (view.deleted_at, view.ready, view.over) == (T0 + 10, False, False)


def test_an_unfinished_end_has_no_time():
    view = views.pod_view(pod(phase="Failed", reason="Evicted", message="The node was low on memory."))
    assert (view.over, view.finished_at) == (True, None)
    assert view.waiting == "Evicted: The node was low on memory."


def test_the_zero_time_is_no_time():
    zero = {"terminated": {"finishedAt": "0001-01-01T00:00:00Z", "exitCode": 137}}
    assert views.pod_view(pod(statuses=[{"name": "c", "state": zero}], phase="Failed")).finished_at is None


def test_waiting_in_kubernetes_words():
    pull = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}}
    assert views.pod_view(pod(statuses=[pull])).waiting == "ImagePullBackOff: Back-off"
    creating = {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}
    assert views.pod_view(pod(statuses=[creating])).waiting is None
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert views.pod_view(pod(conditions=[full])).waiting == "Unschedulable: 0/1 nodes"


def test_claims_and_namespaces():
    metadata = {
        "namespace": "n",
        "name": "d",
        "uid": "u",
        "labels": {POD_LABEL: "l"},
        "creationTimestamp": at(0),
    }
    claim = {"metadata": metadata, "spec": {"resources": {"requests": {"storage": "64Mi"}}}, "status": {}}
    assert views.volume_claim_view(claim).mib == 64
    claim["status"] = {"capacity": {"storage": "1Gi"}}
    assert views.volume_claim_view(claim).mib == 1024
    assert views.volume_claim_view(claim).stored == StoredVolume(64, 1024)
    assert views.volume_claim_view(claim).proven is None
    claim["metadata"] = {**metadata, "annotations": {PROVEN: "64"}}
    assert views.volume_claim_view(claim).proven == 64
    conditions = [{"type": "X", "status": "True", "message": "pods remain"}, {"type": "Y", "status": "False"}]
    ending = {"metadata": {**metadata, "deletionTimestamp": at(1)}, "status": {"conditions": conditions}}
    view = views.namespace_view(ending)
    assert (view.deleting, view.blocked_by, view.created) == (True, "pods remain", T0)


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]},
        {"allocatedResourceStatuses": {"storage": "NodeResizePending"}},
    ],
)
def test_a_claim_says_how_far_it_has_grown(status):
    metadata = {"namespace": "ns", "name": "data", "uid": "u", "creationTimestamp": at(0)}
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}
    given = {"capacity": {"storage": "1Gi"}}
    failing = {
        "conditions": [{"type": "ControllerResizeError", "status": "True", "message": "array is full"}]
    }
    for told, stored in (
        (status, StoredVolume(2048, 1024, "fast", at_node=True)),
        (failing, StoredVolume(2048, 1024, "fast", trouble="array is full")),
    ):
        claim = {"metadata": metadata, "spec": spec, "status": {**given, **told}}
        assert views.volume_claim_view(claim).stored == stored


def test_a_replica_is_billed_as_what_it_has_awake_and_holds_what_it_asks_for():
    asleep = pod(metadata={"annotations": {AWAKE_CPU: '{"c": 250}'}})
    asleep["spec"]["containers"] = asleep["spec"]["containers"][:1]
    view = views.pod_view(asleep)
    assert (view.cpu_milli, view.lent_milli, view.memory_mib) == (250, 150, 64)
    node = {
        "metadata": {"name": "node"},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    found = capacity([node], [asleep], [])
    assert (found.free.cpu_milli, found.lent_milli) == (900, 150)


def test_capacity_counts_ready_nodes_and_what_runs_or_waits():
    def node(name, ready="True", **spec):
        allocatable = {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1073741824"}
        status = {"conditions": [{"type": "Ready", "status": ready}], "allocatable": allocatable}
        return {"metadata": {"name": name}, "spec": spec, "status": status}

    nodes = [node("node"), node("away", "False"), node("closed", unschedulable=True)]
    over = pod(phase="Succeeded")
    elsewhere = pod()
    elsewhere["spec"] = {**elsewhere["spec"], "nodeName": "away"}
    found = capacity(nodes, [pod(), over, elsewhere], [])
    assert found.allocatable == Resources(2000, 1024, 1024)
    assert found.free == Resources(1800, 896, 1024)
    assert found.nodes == {"node": Resources(1800, 896, 1024)}


def test_features_are_those_of_all_nodes_and_classes():
    spec = {"taints": [{"key": "tee", "value": "snp", "effect": "NoSchedule"}, {"key": "a", "effect": "b"}]}
    status = {"allocatable": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1073741824"}}
    nodes = [
        {"metadata": {"name": "n1", "labels": {"zone": "a"}}, "spec": spec, "status": status},
        {"metadata": {"name": "n2"}, "spec": {}, "status": {}},
    ]
    classes = [{"metadata": {"name": "fast"}, "allowVolumeExpansion": True}, {"metadata": {"name": "plain"}}]
    drivers = [
        {"metadata": {"name": "n1"}, "spec": {"drivers": [{"name": "csi.example.org"}]}},
        {"metadata": {"name": "n2"}, "spec": {"drivers": None}},
    ]
    found = features(nodes, classes, drivers)
    assert found.storage_classes == {"fast": True, "plain": False}
    assert found.default_class == ""
    classes[1]["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    assert features(nodes, iter(classes), drivers).default_class == "plain"
    first = found.nodes["n1"]
    assert (first.labels, first.size) == ({"zone": "a"}, Resources(2000, 1024, 1024))
    assert first.taints == (Taint("tee", "snp", "NoSchedule"), Taint("a", "", "b"))
    assert first.csi_drivers == {"csi.example.org"}
    assert found.nodes["n2"].csi_drivers == frozenset()


@pytest.mark.parametrize(
    ("handlers", "can"),
    [
        (None, False),
        ([], False),
        ([{"name": "", "features": {"userNamespaces": True}}, {"name": "runc"}], True),
        ([{"features": {"userNamespaces": True}}], True),
        ([{"name": "", "features": {"userNamespaces": False}}], False),
        ([{"name": "other", "features": {"userNamespaces": True}}, {"name": ""}], False),
    ],
)
def test_a_node_says_by_its_usual_handler_whether_pods_can_have_user_ids_of_their_own(handlers, can):
    node = {"metadata": {"name": "n1"}, "spec": {}, "status": {"runtimeHandlers": handlers}}
    assert features([node], [], []).nodes["n1"].user_namespaces is can


def test_capacity_knows_what_each_node_has_left():
    def node(name, cpu):
        allocatable = {"cpu": cpu, "memory": "1Gi", "ephemeral-storage": "1073741824"}
        status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": allocatable}
        return {"metadata": {"name": name}, "spec": {}, "status": status}

    here, waiting = pod(), pod()
    here["spec"] = {**here["spec"], "nodeName": "small"}
    waiting["spec"] = {**waiting["spec"], "nodeName": ""}
    found = capacity([node("small", "1"), node("large", "3")], [here, waiting], [])
    assert found.free == Resources(3600, 1792, 2048)
    assert found.nodes == {"small": Resources(800, 896, 1024), "large": Resources(3000, 1024, 1024)}


def test_a_silent_node_was_last_heard_by_its_lease_or_its_status():
    def node(status, beat=None):
        ready = {"type": "Ready", "status": status, "lastHeartbeatTime": beat}
        return {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": [ready]}}

    lease = {"spec": {"renewTime": at(30)}}
    assert views.node_view(node("True", at(10)), lease) == NodeView(T0 + 30, silent=False)
    assert views.node_view(node("False", at(10)), lease) == NodeView(T0 + 30, silent=False)
    assert views.node_view(node("Unknown", at(40)), lease) == NodeView(T0 + 40, silent=True)
    assert views.node_view(node("Unknown", at(10)), None) == NodeView(T0 + 10, silent=True)
    assert views.node_view(node("Unknown"), None) == NodeView(0, silent=True)
