# SPDX-License-Identifier: Apache-2.0
"""Pods of nodes at a provider over real libp2p: one with volumes that outlive it."""

from dataclasses import replace

import pytest

from tests.fakes.network_states import SHOP
from tests.protocol.networks.books import a_book, entry
from tests.publisher.verbs.offers.test_planned import WITH_MODE
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import InsufficientFunds, Refused
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.admission import RenderBody
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.payers.payer import SafePayer
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.nodes import MarketPods
from trustedpods.publisher.verbs.running.stopping import stop
from trustedpods.publisher.visits import records


async def test_a_node_with_volumes_that_outlive_it_is_not_touched_until_it_is_purged(bench):
    name = pod_name(SHOP, "a")

    def pods(*, purge=False):
        return MarketPods(bench.account, SHOP, {}, DeployOptions(), bench.journal(), purge)

    async with bench.peer().serve() as peer:
        await bench.deploy(name)
        peer.outliving = {"data-pod-0": 512}
        cluster = NetworkCluster(name="one", owner=address_bytes(peer.owner), daemon=0)
        with pytest.raises(Refused) as caught:
            await pods().remove("a", cluster)
        assert (caught.value.rule, peer.phase) == ("not-agreed", "serving")
        assert "--purge" in caught.value.hint
        assert f"trustedpods delete {name} --purge" in caught.value.hint
        await pods(purge=True).remove("a", cluster)
        assert (await bench.status(name)).pod.channel.live is None


async def test_whoever_tells_a_node_keeps_which_nodes_are_outside(bench):
    """`watch` of this machine must not take their addresses for the state's."""
    name, seen = pod_name(SHOP, "a"), []
    made = MarketPods(bench.account, SHOP, {}, DeployOptions(), bench.journal(), external=("partner",))

    async def take(request, answers):
        seen.append(decode(request.body, NetworkBook))
        await answers.send(Done(text="book of generation 1"), final=True)

    async with bench.peer().serve() as peer:
        await bench.deploy(name)
        peer._book = take
        await made.tell("a", a_book())
    (channel,) = records.pod_records().channels()
    record = records.pod_records().load(channel)
    assert (seen, record.external) == ([a_book()], ["partner"])


async def test_a_node_goes_without_another_owners_node_that_is_closed_there_and_without_none_of_its_own(
    bench,
):
    name, seen = pod_name(SHOP, "a"), []
    book = a_book(entry(), entry("guest-one"), entry("guest-two"), node="a")
    journal = bench.journal()
    made = MarketPods(
        bench.account, SHOP, {}, DeployOptions(), journal, theirs=frozenset({"guest-one", "guest-two"})
    )

    async def take(request, answers):
        seen.append(decode(request.body, NetworkBook))
        if any(one.node == closed and one.address for one in seen[-1].entries):
            raise Refused(f"node {closed} is closed here", rule="closed-node", where=closed)
        await answers.send(Done(text="book of generation 1"), final=True)

    async with bench.peer().serve() as peer:
        await bench.deploy(name)
        peer._book = take
        closed = "guest-one"
        await made.tell("a", book)
        assert [[one.node for one in told.entries if one.address] for told in seen] == [
            ["b", "guest-one", "guest-two"],
            ["b", "guest-two"],
        ]
        closed = "b"
        with pytest.raises(Refused, match="node b is closed here"):
            await made.tell("a", book)
    (channel,) = records.pod_records().channels()
    kept = records.pod_records().bundle(channel, bench.account.publisher.secret)
    assert kept.book is None or kept.book == seen[1]


async def test_what_is_closed_at_a_provider_is_known_before_a_channel_is_opened(bench):
    path = bench.folder / "pod.yaml"
    path.write_text(path.read_text() + "  network: {nodes: [b, guest-one]}\n")
    name = pod_name(SHOP, "a")
    pod = read_pod(path, bench.folder / "cache", name=name)
    journal, theirs = bench.journal(), frozenset({"guest-one"})
    made = MarketPods(bench.account, SHOP, {"a": pod}, DeployOptions(), journal, theirs=theirs)
    book = a_book(entry(), entry("guest-one"), node="a")
    opened = []

    async with bench.peer().serve() as peer:
        provision, render = peer._provision, peer._render

        def refuse(given):
            opened.append([one.node for one in given.entries if one.address])
            if closed in opened[-1]:
                raise Refused(f"node {closed} is closed here", rule="closed-node", where=closed)

        async def provision_some(request, answers):
            bundles.append(decode(request.body, Bundle).book)
            refuse(bundles[-1])
            await provision(request, answers)

        async def render_some(request, answers):
            refuse(decode(request.body, RenderBody).book)
            await render(request, answers)

        peer._provision, peer._render, bundles = provision_some, render_some, []
        cluster = NetworkCluster(name="one", owner=address_bytes(peer.owner), daemon=0)
        closed = "b"
        with pytest.raises(Refused, match="node b is closed here"):
            await made.deploy("a", cluster, book)
        assert (bundles, bench.chain.lives) == ([], {})
        closed = "guest-one"
        await made.deploy("a", cluster, book)
    (given,) = bundles
    assert [one.node for one in given.entries if one.address] == ["b"]
    assert [line for line in journal.show.warnings if "a goes without" in line]


async def test_a_pod_that_is_gone_already_is_no_error(bench):
    async with bench.peer().serve() as peer:
        cluster = NetworkCluster(name="one", owner=address_bytes(peer.owner), daemon=0)
        await MarketPods(bench.account, SHOP, {}, DeployOptions(), bench.journal()).remove("a", cluster)


async def test_a_stopped_node_takes_its_new_version_stays_stopped_and_that_is_said(bench):
    name, path, journal = pod_name(SHOP, "a"), bench.folder / "pod.yaml", bench.journal()

    def wanted():
        pod = read_pod(path, bench.folder / "cache", name=name)
        return MarketPods(bench.account, SHOP, {"a": pod}, DeployOptions(), journal)

    async with bench.peer().serve() as peer:
        cluster = NetworkCluster(name="one", owner=address_bytes(peer.owner), daemon=0)
        before = await wanted().deploy("a", cluster, None)
        await stop(bench.account, name, VisitProgress(), journal)
        path.write_text(path.read_text().replace(*WITH_MODE))
        after = await wanted().deploy("a", cluster, None)
        assert after.endpoints == before.endpoints
        assert (len(peer.bundles), "start" in peer.log) == (2, False)
        assert peer.parked_at is not None
    text = f"{name} is stopped, as before; `trustedpods start {name}` lets it run"
    assert [one["text"] for one in journal.events if one["event"] == "parked"] == [text]


async def test_a_node_asks_no_payer(bench):
    """Nodes are deployed side by side: a person would be asked by all of them at once."""
    pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache", pod_name(SHOP, "a"))
    payer = SafePayer(Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"))
    account = replace(bench.account, payer=payer)
    bench.chain.tokens[bench.address] = 0
    made = MarketPods(account, SHOP, {"a": pod}, DeployOptions(), bench.journal())
    async with bench.peer().serve() as peer:
        cluster = NetworkCluster(name="one", owner=address_bytes(peer.owner), daemon=0)
        with pytest.raises(InsufficientFunds) as caught:
            await made.deploy("a", cluster, None)
    assert caught.value.rule == "token"
