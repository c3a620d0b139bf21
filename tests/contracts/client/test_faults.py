# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A real node behind a proxy that drops, delays, garbles and refuses; and a chain that reorganises."""

import contextlib
import secrets
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import trio

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY
from tests.contracts.node.faulty_proxy import FAULTS, faulty_proxy
from trustedpods.contracts.client import Chain, FolderJournal
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.payments import Order
from trustedpods.contracts.client.transactions import sender
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import PodRef

pytestmark = pytest.mark.live

SEND = "eth_sendRawTransaction"
DEPOSIT = 1_000_000


@pytest.fixture
def proxy(anvil):
    with faulty_proxy(anvil.url, late_s=0.1) as one:
        yield one


QUICK = ClientLimits(resend_every_s=0.3, gone_after_s=1.0, mind_every_s=0.1, read_pauses_s=(0.01, 0.02))
"""The same rules with less patience."""


@pytest.fixture
async def world(anvil, onchain, proxy, tmp_path, terms):
    return await World.make(anvil, onchain, proxy, tmp_path, terms)


class World:
    """A publisher with an open channel, who reaches the node through the proxy."""

    @classmethod
    async def make(cls, anvil, onchain, proxy, tmp_path, terms):
        self = cls()
        self.anvil, self.proxy, self.truth, self.folder = anvil, proxy, onchain, tmp_path / "journal"
        self.publisher, self.owner, self.meter = new_party(), new_party(), new_party()
        anvil.rpc("anvil_setBalance", self.publisher.address, hex(GAS))
        await onchain.mint(FUNDED_KEY, self.publisher.address, 100 * DEPOSIT)
        self.ref = PodRef(self.owner.address, self.publisher.address, secrets.token_bytes(32))
        self.open = (self.publisher.key, self.ref, self.meter.address, terms, DEPOSIT)
        await onchain.open_with_permit(*self.open)
        return self

    def client(self, *, finality=0, patience=30.0, url=None, **limits):
        market, limits = replace(self.truth.market, finality_blocks=finality), replace(QUICK, **limits)
        return Chain(
            url or self.proxy.url,
            market,
            journal=FolderJournal(self.folder),
            mined_within_s=patience,
            limits=limits,
        )

    async def left(self):
        channel = await self.truth.channel(self.owner.address, self.ref.channel)
        return channel.left

    async def top_up(self, chain, amount=7):
        return await chain.top_up(self.publisher.key, self.owner.address, self.ref.channel, amount)

    async def until_done(self, deed, tries=20):
        """As a person or a daemon does: whatever could not be done is asked for again."""
        for _ in range(tries):
            try:
                return await deed()
            except NetworkFailure:
                continue
        raise AssertionError("never done")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_deposit_that_a_node_garbles_is_paid_once(world, fault):
    world.proxy.fail(SEND, fault)
    async with world.client() as chain:
        await world.top_up(chain)
    assert world.proxy.hit == [fault]
    assert await world.left() == DEPOSIT + 7
    assert not list(world.folder.glob(".*"))


async def test_a_node_that_answers_nothing_for_a_while_loses_and_doubles_nothing(world):
    """The caller gives up, and repeats; the transaction is there since the first time."""
    world.proxy.fail(SEND, "drop-after")
    world.proxy.fail("eth_getTransactionReceipt", *["html"] * 40)
    async with world.client(patience=0.2) as chain:
        with pytest.raises(NetworkFailure, match="may be"):
            await world.top_up(chain)
    world.proxy.plan.clear()
    async with world.client() as chain:
        await world.top_up(chain)
    assert await world.left() == DEPOSIT + 7
    async with world.client() as chain:  # and once more is once more
        await world.top_up(chain)
    assert await world.left() == DEPOSIT + 14


@pytest.mark.parametrize("seed", range(2))
async def test_a_node_that_fails_every_fourth_time(world, seed):
    world.proxy.random.seed(seed)
    world.proxy.rate = 0.25
    async with world.client(patience=1.0) as chain:
        for amount in (1, 10, 100):
            await world.until_done(lambda amount=amount: world.top_up(chain, amount))
    assert len(world.proxy.hit) > 3
    assert await world.left() == DEPOSIT + 111


async def test_no_failure_is_read_as_closed(world):
    """Every way to fail on every way to look: the channel is there, or it is not known."""
    owner, publisher, channel = world.owner.address, world.publisher.address, world.ref.channel
    async with world.client() as chain:
        looks = [
            ("eth_call", lambda: chain.channels(owner, [channel]), lambda found: found[0].left == DEPOSIT),
            ("eth_getLogs", lambda: chain.closed(owner, channel), lambda found: found is None),
            ("eth_getLogs", lambda: chain.opened_by(publisher), lambda found: len(found) == 1),
            ("eth_getBlockByNumber", chain.head, lambda head: head.number > 0),
        ]
        for method, look, right in looks:
            for fault in FAULTS:
                world.proxy.fail(method, *[fault] * 30)
                with contextlib.suppress(NetworkFailure):
                    assert right(await look()), fault
                assert world.proxy.hit[-1] == fault
                world.proxy.plan.clear()


