# SPDX-License-Identifier: Apache-2.0
"""A signer outside this process, asked as Clef is: `account_signTransaction`, `account_signTypedData`.

Clef keeps keys, and drives devices (Ledger, Trezor); other programs speak the same words. Nothing of an
answer is believed: it counts when it is exactly what was asked for, and signed by the account that was named.
"""

from collections.abc import Mapping
from typing import Any

from trustedpods.contracts.client.signers.signer import TransactionToSign
from trustedpods.contracts.client.signers.wire import SignerError, SignerWire, bad_answer
from trustedpods.contracts.eip712 import TypedData
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.sealing.signatures import signer_of

ANSWERED_WITHIN_S = 300.0
"""A person finds the device, unlocks it, and reads what it shows."""

_DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_DYNAMIC_FEE = b"\x02"
"""EIP-2718: how a transaction of EIP-1559 begins."""


class ExternalSigner:
    """The account *address* of the signer behind *wire*. A person may be asked for each signature."""

    at_once = False

    def __init__(self, wire: SignerWire, address: Address) -> None:
        self._wire = wire
        self.address = address

    def sign_transaction(self, transaction: TransactionToSign) -> bytes:
        """As the protocol says; `Refused` with `signer-refused` when the person says no."""
        result = self._ask("account_signTransaction", [_asked(self.address, transaction)])
        raw = self._octets(result.get("raw") if isinstance(result, dict) else result)
        wrong = differing(raw, transaction, self.address)
        if wrong is not None:
            raise bad_answer(self._wire.place, wrong)
        return raw

    def sign_typed_data(self, data: TypedData) -> bytes:
        """As the protocol says; errors as above."""
        signature = self._octets(self._ask("account_signTypedData", [self.address, typed_json(data)]))
        if signer_of(data.digest, signature) != self.address:
            raise bad_answer(self._wire.place, f"it is no signature of {self.address} over what was asked")
        return signature

    def _ask(self, method: str, params: list[object]) -> Any:  # noqa: ANN401  JSON from outside
        try:
            return self._wire.ask(method, params)
        except SignerError as error:
            raise Refused(
                f"the signer did not sign for {self.address}: {error.message}",
                where=self._wire.place,
                rule="signer-refused",
                hint="nothing was sent, and nothing is lost: run the same again when it may be signed",
            ) from None

    def _octets(self, value: object) -> bytes:
        try:
            if isinstance(value, str) and value.startswith("0x"):
                return bytes.fromhex(value[2:])
        except ValueError:
            pass
        raise bad_answer(self._wire.place, "it holds no bytes in hex")


def _asked(sender: Address, transaction: TransactionToSign) -> dict[str, object]:
    """A transaction in the words of Clef's external API."""
    fields: dict[str, object] = {
        "from": sender,
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "maxFeePerGas": hex(transaction.most),
        "maxPriorityFeePerGas": hex(transaction.tip),
        "value": hex(transaction.value),
        "input": "0x" + transaction.data.hex(),
    }
    return fields if transaction.to is None else fields | {"to": transaction.to}


def differing(raw: bytes, asked: TransactionToSign, sender: Address) -> str | None:
    """How a signed transaction is not the one that was asked for; None where it is."""
    from eth_account import Account  # noqa: PLC0415 - as in `LocalKey`
    from eth_account.typed_transactions.typed_transaction import TypedTransaction  # noqa: PLC0415 - as above
    from hexbytes import HexBytes  # noqa: PLC0415 - as above

    if not raw.startswith(_DYNAMIC_FEE):
        return "it is a transaction of another type"
    try:
        told = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        signer = Account.recover_transaction(HexBytes(raw))
    except Exception as error:  # noqa: BLE001 - rlp, eth_keys and pydantic each have errors of their own
        return f"it is no signed transaction ({type(error).__name__})"
    wanted = asked.fields() | {"to": asked.to, "accessList": ()}
    for field, value in wanted.items():
        if _plain(told.get(field)) != _plain(value):
            return f"its {field} was changed"
    if signer != sender:
        return f"{signer} signed it, not {sender}"
    return None


def _plain(value: object) -> object:
    """A field in one form: bytes for addresses and data, numbers, and nothing where there is none."""
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    if isinstance(value, bytes):
        return bytes(value)
    return value or 0 if isinstance(value, int) else (value or b"")


def typed_json(data: TypedData) -> dict[str, object]:
    """Typed data as signers take it: with the domain's type, bytes in hex and numbers as texts."""
    primary = next(iter(data.types))
    types = {"EIP712Domain": _DOMAIN_TYPE, **{name: list(fields) for name, fields in data.types.items()}}
    domain = data.domain.fields() | {"chainId": hex(data.domain.chain_id)}
    return {"types": types, "primaryType": primary, "domain": domain, "message": _jsonable(data.message)}


def _jsonable(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _jsonable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


__all__ = ["ANSWERED_WITHIN_S", "ExternalSigner", "differing", "typed_json"]
