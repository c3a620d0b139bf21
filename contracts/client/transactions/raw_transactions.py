# SPDX-License-Identifier: Apache-2.0
"""One transaction and the node: signing, handing in, looking for it. Blocking: all of it in threads."""

import logging
import time
from enum import Enum
from typing import Any, NoReturn

from eth_account import Account
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound, Web3Exception, Web3RPCError
from web3.types import TxParams

from trustedpods.contracts.client.errors import MALFORMED, means_known, means_nonce_taken, means_refused
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.transactions.pending_transactions import (
    Call,
    Fees,
    Form,
    Included,
    Look,
    Outgoing,
)
from trustedpods.contracts.records import Receipt
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address

_log = logging.getLogger(__name__)


class NodeAnswer(Enum):
    """What a node made of a transaction that it was given."""

    TAKEN_IN = "taken in"
    UNSURE = "unsure"
    """It may have been taken in, whatever was answered."""


class Wire:
    """The node as `transactions.Sender` uses it; *finality* as in `Market.finality_blocks`."""

    def __init__(self, node: Node, chain_id: int, finality: int) -> None:
        self._eth = node.web3.eth
        self._node = node
        self._chain_id = chain_id
        self._finality = finality

    def genesis(self) -> bytes:
        """Hash of the chain's first block: a chain that was made anew is another one."""
        return bytes(self._eth.get_block(0)["hash"])

    def estimate(self, sender: Address, call: TxParams, least_gas: int) -> Call:
        """The call with its gas, at least so much; raises what the contract says when it would revert."""
        base: TxParams = {**call, "from": sender, "chainId": self._chain_id}
        gas = self._eth.estimate_gas(base)
        gas += gas // 4 + 10_000  # what other blocks change may cost more
        to = call.get("to")
        value = int(call.get("value", 0))
        return Call(None if to is None else Address(str(to)), value, data_of(call), max(gas, least_gas))

    def pending_count(self, sender: Address) -> int:
        """The sender's transactions, with those that wait in the node's pool."""
        return int(self._eth.get_transaction_count(sender, "pending"))  # type: ignore[arg-type]

    def hand_in(self, out: Outgoing) -> NodeAnswer:
        """Give the newest form to the node; only a clear no raises `Web3RPCError`."""
        try:
            told = self._eth.send_raw_transaction(out.newest.raw)
        except Web3RPCError as error:
            if means_known(error):
                return NodeAnswer.TAKEN_IN
            if means_nonce_taken(error) or means_refused(error):
                raise
        except (NetworkFailure, Web3Exception, *MALFORMED) as error:
            _log.debug("transaction 0x%s: %s", out.newest.tx_hash.hex(), error)
        else:
            return NodeAnswer.TAKEN_IN if bytes(told) == out.newest.tx_hash else NodeAnswer.UNSURE
        return NodeAnswer.UNSURE

    def look(self, out: Outgoing, sender: Address) -> tuple[Look, dict[str, Any] | None]:
        """What the chain shows of it now, and the receipt as the node gave it."""
        head = int(self._eth.block_number)
        included, raw = None, None
        for form in reversed(out.forms):
            raw = self._receipt(form.tx_hash)
            if raw is not None:
                number, block = int(raw["blockNumber"]), bytes(raw["blockHash"])
                canonical = bytes(self._eth.get_block(number)["hash"]) == block
                included = Included(form.tx_hash, number, block, canonical)
                if canonical:
                    return Look(time.time(), head, 0, 0, included), raw
        count = self._eth.get_transaction_count(sender, "latest")  # type: ignore[arg-type]
        deep = max(0, head - self._finality)
        settled = self._eth.get_transaction_count(sender, deep) if self._finality else count  # type: ignore[arg-type]
        return Look(time.time(), head, count, settled, included), raw

    def _receipt(self, tx_hash: bytes) -> dict[str, Any] | None:
        try:
            raw = dict(self._eth.get_transaction_receipt(HexBytes(tx_hash)))
        except TransactionNotFound:
            return None
        if bytes(raw["transactionHash"]) != tx_hash:  # type: ignore[call-overload]
            raise NetworkFailure("the chain node answered for another transaction")
        return {**raw, "status": int(raw["status"])}  # type: ignore[call-overload]

    def fees(self) -> Fees:
        """What is usual now: room for the base fee to double."""
        tip = int(self._eth.max_priority_fee)
        return Fees(2 * int(self._eth.get_block("latest")["baseFeePerGas"]) + tip, tip)

    def sign(self, key: bytes, call: Call, nonce: int, fees: Fees) -> Form:
        """The transaction with this nonce and these fees."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "value": call.value,
            "data": call.data,
            "gas": call.gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }
        if call.to is not None:
            fields["to"] = call.to
        signed = Account.sign_transaction(fields, key)
        return Form(bytes(signed.raw_transaction), bytes(signed.hash), fees, time.time())

    async def explain(self, out: Outgoing, sender: Address, receipt: Receipt) -> NoReturn:
        """Raise why it failed, by the same call after its block, where what came before it still shows."""
        where = f"transaction 0x{receipt.tx_hash.hex()}"
        try:
            await self._node.read(self._eth.call, _as_call(out, sender), receipt.block)
        except NetworkFailure:
            pass
        except TrustedPodsError as error:
            error.where = where
            raise
        raise Refused("the transaction was mined and reverted", where=where, rule="reverted")


def data_of(call: TxParams) -> bytes:
    """A call's data as bytes."""
    return bytes(HexBytes(call.get("data", b"")))


def _as_call(out: Outgoing, sender: Address) -> TxParams:
    call = {"from": sender, "value": out.call.value, "data": out.call.data, "gas": out.call.gas}
    to = {} if out.call.to is None else {"to": out.call.to}
    return {**call, **to}  # type: ignore[typeddict-item]
