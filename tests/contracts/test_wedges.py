# SPDX-License-Identifier: Apache-2.0
"""Wrong clocks, reorganisations, restored backups: the real settlement against a real chain goes on.

One channel holds 7 MiB from its opening on at one base unit a MiB-second, so that what is owed for
any stretch of time is seven times its seconds.
"""

import shutil
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from fractions import Fraction

import pytest
import trio

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import FakeRegistry, World, config_of
from trustedpods.contracts.client import Chain, FolderJournal
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.transactions import sender
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.contracts.usage import ItemFlags
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import Usage
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.pod import ChannelFact, Phase
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, claims, ledger, open_store, pods
from trustedpods.provider.store.claims import ClaimState
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

pytestmark = pytest.mark.live

DEPOSIT = 10**7
MIB = 7
FINALITY = 2


@pytest.fixture(scope="module")
def node():
    """A node of its own: here blocks vanish that other tests would miss."""
    with running_anvil() as anvil:
        yield anvil


class Provider:
    """The settlement of a daemon with one pod; *skew* is how far its clock is ahead of the chain's."""

    def __init__(self, node, chain, tmp_path):
        self.node, self.chain, self.tmp_path = node, chain, tmp_path
        self.world = World(tmp_path)
        self.owner, self.publisher, self.operator = new_party(), new_party(), new_party()
        self.world.owner_key, self.world.operator_key = self.owner.key, self.operator.key
        self.ref = PodRef(self.owner.address, self.publisher.address, b"s" * 32)
        prices = prices_of([Fraction(0), Fraction(0), Fraction(1), Fraction(0), Fraction(0)])
        self.terms = Terms.for_peak(prices, Usage(storage_mib_s=100 * MIB), unlock_s=60, claim_interval_s=10)
        self.skew = 0
        self.store = None
        self.settlement = None

    @property
    def now(self):
        block = self.node.rpc("eth_getBlockByNumber", "latest", False)
        return int(block["timestamp"], 16) + self.skew

    async def open(self):
        """The channel, and the time at which it begins."""
        meter = self.world.keys.meter_address
        await self.chain.open_with_permit(self.publisher.key, self.ref, meter, self.terms, DEPOSIT)
        return (await self.channel()).up_to

    async def channel(self):
        return await self.chain.channel(self.owner.address, self.ref.channel)

    @asynccontextmanager
    async def daemon(self):
        """It runs until it is left, which it is not told; only what is stored outlives it."""
        path = self.tmp_path / "books" / "store.db"
        config = config_of(self.tmp_path, self.chain, self.owner.address, claim_interval_s=10)
        market = config.market.model_copy(update={"finality_blocks": FINALITY})
        async with open_store(path, Vault(b"v" * 32)) as self.store:
            doors = Doors(
                config=config.model_copy(update={"market": market}),
                keys=self.world.keys,
                operator_key=self.operator.key,
                collector=NoTee(),
                store=self.store,
                spool=Spool(self.tmp_path / "spool", 64),
                chain=self.chain,
                cluster=self.world.cluster,
                registry=FakeRegistry(),
                facade=self.world.facade,
                clock=lambda: self.now,
            )
            found = Pods(doors)
            await found.load()
            self.settlement = Settlement(doors, found, Meter(doors, found))
            yield

    async def begin(self):
        """The pod, as it stands in the books from the channel's opening on."""
        begun = await self.open()
        record = pod_record(
            ref=self.ref,
            boot_id=self.world.keys.boot_id,
            phase=Phase.SERVING,
            statement=b"signed",
            terms=self.terms.pack(),
            meter=self.world.keys.meter_address,
            chain=ChannelFact(DEPOSIT, begun, 0),
        )
        await self.store.write(_fill, record, begun)

    async def look(self):
        """One look of the settlement, while blocks come."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_mine, self.node)
            with suppress(NetworkFailure):  # the daemon logs it, and looks again
                await self.settlement.tick()
            nursery.cancel_scope.cancel()

    async def settle(self, looks=8):
        """Looks until nothing is under way; that must be soon."""
        for _ in range(looks):
            await self.look()
            if await self.store.read(claims.open_claim) is None:
                return
        raise AssertionError(f"a claim is under way after {looks} looks")

    async def state(self):
        claim = await self.store.read(claims.open_claim)
        return None if claim is None else claim.state

    async def paid(self):
        return await self.chain.owed(self.owner.address)

    async def is_paid_up_to(self, begun, least):
        """Every second since *begun* once, up to some time not before *least*."""
        channel = await self.channel()
        assert await self.paid() == MIB * (channel.up_to - begun)
        assert channel.left == DEPOSIT - await self.paid()
        assert channel.up_to >= least
        return channel.up_to


def _fill(tx, record, begun):
    pods.save(tx, record)
    ledger.hold(tx, record.channel, {"volume": MIB}, begun)


async def _mine(node):
    while True:
        await trio.sleep(0.02)
        await trio.to_thread.run_sync(node.rpc, "evm_mine")


@pytest.fixture
async def provider(node, tmp_path):
    market = await deploy(node.url, FUNDED_KEY, 6)
    final, often = replace(market, finality_blocks=FINALITY), ClientLimits(last_poll_s=0.1)
    async with Chain(node.url, final, journal=FolderJournal(tmp_path / "tx"), limits=often) as chain:
        one = Provider(node, chain, tmp_path)
        for party in (one.publisher, one.operator, one.owner):
            node.rpc("anvil_setBalance", party.address, hex(GAS))
        async with Chain(node.url, market) as quick:
            await quick.mint(FUNDED_KEY, one.publisher.address, 3 * DEPOSIT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_mine, node)
            async with one.daemon():
                await one.begin()
            nursery.cancel_scope.cancel()
        yield one


async def test_a_clock_that_is_ahead_claims_no_more_than_the_chains_time(provider):
    begun, provider.skew = (await provider.channel()).up_to, 500
    async with provider.daemon():
        provider.node.pass_time(100)
        before = provider.now - provider.skew
        await provider.settle()
        at = await provider.is_paid_up_to(begun, before)
        provider.node.pass_time(100)
        await provider.settle()
        await provider.is_paid_up_to(begun, at + 100)
    assert provider.settlement.alarms == 0


async def test_a_clock_that_is_behind_claims_later_and_nothing_twice(provider):
    begun, provider.skew = (await provider.channel()).up_to, -60
    async with provider.daemon():
        provider.node.pass_time(100)
        await provider.settle()
        at = await provider.is_paid_up_to(begun, begun + 40)
        provider.skew = -10_000  # it falls behind what was claimed: nothing can be cut
        provider.node.pass_time(100)
        await provider.settle()
        assert (await provider.channel()).up_to == at
        provider.skew = 0
        await provider.settle()
        await provider.is_paid_up_to(begun, at + 100)
    assert provider.settlement.alarms == 0


async def test_a_claim_from_the_future_waits_and_pays_once(provider):
    """Time itself goes back with a reorganisation: the signed period ends after the new blocks' time."""
    begun, node = (await provider.channel()).up_to, provider.node
    async with provider.daemon():
        snapshot = node.rpc("evm_snapshot")
        node.pass_time(3000)
        await provider.settlement.claim(prepare=True, withdraw=False)
        (cut,) = (await provider.store.read(claims.open_claim)).cuts
        assert node.rpc("evm_revert", snapshot)
        node.rpc("evm_setNextBlockTimestamp", begun + 50)
        node.rpc("evm_mine")
        signed = await provider.store.read(claims.open_claim)
        provider.settlement.hurry(provider.ref.channel)
        await provider.look()
        assert (await provider.channel()).up_to == begun
        assert (await provider.store.read(claims.open_claim)).signed == signed.signed
        node.rpc("evm_setNextBlockTimestamp", cut.up_to + 1)
        node.rpc("evm_mine")
        await provider.settle()
        assert await provider.is_paid_up_to(begun, cut.up_to) == cut.up_to
        results = [
            one
            for s in await provider.chain.submitted(provider.owner.address, signed.root)
            for one in s.results
        ]
        assert [one.flags for one in results] == [ItemFlags.FUTURE, ItemFlags(0)]


