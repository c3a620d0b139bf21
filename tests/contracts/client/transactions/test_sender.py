# SPDX-License-Identifier: Apache-2.0
"""Many transactions of one key before a node's pool that forgets; a real node is met in `test_faults`."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
import trio
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from tests.fakes.web_server import in_threads
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.transactions.journals import FolderJournal
from trustedpods.contracts.client.transactions.sender import Sender, Waiting
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import keccak256

KEY = b"\7" * 32
QUICK = ClientLimits(resend_every_s=0.2, stuck_after_s=0.3, mind_every_s=0.05, last_poll_s=0.05)
MANY = 20


class Pool:
    """A chain of one key: *sent* are the nonces that came in, of which those without a gap are *mined*."""

    def __init__(self):
        self.pool, self.mined, self.sent, self.foreign, self.mines_from = {}, {}, [], 0, 0
        self.fees_after_s = 0.0
        self._turn = threading.Lock()

    def answer(self, method, params):
        if method == "eth_maxPriorityFeePerGas":
            time.sleep(self.fees_after_s)  # a slow node
        with self._turn:
            return getattr(self, method)(*params)

    def eth_blockNumber(self):
        return hex(len(self.mined))

    def eth_getBlockByNumber(self, name, _):
        number = len(self.mined) if name == "latest" else int(name, 16)
        word = "0x" + number.to_bytes(32, "big").hex()
        return {"number": hex(number), "hash": word, "timestamp": "0x1", "baseFeePerGas": "0x1"}

    def eth_maxPriorityFeePerGas(self):
        return "0x1"

    def eth_estimateGas(self, _):
        return hex(21_000)

    def eth_getTransactionCount(self, _, name):
        count = len(self.mined)
        if name == "pending":
            count += self.foreign
            while count in self.pool:
                count += 1
        return hex(count)

    def eth_sendRawTransaction(self, raw):
        sent = bytes.fromhex(raw[2:])
        nonce = TypedTransaction.from_bytes(HexBytes(sent)).as_dict()["nonce"]
        self.sent.append(nonce)
        self.pool[nonce] = "0x" + keccak256(sent).hex()
        self.mine()
        return self.pool.get(nonce) or self.mined[nonce]

    def eth_getTransactionReceipt(self, name):
        for nonce, mined in self.mined.items():
            if mined == name:
                block = self.eth_getBlockByNumber(hex(nonce + 1), False)
                place = {"blockNumber": block["number"], "blockHash": block["hash"], "logs": []}
                return {"transactionHash": name, "status": "0x1", "gasUsed": "0x1", **place}
        return None

    def mine(self):
        """Mine what is next in line, once so many wait."""
        if len(self.pool) >= self.mines_from and not self.foreign:
            while (nonce := len(self.mined)) in self.pool:
                self.mined[nonce] = self.pool.pop(nonce)


@contextmanager
def served(pool):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            result = pool.answer(asked["method"], asked["params"])
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with in_threads(Handler) as url:
        yield url


@pytest.fixture
def pool():
    return Pool()


@pytest.fixture
def url(pool):
    with served(pool) as found:
        yield found


def a_sender(url, folder=None, patience=20.0):
    node = Node(url, QUICK)
    journal = None if folder is None else FolderJournal(folder)
    return node, Sender(node, 1, Waiting(patience), journal)


async def pay(sender, amount, told):
    call = CallRequest(address_of(KEY), b"", value=amount)
    try:
        told.append((await sender.send(KEY, call))[0])
    except NetworkFailure as error:
        told.append(error)


async def test_many_behind_one_gap_fill_it_once(pool, url):
    pool.foreign, told = 1, []
    node, sender = a_sender(url)
    async with trio.open_nursery() as nursery:
        for amount in range(MANY):
            nursery.start_soon(pay, sender, amount, told)
        with trio.fail_after(20):
            while len(pool.pool) < MANY:
                await trio.sleep(0.02)
        pool.fees_after_s = 0.3  # all see the gap before one of them can fill it
        pool.foreign = 0  # the node forgot it
    node.close()
    assert len({receipt.tx_hash for receipt in told}) == MANY
    assert sorted(set(pool.sent)) == list(range(MANY + 1))
    assert pool.sent.count(0) == 1


async def test_what_an_earlier_process_left_is_brought_to_its_end_at_once(pool, url, tmp_path):
    """The node forgot all of it, and mines nothing before it has all of it again."""
    pool.foreign, told = 1, []
    node, sender = a_sender(url, tmp_path / "one", patience=2)
    async with trio.open_nursery() as nursery:
        for amount in range(MANY):
            nursery.start_soon(pay, sender, amount, told)
    node.close()
    assert {type(error) for error in told} == {NetworkFailure}
    assert len(pool.pool) == MANY
    (tmp_path / "one").rename(tmp_path / "two")  # as another process finds it
    pool.foreign, pool.mines_from = 0, MANY
    pool.mined[0] = "0x" + "0" * 64
    pool.pool.clear()
    again: list = []
    node, sender = a_sender(url, tmp_path / "two")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.resume, KEY)
        nursery.start_soon(pay, sender, 3, again)  # adopts what is resumed
    node.close()
    assert len(pool.mined) == MANY + 1
    assert set(pool.sent) == set(range(1, MANY + 1))
    assert again[0].tx_hash.hex() in {name[2:] for name in pool.mined.values()}


async def test_what_its_caller_was_told_of_is_not_met_again(pool, url, tmp_path):
    """Else the next equal payment, a new one, would be taken for that of the run that was killed."""
    node, sender = a_sender(url, tmp_path / "one")
    pool.mines_from, told = 2, []  # one alone is not mined
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay, sender, 3, told)
        with trio.fail_after(20):
            while not pool.pool:
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    node.close()
    (tmp_path / "one").rename(tmp_path / "two")  # as another process finds it
    pool.mines_from = 0
    node, sender = a_sender(url, tmp_path / "two")
    assert len(await sender.resume(KEY, told=True)) == 1
    assert await sender.resume(KEY) == []
    await pay(sender, 3, told)
    node.close()
    assert sorted(set(pool.sent)) == [0, 1]
