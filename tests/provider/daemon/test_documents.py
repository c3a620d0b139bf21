# SPDX-License-Identifier: Apache-2.0
"""The daemon without a market: documents and leases over the real wire, and no for everything else."""

import pytest
import trio

from tests.fakes.provider.network_member import Member
from tests.provider.documents_world import DocumentsWorld
from trustedpods.protocol.errors import Locked, Refused
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.networks.documents import Copy
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.daemon import leader
from trustedpods.provider.store import Vault, open_store


@pytest.fixture
def world(tmp_path):
    return DocumentsWorld(tmp_path)


async def test_it_keeps_a_network_through_a_restart(world):
    async with world.run() as address:
        alice = Member(world, address)
        await alice.write()
        while world.cluster.network_leases:
            await trio.sleep(0.01)
    async with world.run() as address:
        again = Member(world, address, alice.caller.key)
        assert await again.read() == Copy(alice.one)
        with pytest.raises(Refused) as caught:
            await Member(world, address, founder=alice.me).read()
        assert caught.value.rule == "member"
    assert world.cluster.network_leases == {}


async def test_it_takes_no_pods(world):
    async with world.run() as address:
        caller = Member(world, address).caller
        ref = PodRef(world.owner, caller.ref.publisher, caller.ref.salt)
        private, request = caller.signed("logs", LogsBody(container=None, tail=1), ref=ref)
        async with caller.talk(private, request) as (_, reply):
            with pytest.raises(Refused) as caught:
                await reply()
    assert caught.value.rule == "no-market"


async def test_keys_that_its_operator_denies_are_refused(world):
    async with world.run() as address:
        member = Member(world, address)
    path = world.folder / "books" / "store.db"
    async with open_store(path, Vault(world.keys.hpke.to_bytes())) as store:
        await (await Gate.open(store)).deny(member.me)
    async with world.run() as address:
        member.caller.address = address
        with pytest.raises(Refused) as caught:
            await member.read()
    assert caught.value.rule == "denied"


async def test_it_is_the_only_daemon_of_its_cluster(world, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    other = DocumentsWorld(folder, world.chain, cluster=world.cluster)
    async with world.run():
        with pytest.raises((Locked, BaseExceptionGroup)) as caught, trio.fail_after(2 * leader.LEASE_S):
            async with other.run():
                raise AssertionError
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, Locked)
