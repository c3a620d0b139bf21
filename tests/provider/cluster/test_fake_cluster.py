# SPDX-License-Identifier: Apache-2.0
"""The fake has every method of the real door, with the same parameters, and behaves like it."""

import inspect

import pytest

from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.pods import a_life
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.networks.ways import NodeWays
from trustedpods.provider.cluster.objects.pod_objects import objects

DOORS = {**vars(NodeWays), **vars(Cluster)}
METHODS = [name for name, made in DOORS.items() if callable(made) and not name.startswith("_")]


@pytest.mark.parametrize("name", METHODS)
def test_same_signatures(name):
    real = inspect.signature(getattr(Cluster, name))
    fake = inspect.signature(getattr(FakeCluster, name))
    assert list(real.parameters.values()) == list(fake.parameters.values())


async def test_a_life_from_start_to_end():
    cluster = FakeCluster()
    life = a_life()
    await cluster.apply(objects(life))
    assert await cluster.pods(life.namespace) == []
    async with cluster.watch_pods(life.namespace) as changes:
        await cluster.scale(life.namespace, 1)
        assert (await anext(changes)).pod.ready
        cluster.clock += 10
        await cluster.scale(life.namespace, 0)
        ended = (await anext(changes)).pod
    assert ended.over
    assert ended.finished_at - ended.started_at == 10
    await cluster.delete_namespace(life.namespace)
    assert (await cluster.namespaces())[0].deleting
    await cluster.drop_finalizer(life.namespace, ended.name, ended.uid)
    assert await cluster.namespaces() == []


async def test_unreachable():
    with pytest.raises(NetworkFailure):
        await FakeCluster(unreachable=True).pods()
