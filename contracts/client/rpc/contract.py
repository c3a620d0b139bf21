# SPDX-License-Identifier: Apache-2.0
"""A contract's functions and events, encoded and decoded by eth-abi from the packaged ABI. Pure."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from eth_abi.codec import ABICodec
from eth_abi.decoding import AddressDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import BaseEquals, registry

from trustedpods.contracts.client.artifacts import artifact
from trustedpods.contracts.client.rpc.answers import Log
from trustedpods.protocol.ids import Address, address_from_bytes, keccak256

Value: TypeAlias = Any
"""Values as eth-abi has them, with checksummed addresses: each caller gives them their type at once."""


class _ChecksummedAddress(AddressDecoder):
    decoder_fn = staticmethod(address_from_bytes)  # type: ignore[assignment]  # narrower: it gets bytes


@cache
def _codec() -> ABICodec:
    ours = registry.copy()  # type: ignore[no-untyped-call]
    ours.unregister_decoder("address")
    is_address = BaseEquals("address")  # type: ignore[no-untyped-call]
    ours.register_decoder(is_address, _ChecksummedAddress, label="address")
    return ABICodec(ours)


def _type(parameter: Mapping[str, Value]) -> str:
    """A parameter's type, a struct written as the tuple of its members' (Solidity's ABI, "Types")."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_type, parameter['components']))}){kind.removeprefix('tuple')}"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of an ABI."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _EventShape:
    topic: bytes
    indexed: tuple[tuple[str, str], ...]
    """Names and types, in the order of the topics."""
    plain: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A call as it goes to the node."""

    to: Address
    data: bytes
    outputs: tuple[str, ...]

    def decode(self, raw: bytes) -> Value:
        """What it returned: the value, or a tuple of them. Raises eth-abi's `DecodingError`."""
        values = _codec().decode(self.outputs, raw)
        return values[0] if len(values) == 1 else values


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a contract, with its arguments by name."""

    args: Mapping[str, Value]
    tx_hash: bytes
    block: int
    index: int


@cache
def _functions(name: str) -> dict[str, Function]:
    """By name: none of our contracts has two of one name."""
    found = {}
    for one in artifact(name).abi:
        if one["type"] == "function":
            inputs = tuple(map(_type, one["inputs"]))
            selector = keccak256(f"{one['name']}({','.join(inputs)})".encode())[:4]
            found[one["name"]] = Function(selector, inputs, tuple(map(_type, one["outputs"])))
    return found


@cache
def _events(name: str) -> dict[str, _EventShape]:
    found = {}
    for one in artifact(name).abi:
        if one["type"] == "event":
            named = [(field["name"], _type(field), field["indexed"]) for field in one["inputs"]]
            signature = f"{one['name']}({','.join(kind for _, kind, _ in named)})"
            found[one["name"]] = _EventShape(
                keccak256(signature.encode()),
                tuple((field, kind) for field, kind, indexed in named if indexed),
                tuple((field, kind) for field, kind, indexed in named if not indexed),
            )
    return found


class Functions:
    """`functions.topUp(owner, channel, amount)` is the call of that function with these arguments."""

    def __init__(self, name: str, address: Address) -> None:
        self._address = address
        self._known = _functions(name)

    def __getattr__(self, name: str) -> "_Caller":
        """A function by its name in Solidity."""
        if name not in self._known:
            raise AttributeError(name)
        return _Caller(self._address, self._known[name])


@dataclass(frozen=True, slots=True)
class _Caller:
    address: Address
    function: Function

    def __call__(self, *arguments: Value) -> ContractCall:
        data = self.function.selector + _codec().encode(self.function.inputs, arguments)
        return ContractCall(self.address, data, self.function.outputs)


class Contract:
    """`PodPayments`, `PodRegistry` or `TestToken` at an address."""

    def __init__(self, name: str, address: Address) -> None:
        self.address = address
        self.functions = Functions(name, address)
        self._events = _events(name)

    def topics(self, event: str, filters: Mapping[str, Value]) -> list[str | None]:
        """What `eth_getLogs` looks for: the event, and each of its indexed arguments or None for any."""
        shape, found = self._events[event], list[str | None]()
        unknown = filters.keys() - {field for field, _ in shape.indexed}
        if unknown:
            raise AttributeError(f"{event} has no indexed {', '.join(sorted(unknown))}")
        for field, kind in shape.indexed:
            known = field in filters
            found.append("0x" + _codec().encode([kind], [filters[field]]).hex() if known else None)
        return ["0x" + shape.topic.hex(), *found]

    def event(self, event: str, log: Log) -> Event:
        """A log as that event. Raises `ValueError` or `DecodingError` where it is another one."""
        shape = self._events[event]
        if log.topics[:1] != (shape.topic,) or len(log.topics) != 1 + len(shape.indexed):
            raise ValueError("another event")
        codec = _codec()
        args = {
            field: codec.decode([kind], topic)[0]
            for (field, kind), topic in zip(shape.indexed, log.topics[1:], strict=True)
        }
        plain = codec.decode([kind for _, kind in shape.plain], log.data)
        args |= zip((field for field, _ in shape.plain), plain, strict=True)
        return Event(args, log.tx_hash, log.block, log.index)

    def events(self, event: str, logs: Sequence[Log]) -> list[Event]:
        """Those of a receipt's logs that are this contract's and that event."""
        found = []
        for log in logs:
            if log.address == self.address:
                with suppress(ValueError, DecodingError):
                    found.append(self.event(event, log))
        return found
