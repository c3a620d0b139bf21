# SPDX-License-Identifier: Apache-2.0
"""`lock` and `state` at two whole daemons, over the real wire; only chain, cluster and facade are fakes."""

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from tests.fakes.network_documents import Author
from tests.publisher.conftest import ListShow
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput, CopiesDiffer, Locked, NetworkFailure, NoContext, Refused
from trustedpods.protocol.networks.documents import NOTHING, Copy
from trustedpods.protocol.sealing.requests import publisher_secret
from trustedpods.provider.cluster.networks.documents import StoredDocument
from trustedpods.publisher.client import Client
from trustedpods.publisher.commands.network_lines import copy_lines, lease_lines
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.networks import NetworkId
from trustedpods.publisher.verbs.networks import lock, places, state


class Team:
    """Two clusters with a daemon each, and somebody with a network in both."""

    def __init__(self, bench, worlds):
        self.account, self.worlds = bench.account, worlds
        self.journal = Journal(ListShow())
        self.author = Author(bench.account.publisher.key)
        self.one = self.author.write(b"one")
        self.two = self.author.write(b"two", self.one)
        names = [f"k{number}={world.owner}/1" for number, world in enumerate(worlds, 1)]
        self.place = places.parse_place("shop", names)

    @asynccontextmanager
    async def clusters(self, account=None):
        place = replace(self.place, founder=self.account.publisher.address)
        async with places.opened(account or self.account, place, self.journal) as (_, clusters):
            yield clusters

    def writes(self, world):
        return [call for call in world.cluster.calls if call.startswith("write network")]


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


def stranger(team):
    key = secrets.token_bytes(32)
    context = team.account.publisher.chain
    return MarketAccount(team.account.market, Publisher(address_of(key), key, publisher_secret(key), context))


async def test_a_change_and_what_the_verbs_say_of_it(team):
    async with team.clusters() as clusters:
        assert await clusters.read() == NOTHING
        async with clusters.locked("apply shop.yaml") as held:
            assert await held.write(team.one.body) == team.one
            leases = await lock.status(team.account, team.place, team.journal)
            with pytest.raises(Locked) as caught:
                await state.repair(team.account, team.place, "k1", 0.0, team.journal)
            assert "apply shop.yaml" in str(caught.value)
    me = team.account.publisher.address
    assert all(f"held by {me}" in line for line in lease_lines(leases) if line.startswith("k"))
    assert '"command": "apply shop.yaml"' in json.dumps(json_of(leases))
    free = await lock.status(team.account, team.place, team.journal)
    assert [line for line in lease_lines(free) if line.endswith(": free")] == ["k1: free", "k2: free"]
    copies = await state.compare_copies(team.account, team.place, team.journal)
    assert copies.network == NetworkId(me, "shop")
    assert dict(copies.clusters) == {"k1": Copy(team.one), "k2": Copy(team.one)}
    assert json.dumps(json_of(copies))
    assert len(copy_lines(copies)) == 3


async def test_a_program_asks_the_same(team):
    client = Client(team.account)
    clusters = {f"k{number}": f"{world.owner}/1" for number, world in enumerate(team.worlds, 1)}
    async with team.clusters() as found, found.locked("apply") as held:
        await held.write(team.one.body)
        leases = await client.lock_status("shop", clusters)
        assert leases.clusters["k1"].command.what == "apply"
        broken = await client.lock_break(f"{team.account.publisher.address}/shop", clusters, "a lake")
        assert set(broken.broken.values()) == {team.account.publisher.address}
    assert (await client.state_show("shop", clusters)).clusters["k2"] == Copy(team.one)
    assert not (await client.state_show("shop", clusters)).difference
    assert (await client.state_repair("shop", clusters, "k2", wait_s=1.0)).document == team.one


async def test_a_change_costs_four_writes_of_each_api_server(team):
    """For acquire, prepare, commit and release; a renewal, a question and a look write nothing."""
    async with team.clusters() as clusters, clusters.locked("apply") as held:
        await held.write(team.one.body)
        await lock.status(team.account, team.place, team.journal)
        await state.show(team.account, team.place, team.journal)
    assert [len(team.writes(world)) for world in team.worlds] == [4, 4]


async def test_unequal_copies_are_told_and_repaired_by_a_person(team):
    async with team.clusters() as clusters:
        async with clusters.locked("apply") as held:
            await held.write(team.one.body)
        second = team.worlds[1].cluster
        before = dict(second.networks)
        async with clusters.locked("apply") as held:
            await held.write(team.two.body)
    second.networks.update(before)  # somebody restored an old backup of the whole cluster
    with pytest.raises(CopiesDiffer) as caught:
        await state.compare_copies(team.account, team.place, team.journal)
    assert "generation (k1: 2, k2: 1)" in str(caught.value)
    shown = await state.show(team.account, team.place, team.journal)
    assert any("copies differ in their generation" in line for line in copy_lines(shown))
    with pytest.raises(BadInput):
        await state.repair(team.account, team.place, "k3", 0.0, team.journal)
    repaired = await state.repair(team.account, team.place, "k1", 0.0, team.journal)
    assert json_of(repaired)["generation"] == 2
    copies = await state.compare_copies(team.account, team.place, team.journal)
    assert {copy.current.body for copy in copies.clusters.values()} == {team.two.body}


