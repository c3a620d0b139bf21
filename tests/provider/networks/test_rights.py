# SPDX-License-Identifier: Apache-2.0
"""Who may ask a daemon what about a network: Alice founded it, Bob operates, Carol views."""

import pytest

from tests.fakes.network_documents import Author
from tests.fakes.provider.network_member import COMMAND, Member
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.networks.documents import (
    Copy,
    Document,
    Generation,
    Remove,
    Repair,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    AskLease,
    BreakLease,
    Granted,
    Released,
    Renew,
)
from trustedpods.protocol.networks.members import Role
from trustedpods.protocol.units import UnixSeconds


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class TestRoles:
    """Alice founded it, Bob operates, Carol views."""

    def people(self, world, address):
        alice = Member(world, address)
        bob, carol = (Member(world, address, founder=alice.me) for _ in range(2))
        alice.author.give(bob.caller.key, Role.OPERATOR)
        alice.author.give(carol.caller.key, Role.VIEWER)
        alice.one = alice.author.write(b"one")
        return alice, bob, carol

    async def test_before_the_first_document_only_the_founder_may_anything(self, world):
        async with world.run() as (_, address):
            _, bob, _ = self.people(world, address)
            with pytest.raises(Refused) as caught:
                await bob.acquire()
        assert caught.value.rule == "member"

    async def test_an_operator_writes_and_a_viewer_reads(self, world):
        async with world.run() as (_, address):
            alice, bob, carol = self.people(world, address)
            await alice.write()
            assert await carol.read() == Copy(alice.one)
            assert (await carol.ask(AskLease())).holder is None
            for question in (
                Acquire(carol.attempt, COMMAND),
                BreakLease(alice.attempt, carol.me, "why not", UnixSeconds(0)),
            ):
                with pytest.raises(Refused) as caught:
                    await carol.ask(question)
                assert caught.value.rule == "role"
            two = alice.author.write(b"two", alice.one, by=bob.caller.key)
            await bob.write(two, alice.one)
            assert await carol.read() == Copy(two)

    async def test_an_operator_changes_no_members(self, world):
        async with world.run() as (_, address):
            alice, bob, carol = self.people(world, address)
            await alice.write()
            forged = Author(alice.caller.key)
            forged.changes, forged.cards = list(alice.author.changes), list(alice.author.cards)
            forged.key = bob.caller.key
            forged.network = alice.author.network
            forged.give(bob.caller.key, Role.OWNER)
            await bob.acquire()
            with pytest.raises(Refused) as caught:
                await bob.prepare(forged.write(b"two", alice.one), alice.one)
            assert caught.value.rule == "members"
            assert await carol.read() == Copy(alice.one)

    async def test_an_operator_brings_to_its_end_what_an_owner_had_begun(self, world):
        async with world.run() as (_, address):
            alice, bob, _ = self.people(world, address)
            await alice.write()
            two = alice.author.write(b"two", alice.one)
            await bob.acquire()
            assert await bob.prepare(two, alice.one) == await bob.commit(two) == Written()

    async def test_what_is_no_document_is_not_kept(self, world):
        async with world.run() as (_, address):
            alice, _, _ = self.people(world, address)
            await alice.acquire()
            other = Author(alice.caller.key, "other").write(b"one")
            for document in (Document(Generation(1), b"one"), other):
                with pytest.raises((Refused, NetworkFailure)):
                    await alice.prepare(document)
            assert await alice.read() == Copy()

    async def test_only_an_owner_removes_and_then_lets_go(self, world):
        async with world.run() as (_, address):
            alice, bob, carol = self.people(world, address)
            alice.author.give(carol.caller.key, Role.OWNER)
            two = alice.author.write(b"two", alice.one)
            await alice.write()
            await alice.write(two, alice.one)
            await bob.acquire()
            with pytest.raises(Refused) as caught:
                await bob.ask(Remove(bob.attempt, bob.fence, two))
            assert caught.value.rule == "role"
            await bob.release()
            await carol.acquire()
            assert await carol.ask(Remove(carol.attempt, carol.fence, two)) == Written()
            assert isinstance(await carol.ask(Renew(carol.attempt, carol.fence)), Granted)
            assert await carol.release() == Released()
            assert world.cluster.networks == {}
            with pytest.raises(Refused) as caught:
                await carol.acquire()
            assert caught.value.rule == "member", "it is the founder's alone again"
            assert await alice.read() == Copy()

    async def test_only_an_owner_repairs(self, world):
        async with world.run() as (_, address):
            alice, bob, _ = self.people(world, address)
            await alice.write()
            two = alice.author.write(b"two", alice.one)
            for who, rule in ((bob, "role"), (alice, None)):
                await who.acquire()
                repair = Repair(who.attempt, who.fence, Copy(alice.one), two)
                if rule:
                    with pytest.raises(Refused) as caught:
                        await who.ask(repair)
                    assert caught.value.rule == rule
                else:
                    assert await who.ask(repair) == Written()
                await who.release()
