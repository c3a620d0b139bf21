# SPDX-License-Identifier: Apache-2.0
"""The daemon that takes over sends nothing twice, wherever the one before it was killed or stood still.

The sender, the books and the signing are real; the node is ours: it mines at once what has the next nonce.
"""

import secrets
from dataclasses import dataclass, field

import pytest
import trio
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from trustedpods.contracts.client.errors import RpcError
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.answers import BlockHeader, Mined
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.transactions.sender import Sender
from trustedpods.protocol.errors import Locked
from trustedpods.protocol.ids import keccak256
from trustedpods.provider.store.operator.transactions import BooksJournal

CHAIN_ID = 31337
TO = "0x" + "22" * 20
CALL = CallRequest(TO, b"claim")
OTHER = CallRequest(TO, b"another claim")


@dataclass
class MiningNode:
    """What the sender asks of a node; every answer but a transaction's receipt is the same each time."""

    mined: dict = field(default_factory=dict)
    """Number of the block by transaction."""
    data: list = field(default_factory=list)

    def block(self, name):
        number = len(self.mined) if name == "latest" else int(name)
        return BlockHeader(number, keccak256(number.to_bytes(8, "big")), 0, 10)

    def block_number(self):
        return len(self.mined)

    def tip(self):
        return 1

    def estimate_gas(self, _call):
        return 50_000

    def transaction_count(self, _sender, _block):
        return len(self.mined)

    def send_raw(self, raw):
        tx_hash = keccak256(raw)
        if tx_hash in self.mined:
            raise RpcError({"code": -32000, "message": "already known"})
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        if fields["nonce"] < len(self.mined):
            raise RpcError({"code": -32000, "message": "nonce too low"})
        assert fields["nonce"] == len(self.mined), "a gap that nobody fills"
        self.mined[tx_hash] = len(self.mined) + 1
        self.data.append(bytes(fields["data"]))
        return tx_hash

    def receipt(self, tx_hash):
        number = self.mined.get(tx_hash)
        if number is None:
            return None
        return Mined(tx_hash, number, self.block(number).hash, 1, 21_000, None, ())


class Killed(BaseException):
    """Nothing that the process would have done afterwards is done."""


class Killing:
    """The books' journal, in a process that is killed at its *at*-th step: before and after each call."""

    def __init__(self, journal, at=None, kill=None):
        self._journal, self._at, self.passed = journal, at, 0
        self._kill = kill or self._die

    def _die(self):
        raise Killed

    def _step(self):
        self.passed += 1
        if self.passed - 1 == self._at:
            self._kill()

    def __getattr__(self, name):
        found = getattr(self._journal, name)
        if name not in ("read", "write"):
            return found

        def call(*arguments):
            self._step()
            result = found(*arguments)
            self._step()
            return result

        return call


def sender_of(chain, journal):
    node = Node("http://node")
    node.eth = chain
    return Sender(node, CHAIN_ID, journal=journal)


async def steps_of_one(book):
    """How many steps a transaction has that nothing disturbs."""
    async with book() as store:
        journal = Killing(BooksJournal(store))
        await sender_of(MiningNode(), journal).send(secrets.token_bytes(32), CALL)
        return journal.passed


async def test_a_kill_at_every_point_sends_each_claim_once(book):
    steps = await steps_of_one(book)
    assert steps >= 8
    for at in range(steps):
        chain, key = MiningNode(), secrets.token_bytes(32)
        async with book() as store:
            with pytest.raises(Killed):
                await sender_of(chain, Killing(BooksJournal(store), at)).send(key, CALL)
        async with book(secret=b"o" * 32, holder="node-2") as store:
            sender = sender_of(chain, BooksJournal(store))
            await sender.send(key, CALL)
            await sender.send(key, OTHER)
        last = at == steps - 1  # its outcome was told and forgotten: the same call again is another one
        assert chain.data == [CALL.data] * (1 + last) + [OTHER.data], at


async def test_who_stood_still_at_any_point_sends_nothing_after_the_take_over(postgres_book):
    """Between its steps another daemon takes the books and sends the same claim; then it goes on."""
    steps = await steps_of_one(postgres_book)
    for at in range(steps):
        chain, key = MiningNode(), secrets.token_bytes(32)

        async def another_daemon(chain=chain, key=key):
            async with postgres_book(secret=b"o" * 32, holder="node-2") as store:
                await sender_of(chain, BooksJournal(store)).send(key, CALL)

        def stand_still(other=another_daemon):
            trio.from_thread.run(other)

        async with postgres_book() as store:
            journal = Killing(BooksJournal(store), at, stand_still)
            if at == steps - 1:  # all of it was done before
                await sender_of(chain, journal).send(key, CALL)
            else:
                with pytest.raises(Locked, match="node-2"):
                    await sender_of(chain, journal).send(key, CALL)
        assert len(chain.data) == 1 + (at == steps - 1), at
