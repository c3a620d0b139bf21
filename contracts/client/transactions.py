# SPDX-License-Identifier: Apache-2.0
"""Sending: one nonce lock per sender in this process, the pending count from the node, receipts.

A transaction that is not mined in time is a `NetworkFailure` that says its hash: it may still be
mined, so whoever repeats a step looks at the chain first.
"""

from typing import Any, NoReturn

import trio
from eth_account import Account
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound, Web3RPCError
from web3.types import TxParams

from trustedpods.contracts.client.errors import MALFORMED
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.records import Receipt
from trustedpods.contracts.typed import address_of
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address

MINED_WITHIN_S = 90.0
_FIRST_POLL_S = 0.05
_LAST_POLL_S = 0.5
_NONCE_WORDS = ("nonce too low", "already known", "replacement transaction underpriced", "nonce is too low")
_NONCE_ATTEMPTS = 5

_locks: dict[tuple[int, Address], trio.Lock] = {}


def sender_lock(chain_id: int, sender: Address) -> trio.Lock:
    """The lock under which a sender's nonces are taken, shared by all chains objects."""
    return _locks.setdefault((chain_id, sender), trio.Lock())


class Sender:
    """Signs, sends and waits."""

    def __init__(self, node: Node, chain_id: int, mined_within_s: float = MINED_WITHIN_S) -> None:
        self._node = node
        self._chain_id = chain_id
        self._mined_within_s = mined_within_s

    async def send(self, key: bytes, call: TxParams) -> tuple[Receipt, dict[str, Any]]:
        """Send *call* ({to, data} or {value}) and wait until it is mined; also its raw receipt.

        Raises `Refused` or `InsufficientFunds` when it would revert or did, `NetworkFailure` when
        it is not known what became of it.
        """
        sender = address_of(key)
        base: TxParams = {**call, "from": sender, "chainId": self._chain_id}
        gas = await self._node.read(self._node.web3.eth.estimate_gas, base)
        base["gas"] = gas + gas // 4 + 10_000  # what other blocks change may cost more
        base.update(await self._node.read(self._fees))
        async with sender_lock(self._chain_id, sender):
            tx_hash = await self._node.write(self._sign_and_send, key, base)
        receipt, raw = await self._mined(tx_hash)
        if raw["status"] != 1:
            await self._explain(base, receipt)
        return receipt, raw

    def _fees(self) -> TxParams:
        eth = self._node.web3.eth
        tip = eth.max_priority_fee
        base_fee = eth.get_block("latest")["baseFeePerGas"]
        return {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base_fee + tip}  # type: ignore[typeddict-item]

    def _sign_and_send(self, key: bytes, call: TxParams) -> bytes:
        eth = self._node.web3.eth
        for attempt in range(_NONCE_ATTEMPTS):
            nonce = eth.get_transaction_count(call["from"], "pending")  # type: ignore[arg-type]
            fields = {name: value for name, value in call.items() if name != "from"}
            signed = Account.sign_transaction({**fields, "nonce": nonce, "type": 2}, key)
            try:
                eth.send_raw_transaction(signed.raw_transaction)
            except (NetworkFailure, *MALFORMED) as error:
                raise NetworkFailure(
                    f"{error}; transaction 0x{signed.hash.hex()} may have been sent"
                ) from None
            except Web3RPCError as error:
                taken = any(words in str(error).lower() for words in _NONCE_WORDS)
                if not taken or attempt == _NONCE_ATTEMPTS - 1:
                    raise  # another process uses this key; otherwise the guard translates it
            else:
                return bytes(signed.hash)
        raise AssertionError("the loop returns or raises")

    async def _mined(self, tx_hash: bytes) -> tuple[Receipt, dict[str, Any]]:
        pause = _FIRST_POLL_S
        with trio.move_on_after(self._mined_within_s):
            while True:
                found = await self._receipt(tx_hash)
                if found is not None:
                    return found
                await trio.sleep(pause)
                pause = min(_LAST_POLL_S, pause * 1.3)
        raise NetworkFailure(
            f"transaction 0x{tx_hash.hex()} was not mined within {self._mined_within_s:g} s; it still may be"
        )

    async def _receipt(self, tx_hash: bytes) -> tuple[Receipt, dict[str, Any]] | None:
        """None while it is not mined, or while the node cannot say."""
        try:
            return await self._node.read(self._look_up, tx_hash)
        except NetworkFailure:
            return None

    def _look_up(self, tx_hash: bytes) -> tuple[Receipt, dict[str, Any]] | None:
        try:
            raw = dict(self._node.web3.eth.get_transaction_receipt(HexBytes(tx_hash)))
        except TransactionNotFound:
            return None
        receipt = Receipt(tx_hash, int(raw["gasUsed"]), int(raw["blockNumber"]))  # type: ignore[call-overload]
        return receipt, {**raw, "status": int(raw["status"])}  # type: ignore[call-overload]

    async def _explain(self, call: TxParams, receipt: Receipt) -> NoReturn:
        """Learn why it failed from the same call after its block, where what came before it still shows."""
        where = f"transaction 0x{receipt.tx_hash.hex()}"
        try:
            await self._node.read(self._node.web3.eth.call, call, receipt.block)
        except NetworkFailure:
            pass
        except TrustedPodsError as error:
            error.where = where
            raise
        raise Refused("the transaction was mined and reverted", where=where, rule="reverted")
