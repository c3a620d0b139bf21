# SPDX-License-Identifier: Apache-2.0
"""Where the market of a localnet is written down."""

import tomllib
from pathlib import Path

from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import NoContext


def market_file(state: Path) -> Path:
    """What publishers read: where the market is."""
    return state / "market.toml"


def machine_file(state: Path) -> Path:
    """The simulated chip, secret. The clusters share it: they do run on one machine."""
    return state / "machine.pem"


def read_market(state: Path) -> Market:
    """The market of the localnet; NoContext before it is made."""
    try:
        table = tomllib.loads(market_file(state).read_text())
    except FileNotFoundError:
        raise NoContext("the market is not made yet", where=str(market_file(state))) from None
    table.pop("simulated", None)
    table.pop("rpc")
    return Market(**table)
