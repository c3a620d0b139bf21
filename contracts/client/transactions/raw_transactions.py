# SPDX-License-Identifier: Apache-2.0
"""One transaction and the node: signing, handing in, looking for it. Blocking: all of it in threads."""

import logging
import time
from dataclasses import replace
from enum import Enum
from typing import NoReturn

from trustedpods.contracts.client.errors import (
    MALFORMED,
    RpcError,
    means_known,
    means_nonce_taken,
    means_refused,
)
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.answers import Mined
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.signers.signer import SigningKey, TransactionToSign, signer_with
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
from trustedpods.protocol.ids import Address, keccak256

_log = logging.getLogger(__name__)


class NodeAnswer(Enum):
    """What a node made of a transaction that it was given."""

    TAKEN_IN = "taken in"
    UNSURE = "unsure"
    """It may have been taken in, whatever was answered."""


class Wire:
    """The node as `transactions.Sender` uses it; *finality* as in `Market.finality_blocks`."""

    def __init__(self, node: Node, chain_id: int, finality: int) -> None:
        self._eth = node.eth
        self._node = node
        self._chain_id = chain_id
        self._finality = finality

    def genesis(self) -> bytes:
        """Hash of the chain's first block: a chain that was made anew is another one."""
        return self._eth.block(0).hash

    def estimate(self, sender: Address, call: CallRequest, least_gas: int) -> Call:
        """The call with its gas, at least so much; raises what the contract says when it would revert."""
        gas = self._eth.estimate_gas(replace(call, sender=sender, chain_id=self._chain_id))
        gas += gas // 4 + 10_000  # what other blocks change may cost more
        return Call(call.to, call.value, call.data, max(gas, least_gas))

    def pending_count(self, sender: Address) -> int:
        """The sender's transactions, with those that wait in the node's pool."""
        return self._eth.transaction_count(sender, "pending")

    def hand_in(self, out: Outgoing) -> NodeAnswer:
        """Give the newest form to the node; only a clear no raises `RpcError`."""
        try:
            told = self._eth.send_raw(out.newest.raw)
        except RpcError as error:
            if means_known(error):
                return NodeAnswer.TAKEN_IN
            if means_nonce_taken(error) or means_refused(error):
                raise
        except (NetworkFailure, *MALFORMED) as error:
            _log.debug("transaction 0x%s: %s", out.newest.tx_hash.hex(), error)
        else:
            return NodeAnswer.TAKEN_IN if told == out.newest.tx_hash else NodeAnswer.UNSURE
        return NodeAnswer.UNSURE

    def look(self, out: Outgoing, sender: Address) -> tuple[Look, Mined | None]:
        """What the chain shows of it now, and the receipt as the node gave it."""
        head = self._eth.block_number()
        included, mined = None, None
        for form in reversed(out.forms):
            mined = self._receipt(form.tx_hash)
            if mined is not None:
                canonical = self._eth.block(mined.block).hash == mined.block_hash
                included = Included(form.tx_hash, mined.block, mined.block_hash, canonical)
                if canonical:
                    return Look(time.time(), head, 0, 0, included), mined
        count = self._eth.transaction_count(sender, "latest")
        deep = max(0, head - self._finality)
        settled = self._eth.transaction_count(sender, deep) if self._finality else count
        return Look(time.time(), head, count, settled, included), mined

    def _receipt(self, tx_hash: bytes) -> Mined | None:
        mined = self._eth.receipt(tx_hash)
        if mined is not None and mined.tx_hash != tx_hash:
            raise NetworkFailure("the chain node answered for another transaction")
        return mined

    def fees(self) -> Fees:
        """What is usual now: room for the base fee to double."""
        tip, base = self._eth.tip(), self._eth.block("latest").base_fee
        if base is None:
            raise LookupError("baseFeePerGas")
        return Fees(2 * base + tip, tip)

    def sign(self, key: SigningKey, call: Call, nonce: int, fees: Fees) -> Form:
        """The transaction with this nonce and these fees."""
        unsigned = TransactionToSign(
            self._chain_id, nonce, call.to, call.value, call.data, call.gas, fees.most, fees.tip
        )
        raw = signer_with(key).sign_transaction(unsigned)
        return Form(raw, keccak256(raw), fees, time.time())

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


def _as_call(out: Outgoing, sender: Address) -> CallRequest:
    call = out.call
    return CallRequest(call.to, call.data, call.value, sender, call.gas)
