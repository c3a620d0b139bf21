# SPDX-License-Identifier: Apache-2.0
"""The fake has every method of the real door, with the same parameters, and behaves like it."""

import inspect
from dataclasses import dataclass, field

import pytest

from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster import applying
from trustedpods.provider.cluster.api.http import path_of
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.networks.ways import NodeWays
from trustedpods.provider.cluster.objects.pod_objects import objects, services

BEFORE, AFTER = "tp-pod-1", "tp-pod-2"

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


def service(name, expose, **more):
    return {"name": name, "expose": expose, "ports": [{"port": 80, "targetPort": 8080}], **more}


def under(name, host):
    return service(name, "ingress", hosts=[host], ingress={"className": "traefik"})


def life(namespace, *parts):
    manifest = a_manifest(services=list(parts), trust="open", scale={"min": 1, "max": 1})
    return a_life(manifest, namespace=namespace)


@dataclass
class Api:
    """The Services and Ingresses of one namespace, as the API server lists and deletes them."""

    held: dict = field(default_factory=dict)

    async def items(self, path, _labels):
        return [one for at, one in self.held.items() if at.rpartition("/")[0] == path]

    async def delete(self, path):
        del self.held[path]


async def left_by_the_api(before, moving):
    api = Api()
    for one in services(before):
        api.held[path_of(one["kind"], BEFORE, one["metadata"]["name"])] = one
    await applying.leave(api, BEFORE, moving)
    return {(one["kind"], one["metadata"]["name"]) for one in api.held.values()}


async def left_by_the_fake(before, moving):
    cluster = FakeCluster()
    await cluster.apply(objects(before))
    await cluster.apply(objects(life(AFTER), beside=True))
    await cluster.move_services(BEFORE, moving)
    return {key for key in cluster.lives[BEFORE].objects if key[0] in ("Service", "Ingress")}


@pytest.mark.parametrize("left", [left_by_the_api, left_by_the_fake])
@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ([under("web", "a.example.org")], [under("web", "a.example.org")], set()),
        ([under("web", "a.example.org")], [under("shop", "a.example.org")], {("Service", "web")}),
        (
            [under("web", "a.example.org"), service("api", "http")],
            [service("api", "http")],
            {("Service", "web")},
        ),
        (
            [under("web", "a.example.org"), service("api", "http")],
            [],
            {("Service", "web"), ("Service", "api")},
        ),
        ([service("node", "nodePort")], [service("other", "nodePort")], set()),
        ([service("voice", "udp", ports=[{"port": 53, "protocol": "UDP"}])], [], set()),
        ([service("lb", "loadBalancer"), service("own", "none")], [], {("Service", "own")}),
    ],
)
async def test_what_hosts_ports_and_addresses_a_version_before_had_goes(left, before, after, stays):
    assert await left(life(BEFORE, *before), services(life(AFTER, *after))) == stays


@pytest.mark.parametrize("left", [left_by_the_api, left_by_the_fake])
async def test_it_may_be_repeated(left):
    nothing = life(BEFORE)
    assert await left(nothing, services(life(AFTER, under("web", "a.example.org")))) == set()
