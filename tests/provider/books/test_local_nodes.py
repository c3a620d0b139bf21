# SPDX-License-Identifier: Apache-2.0
"""Two nodes of one cluster: their ways lead to each other's replicas, through all that happens to them."""

import itertools
from dataclasses import replace

import pytest

from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.messages.base import Done
from trustedpods.provider.books.local_nodes import LocalNodes, PublishingPod, ports_of
from trustedpods.provider.cluster.objects.network_nodes.local_policy import local_policy
from trustedpods.provider.cluster.objects.network_nodes.ways import LOCAL
from trustedpods.provider.core.networks.local_nodes import Passage, Passages
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.pod_variables import site_of

HERE, POLICY = "192.0.2.7", ("NetworkPolicy", "local-nodes")
OTHER = {"a": "b", "b": "a"}
_generations = itertools.count(2)


class Pair:
    """The nodes `a` and `b`, of which the first one calls the second, in a world of one cluster."""

    def __init__(self, tmp_path, expose="nodePort"):
        names = {"listen": "127.0.0.1:0", "address": "127.0.0.1", "upstream": ["127.0.0.1:5353"]}
        offered = {"udp": True, "node_ports": True, "load_balancers": 2, "node_address": HERE}
        self.world = World(tmp_path, names=names, exposure=offered)
        self.transport = "UDP" if expose == "udp" else "TCP"
        port = {"port": 80, "targetPort": 8080, "protocol": self.transport}
        self.service = {"name": "web", "expose": expose, "ports": [port]}
        self.parts, self.nodes = None, {}

    async def deploy(self, parts, address, *, key=None, calls=(("a", "b"),)):
        """Deploy both nodes, `b` with *key* where it is somebody else's, and tell them of each other."""
        self.parts = parts
        first = Caller(self.world, address)
        self.nodes = {"a": first, "b": Caller(self.world, address, first.key if key is None else key)}
        for name, other in calls:
            self.nodes[name].book = a_book(self.entry(other, address=""), node=name)
        for name, caller in self.nodes.items():
            caller.manifest = self.manifest(*[other for one, other in calls if one == name])
            await caller.provision()
        for name, other in calls:
            await self.tell(name, **self.published(other))

    def manifest(self, *nodes, greeting="hello"):
        """Of a node that calls *nodes*."""
        made = manifest_of().model_dump(by_alias=True, exclude_unset=True)["spec"]["containers"][0]
        ports = [{"containerPort": 8080, "protocol": self.transport}]
        container = {**made, "ports": ports, "env": [{"name": "GREETING", "value": greeting}]}
        parts = {"containers": [container], "services": [self.service], "network": {"nodes": [*nodes]}}
        return manifest_of(scale={"min": 1, "max": 1}, **parts)

    def entry(self, node, **where):
        return entry(node, port=80, transport=self.transport, **where)

    async def tell(self, name, **where):
        book = a_book(self.entry(OTHER[name], **where), node=name, generation=next(_generations))
        await self.nodes[name].ask("book", book, Done)

    def record(self, name):
        return self.parts.pods.get(self.nodes[name].ref.channel)

    def published(self, name):
        given = self.record(name).exposures["web"]
        if given.addresses:
            return {"address": given.addresses[0], "published": 80}
        return {"address": HERE, "published": given.node_ports[0].node_port}

    def objects(self, name):
        return self.world.cluster.lives[self.record(name).namespace].objects

    def leads_to(self, name):
        """Addresses and port of the way to the other node."""
        found = self.objects(name)["EndpointSlice", f"peer-{OTHER[name]}-{self.transport.lower()}-80"]
        addresses = [one for end in found["endpoints"] for one in end["addresses"]]
        return addresses, found["ports"][0]["port"], LOCAL in found["metadata"]["annotations"]

    def replicas(self, name):
        pods = self.world.cluster.lives[self.record(name).namespace].pods.values()
        return sorted(one.ip for one in pods if one.ready)

    async def look(self):
        """As a daemon that has just started does."""
        await LocalNodes(self.parts.doors, self.parts.pods).look()


@pytest.mark.parametrize("expose", ["nodePort", "udp", "loadBalancer"])
async def test_a_way_leads_to_the_replicas_and_both_sides_are_open(tmp_path, expose):
    pair = Pair(tmp_path, expose)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await pair.look()
        assert pair.leads_to("a") == (pair.replicas("b"), 8080, True)
        a, b = (pair.record(name).namespace for name in "ab")
        out = Passages(out=(Passage(b, pair.transport, 8080),))
        into = Passages(into=(Passage(a, pair.transport, 8080),))
        assert pair.objects("a")[POLICY] == local_policy(a, out)
        assert pair.objects("b")[POLICY] == local_policy(b, into)