async def test_a_claim_that_was_seen_and_reorganised_away_pays_by_the_same_bytes(provider):
    begun, node = (await provider.channel()).up_to, provider.node
    async with provider.daemon():
        node.pass_time(100)
        snapshot = node.rpc("evm_snapshot")
        await provider.look()
        assert await provider.state() in (ClaimState.MINED, ClaimState.FINAL, None)
        (first,) = await provider.chain.submitted(provider.owner.address, await last_root(provider))
        assert node.rpc("evm_revert", snapshot)  # deeper than anybody waited for
        assert await provider.paid() == 0
        node.pass_time(100)
        await provider.settle()
        await provider.is_paid_up_to(begun, begun + 100)
        node.pass_time(50)
        await provider.settle()
        await provider.is_paid_up_to(begun, begun + 200)
        assert first.tx_hash


async def test_a_reorganisation_while_the_claim_is_on_its_way(provider):
    """Two blocks go between its mining and its finality; the transaction goes in again by itself."""
    begun, node = (await provider.channel()).up_to, provider.node
    async with provider.daemon():
        node.pass_time(100)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(provider.settlement.tick)
            with trio.fail_after(60):
                while await provider.paid() == 0:
                    await trio.sleep(0.02)
                paid = await provider.paid()
                node.rpc("evm_mine")
                node.rpc("anvil_reorg", 2, [])
                while await provider.paid() == 0:
                    await trio.sleep(0.05)
            for _ in range(FINALITY):
                node.rpc("evm_mine")
        assert await provider.paid() == paid
        await provider.settle()
        await provider.is_paid_up_to(begun, begun + 100)


