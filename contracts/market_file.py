# SPDX-License-Identifier: Apache-2.0
"""Reads the file that says which market is meant: JSON as `deploy` prints it, or a `market.toml`."""

import json
import tomllib
from pathlib import Path
from typing import Any

from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.whole_file import read_whole

MAX_FILE = 64 * 1024
"""A market is a page of text."""


def read_market(path: Path) -> tuple[Market, str | None]:
    """The market, and the node's address if the file names one; `BadInput` says what is wrong."""
    raw = read_whole(path, MAX_FILE, "the market's file")
    try:
        fields = _fields(raw.decode())
        market = Market(
            chain_id=int(fields["chain_id"]),
            payments=parse_address(fields["payments"]),
            registry=parse_address(fields["registry"]),
            token=parse_address(fields["token"]),
            finality_blocks=int(fields.get("finality_blocks", 0)),
        )
        rpc = fields.get("rpc")
    except KeyError as missing:
        raise _not_a_market(path, f"{missing.args[0]} is missing") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _not_a_market(path, str(error)) from None
    return market, None if rpc is None else str(rpc)


def _fields(text: str) -> Any:  # noqa: ANN401  from outside: each field is looked at
    if text.lstrip().startswith("{"):
        return json.loads(text)
    return tomllib.loads(text)


def _not_a_market(path: Path, why: str) -> BadInput:
    return BadInput(
        f"is not a market: {why}", where=str(path), hint="`deploy -o json` prints one; a market.toml is one"
    )