@pytest.mark.parametrize("order", [1, -1])
async def test_an_address_is_the_ones_whose_service_has_it(tmp_path, order):
    """Whoever had it before keeps it in the record."""
    pair = Pair(tmp_path, "loadBalancer")
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        a, b = (pair.record(name) for name in "ab")
        stale = replace(a, exposures=b.exposures)
        pods = [PublishingPod(one, site_of(one, parts.doors.config)) for one in (stale, b)][::order]
        cluster = parts.doors.cluster
        found = ports_of(pods, await cluster.services(), await cluster.service_ends())
        (shared,) = b.exposures["web"].addresses
        assert {one.namespaces for at, one in found.items() if at.address == shared} == {(b.namespace,)}


async def test_a_second_look_writes_nothing(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await pair.look()
        pair.world.cluster.calls.clear()
        await pair.look()
        asked = set(pair.world.cluster.calls)
    assert not [one for one in asked if one.startswith(("lead", "open passages"))]


async def test_where_no_pod_publishes_at_nodes_nothing_is_asked(tmp_path):
    pair = Pair(tmp_path, "http")
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address, calls=())
        nodes = LocalNodes(parts.doors, parts.pods)
        await nodes.look()  # who led before may have left something
        asked = []
        pair.world.cluster.ways = lambda: asked.append("ways")
        await nodes.look()
    assert asked == []


async def test_replicas_that_come_and_go_are_followed(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        before, space = pair.replicas("b"), pair.record("b").namespace
        await pair.world.cluster.scale(space, 0)
        await pair.look()
        assert pair.leads_to("a") == ([], 8080, True)
        assert POLICY in pair.objects("b")
        await pair.world.cluster.scale(space, 2)
        await pair.look()
        assert pair.leads_to("a")[0] == pair.replicas("b") != before
        assert len(pair.replicas("b")) == 2


async def test_updates_of_both_keep_the_way_and_what_is_open(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address, calls=OTHER.items())
        await pair.look()
        for name in "ab":
            before = pair.record(name).namespace
            pair.nodes[name].manifest = pair.manifest(OTHER[name], greeting="anew")
            await pair.nodes[name].provision()
            assert pair.record(name).namespace != before
            assert pair.leads_to(name)[2], "it goes on so in the new version's namespace"
            await pair.look()
        for name, other in OTHER.items():
            assert pair.leads_to(name) == (pair.replicas(other), 8080, True)
            into = pair.objects(name)[POLICY]["spec"]["ingress"]
            assert [one["from"][0]["namespaceSelector"]["matchLabels"].popitem()[1] for one in into] == [
                pair.record(other).namespace
            ]


async def test_a_book_that_is_told_again_does_not_lead_away_in_between(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await pair.look()
        await pair.tell("a", **pair.published("b"))
        assert pair.leads_to("a") == (pair.replicas("b"), 8080, True)


async def test_a_node_that_moves_away_and_back(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await pair.look()
        service = pair.objects("a")["Service", "peer-b"]
        await pair.tell("a", address="198.51.100.9", published=30099)
        await pair.look()
        assert pair.leads_to("a") == (["198.51.100.9"], 30099, False)
        assert POLICY not in pair.objects("a")
        assert POLICY not in pair.objects("b")
        await pair.tell("a", **pair.published("b"))
        await pair.look()
        assert pair.leads_to("a") == (pair.replicas("b"), 8080, True)
        assert pair.objects("a")["Service", "peer-b"] == service


async def test_a_node_that_is_deleted_leaves_nothing_open(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await pair.look()
        channel = pair.nodes["b"].ref.channel
        record = pair.record("b")
        await parts.pods.learn(channel, phase=Phase.GONE)
        await pair.look()
        assert pair.leads_to("a")[2] is False
        assert POLICY not in pair.objects("a")
        assert POLICY not in pair.world.cluster.lives[record.namespace].objects


async def test_a_pod_of_somebody_else_opens_only_to_whom_it_calls(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address, key=b"k" * 32)
        await pair.look()
        assert pair.leads_to("a")[2] is False
        assert POLICY not in pair.objects("b")


async def test_nodes_of_two_publishers_that_call_each_other(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address, key=b"k" * 32, calls=OTHER.items())
        await pair.look()
        for name, other in OTHER.items():
            assert pair.leads_to(name) == (pair.replicas(other), 8080, True)


async def test_the_daemon_looks_by_itself(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address)
        await until(lambda: pair.leads_to("a")[2])
    async with pair.world.run() as (pair.parts, _):
        await pair.world.cluster.scale(pair.record("b").namespace, 2)
        await until(lambda: pair.leads_to("a")[0] == pair.replicas("b"))
        assert len(pair.replicas("b")) == 2


async def test_a_namespace_that_is_going_keeps_no_way_from_being_led(tmp_path):
    pair = Pair(tmp_path)
    async with pair.world.run() as (parts, address):
        await pair.deploy(parts, address, calls=OTHER.items())
        pair.world.cluster.lives[pair.record("b").namespace].deleting = True
        await pair.look()
        assert POLICY in pair.objects("a")
        assert all(pair.leads_to(name)[2] for name in OTHER)