async def test_an_opening_that_is_reorganised_to_another_time(provider):
    """The channel begins later than in the books: the old cut can never land, a new one is made."""
    node = provider.node
    async with provider.daemon():
        node.pass_time(100)
        await provider.settlement.claim(prepare=True, withdraw=False)
        (opened,) = await provider.chain.opened_by(provider.publisher.address)
        depth = int(node.rpc("eth_blockNumber"), 16) - opened.block + 1
        before = (await provider.channel()).up_to
        node.rpc("anvil_reorg", depth, [])
        assert await provider.channel() is None
        node.pass_time(5)  # at the same second the old claim would be good, and be paid
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_mine, node)
            begun = await provider.open()
            nursery.cancel_scope.cancel()
        assert begun > before
        node.pass_time(100)
        provider.settlement.hurry(provider.ref.channel)
        await provider.settle()
        assert (await provider.store.read(claims.count_by_state))["lost"] == 1  # the old one is given up
        provider.settlement.hurry(provider.ref.channel)
        await provider.settle()
        await provider.is_paid_up_to(begun, begun + 100)


async def test_an_old_copy_of_the_store_is_put_back(provider):
    """What it holds of claims and transactions is behind the chain: seen, and cut anew from there."""
    begun, node, folder = (await provider.channel()).up_to, provider.node, provider.tmp_path
    async with provider.daemon():
        node.pass_time(100)
        await provider.settlement.claim(prepare=True, withdraw=False)
    for name in ("books", "tx"):
        shutil.copytree(folder / name, folder / f"old-{name}")
    async with provider.daemon():
        provider.settlement.hurry(provider.ref.channel)
        await provider.settle()
        node.pass_time(100)
        await provider.settle()
        at = await provider.is_paid_up_to(begun, begun + 200)
    for name in ("books", "tx"):
        shutil.rmtree(folder / name)
        shutil.copytree(folder / f"old-{name}", folder / name)
    async with provider.daemon():
        assert await provider.state() is ClaimState.PREPARED
        node.pass_time(100)
        await provider.settle()
        await provider.settle()
        await provider.is_paid_up_to(begun, at + 100)


async def test_a_daemon_that_was_killed_while_it_sent_goes_on_with_that(provider, monkeypatch):
    """Cancelled between sending and finality; the start after it sends no second transaction."""
    begun, node = (await provider.channel()).up_to, provider.node
    async with provider.daemon():
        node.pass_time(100)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(provider.settlement.tick)
            with trio.fail_after(60):
                while await provider.paid() == 0:
                    await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
    monkeypatch.setattr(sender, "_outboxes", {})
    sent = node.rpc("eth_getTransactionCount", provider.operator.address, "latest")
    node.rpc("anvil_reorg", 1, [])  # what it sent is gone as well
    assert await provider.paid() == 0
    async with provider.daemon(), trio.open_nursery() as nursery:
        nursery.start_soon(_mine, node)
        nursery.start_soon(provider.settlement.run)
        with trio.fail_after(60):
            while await provider.store.read(claims.open_claim) is not None:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
        await provider.is_paid_up_to(begun, begun + 100)
    assert node.rpc("eth_getTransactionCount", provider.operator.address, "latest") == sent


async def last_root(provider):
    return await provider.store.read(claims.last_root)
