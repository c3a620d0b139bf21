# SPDX-License-Identifier: Apache-2.0
"""Makes the market on the localnet's chain: contracts, token, funded accounts, simulated hardware.

`python -m trustedpods.localnet.market.market STATE`: a process of its own, because the door to
a chain takes memory that the supervisor has no use for. `market.toml` is written last and says that all of
it is done.
"""

import dataclasses
import datetime
import sys
from pathlib import Path

import httpx
import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.records import Market
from trustedpods.localnet import folders
from trustedpods.localnet.emulated.boot_files import measured
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.files import machine_file, market_file, read_market
from trustedpods.localnet.settings import Settings
from trustedpods.localnet.toml_text import toml_text
from trustedpods.protocol.attestation.simulated import SimulatedRoot
from trustedpods.protocol.errors import NetworkFailure, NoContext

PUBLISHER_TOKENS = 10_000
"""Whole tokens that the publisher starts with."""

GAS_WEI = 1000 * 10**18
"""Every account starts with a thousand ether of the localnet's own."""

_SYMBOL = "TPT"


async def make(settings: Settings) -> None:
    """Do what is missing; nothing when the market is there."""
    accounts.make_keys(settings)
    if market_file(settings.state).exists() and await _is_there(settings):
        return
    await _give_gas(settings)
    deployer = accounts.read_key(accounts.deployer_key(settings.state))
    market = await deploy(settings.rpc, deployer, settings.knobs.decimals, symbol=_SYMBOL)
    async with Chain(settings.rpc, market) as chain:
        publisher = accounts.address(accounts.publisher_key(settings.state))
        await chain.mint(deployer, publisher, PUBLISHER_TOKENS * 10**settings.knobs.decimals)
        for cluster in settings.all_clusters():
            owner = accounts.read_key(accounts.owner_key(cluster))
            await chain.set_operator(owner, accounts.address(accounts.operator_key(cluster)))
    _write(settings, market)


async def _is_there(settings: Settings) -> bool:
    """Whether the contracts stand: a chain that was killed in its first second has forgotten them."""
    async with Chain(settings.rpc, read_market(settings.state)) as chain:
        try:
            await chain.check_market()
        except NoContext:
            return False
    return True


async def _give_gas(settings: Settings) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        for file in accounts.key_files(settings):
            body = {"jsonrpc": "2.0", "id": 1, "method": "anvil_setBalance"}
            answer = await client.post(
                settings.rpc, json={**body, "params": [accounts.address(file), hex(GAS_WEI)]}
            )
            if "error" in answer.json():
                raise NetworkFailure(f"anvil_setBalance: {answer.text}", where=settings.rpc)


def _write(settings: Settings, market: Market) -> None:
    table: dict[str, object] = {"rpc": settings.rpc, **dataclasses.asdict(market)}
    if settings.kubeconfig is None:
        now = datetime.datetime.now(datetime.UTC)
        root = SimulatedRoot.make(market.chain_id, market.registry, market.payments, now)
        folders.replace_file(machine_file(settings.state), root.machine_pem.encode(), 0o600)
        table["simulated"] = {"root": root.chain_pem}
        if settings.guest is not None:
            # publishers take what was in the folder when the market was made, and not what boots later
            table["simulated"] = {"root": root.chain_pem, "measurements": [measured(settings.guest).hex()]}
    folders.replace_file(market_file(settings.state), toml_text(table).encode())


def main(state: Path) -> None:
    """Make the market of the localnet in *state*."""
    trio.run(make, folders.read_settings(state))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
