# SPDX-License-Identifier: Apache-2.0
"""The owner's row of an emulated machine: `python -m trustedpods.localnet.emulated.row there|leads FILE`.

Ends with 0 where a row is there, or where it leads to a daemon that proves to be the one of the row. FILE is
the owner's copy of provider.toml. A process of its own, since the door to a chain takes memory that the
supervisor has no use for.
"""

import sys
from pathlib import Path

import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.net.host import open_host
from trustedpods.provider.config import ProviderConfig, load_config

_DIAL_LIMIT_S = 30.0
"""Emulated processors need a while for a handshake."""


async def row_there(config: ProviderConfig) -> RegistryRow:
    """The row; NetworkFailure where there is none yet."""
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        row = await chain.provider(Address(config.identity.owner), config.identity.daemon)
    if row is None:
        raise NetworkFailure("the owner's row is not written yet")
    return row


async def leads(config: ProviderConfig) -> RegistryRow:
    """The row, whose peer answers at the row's endpoint; NetworkFailure where it does not, yet."""
    row = await row_there(config)
    if not row.endpoint:
        raise NetworkFailure("the daemon has not written its endpoint into the row yet")
    async with open_host(None, []) as host, host.dial(row.endpoint, _DIAL_LIMIT_S):
        return row


def main(verb: str, file: Path) -> None:
    """What the head of this file says."""
    try:
        trio.run({"there": row_there, "leads": leads}[verb], load_config(file))
    except TrustedPodsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
