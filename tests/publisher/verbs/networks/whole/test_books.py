# SPDX-License-Identifier: Apache-2.0
"""Where others of its network are now, brought to a node that was away when others moved."""

import time
from dataclasses import replace

import pytest

from tests.protocol.networks.books import a_book, entry
from tests.publisher.verbs.networks.test_apply import Team
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.networks.book import AS_BEFORE, NetworkBook
from trustedpods.publisher.core.watch import worst
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, deploy
from trustedpods.publisher.verbs.networks.whole.books import NewestBooks
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.records import NodePlace

KNOWN = entry("a", service="web", port=80, address="192.0.2.7", published=30001)


class Away:
    """A node that calls `a`, deployed at a peer with an old address; `books` are what it is brought."""

    def __init__(self, bench, peer, network, cluster="k1"):
        self.bench, self.peer, self.place = bench, peer, NodePlace(network, cluster)
        self.books, self.answer = [], None
        peer._book = self.take

    async def take(self, request, answers):
        book = decode(request.body, NetworkBook)
        self.books.append(book)
        if isinstance(self.answer, Exception):
            raise self.answer
        await answers.send(Done(text=self.answer or f"book of generation {book.generation}"), final=True)

    async def deploy(self, epoch=0):
        path = self.bench.folder / "b.yaml"
        text = (self.bench.folder / "pod.yaml").read_text()
        path.write_text(f"{text}  network: {{nodes: [a]}}\n")
        pod = replace(read_pod(path, self.bench.folder / "cache"), book=a_book(KNOWN, node="b", epoch=epoch))
        options = DeployOptions(patience_s=0, network=self.place)
        await deploy(options, self.bench.account, pod, DeployProgress(), self.bench.journal())

    async def bring(self, *known):
        """What `NewestBooks` does at the node, with pods that are *known* to be of its network."""
        account, journal = self.bench.account, self.bench.journal()
        async with pods.visit(account, "hello", VisitProgress(), journal) as visited:
            return await NewestBooks(account, known, journal).bring(visited)


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


async def test_a_node_is_brought_what_the_document_says_now(team):
    await team.connect()
    generation = (await team.apply()).generation
    network = f"{team.alice.publisher.address}/shop"
    async with team.bench.peer().serve() as peer:
        node = Away(team.bench, peer, network)
        await node.deploy()
        (record,) = records.mine(team.bench.account, team.journal)
        assert (record.network, record.cluster) == (network, "k1")
        at_k1 = record.model_copy(update={"owner": team.worlds[0].owner, "daemon": 1})
        gone = at_k1.model_copy(update={"owner": "0x" + "9" * 40, "cluster": "k9"})
        assert await node.bring(at_k1, gone), "a cluster whose provider left the registry is not asked"
        (book,) = node.books
        (told,) = book.entries
        assert (book.generation, book.node, told.url) == (generation, "b", "https://a.k1.example")
        node.answer = f"book of generation {generation}, {AS_BEFORE}"
        assert not await node.bring(at_k1)
        node.answer = Refused("the pod has a newer one", rule="stale-book")
        assert not await node.bring(at_k1)
        node.answer = Refused("its hook failed", rule="reload")
        with pytest.raises(Refused, match="hook failed"):
            await node.bring(at_k1)


async def test_a_round_of_watch_says_that_a_node_does_not_know_and_goes_on(bench):
    async with bench.peer().serve() as peer:
        node = Away(bench, peer, f"{bench.account.publisher.address}/shop")
        await node.deploy()
        result = await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    (pod,) = result.pods
    assert pod.state == "untold", "the peer keeps no network's documents"
    assert pod.exit_code == worst([pod.exit_code]) != 0
    assert "does not know where other nodes" in pod.problems[0]
    assert node.books == []


async def known_network(team):
    """A document at k1 that says where `a` is, and its generation; and the network's name."""
    await team.connect()
    generation = (await team.apply()).generation
    return generation, f"{team.alice.publisher.address}/shop"


