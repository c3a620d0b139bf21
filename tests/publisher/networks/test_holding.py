# SPDX-License-Identifier: Apache-2.0
"""A command over clusters that fail: the driver with the daemon's core behind each door."""

import secrets
from dataclasses import replace

import pytest
import trio

from trustedpods.protocol.errors import CopiesDiffer, Locked, NetworkFailure, Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Commit,
    Copy,
    Document,
    Generation,
    Prepare,
    Remove,
)
from trustedpods.protocol.networks.leases import LEASE_MS, BreakLease, Milliseconds, Release, Renew
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.networks import documents
from trustedpods.publisher.networks.clusters import NetworkClusters

ALICE = address_from_bytes(b"\x0a" * 20)
BOB = address_from_bytes(b"\x0b" * 20)
NAMES = ("k1", "k2")
ONE, TWO = Document(Generation(1), b"one"), Document(Generation(2), b"two")


class FakeDoor:
    """One cluster: the daemon's core, and trouble. `trouble` is called before each question."""

    def __init__(self):
        self.state = documents.NetworkState()
        self.asked = []
        self.trouble = lambda question: None
        self.slow_s = 0.0

    async def ask(self, question, who=ALICE):
        await trio.lowlevel.checkpoint()
        self.asked.append(question)
        self.trouble(question)
        if self.slow_s:
            await trio.sleep(self.slow_s)
        now = Milliseconds(int(trio.current_time() * 1000))
        who = getattr(getattr(question, "attempt", None), "who", who)
        self.state, answer = documents.answer(self.state, question, who, now)
        return answer

    def put(self, copy):
        self.state = documents.NetworkState(self.state.lease, copy)


@pytest.fixture
def doors():
    return {name: FakeDoor() for name in NAMES}


def network(doors, who=ALICE, order=NAMES, lines=None):
    return NetworkClusters(
        "shop", who, {name: doors[name] for name in order}, ([] if lines is None else lines).append
    )


def copies(doors):
    return [door.state.copy for door in doors.values()]


def free(doors):
    return all(door.state.lease.grant is None for door in doors.values())


async def test_lock_write_release_is_five_questions_for_each_cluster(doors, virtual_time):
    async with network(doors).locked("apply") as held:
        assert held.document == NOTHING
        assert await held.write(b"one") == ONE
        assert held.document == ONE
    assert copies(doors) == [Copy(ONE)] * 2
    assert free(doors)
    for door in doors.values():
        names = [type(question).__name__ for question in door.asked]
        assert names == ["Acquire", "ReadCopy", "Prepare", "Commit", "Release"]


async def test_with_a_renewal_it_is_six(doors, virtual_time):
    async with network(doors).locked("apply") as held:
        await trio.sleep(0.75 * LEASE_MS / 1000)
        await held.write(b"one")
    for door in doors.values():
        names = [type(question).__name__ for question in door.asked]
        assert names == ["Acquire", "ReadCopy", "Renew", "Prepare", "Commit", "Release"]


async def test_a_reader_of_a_network_that_is_changed_meanwhile_is_told_of_no_difference(doors, virtual_time):
    """Looks at different moments: the copy of k1 as it was, that of k2 as it is two changes later."""
    three = Document(Generation(3), b"three")
    for door in doors.values():
        door.put(Copy(ONE))
    doors["k2"].slow_s = 1.0

    async def others_write():
        await trio.sleep(0.5)
        for door in doors.values():
            door.put(Copy(three))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others_write)
        assert await network(doors).read() == three
    assert [len(door.asked) for door in doors.values()] == [2, 2]


async def test_a_command_longer_than_its_lease_renews_it(doors, virtual_time):
    async with network(doors).locked("apply") as held:
        await trio.sleep(3 * LEASE_MS / 1000)
        await held.write(b"one")
    for door in doors.values():
        assert sum(isinstance(question, Renew) for question in door.asked) == 6
    assert await network(doors).read() == ONE


async def test_a_command_that_waits_for_nobody_says_who_holds_it(doors, virtual_time):
    async with network(doors).locked("apply --all"):
        with pytest.raises(Locked) as caught:
            async with network(doors, BOB).locked("apply"):
                raise AssertionError
    told = str(caught.value)
    for part in (ALICE, "has the lease of network shop until", "retry after 1 min", "apply --all", "since"):
        assert part in told, told
    assert caught.value.exit_code == 5


async def test_one_that_waits_gets_its_turn_and_says_so(doors, virtual_time):
    lines, ended = [], trio.Event()

    async def first():
        async with network(doors).locked("apply") as held:
            await trio.sleep(30)
            await held.write(b"one")
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await trio.sleep(1)
        async with network(doors, BOB, lines=lines).locked("apply", wait_s=600) as held:
            assert ended.is_set() or held.document == ONE
            await held.write(b"two")
    assert copies(doors) == [Copy(TWO)] * 2
    assert [line.split(":")[0] for line in lines] == ["waiting for the lease of network shop on k1"] * 2


async def test_a_network_is_removed_everywhere_and_a_removal_that_was_killed_is_repeated(doors, virtual_time):
    async with network(doors).locked("apply") as held:
        await held.write(b"one")

    def away(question):
        if isinstance(question, Remove):
            raise NetworkFailure("cannot be reached")

    doors["k2"].trouble = away
    with pytest.raises(NetworkFailure):
        async with network(doors).locked("network delete") as held:
            await held.remove()
    doors["k2"].trouble = lambda _: None
    assert copies(doors) == [Copy(), Copy(ONE)]
    with pytest.raises(CopiesDiffer) as caught:
        async with network(doors).locked("apply"):
            raise AssertionError
    assert "network delete" in caught.value.hint
    async with network(doors).locked("network delete", removing=True) as held:
        assert held.document == ONE
        await held.remove()
        assert held.document == NOTHING
    assert copies(doors) == [Copy(), Copy()]
    assert free(doors)
    assert all(door.state.empty for door in doors.values())