async def test_no_more_is_read_than_the_bound(world):
    async with world.client(answer_bytes=100_000) as chain:
        world.proxy.fail("eth_getBlockByNumber", "huge")
        with pytest.raises(NetworkFailure, match="too large"):
            await chain.head()
        assert (await chain.head()).number > 0


async def miner(anvil):
    while True:
        anvil.rpc("evm_mine")
        await trio.sleep(0.03)


async def test_a_reorganisation_of_two_blocks_brings_the_same_bytes_again(world):
    """Seen in a block, but not deep enough: the block goes, and what it held goes in again."""
    anvil, told = world.anvil, []

    async def pay(chain):
        told.append(await world.top_up(chain))

    async with world.client(finality=3) as chain:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pay, chain)
                while await world.left() == DEPOSIT:
                    await trio.sleep(0.02)
                anvil.rpc("evm_mine")
                first = anvil.rpc(
                    "eth_getBlockByNumber", hex(int(anvil.rpc("eth_blockNumber"), 16) - 1), False
                )
                sent = world.proxy.calls.count(SEND)
                anvil.rpc("anvil_reorg", 2, [])
                assert anvil.rpc("eth_getTransactionReceipt", *first["transactions"]) is None
                while await world.left() == DEPOSIT:
                    await trio.sleep(0.02)
                assert world.proxy.calls.count(SEND) == sent + 1
                nursery.start_soon(miner, anvil)
                while not told:
                    await trio.sleep(0.02)
                nursery.cancel_scope.cancel()
    assert first["transactions"] == ["0x" + told[0].tx_hash.hex()]
    assert await world.left() == DEPOSIT + 7


async def test_what_a_killed_process_left_is_met_by_the_next(world):
    """kill -9 between the node's taking it in and the answer; then the same command again."""
    world.anvil.rpc("evm_setAutomine", False)
    script = textwrap.dedent("""
        import sys, trio
        from pathlib import Path
        from trustedpods.contracts.client import Chain, FolderJournal
        from trustedpods.contracts.records import Market
        url, folder, key, owner, channel, *market = sys.argv[1:]
        async def main():
            made = Market(int(market[0]), *market[1:])
            async with Chain(url, made, journal=FolderJournal(Path(folder))) as chain:
                await chain.top_up(bytes.fromhex(key), owner, int(channel), 7)
        trio.run(main)
    """)
    market = world.truth.market
    places = [str(market.chain_id), market.payments, market.registry, market.token]
    arguments = [world.proxy.url, str(world.folder), world.publisher.key.hex(), world.owner.address]
    try:
        child = subprocess.Popen([sys.executable, "-c", script, *arguments, str(world.ref.channel), *places])
        with trio.fail_after(60):
            while world.anvil.rpc("txpool_status")["pending"] == "0x0":
                await trio.sleep(0.02)
        child.kill()
        assert child.wait() == -signal.SIGKILL
        assert len(list(world.folder.glob("*.json"))) == 2  # the list, and the transaction
    finally:
        world.anvil.rpc("evm_setAutomine", True)
    world.anvil.rpc("anvil_dropAllTransactions")  # the node was killed as well
    async with world.client() as chain:
        await world.top_up(chain)
        assert await chain.resume(world.publisher.key) == []
    assert await world.left() == DEPOSIT + 7


async def test_resuming_sends_what_was_only_written_down(world, monkeypatch):
    world.proxy.fail(SEND, *["drop-before"] * 50)
    async with world.client(patience=0.5) as chain:
        with pytest.raises(NetworkFailure):
            await world.top_up(chain)
    monkeypatch.setattr(sender, "_outboxes", {})  # as another process finds it
    world.proxy.plan.clear()
    async with world.client() as chain:
        assert len(await chain.resume(world.publisher.key)) == 1
        same = (world.publisher.key, world.owner.address, world.ref.channel, 7)
        assert await chain.earlier_top_up(*same) is not None
        assert await chain.earlier_top_up(*same) is None  # somebody was told of it
    assert await world.left() == DEPOSIT + 7


async def test_what_is_stuck_is_paid_better_within_bounds(world):
    anvil, told = world.anvil, []
    before = int(anvil.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    anvil.rpc("evm_setAutomine", False)
    try:
        async with world.client(stuck_after_s=0.5) as chain, trio.open_nursery() as nursery:

            async def pay():
                told.append(await world.top_up(chain))

            nursery.start_soon(pay)
            with trio.fail_after(60):
                while anvil.rpc("txpool_status")["pending"] == "0x0":
                    await trio.sleep(0.02)
                (first,) = anvil.rpc("eth_getBlockByNumber", "pending", True)["transactions"]
                while not told:
                    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(2 * int(first["maxFeePerGas"], 16)))
                    anvil.rpc("evm_mine")
                    await trio.sleep(0.1)
    finally:
        anvil.rpc("evm_setAutomine", True)
        anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(before))
        anvil.rpc("evm_mine")
    mined = anvil.rpc("eth_getTransactionByHash", "0x" + told[0].tx_hash.hex())
    assert mined["nonce"] == first["nonce"]
    assert mined["hash"] != first["hash"]
    assert int(mined["maxFeePerGas"], 16) <= 4 * int(first["maxFeePerGas"], 16)
    assert await world.left() == DEPOSIT + 7


