# SPDX-License-Identifier: Apache-2.0
"""What a node's JSON means: quantities, bytes, blocks, receipts, logs (ethereum/execution-apis). Pure.

Whatever is malformed raises one of `errors.MALFORMED`: no answer of a node is believed to have a shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trustedpods.protocol.ids import Address, address_from_bytes

Json: TypeAlias = Any
"""A value as the JSON parser gave it."""

_MAX_QUANTITY = len("0x") + 64
"""Hex digits of a 256-bit number: no field of an answer is wider."""

_HASH_BYTES = 32


def quantity(value: Json) -> int:
    """A number as the wire has it, "0x" and hex digits."""
    if not isinstance(value, str) or not value.startswith("0x") or not 2 < len(value) <= _MAX_QUANTITY:
        raise ValueError("no quantity")
    return int(value, 16)


def octets(value: Json) -> bytes:
    """Bytes of any length, "0x" and two hex digits for each."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("no bytes")
    return bytes.fromhex(value[2:])


def word(value: Json) -> bytes:
    """A hash or a topic: exactly 32 bytes."""
    raw = octets(value)
    if len(raw) != _HASH_BYTES:
        raise ValueError("no hash")
    return raw


def address(value: Json) -> Address:
    """An address, in its checksummed form."""
    return address_from_bytes(octets(value))


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What is used of a block; `base_fee` in wei is None on chains that have none."""

    number: int
    hash: bytes
    timestamp: int
    base_fee: int | None

    @classmethod
    def of(cls, value: Json) -> "BlockHeader":
        """As `eth_getBlockByNumber` returns it."""
        number, name = quantity(value["number"]), word(value["hash"])
        fee = value.get("baseFeePerGas")
        return cls(number, name, quantity(value["timestamp"]), None if fee is None else quantity(fee))


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract wrote: the first topic names the event."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    index: int
    tx_hash: bytes

    @classmethod
    def of(cls, value: Mapping[str, Json]) -> "Log":
        """As `eth_getLogs` and receipts have it."""
        return cls(
            address(value["address"]),
            tuple(word(topic) for topic in value["topics"]),
            octets(value["data"]),
            quantity(value["blockNumber"]),
            quantity(value["logIndex"]),
            word(value["transactionHash"]),
        )


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction's receipt: `status` is 1 unless it failed; `created` is the contract that it made.

    `sender` paid `gas_price` wei for each unit of gas; None where the node does not say.
    """

    tx_hash: bytes
    block: int
    block_hash: bytes
    status: int
    gas_used: int
    created: Address | None
    logs: tuple[Log, ...]
    sender: Address | None = None
    gas_price: int | None = None

    @classmethod
    def of(cls, value: Mapping[str, Json]) -> "Mined":
        """As `eth_getTransactionReceipt` returns it."""
        tx_hash = word(value["transactionHash"])
        created, sender, price = (value.get(n) for n in ("contractAddress", "from", "effectiveGasPrice"))
        return cls(
            tx_hash,
            quantity(value["blockNumber"]),
            word(value["blockHash"]),
            quantity(value["status"]),
            quantity(value["gasUsed"]),
            None if created is None else address(created),
            tuple(Log.of(log) for log in value["logs"]),
            None if sender is None else address(sender),
            None if price is None else quantity(price),
        )