async def test_a_removal_is_no_way_to_end_copies_that_differ(doors, virtual_time):
    doors["k1"].put(Copy(ONE))
    doors["k2"].put(Copy(TWO))
    with pytest.raises(CopiesDiffer):
        async with network(doors).locked("network delete", removing=True):
            raise AssertionError
    doors["k1"].put(Copy())
    doors["k2"].put(Copy(NOTHING, ONE))
    async with network(doors).locked("network delete", removing=True) as held:
        assert held.rolled_forward
        assert held.document == ONE


async def test_two_orders_of_clusters_never_deadlock(doors, virtual_time):
    done = []

    async def command(who, order):
        async with network(doors, who, order).locked("apply", wait_s=3600) as held:
            await trio.sleep(1)
            done.append((await held.write(secrets.token_bytes(4))).generation)

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                order = NAMES if number % 2 else NAMES[::-1]
                who = address_from_bytes(bytes([number + 1]) * 20)
                nursery.start_soon(command, who, order)
    assert done == list(range(1, 21)), "one writer at a time, each on what the one before wrote"
    assert free(doors)


async def test_whoever_is_interrupted_lets_everything_go(doors, virtual_time):
    with pytest.raises(KeyboardInterrupt):
        async with network(doors).locked("apply"):
            raise KeyboardInterrupt
    assert free(doors)


async def test_a_cluster_that_does_not_answer_leaves_nothing_behind(doors, virtual_time):
    def away(_):
        raise NetworkFailure("cannot be reached")

    doors["k2"].trouble = away
    with pytest.raises(NetworkFailure) as caught:
        async with network(doors).locked("apply"):
            raise AssertionError
    assert "k2" in str(caught.value)
    assert caught.value.exit_code == 8
    assert doors["k1"].state.lease.grant is None
    assert isinstance(doors["k1"].asked[-1], Release)


async def test_one_lost_answer_is_asked_for_again(doors, virtual_time):
    left = [1, 1]

    def sometimes(question):
        if isinstance(question, Prepare | Commit) and left:
            left.pop()
            raise NetworkFailure("no answer in time")

    doors["k1"].trouble = sometimes
    async with network(doors).locked("apply") as held:
        await held.write(b"one")
    assert copies(doors) == [Copy(ONE)] * 2
    assert not left


async def test_api_servers_of_five_seconds(doors, virtual_time):
    doors["k2"].slow_s = 5.0
    async with network(doors).locked("apply") as held:
        await held.write(b"one")
    assert copies(doors) == [Copy(ONE)] * 2
    assert free(doors)


async def test_a_write_that_was_cut_off_is_rolled_forward_by_the_next(doors, virtual_time):
    doors["k1"].put(Copy(NOTHING, ONE))
    assert await network(doors).read() == NOTHING
    async with network(doors).locked("apply") as held:
        assert held.rolled_forward
        assert held.document == ONE
        await held.write(b"two")
    assert copies(doors) == [Copy(TWO)] * 2


async def test_a_holder_that_slept_too_long_is_refused_its_write(doors, virtual_time):
    """As one that was stopped and continued: its questions and renewals did not come."""

    async def command():
        async with network(doors).locked("apply") as held:
            for door in doors.values():
                door.state = replace(door.state, lease=replace(door.state.lease, grant=None))
            await held.write(b"one")

    with pytest.raises(Locked) as caught:
        await command()
    assert caught.value.rule == "lease-lost"
    assert copies(doors) == [Copy()] * 2


async def test_a_lease_that_was_broken_ends_the_command(doors, virtual_time):

    async def command():
        async with network(doors).locked("apply") as held:
            grant = doors["k1"].state.lease.grant
            await doors["k1"].ask(BreakLease(grant.attempt, BOB, "a lake", UnixSeconds(1)))
            await trio.sleep(LEASE_MS / 1000)
            await held.write(b"one")

    with pytest.raises(Locked):
        await command()
    assert free(doors)


async def test_unequal_copies_stop_it_and_name_the_first_difference(doors, virtual_time):
    doors["k1"].put(Copy(ONE))
    doors["k2"].put(Copy(Document(Generation(1), b"other")))
    before = copies(doors)
    for use in (network(doors).read, lambda: enter(network(doors).locked("apply"))):
        with pytest.raises(CopiesDiffer) as caught:
            await use()
        assert "content (k1: " in str(caught.value)
        assert caught.value.exit_code == 3
    assert copies(doors) == before
    async with network(doors).locked("state repair", repair_from="k2") as held:
        assert held.document.body == b"other"
    assert {copy.current.body for copy in copies(doors)} == {b"other"}


async def test_a_repair_from_a_cluster_that_has_nothing_is_none(doors, virtual_time):
    doors["k1"].put(Copy(TWO))
    with pytest.raises(CopiesDiffer):
        await enter(network(doors).locked("state repair", repair_from="k2"))
    assert copies(doors) == [Copy(TWO), Copy()]
    await enter(network(doors).locked("state repair", repair_from="k1"))
    assert copies(doors) == [Copy(TWO)] * 2


async def test_a_refusal_is_told_as_it_is(doors, virtual_time):
    def stranger(_):
        raise Refused("you are no member of this network", rule="member")

    doors["k2"].trouble = stranger
    with pytest.raises(Refused) as caught:
        await enter(network(doors).locked("apply"))
    assert (caught.value.rule, caught.value.where) == ("member", "k2")
    assert free(doors)
    found = await network(doors).copies()
    assert found["k1"] == Copy()
    assert isinstance(found["k2"], Refused)


async def enter(block):
    async with block:
        pass
