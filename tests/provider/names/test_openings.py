# SPDX-License-Identifier: Apache-2.0
"""What a question opens in the cluster, what keeps it open, and what never shuts it."""

import pytest
import trio
import trio.testing

from tests.provider.names.conftest import API, INSIDE, LABEL, LEAST_S, MOVED, NAMESPACE
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.provider.cluster.objects import named_egress
from trustedpods.provider.core.names.opened import HANDED_S, MAX_ADDRESSES, MAX_OPENED, HostAnswer
from trustedpods.provider.dns.upstream import HostAddresses
from trustedpods.provider.names.openings import NamesUnknown


async def test_an_answer_is_open_when_it_is_given_without_closed_networks(world):
    told = await world.openings().resolve(NAMESPACE, LABEL, API)
    assert told == HostAnswer(("203.0.113.7",), 300)
    assert world.open == {"203.0.113.7"}


async def test_what_is_not_asked_for_or_closed_is_unknown(world):
    openings = world.openings()
    for host in ("other.example", INSIDE):
        with pytest.raises(NamesUnknown):
            await openings.resolve(NAMESPACE, LABEL, host)
    assert "other.example" not in world.asked
    assert world.open == set()
    assert await openings.allowed(NAMESPACE, LABEL, API)
    assert not await openings.allowed(NAMESPACE, LABEL, "other.example")


async def test_no_answer_before_the_rules_stand(world, nursery):
    world.applied = 0
    done = trio.Event()

    async def asks():
        await world.openings().resolve(NAMESPACE, LABEL, API)
        done.set()

    nursery.start_soon(asks)
    with trio.fail_after(5):
        while not world.open:
            await trio.testing.wait_all_tasks_blocked()
            await trio.lowlevel.checkpoint()
    assert not done.is_set()
    world.applied = 1 << 60
    with trio.fail_after(5):
        await done.wait()


async def test_rules_that_never_stand_are_no_answer(world, virtual_time):
    world.applied = 0
    with pytest.raises(NetworkFailure, match="not applied"):
        await world.openings().resolve(NAMESPACE, LABEL, API)


async def test_a_network_that_does_not_say_is_not_waited_for(world):
    world.applied = None
    assert (await world.openings().resolve(NAMESPACE, LABEL, API)).addresses


async def test_a_second_question_asks_nobody(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, API)
    world.time += 100
    assert await openings.resolve(NAMESPACE, LABEL, API) == HostAnswer(("203.0.113.7",), 200)
    assert world.asked == [API]


async def test_a_running_pods_names_are_renewed_and_lost_addresses_shut(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    world.says[MOVED] = HostAddresses(("203.0.113.99",), 1)
    world.time += LEAST_S
    await openings.look()
    assert world.open == {"203.0.113.8", "203.0.113.99"}
    world.time += HANDED_S
    await openings.look()
    assert world.open == {"203.0.113.99"}, "the lost address ends with its time"


async def test_nothing_is_renewed_for_a_pod_that_sleeps(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    world.running = set()
    world.time += LEAST_S + HANDED_S
    await openings.look()
    assert world.open == set()
    assert world.asked == [MOVED]


async def test_an_upstream_that_is_away_shuts_nothing_that_is_valid(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    world.down = True
    world.time += LEAST_S + HANDED_S - 1
    await openings.look()
    assert world.open == {"203.0.113.8"}
    with pytest.raises(NetworkFailure):
        await openings.resolve(NAMESPACE, LABEL, API)
    assert world.open == {"203.0.113.8"}


async def test_a_new_daemon_goes_on_where_the_last_one_ended(world):
    await world.openings().resolve(NAMESPACE, LABEL, MOVED)
    openings = world.openings()
    await openings.load()
    assert await openings.resolve(NAMESPACE, LABEL, MOVED) == HostAnswer(("203.0.113.8",), LEAST_S)
    world.time += LEAST_S
    await openings.look()
    assert world.asked == [MOVED, MOVED]
    world.running = set()
    world.time += LEAST_S + HANDED_S
    await openings.look()
    assert world.open == set()


async def test_a_cluster_that_is_away_is_asked_at_the_next_look(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    world.running, world.cluster.unreachable = set(), True
    world.time += LEAST_S + HANDED_S
    await openings.look()
    world.cluster.unreachable = False
    assert world.open == {"203.0.113.8"}
    await openings.look()
    assert world.open == set()


async def test_a_host_that_a_new_version_does_not_call_goes_with_the_next_write(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, API)
    world.allow(MOVED)
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    assert world.open == {"203.0.113.8"}


async def test_what_was_pruned_is_not_written_again(world):
    openings = world.openings()
    await openings.resolve(NAMESPACE, LABEL, MOVED)
    world.cluster.lives[NAMESPACE].objects.clear()
    world.time += LEAST_S + HANDED_S
    await openings.look()
    assert not world.cluster.lives[NAMESPACE].objects


async def test_one_pod_opens_no_more_than_its_bound(world):
    world.says[API] = HostAddresses(tuple(f"203.0.113.{part}" for part in range(99)), 0)
    await world.openings().resolve(NAMESPACE, LABEL, API)
    assert len(world.open) == MAX_ADDRESSES
    opened = {(API, f"198.51.{number >> 8}.{number & 255}"): world.time + 9 for number in range(MAX_OPENED)}
    world.cluster.lives[NAMESPACE].objects["NetworkPolicy", named_egress.OPENED] = named_egress.opened_policy(
        NAMESPACE, LABEL, {API: (("TCP", 1, 2),)}, opened
    )
    with pytest.raises(Refused, match="addresses of one pod"):
        await world.openings().resolve(NAMESPACE, LABEL, API)