async def test_many_behind_one_that_is_stuck_are_all_mined_and_come_back_after_a_reorganisation(world):
    """More than are watched at full pace: the first is paid better, then each as its turn comes."""
    anvil, told, many, payee = world.anvil, [], range(1, 13), new_party().address
    before = int(anvil.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    anvil.rpc("evm_setAutomine", False)
    try:
        async with world.client(finality=2, stuck_after_s=0.5) as chain, trio.open_nursery() as nursery:

            async def pay(amount):
                told.append(await chain.send_gas(world.publisher.key, payee, amount))

            for amount in many:
                nursery.start_soon(pay, amount)
            with trio.fail_after(90):
                while int(anvil.rpc("txpool_status")["pending"], 16) < len(many):
                    await trio.sleep(0.02)
                (first, *_) = anvil.rpc("eth_getBlockByNumber", "pending", True)["transactions"]
                dearer = hex(5 * int(first["maxFeePerGas"], 16) // 4)
                while int(anvil.rpc("eth_getBalance", payee, "latest"), 16) != sum(many):
                    anvil.rpc("anvil_setNextBlockBaseFeePerGas", dearer)
                    anvil.rpc("evm_mine")
                    await trio.sleep(0.1)
                anvil.rpc("anvil_reorg", 1, [])
                while len(told) < len(many):
                    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(before))
                    anvil.rpc("evm_mine")
                    await trio.sleep(0.1)
    finally:
        anvil.rpc("evm_setAutomine", True)
        anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(before))
        anvil.rpc("evm_mine")
    assert len({receipt.tx_hash for receipt in told}) == len(many)
    assert int(anvil.rpc("eth_getBalance", payee, "latest"), 16) == sum(many)


async def test_another_program_with_the_same_key_does_not_double_anything(world):
    """It takes the nonce while ours is lost on its way; nothing is signed anew behind the caller's back."""
    world.proxy.fail(SEND, *["drop-before"] * 3)
    monkey = new_party().address
    async with world.client(patience=20) as chain, trio.open_nursery() as nursery:
        told = []

        async def pay():
            with pytest.raises(NetworkFailure) as lost:
                await world.top_up(chain)
            told.append(lost.value.rule)

        nursery.start_soon(pay)
        while SEND not in world.proxy.calls:
            await trio.sleep(0.01)
        await world.truth.send_gas(world.publisher.key, monkey, 1)
        while not told:
            await trio.sleep(0.05)
        assert told == ["nonce"]
        assert await world.left() == DEPOSIT
        await world.top_up(chain)
    assert await world.left() == DEPOSIT + 7


async def test_a_gap_that_another_program_left_is_filled(world):
    """Its transaction was in line before ours, and the node forgot it: nothing behind it is ever mined."""
    anvil, payer = world.anvil, world.publisher.address
    anvil.rpc("evm_setAutomine", False)
    anvil.rpc("anvil_impersonateAccount", payer)
    try:
        foreign = anvil.rpc("eth_sendTransaction", {"from": payer, "to": payer, "value": "0x1"})
        async with world.client(patience=40, stuck_after_s=0.3) as chain, trio.open_nursery() as nursery:
            nursery.start_soon(world.top_up, chain)
            with trio.fail_after(40):
                while anvil.rpc("txpool_status")["pending"] != "0x2":
                    await trio.sleep(0.02)
            anvil.rpc("anvil_dropTransaction", foreign)
            anvil.rpc("evm_setAutomine", True)
    finally:
        anvil.rpc("anvil_stopImpersonatingAccount", payer)
        anvil.rpc("evm_setAutomine", True)
    assert await world.left() == DEPOSIT + 7
    assert int(anvil.rpc("eth_getTransactionCount", payer, "latest"), 16) == 3  # the opening, nothing, ours


class NotShared(dict):
    """Every call gets an outbox of its own, as another process has."""

    def setdefault(self, _, box):  # type: ignore[override]  # of `dict`, only what `Sender` asks
        return box


async def test_processes_with_one_key_and_one_journal(world, monkeypatch):
    monkeypatch.setattr(sender, "_outboxes", NotShared())
    amounts = [1, 10, 100, 1000, 10_000]
    async with world.client(patience=30) as chain:
        await chain.approve(world.publisher.key, 10**6)
        async with trio.open_nursery() as nursery:
            for amount in amounts:
                salt, terms = amount.to_bytes(32, "big"), world.open[3]
                order = Order(world.owner.address, world.meter.address, salt, terms, amount)
                nursery.start_soon(chain.open_channel, world.publisher.key, order)
    count = int(world.anvil.rpc("eth_getTransactionCount", world.publisher.address, "latest"), 16)
    assert count == 2 + len(amounts)
    assert await world.truth.allowance(world.publisher.address) == 10**6 - sum(amounts)
