# SPDX-License-Identifier: Apache-2.0
"""How a pod's replicas are run, and that one module alone knows by what."""

import re
from pathlib import Path

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from tests.fakes.web_server import answer, status_object
from tests.provider.cluster.strategies import the_deployment
from trustedpods.provider.cluster import client, workloads
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.objects.names import SCALER
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.cluster.rollout import Rollout

ONE = "/apis/apps/v1/namespaces/tp-p1-1/deployments/pod"
SET = "/apis/apps/v1/namespaces/tp-p1-1/statefulsets/pod"
SETS = "/apis/apps/v1/namespaces/tp-p1-1/replicasets"
NOT_THERE = status_object(404, "NotFound", 'deployments.apps "pod" not found')


def controlled(replicas, owner=SCALER):
    fields = [{"manager": owner, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    metadata = {"namespace": "tp-p1-1", "name": "pod", "generation": 2, "managedFields": fields}
    return {"metadata": metadata, "spec": {"replicas": replicas}, "status": {"observedGeneration": 2}}


def listing(*items):
    return answer(200, {"metadata": {}, "items": list(items)})


def calls(server):
    """Method, path and field manager of each request."""
    heads = [head.split("\r\n")[0].split()[:2] for head in server.requests]
    managers = [re.search(r"fieldManager=([\w-]+)", target) for _, target in heads]
    return [
        (method, target.partition("?")[0], found[1] if found else None)
        for (method, target), found in zip(heads, managers, strict=True)
    ]


def test_only_one_module_and_one_object_know_by_what():
    room = Path(client.__file__).parent
    word = re.compile(r"\bDeployment|\bdeployments|\bReplicaSet|\breplicasets")
    knowing = {
        path.relative_to(room).as_posix() for path in room.rglob("*.py") if word.search(path.read_text())
    }
    assert knowing == {"workloads.py", "objects/workload/deployment.py"}, "a StatefulSet is another word"


def test_each_strategy_is_found_by_the_kind_of_its_objects():
    assert workloads.of_kind(the_deployment(a_life())["kind"]) is workloads.DEPLOYMENTS
    assert workloads.of_kind("Secret") is None


def test_where_workloads_live():
    assert workloads.DEPLOYMENTS.path("tp-p1-1") == ONE
    assert workloads.DEPLOYMENTS.path() == "/apis/apps/v1/deployments"


@pytest.mark.parametrize(
    ("there", "steps"),
    [
        (
            NOT_THERE,
            [("PATCH", ONE, "trustedpods"), ("PATCH", ONE + "/scale", "trustedpods-scaler")],
        ),
        (answer(200, controlled(3)), [("PATCH", ONE, "trustedpods")]),
        (
            answer(200, controlled(3, owner="trustedpods")),
            [("PATCH", ONE + "/scale", "trustedpods-scaler"), ("PATCH", ONE, "trustedpods")],
        ),
    ],
    ids=["new", "owned-by-the-scaler", "left-half-made"],
)
async def test_the_scaler_always_owns_the_number(api_server, kubeconfig_for, there, steps):
    server = await api_server(there, answer(200, {}))
    wanted = the_deployment(a_life(namespace="tp-p1-1"))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.apply([wanted])
    assert calls(server) == [("GET", ONE, None), *steps]


async def test_replicas_of_one_and_of_all(api_server, kubeconfig_for):
    stranger = controlled(9)
    stranger["metadata"] |= {"name": "not-ours"}
    there, other = answer(200, controlled(2)), controlled(5)
    other["metadata"] |= {"namespace": "tp-p2-1"}
    server = await api_server(there, there, listing(controlled(3), stranger), listing(other))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.replicas("tp-p1-1") == 2
        assert await cluster.all_replicas() == {"tp-p1-1": 3, "tp-p2-1": 5}
    assert [path for _, path, _ in calls(server)][2:] == [
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/statefulsets",
    ]


async def test_a_kind_is_looked_for_once_and_again_after_a_change(api_server, kubeconfig_for):
    there, done = answer(200, controlled(1)), answer(200, {})
    server = await api_server(NOT_THERE, there, done, done, done, listing(), listing(), listing(), listing())
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.scale("tp-p1-1", 1)
        await cluster.scale("tp-p1-1", 2)
    assert calls(server) == [
        ("GET", ONE, None),
        ("GET", SET, None),
        ("PATCH", SET + "/scale", "trustedpods-scaler"),
        ("PATCH", SET + "/scale", "trustedpods-scaler"),
    ]


async def test_a_set_that_cannot_change_in_place_is_made_anew(api_server, kubeconfig_for):
    words = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"
    cause = {"reason": "FieldValueForbidden", "field": "spec", "message": words}
    no, done = status_object(422, "Invalid", words, causes=[cause]), answer(200, {})
    server = await api_server(answer(200, controlled(0)), no, done, NOT_THERE, done, done)
    life = a_life(a_manifest(workload="stateful"), namespace="tp-p1-1")
    wanted = next(one for one in objects(life) if one["kind"] == "StatefulSet")
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.apply([wanted])
    assert [(method, path) for method, path, _ in calls(server)] == [
        ("GET", SET), ("PATCH", SET), ("DELETE", SET),
        ("GET", SET), ("PATCH", SET), ("PATCH", SET + "/scale"),
    ]  # fmt: skip


async def test_scaling_is_the_scaler_s(api_server, kubeconfig_for):
    server = await api_server(answer(200, controlled(1)), answer(200, {}))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.scale("tp-p1-1", 4)
    assert calls(server)[1:] == [("PATCH", ONE + "/scale", "trustedpods-scaler")]


async def test_a_rollout_reads_the_replica_sets_last(api_server, kubeconfig_for):
    server = await api_server(answer(200, controlled(2)), answer(200, controlled(2)), listing(controlled(2)))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.rollout("tp-p1-1") == Rollout(2, settled=True)
    assert [path for _, path, _ in calls(server)] == [ONE, ONE, SETS]


async def test_a_rollout_of_nothing_is_settled_and_an_unseen_one_is_not(api_server, kubeconfig_for):
    unseen = controlled(2) | {"status": {"observedGeneration": 1}}
    seen = answer(200, unseen)
    server = await api_server(NOT_THERE, NOT_THERE, NOT_THERE, seen, seen)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.rollout("tp-p1-1") == Rollout(0, settled=True)
        assert await cluster.rollout("tp-p1-1") == Rollout(2, settled=False)


async def test_without_a_pod_its_makers_say_why(api_server, kubeconfig_for):
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no room"}
    failed = {"status": {"conditions": [condition]}}
    there = answer(200, controlled(1))
    server = await api_server(there, there, listing(), listing(failed))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.why_not_ready("tp-p1-1") == "FailedCreate: no room"
    assert calls(server)[-1] == ("GET", SETS, None)
