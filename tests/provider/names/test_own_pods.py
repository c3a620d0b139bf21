# SPDX-License-Identifier: Apache-2.0
"""Pods of one publisher find each other's services and replicas by name; nobody else's are there."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.protocol.ids import Address
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.core.names.opened import HostAnswer
from trustedpods.provider.core.names.own_pods import ANSWER_S
from trustedpods.provider.names.openings import NamesUnknown
from trustedpods.provider.names.own_pods import MAX_KEPT, UNKNOWN_KEPT_S, OwnPods

ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)
PLACE = ResolverPlace("10.9.33.11", "10.9.0.11", 5354)
CALLER = "tp-caller-1"


async def deployed(cluster, publisher, name, namespace, **spec):
    """A pod whose manifest has that name, as a daemon applies it."""
    manifest = a_manifest(**spec)
    manifest = manifest.model_copy(update={"metadata": manifest.metadata.model_copy(update={"name": name})})
    life = a_life(manifest, namespace=namespace, label=namespace.split("-")[1])
    await cluster.apply(objects(replace(life, publisher=publisher, resolver=PLACE)))


def nodes(**more):
    service = {"name": "rpc", "ports": [{"port": 8545}]}
    return {"workload": "stateful", "replicas": 2, "services": [service], **more}


async def a_caller(cluster, publisher, *pods):
    await deployed(
        cluster, publisher, "web", CALLER, network={"egress": [{"to": [{"pod": one} for one in pods]}]}
    )


async def asked(cluster, host):
    return await OwnPods(cluster).resolve(CALLER, "caller", host)


async def test_services_and_replicas_of_an_own_pod_have_names():
    cluster = FakeCluster()
    await deployed(cluster, ALICE, "nodes", "tp-nodes-1", **nodes())
    await a_caller(cluster, ALICE, "nodes")
    views = {view.name: view.cluster_ip for view in await cluster.services("tp-nodes-1")}
    for service in ("rpc", "pod-0", "pod-1"):
        assert await asked(cluster, f"{service}.nodes.internal") == HostAnswer((views[service],), ANSWER_S)
    assert await OwnPods(cluster).allowed(CALLER, "caller", "rpc.nodes.internal")


async def test_what_was_not_asked_for_or_is_not_there_is_unknown():
    cluster = FakeCluster()
    await deployed(cluster, ALICE, "nodes", "tp-nodes-1", **nodes())
    await deployed(cluster, ALICE, "other", "tp-other-1", **nodes())
    await a_caller(cluster, ALICE, "nodes", "later")
    for host in ("rpc.other.internal", "pod-2.nodes.internal", "rpc.later.internal", "api.example.org"):
        with pytest.raises(NamesUnknown):
            await asked(cluster, host)
    assert not await OwnPods(cluster).allowed(CALLER, "caller", "rpc.other.internal")
    assert not await OwnPods(cluster).allowed("tp-nodes-1", "nodes", "rpc.nodes.internal")
    await deployed(cluster, ALICE, "later", "tp-later-1", **nodes())
    assert (await asked(cluster, "rpc.later.internal")).addresses, "whoever asks again finds it"


async def test_a_pod_of_somebody_else_by_the_same_name_is_unknown():
    cluster = FakeCluster()
    await deployed(cluster, BOB, "nodes", "tp-nodes-1", **nodes())
    await a_caller(cluster, ALICE, "nodes")
    with pytest.raises(NamesUnknown):
        await asked(cluster, "rpc.nodes.internal")


async def test_of_two_versions_the_one_that_has_the_services_answers():
    cluster = FakeCluster()
    await deployed(cluster, ALICE, "nodes", "tp-nodes-1", **nodes(workload="replicated"))
    await a_caller(cluster, ALICE, "nodes")
    before = await asked(cluster, "rpc.nodes.internal")
    cluster.clock += 10
    await deployed(cluster, ALICE, "nodes", "tp-nodes-2", **nodes(workload="replicated"))
    assert await asked(cluster, "rpc.nodes.internal") == before
    objects = cluster.lives["tp-nodes-2"].objects
    await cluster.move_services(
        "tp-nodes-1", [one for (kind, _), one in objects.items() if kind == "Service"]
    )
    [view] = await cluster.services("tp-nodes-2")
    assert (await asked(cluster, "rpc.nodes.internal")).addresses == (view.cluster_ip,)


async def test_an_answer_is_remembered_as_long_as_it_holds(autojump_clock):
    cluster = FakeCluster()
    await deployed(cluster, ALICE, "nodes", "tp-nodes-1", **nodes())
    await a_caller(cluster, ALICE, "nodes", "later")
    answers = OwnPods(cluster)
    known = await answers.resolve(CALLER, "caller", "rpc.nodes.internal")
    with pytest.raises(NamesUnknown):
        await answers.resolve(CALLER, "caller", "rpc.later.internal")
    looks = len(cluster.calls)
    for _ in range(100):
        assert await answers.resolve(CALLER, "caller", "rpc.nodes.internal") == known
        with pytest.raises(NamesUnknown):
            await answers.resolve(CALLER, "caller", "rpc.later.internal")
    assert len(cluster.calls) == looks
    await deployed(cluster, ALICE, "later", "tp-later-1", **nodes())
    await trio.sleep(UNKNOWN_KEPT_S)
    assert (await answers.resolve(CALLER, "caller", "rpc.later.internal")).addresses
    await trio.sleep(ANSWER_S)
    await cluster.delete_namespace("tp-nodes-1")
    with pytest.raises(NamesUnknown):
        await answers.resolve(CALLER, "caller", "rpc.nodes.internal")


async def test_no_more_answers_are_remembered_than_there_is_room_for():
    answers = OwnPods(FakeCluster())
    for number in range(MAX_KEPT + 1):
        with pytest.raises(NamesUnknown):
            await answers.resolve(CALLER, "caller", f"s{number}.nodes.internal")
    assert len(answers._kept) == MAX_KEPT
