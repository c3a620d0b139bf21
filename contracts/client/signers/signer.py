# SPDX-License-Identifier: Apache-2.0
"""What is asked of whoever signs, and the answer of a key that is here.

Everything that sends takes a `SigningKey`: 32 bytes, the everyday local key, or a `Signer`. Signing
blocks, as a person may have to find a device: it is done in threads.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from trustedpods.contracts.eip712 import TypedData, address_of, parts_of, sign_typed
from trustedpods.protocol.errors import NoContext
from trustedpods.protocol.ids import Address, address_bytes, keccak256
from trustedpods.protocol.sealing import signatures

_KIND = b"\x02"
"""Of transactions of EIP-1559 (EIP-2718)."""


@dataclass(frozen=True, slots=True)
class TransactionToSign:
    """A transaction of EIP-1559; `to` is None when it creates a contract, `most` and `tip` are wei."""

    chain_id: int
    nonce: int
    to: Address | None
    value: int
    data: bytes
    gas: int
    most: int
    tip: int

    def fields(self) -> dict[str, Any]:
        """As eth_account takes it."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": self.nonce,
            "value": self.value,
            "data": self.data,
            "gas": self.gas,
            "maxFeePerGas": self.most,
            "maxPriorityFeePerGas": self.tip,
        }
        return fields if self.to is None else fields | {"to": self.to}

    def encoded(self, signature: tuple[int, int, int] | None = None) -> bytes:
        """As EIP-1559 writes it: what is signed, or with *signature* (parity, r, s) what goes to a node.

        eth_account would say the same, once it has loaded all other kinds of transactions, 25 ms of a deploy.
        """
        import rlp  # noqa: PLC0415 - who only reads needs none

        to = b"" if self.to is None else address_bytes(self.to)
        no_access: list[bytes] = []
        fees = (self.tip, self.most, self.gas)
        fields = [self.chain_id, self.nonce, *fees, to, self.value, self.data, no_access]
        return _KIND + bytes(rlp.encode([*fields, *(signature or ())]))


class Signer(Protocol):
    """An account that signs. Where it raises, nothing of what it signed came here."""

    @property
    def address(self) -> Address:
        """Whose signatures these are."""

    @property
    def at_once(self) -> bool:
        """Whether it signs by itself; else a person is asked, and for nothing that nobody waits for."""

    def sign_transaction(self, transaction: TransactionToSign) -> bytes:
        """The signed transaction as it goes to a node. Blocking."""

    def sign_typed_data(self, data: TypedData) -> bytes:
        """65 bytes over EIP-712 data, as the contracts take them. Blocking."""


class LocalKey:
    """A private key of 32 bytes in this process; `BadInput` when it is none."""

    at_once = True

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.address = address_of(secret)

    def sign_transaction(self, transaction: TransactionToSign) -> bytes:
        """As the protocol says."""
        signed = parts_of(signatures.sign(self._secret, keccak256(transaction.encoded())))
        r, s = int.from_bytes(signed.r), int.from_bytes(signed.s)
        return transaction.encoded((signed.v - signatures.FIRST_PARITY, r, s))

    def sign_typed_data(self, data: TypedData) -> bytes:
        """As the protocol says."""
        return sign_typed(self._secret, data)


class FormerSigner:
    """An account whose key is gone: what it signed is looked for and sent again, nothing new is signed."""

    at_once = False

    def __init__(self, address: Address) -> None:
        self.address = address

    def sign_transaction(self, transaction: TransactionToSign) -> bytes:
        """`NoContext`: nobody can."""
        raise NoContext(f"the key of {self.address} is not here", where=f"nonce {transaction.nonce}")

    def sign_typed_data(self, data: TypedData) -> bytes:
        """`NoContext`: nobody can."""
        raise NoContext(f"the key of {self.address} is not here", where=f"contract {data.domain.contract}")


SigningKey: TypeAlias = bytes | Signer
"""Who signs: the 32 bytes of a key, or somebody to be asked."""


def signer_with(key: SigningKey) -> Signer:
    """*key* as somebody to be asked; `BadInput` when its bytes are no key."""
    return LocalKey(key) if isinstance(key, bytes) else key


def signs_at_once(key: SigningKey) -> bool:
    """Whether no person is asked; see `Signer.at_once`."""
    return isinstance(key, bytes) or key.at_once


def address_with(key: SigningKey) -> Address:
    """Whose key it is; `BadInput` when its bytes are no key."""
    return address_of(key) if isinstance(key, bytes) else key.address