async def test_a_copy_that_is_no_document_any_more_is_told_and_put_back(team):
    async with team.clusters() as clusters, clusters.locked("apply") as held:
        await held.write(team.one.body)
    second = team.worlds[1].cluster
    ((name, (network, _)),) = second.networks.items()
    second.networks[name] = (network, StoredDocument(b"edited by hand", "777"))
    async with team.clusters() as clusters:
        with pytest.raises(CopiesDiffer) as caught:
            async with clusters.locked("apply"):
                raise AssertionError
    assert caught.value.exit_code == 3
    assert name in caught.value.hint
    shown = await state.show(team.account, team.place, team.journal)
    assert "changed by hand" in shown.clusters["k2"].text
    del second.networks[name]
    with pytest.raises(CopiesDiffer):
        await state.compare_copies(team.account, team.place, team.journal)
    await state.repair(team.account, team.place, "k1", 0.0, team.journal)
    copies = await state.compare_copies(team.account, team.place, team.journal)
    assert dict(copies.clusters) == {"k1": Copy(team.one), "k2": Copy(team.one)}


async def test_a_broken_lease_stays_on_record(team):
    broken = trio.Event()

    async def holder():
        async with team.clusters() as clusters, clusters.locked("apply") as held:
            await broken.wait()
            with pytest.raises(Locked):
                await held.write(team.one.body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
        while True:
            leases = await lock.status(team.account, team.place, team.journal)
            if all(lease.holder for lease in leases.clusters.values()):
                break
        result = await lock.break_lease(team.account, team.place, "a lake", team.journal)
        broken.set()
    me = team.account.publisher.address
    assert dict(result.broken) == {"k1": me, "k2": me}
    assert json_of(result)["reason"] == "a lake"
    lines = lease_lines(await lock.status(team.account, team.place, team.journal))
    assert sum("a lake" in line for line in lines) == 2
    again = await lock.break_lease(team.account, team.place, "a lake", team.journal)
    assert dict(again.broken) == {"k1": None, "k2": None}


async def test_a_cluster_that_is_away_is_a_line_and_not_a_lie(team):
    async with team.clusters() as clusters, clusters.locked("apply") as held:
        await held.write(team.one.body)
    team.worlds[0].cluster.unreachable = True
    shown = await state.show(team.account, team.place, team.journal)
    assert shown.clusters["k2"] == Copy(team.one)
    assert "cannot be reached" in shown.clusters["k1"].text
    assert not shown.difference
    with pytest.raises(NetworkFailure):
        await state.compare_copies(team.account, team.place, team.journal)
    team.worlds[1].cluster.unreachable = True
    with pytest.raises(NetworkFailure):
        await state.show(team.account, team.place, team.journal)


async def test_strangers_learn_nothing_and_change_nothing(team):
    async with team.clusters() as clusters, clusters.locked("apply") as held:
        await held.write(team.one.body)
    async with team.clusters(stranger(team)) as clusters:
        with pytest.raises(Refused):
            await clusters.read()
        with pytest.raises(Refused):
            async with clusters.locked("apply"):
                raise AssertionError


async def test_places(team):
    assert places.parse_place("0x" + "ab" * 20 + "/shop", ["k1=0x" + "cd" * 20]).founder is not None
    for network, clusters in (("Shop", ["k1=0x" + "cd" * 20]), ("shop", ["k1"]), ("shop", ["k1=x"])):
        with pytest.raises(BadInput):
            places.parse_place(network, clusters)
    with pytest.raises(NoContext):
        places.parse_place("shop", [])
    unknown = places.parse_place("shop", ["k1=0x" + "cd" * 20])
    with pytest.raises(Refused) as caught:
        await places.daemons_of(team.account, unknown)
    assert caught.value.rule == "unknown-provider"
    twice = places.parse_place("shop", [f"{name}={team.worlds[0].owner}/1" for name in ("a", "b")])
    with pytest.raises(BadInput):
        await places.daemons_of(team.account, twice)


async def test_a_provider_that_is_not_there_is_named(team):
    (row, *_) = team.account.chain.rows.values()
    dead = row.endpoint.replace(row.endpoint.split("/")[4], "1")
    team.account.chain.rows[row.owner, row.daemon] = replace(row, endpoint=dead)
    with pytest.raises(NetworkFailure):
        async with team.clusters() as clusters, clusters.locked("apply"):
            raise AssertionError
    leases = await lock.status(team.account, team.place, team.journal)
    assert any("not known" in line for line in lease_lines(leases))