def beside_one_at_k1(team):
    """Of this machine's pods of the network one is at k1 too, so that its document is read."""
    (record,) = records.mine(team.bench.account, team.journal)
    other = {"owner": team.worlds[0].owner, "daemon": 1, "channel": "ab" * 24, "name": "other"}
    records.keep(record.model_copy(update=other), team.journal)


async def looked_after(team):
    result = await watch_round(team.bench.account, WatchOptions(patience_s=0), team.bench.journal())
    return next(one for one in result.pods if one.name == "hello")


@pytest.mark.parametrize("phase", ["serving", "failing", "parked"])
async def test_a_node_that_cannot_start_without_the_others_is_told_where_they_are(team, phase):
    generation, network = await known_network(team)
    async with team.bench.peer().serve() as peer:
        node = Away(team.bench, peer, network)
        await node.deploy()
        beside_one_at_k1(team)
        peer.phase = phase
        pod = await looked_after(team)
    assert "told where other nodes are" in pod.actions
    assert [one.generation for one in node.books] == [generation]


async def rebooted(team, network, epoch=0):
    peer = team.bench.peer()
    async with peer.serve():
        node = Away(team.bench, peer, network)
        await node.deploy(epoch)
        beside_one_at_k1(team)
    peer.reboot()
    return peer, node


async def test_a_node_of_a_machine_that_restarts_begins_with_the_newest_addresses(team):
    generation, network = await known_network(team)
    peer, node = await rebooted(team, network)
    async with peer.serve():
        pod = await looked_after(team)
    assert (pod.state, pod.actions[:2]) == ("released", ("moved", "released"))
    before, after = (one.book for one in peer.bundles)
    assert (before.generation, after.generation) == (1, generation)
    assert [one.url for one in after.entries] == ["https://a.k1.example"]
    assert node.books == [after], "and is asked whether it has them"


async def test_a_node_that_knows_more_than_the_document_begins_with_what_it_knows(team):
    """As where the one cluster that answers keeps an old document."""
    _, network = await known_network(team)
    peer, _ = await rebooted(team, network, epoch=int(time.time()) + 3600)
    async with peer.serve():
        pod = await looked_after(team)
    assert "released" in pod.actions
    before, after = (one.book for one in peer.bundles)
    assert after == before


async def test_a_node_whose_newest_addresses_are_closed_there_begins_with_those_from_before(team):
    _, network = await known_network(team)
    peer, _ = await rebooted(team, network)
    provision = peer._provision

    async def refuse_newer(request, answers):
        if decode(request.body, Bundle).book.generation > 1:
            raise Refused("node a is closed here", rule="closed-node", where="a")
        await provision(request, answers)

    peer._provision = refuse_newer
    async with peer.serve():
        pod = await looked_after(team)
    assert "released" in pod.actions
    assert [one.book.generation for one in peer.bundles] == [1, 1]


async def test_a_document_that_cannot_be_read_keeps_no_node_from_coming_back(bench):
    peer = bench.peer()
    async with peer.serve():
        await Away(bench, peer, f"{bench.account.publisher.address}/shop").deploy()
    peer.reboot()
    async with peer.serve():
        result = await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    (pod,) = result.pods
    assert "released" in pod.actions
    assert pod.state == "untold"
    assert peer.bundles[0].book == peer.bundles[1].book


async def test_a_pod_of_no_network_is_asked_nothing(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        node = Away(bench, peer, "unused")
        assert not await node.bring()
        assert node.books == []


async def test_what_could_not_be_read_is_said_of_every_node(team):
    async with team.bench.peer().serve() as peer:
        node = Away(team.bench, peer, f"{team.alice.publisher.address}/shop")
        await node.deploy()
        (record,) = records.mine(team.bench.account, team.journal)
        at_k1 = record.model_copy(update={"owner": team.worlds[0].owner, "daemon": 1})
        for _ in range(2):
            with pytest.raises((Refused, NetworkFailure)):
                await node.bring(at_k1)
