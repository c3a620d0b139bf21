# SPDX-License-Identifier: Apache-2.0
"""Commands that were killed, at two whole daemons: a removal gone on with by any owner, a first write."""

from contextlib import asynccontextmanager

import pytest

from tests.publisher.verbs.networks.test_apply import Team, begun_name
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import NOTHING, Prepare, Remove
from trustedpods.protocol.networks.leases import NO_TICKET, Acquire, Attempt, Command, Release
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.verbs.networks import places
from trustedpods.publisher.verbs.networks.delete import delete
from trustedpods.publisher.verbs.networks.status import status

NO_NODES = "  nodes: []\n"


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


@asynccontextmanager
async def granted(team, cluster, what):
    """One cluster's door and its lease alone: what a command that is killed leaves is written through it."""
    who = team.alice.publisher.address
    place = places.parse_place(f"{who}/shop", team.named)
    attempt = Attempt(NO_TICKET, "ab" * 16, who)
    async with places.opened(team.alice, place, team.journal) as (_, clusters):
        door = clusters.doors[cluster]
        grant = await door.ask(Acquire(attempt, Command(what, "desk", UnixSeconds(1))))
        yield door, grant
        await door.ask(Release(grant.attempt, aside=False))


async def removed_from(team, cluster):
    """What a `network delete` leaves that was killed when the first cluster had removed its copy."""
    async with granted(team, cluster, "network delete shop") as (door, grant):
        place = places.parse_place(f"{team.alice.publisher.address}/shop", team.named)
        async with places.opened(team.alice, place, team.journal) as (_, clusters):
            document = (await clusters.all_copies())[cluster].current
        await door.ask(Remove(grant.attempt, grant.fence, document))


async def deleted(team, who, known=None):
    pods = team.pods.get(team.alice.publisher.address, FakePods())
    return await delete(who, begun_name(team), known or team.known, 0.0, team.journal, lambda _: pods)


@pytest.mark.parametrize("founder", [True, False], ids=["the founder", "another owner"])
async def test_an_owner_goes_on_with_a_removal_that_reached_one_cluster(team, founder):
    bob = team.somebody()
    await team.connect()
    await team.apply(team.members((bob, "owner")) + NO_NODES)
    await removed_from(team, "k1")
    assert [len(one) for one in team.networks()] == [0, 1]
    gone = await deleted(team, team.alice if founder else bob)
    assert (gone.found, gone.asked) == (True, ("k1", "k2"))
    assert team.networks() == [[], []]


async def test_a_removal_that_reached_all_clusters_is_told_as_done(team):
    bob = team.somebody()
    await team.connect()
    await team.apply()
    assert (await deleted(team, team.alice)).removed == ("a", "b")
    for who in (team.alice, bob):
        again = await deleted(team, who)
        assert (again.found, again.removed, set(again.asked)) == (False, (), {"k1", "k2"})


async def test_an_operator_does_not_remove_what_is_left(team):
    bob = team.somebody()
    await team.connect()
    await team.apply(team.members((bob, "operator")) + NO_NODES)
    await removed_from(team, "k1")
    with pytest.raises(Refused) as caught:
        await deleted(team, bob)
    assert caught.value.rule == "role"
    assert [len(one) for one in team.networks()] == [0, 1]


async def test_a_first_document_that_no_cluster_committed_is_gone_on_with(team):
    await team.connect()
    place = places.parse_place(f"{team.alice.publisher.address}/shop", team.named)
    async with places.opened(team.alice, place, team.journal) as (_, clusters):
        first = (await clusters.all_copies())["k1"].current
    await deleted(team, team.alice)
    async with granted(team, "k1", "network connect shop") as (door, grant):
        await door.ask(Prepare(grant.attempt, grant.fence, NOTHING, first))
    assert first.generation == 1
    with pytest.raises(Refused) as caught:
        await status(team.alice, begun_name(team), team.known, team.journal)
    assert caught.value.rule == "no-network", "it does not count yet"
    assert (await team.apply()).plan.changes == 2
