# SPDX-License-Identifier: Apache-2.0
"""Transactions for a Safe's owners, as the file that its Transaction Builder loads. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trustedpods.protocol.ids import Address, keccak256

_VERSION = "1.0"
_BUILDER = "1.18.0"
"""The version of the Transaction Builder whose form this is."""


@dataclass(frozen=True, slots=True)
class SafeCall:
    """One call that a Safe makes: `value` in wei, and no data where it only sends coin."""

    to: Address
    value: int = 0
    data: bytes = b""


def batch_file(chain_id: int, safe: Address, calls: Sequence[SafeCall], what: str, created_ms: int) -> bytes:
    """The file; *what* is told to the owners, *created_ms* is Unix time.

    Its checksum is the Transaction Builder's, which warns where a file was changed on its way.
    """
    batch: dict[str, Any] = {
        "version": _VERSION,
        "chainId": str(chain_id),
        "createdAt": created_ms,
        "meta": {
            "name": "Trusted Pods: deposit",
            "description": what,
            "txBuilderVersion": _BUILDER,
            "createdFromSafeAddress": safe,
            "createdFromOwnerAddress": "",
        },
        "transactions": [
            {
                "to": call.to,
                "value": str(call.value),
                "data": "0x" + call.data.hex(),
                "contractMethod": None,
                "contractInputsValues": None,
            }
            for call in calls
        ],
    }
    batch["meta"]["checksum"] = batch_checksum(batch)
    return (json.dumps(batch, indent=2) + "\n").encode()


def batch_checksum(batch: Mapping[str, Any]) -> str:
    """As the Transaction Builder computes it: over all but the checksum itself, the name as nothing."""
    meta = {name: value for name, value in batch["meta"].items() if name != "checksum"} | {"name": None}
    return "0x" + keccak256(_serialized({**batch, "meta": meta}).encode()).hex()


def _serialized(value: object) -> str:
    if isinstance(value, Mapping):
        names = sorted(value)
        parts = "".join(f"{_serialized(value[name])}," for name in names)
        return f"{{{json.dumps(names, separators=(',', ':'), ensure_ascii=False)}{parts}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_serialized, value))}]"
    return json.dumps(value, ensure_ascii=False)
