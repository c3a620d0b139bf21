# SPDX-License-Identifier: Apache-2.0
"""Networks at a daemon, over a cluster that fails: nothing is half written, answers come after writes."""

import secrets

import pytest
import trio

from tests.fakes.provider.network_member import COMMAND, Member
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.networks import NETWORK_REPLIES, ReadBody
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Copy,
    ReadCopy,
    Remove,
    Repair,
    StaleBase,
    Written,
)
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Acquire,
    AskLease,
    Attempt,
    AwaitEnd,
    Behind,
    BreakLease,
    Ended,
    Granted,
    NotHeld,
    Release,
    Released,
    Renew,
)
from trustedpods.protocol.networks.sealed_documents import MAX_CONTENT
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admission.arrivals import Allowance, Arrivals
from trustedpods.provider.cluster.networks.documents import StoredDocument
from trustedpods.provider.core.networks.documents import NetworkState
from trustedpods.provider.networks import networks, stored


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def kept(world):
    """What the cluster holds of the one network."""
    (document,) = [written.data for _, written in world.cluster.networks.values()]
    return stored.from_bytes(document, 0)


async def test_a_change_from_the_lease_to_its_release(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        assert await alice.read() == Copy()
        assert world.cluster.networks == {}, "nothing is kept of a network about which somebody only asked"
        granted = await alice.acquire()
        assert (granted.fence, granted.lasts) == (1, LEASE_MS)
        assert await alice.prepare() == Written()
        assert kept(world).copy == Copy(NOTHING, alice.one)
        assert await alice.commit() == Written()
        assert await alice.read() == Copy(alice.one)
        assert await alice.release() == Released()
        assert await alice.prepare(alice.two, alice.one) == NotHeld()
        state = kept(world)
    assert state.copy == Copy(alice.one)
    assert state.lease.grant is None


async def test_a_renewal_writes_nothing_and_the_lease_object_tells_people(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        (name,) = world.cluster.networks
        writes = world.cluster.calls.count(f"write network {name}")
        assert (await alice.ask(Renew(alice.attempt, alice.fence))).lasts == LEASE_MS
        assert world.cluster.calls.count(f"write network {name}") == writes == 1
        while name not in world.cluster.network_leases:
            await trio.sleep(0.01)
        told = world.cluster.network_leases[name]
        assert (told.holder, told.transitions) == (f"{alice.me} at laptop", 1)
        await alice.prepare()
        await alice.commit()
        await alice.release()
        while name in world.cluster.network_leases:
            await trio.sleep(0.01)
        assert name.startswith("network-shop-")


async def test_a_second_attempt_waits_and_then_holds(world):
    async with world.run() as (_, address):
        first = Member(world, address)
        second = Member(world, address, first.caller.key)
        await first.acquire()
        behind = await second.acquire()
        assert isinstance(behind, Behind)
        assert (behind.other, behind.other_command) == (first.attempt, COMMAND)
        assert 0 < behind.ends_in <= LEASE_MS
        assert isinstance(await second.ask(AwaitEnd(second.attempt, first.attempt)), Behind)
        await first.release()
        assert await second.ask(AwaitEnd(second.attempt, first.attempt)) == Ended()
        assert (await second.acquire()).fence == 2
        assert await first.prepare() == NotHeld()


async def test_only_members_ask_and_nobody_in_anothers_name(world):
    async with world.run() as (_, address):
        alice, mallory = Member(world, address), Member(world, address)
        mallory.ref = alice.ref
        await alice.acquire()
        assert await mallory.read() == Copy(), "that nothing is kept is told to everybody"
        await alice.prepare()
        for question in (ReadCopy(), AskLease(), Acquire(mallory.attempt, COMMAND)):
            with pytest.raises(Refused) as caught:
                await mallory.ask(question)
            assert caught.value.rule == "member"
        mine = Attempt(NO_TICKET, alice.attempt.id, mallory.me)
        assert await alice.ask(Release(mine, aside=False)) == NotHeld()
        alice.name = "other"
        with pytest.raises(Refused) as caught:
            await alice.read()
        assert caught.value.rule == "network"


async def test_a_daemon_that_restarts_knows_the_lease_and_gives_a_full_duration(world):
    async with world.run() as (_, address):
        first = Member(world, address)
        await first.acquire()
        await first.prepare()
    async with world.run() as (_, address):
        first.caller.address = address
        second = Member(world, address, first.caller.key)
        behind = await second.acquire()
        assert LEASE_MS - 5000 < behind.ends_in <= LEASE_MS
        assert behind.other_command == COMMAND
        assert await first.commit() == Written()
        assert await second.read() == Copy(first.one)


STEPS = ["acquire", "prepare", "commit", "release"]
FAULTS = ["busy", "lost", "conflict", "late"]


@pytest.mark.parametrize(
    ("step", "fault"), [(step, fault) for step in STEPS for fault in FAULTS] + [("prepare", "slow")]
)
async def test_no_half_write_whatever_the_api_server_does(world, step, fault):
    """Each step fails once at one place; the same question again has the outcome of one that never failed."""
    async with world.run() as (_, address):
        alice = Member(world, address)
        for name in STEPS:
            if name == step:
                before = dict(world.cluster.networks)
                world.cluster.network_faults = [fault]
                if fault != "slow":
                    with pytest.raises(NetworkFailure):
                        await getattr(alice, name)()
                    if fault != "lost":
                        assert world.cluster.networks == before
            await getattr(alice, name)()
            if name == step and fault == "late":
                with pytest.raises(Refused):
                    await world.cluster.late_write_arrives()
        assert await alice.read() == Copy(alice.one)
        assert kept(world).copy == Copy(alice.one)
        assert kept(world).lease.grant is None
        assert kept(world).lease.fence == 1


async def test_an_api_server_that_is_away_never_means_that_there_is_nothing(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        await alice.prepare()
        await alice.commit()
    async with world.run() as (_, address):
        alice.caller.address = address
        world.cluster.unreachable = True
        for ask in (alice.read, alice.acquire, alice.release):
            with pytest.raises(NetworkFailure):
                await ask()
        world.cluster.unreachable = False
        assert await alice.read() == Copy(alice.one)


async def test_a_copy_that_somebody_else_changed_is_read_again(world):
    """A second daemon, or a person with kubectl: the write that knew nothing of it changes nothing."""
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        ((name, (network, document)),) = world.cluster.networks.items()
        other = stored.from_bytes(document.data, 0)
        other = NetworkState(other.lease, Copy(alice.two))
        world.cluster.networks[name] = (network, StoredDocument(stored.to_bytes(other), "99"))
        with pytest.raises(NetworkFailure):
            await alice.prepare()
        assert await alice.prepare() == StaleBase(Copy(alice.two))


async def test_a_broken_lease_is_recorded_and_its_holder_writes_no_more(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        bob = Member(world, address, alice.caller.key)
        await alice.acquire()
        broken = BreakLease(alice.attempt, bob.me, "her laptop fell into the lake", UnixSeconds(0))
        assert await bob.ask(broken) == Released()
        assert await bob.ask(broken) == NotHeld()
        assert await alice.prepare() == NotHeld()
        status = await bob.ask(AskLease())
        assert status.holder is None
        (record,) = status.breaks
        assert (record.attempt, record.by, record.reason) == (alice.attempt, bob.me, broken.reason)
        assert record.at == int(world.now)


async def test_a_repair_replaces_what_was_seen_and_nothing_else(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        await alice.prepare()
        seen = Copy(NOTHING, alice.one)
        stale = Repair(alice.attempt, alice.fence, Copy(), alice.two)
        assert await alice.ask(stale) == StaleBase(seen)
        repair = Repair(alice.attempt, alice.fence, seen, alice.two)
        assert await alice.ask(repair) == await alice.ask(repair) == Written()
        assert await alice.read() == Copy(alice.two)


async def test_two_of_the_largest_documents_fit_into_a_secret(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        largest = alice.author.write(secrets.token_bytes(MAX_CONTENT))
        assert await alice.prepare(largest) == Written()
        assert await alice.commit(largest) == Written()
        following = alice.author.write(secrets.token_bytes(MAX_CONTENT), largest)
        assert await alice.prepare(following, largest) == Written()
        (data,) = [written.data for _, written in world.cluster.networks.values()]
        assert len(data) < 1024 * 1024, "Kubernetes takes no larger Secret"


async def test_one_founder_has_so_many_networks_and_no_more(world):
    async with world.run() as (_, address):
        key = secrets.token_bytes(32)
        for name in (f"n{number}" for number in range(networks.MAX_OF_FOUNDER)):
            assert isinstance(await Member(world, address, key, name=name).acquire(), Granted)
        with pytest.raises(Refused) as caught:
            await Member(world, address, key, name="c").acquire()
        assert caught.value.rule == "networks"
        assert isinstance(await Member(world, address, name="c").acquire(), Granted)


async def test_a_network_that_is_removed_frees_its_place(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.write()
        for number in range(1, networks.MAX_OF_FOUNDER):
            await Member(world, address, alice.caller.key, name=f"n{number}").acquire()
        other = Member(world, address, alice.caller.key, name="other")
        with pytest.raises(Refused):
            await other.acquire()
        await alice.acquire()
        removal = Remove(alice.attempt, alice.fence, alice.one)
        world.cluster.network_faults = ["busy"]
        with pytest.raises(NetworkFailure):
            await alice.ask(removal)
        assert await alice.ask(removal) == await alice.ask(removal) == Written()
        assert await alice.prepare(alice.two, alice.one) == StaleBase(Copy())
        world.cluster.network_faults = ["lost"]
        with pytest.raises(NetworkFailure):
            await alice.release()
        assert await alice.release() == Released()
        gone = [name for name in world.cluster.network_leases if name.startswith("network-shop-")]
        while world.cluster.network_leases.keys() & set(gone):
            await trio.sleep(0.01)
        assert not [name for name in world.cluster.networks if name.startswith("network-shop-")]
        assert isinstance(await other.acquire(), Granted)


async def test_who_let_go_without_writing_leaves_nothing(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        await alice.acquire()
        await alice.release()
        assert world.cluster.networks == {}
        assert await alice.prepare() == NotHeld()
        assert (await alice.acquire()).fence == 2, "while the daemon runs it counts on"


async def test_a_ticket_from_far_away_is_refused(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        alice.attempt = Attempt(networks.MAX_TICKET_JUMP + 1, alice.attempt.id, alice.me)
        with pytest.raises(Refused) as caught:
            await alice.acquire()
        assert caught.value.rule == "ticket"


async def test_a_founder_whom_the_operator_denies_is_refused(world):
    async with world.run() as (parts, address):
        alice = Member(world, address)
        await parts.gate.deny(alice.me)
        with pytest.raises(Refused) as caught:
            await alice.read()
        assert caught.value.rule == "denied"


async def test_a_name_that_is_none_is_refused_before_anything_is_asked(world):
    async with world.run() as (_, address):
        alice = Member(world, address)
        body = ReadBody.model_construct(network="a/../b")
        private, request = alice.caller.signed("network", body, ref=alice.ref)
        async with alice.caller.talk(private, request) as (_, reply):
            with pytest.raises(NetworkFailure):
                await reply(*NETWORK_REPLIES)
        assert not [call for call in world.cluster.calls if " network" in call], "of no network"


async def test_an_address_that_asks_too_often_is_refused_before_anything_is_written(world):
    async with world.run() as (parts, address):
        alice = Member(world, address)
        parts.admission._networks._arrivals = Arrivals(Allowance(burst=1, every_s=3600))
        await alice.read()
        with pytest.raises(Refused) as caught:
            await alice.acquire()
        assert caught.value.rule == "rate"
        assert world.cluster.networks == {}
