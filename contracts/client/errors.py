# SPDX-License-Identifier: Apache-2.0
"""What a node or a contract complains of, translated once into our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    ContractCustomError,
    ContractLogicError,
    ContractPanicError,
    Web3Exception,
    Web3RPCError,
)

from trustedpods.contracts.client.artifacts import artifact
from trustedpods.protocol.errors import InsufficientFunds, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import keccak256

_MEANINGS = {
    "BadAmount": "the amount is zero, too large, or nothing is owed",
    "BadTerms": "the terms, the owner, the meter or the cap are not acceptable",
    "BadEntry": "a field of the row is out of its range",
    "BadLength": "a batch's words do not come in pairs",
    "Denied": "this key may not do this",
    "Live": "this channel is open already",
    "Locked": "the notice runs already, or has not passed",
    "NotMinter": "only the deployer of the test token may mint",
    "Unknown": "there is no such channel, or no such row",
}
_FUNDS = {
    "ERC20InsufficientBalance": "the token balance does not cover the amount",
    "ERC20InsufficientAllowance": "the allowance does not cover the amount",
}
_POOR_WORDS = ("insufficient funds", "gas required exceeds allowance", "insufficient balance")
_POOR_TOKEN_WORDS = ("exceeds balance", "exceeds allowance", "insufficient allowance")


@cache
def _selectors() -> dict[bytes, tuple[str, list[str]]]:
    found = {}
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
        return Refused(f"the contract refused: 0x{data.hex()}", rule="reverted")
    try:
        values = ", ".join(str(value) for value in decode(types, data[4:]))
    except DecodingError:
        values = ""
    if name in _FUNDS:
        return InsufficientFunds(f"{_FUNDS[name]} ({values})", rule=name)
    detail = f" ({values})" if values else ""
    return Refused(f"the contract refused: {_MEANINGS.get(name, name)}{detail}", rule=name)


def _revert(error: ContractLogicError) -> TrustedPodsError:
    data = error.data
    if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
        return refusal(bytes.fromhex(data[2:]))
    message = str(error.message or error)
    if any(words in message for words in _POOR_TOKEN_WORDS):
        return InsufficientFunds(message, rule="token")
    return Refused(f"the contract refused: {message}", rule="reverted")


def _translate(error: Web3Exception) -> TrustedPodsError:
    if isinstance(error, ContractCustomError | ContractLogicError | ContractPanicError):
        return _revert(error)
    message = str(error)
    if isinstance(error, Web3RPCError) and any(words in message.lower() for words in _POOR_WORDS):
        return InsufficientFunds(
            "the account cannot pay the gas", rule="gas", hint="send it the chain's coin"
        )
    if isinstance(error, BadFunctionCallOutput | BadResponseFormat):
        return NetworkFailure("the node's answer does not fit the contract", hint="is this the right chain?")
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


def _says(error: Web3RPCError, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(one in text for one in words)


def means_known(error: Web3RPCError) -> bool:
    """The node has this very transaction already."""
    return _says(error, _KNOWN_WORDS)


def means_nonce_taken(error: Web3RPCError) -> bool:
    """Another transaction has the nonce: mined, or waiting with fees that are not beaten."""
    return _says(error, _NONCE_WORDS)


def means_refused(error: Web3RPCError) -> bool:
    """The node will not have this transaction at all; other errors leave it open."""
    return _says(error, _REFUSING_WORDS)


MALFORMED = (ValueError, TypeError, LookupError, OverflowError)
"""What web3 and its decoders raise over an answer of the wrong shape."""


@contextmanager
def translated() -> Iterator[None]:
    """Run a call of web3; what it raises becomes ours."""
    try:
        yield
    except Web3Exception as error:
        raise _translate(error) from None
    except MALFORMED as error:
        raise NetworkFailure(f"the chain node's answer makes no sense ({type(error).__name__})") from error
