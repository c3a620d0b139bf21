# SPDX-License-Identifier: Apache-2.0
"""What a node or a contract complains of, translated once into our errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from trustedpods.contracts.client.artifacts import artifact
from trustedpods.protocol.errors import InsufficientFunds, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import keccak256

_MEANINGS = {
    "BadAmount": ("the amount is zero, too large, or nothing is owed", "look at `owed`, or at the deposit"),
    "BadTerms": (
        "the terms, the owner, the meter or the cap are not acceptable",
        "a cap only rises; owner and meter are two addresses, and neither is zero",
    ),
    "BadEntry": ("a field of the row is out of its range", "class, token, scale, deposit or endpoint"),
    "BadLength": ("a batch's words do not come in pairs", None),
    "Denied": ("this key may not do this", "the owner names operators with setOperator"),
    "Live": ("this channel is open already", "top it up, or open with another salt"),
    "Locked": ("the notice runs already, or has not passed", "read `unlock_at` of the channel"),
    "NotMinter": ("only the deployer of the test token may mint", None),
    "Unknown": (
        "there is no such channel, or no such row",
        "it was closed, released or removed, or never was",
    ),
    "ReentrancyGuardReentrantCall": ("the token called back into the contract", "do not use this token"),
    "SafeERC20FailedOperation": ("the token refused the transfer", "it may block one of the addresses"),
    "ERC20InvalidReceiver": ("the token does not pay to this address", None),
    "ERC20InvalidSpender": ("the token does not allow this spender", None),
    "ERC2612ExpiredSignature": ("the permit has expired", "sign it anew"),
    "ERC2612InvalidSigner": ("the permit is not signed by the holder", "its nonce may have been used"),
    "ECDSAInvalidSignature": ("the signature is none", "was the claim changed after it was signed?"),
    "ECDSAInvalidSignatureLength": ("a signature has 64 or 65 bytes", None),
    "ECDSAInvalidSignatureS": ("the signature is not in its low form", None),
    "Error": ("it said", None),
    "Panic": ("it panicked", "this is a bug of the contract, or of another one at this address"),
}
_STANDARD = {
    keccak256(b"Error(string)")[:4]: ("Error", ["string"]),
    keccak256(b"Panic(uint256)")[:4]: ("Panic", ["uint256"]),
}
_STANDARD_NAMES = {name for name, _ in _STANDARD.values()}
_SELECTOR_HEX = len("0x12345678")
_REVERTED = 3
_SHOWN_BYTES = 36
_SHOWN_TEXT = 200
_FUNDS = {
    "ERC20InsufficientBalance": "the token balance does not cover the amount",
    "ERC20InsufficientAllowance": "the allowance does not cover the amount",
}
_POOR_WORDS = ("insufficient funds", "gas required exceeds allowance", "insufficient balance")
_POOR_TOKEN_WORDS = ("exceeds balance", "exceeds allowance", "insufficient allowance")


@cache
def _selectors() -> dict[bytes, tuple[str, list[str]]]:
    found = dict(_STANDARD)
    for name in ("PodPayments", "PodRegistry", "TestToken"):
        for entry in artifact(name).abi:
            if entry["type"] == "error":
                types = [argument["type"] for argument in entry["inputs"]]
                selector = keccak256(f"{entry['name']}({','.join(types)})".encode())[:4]
                found[selector] = (entry["name"], types)
    return found


def refusal(data: bytes) -> TrustedPodsError:
    """The error behind revert data: a custom error by its name, or that it is unknown."""
    name, types = _selectors().get(data[:4], ("", []))
    if not name:
        more = "..." if len(data) > _SHOWN_BYTES else ""
        return Refused(
            f"the contract refused with the unknown error 0x{data[:_SHOWN_BYTES].hex()}{more}",
            rule="reverted",
            hint="is this address the contract that you mean?",
        )
    try:
        values = ", ".join(str(value) for value in decode(types, data[4:]))
    except DecodingError:
        values = ""
    if name in _FUNDS:
        return InsufficientFunds(f"{_FUNDS[name]} ({values})", rule=name)
    if name in _STANDARD_NAMES and any(words in values for words in _POOR_TOKEN_WORDS):
        return InsufficientFunds(values, rule="token")  # as tokens of before ERC-6093 say it
    meaning, hint = _MEANINGS.get(name, (name, None))
    detail = f" ({_printable(values)})" if values else ""
    return Refused(f"the contract refused: {meaning}{detail}", rule=name, hint=hint)


def _printable(text: str) -> str:
    """What a contract says is written by anybody."""
    return "".join(c for c in text if c.isprintable())[:_SHOWN_TEXT]


class RpcError(Exception):
    """A node's error answer, as it came: code, message, data. Its text is all of it."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(repr(error))
        self.code = error.get("code")
        self.message = str(error.get("message") or "")
        self.data = error.get("data")


def reverted(error: RpcError) -> TrustedPodsError | None:
    """What a contract says in the error of a call; None when the node says something of its own.

    Nodes tell a revert by its data (some behind the word "Reverted"), by the code 3 of EIP-1474's proposed
    extension, or by words alone.
    """
    data = error.data.removeprefix("Reverted ") if isinstance(error.data, str) else ""
    if data.startswith("0x") and len(data) >= _SELECTOR_HEX:
        return refusal(bytes.fromhex(data[2:]))
    if error.code != _REVERTED and "revert" not in error.message.lower():
        return None
    if any(words in error.message for words in _POOR_TOKEN_WORDS):
        return InsufficientFunds(error.message, rule="token")
    return Refused(f"the contract refused: {_printable(error.message)}", rule="reverted")


def _translate(error: RpcError) -> TrustedPodsError:
    message = str(error)
    if any(words in message.lower() for words in _POOR_WORDS):
        return InsufficientFunds(
            "the account cannot pay the gas", rule="gas", hint="send it the chain's coin"
        )
    return NetworkFailure(f"the chain node failed: {message[:300]}")


_KNOWN_WORDS = ("already known", "already imported", "known transaction", "already in mempool")
_NONCE_WORDS = ("nonce too low", "nonce is too low", "nonce too small", "underpriced", "invalid nonce")
_REFUSING_WORDS = (
    *_POOR_WORDS,
    "intrinsic gas",
    "gas limit",
    "gas too low",
    "fee cap",
    "max fee per gas",
    "less than block base fee",
    "oversized data",
    "exceeds the configured cap",
    "invalid sender",
    "invalid chain id",
    "transaction type not supported",
)


def _says(error: RpcError, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(one in text for one in words)


def means_known(error: RpcError) -> bool:
    """The node has this very transaction already."""
    return _says(error, _KNOWN_WORDS)


def means_nonce_taken(error: RpcError) -> bool:
    """Another transaction has the nonce: mined, or waiting with fees that are not beaten."""
    return _says(error, _NONCE_WORDS)


def means_refused(error: RpcError) -> bool:
    """The node will not have this transaction at all; other errors leave it open."""
    return _says(error, _REFUSING_WORDS)


MALFORMED = (ValueError, TypeError, LookupError, OverflowError)
"""What an answer of the wrong shape raises where it is looked into."""


@contextmanager
def translated() -> Iterator[None]:
    """Run something that asks the node; what it raises becomes ours."""
    try:
        yield
    except RpcError as error:
        raise _translate(error) from None
    except DecodingError:
        raise NetworkFailure(
            "the node's answer does not fit the contract", hint="is this the right chain?"
        ) from None
    except MALFORMED as error:
        raise NetworkFailure(f"the chain node's answer makes no sense ({type(error).__name__})") from error
