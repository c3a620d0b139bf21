# SPDX-License-Identifier: Apache-2.0
"""A provider of class sealed with simulated hardware, its row, and a publisher's client that verifies it."""

import hashlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tests.fakes.provider.caller import Caller
from tests.fakes.provider.peer import make_root
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.simulated import SimulatedMarket
from trustedpods.protocol.net import open_host
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.provider.core.placement.offered import capabilities
from trustedpods.provider.doors import profile_of
from trustedpods.provider.tee import SimulatedTee
from trustedpods.publisher.market.session import Publisher, open_session


@dataclass
class SealedMarket:
    """The running daemon, what the registry says of it, and what a publisher accepts."""

    world: World
    parts: object
    address: str
    row: RegistryRow
    policy: Policy
    publisher: Publisher

    @asynccontextmanager
    async def session(self, endpoint=None):
        """A verified session, with whoever answers at *endpoint*."""
        row = replace(self.row, endpoint=endpoint or self.address)
        async with open_host(None, []) as host, open_session(host, self.publisher, row, self.policy) as made:
            yield made

    def caller(self):
        """A publisher who speaks by hand."""
        return Caller(self.world, self.address)


@asynccontextmanager
async def sealed_market(folder):
    """Everything of it, running."""
    world = World(folder, trust="sealed")
    market, root = world.chain.market, make_root(world.chain)
    (folder / "machine.pem").write_text(root.machine_pem)
    world.collector = SimulatedTee(folder / "machine.pem")
    key = secrets.token_bytes(32)
    context = ChainContext(market.chain_id, market.payments)
    publisher = Publisher(address_of(key), key, publisher_secret(key), context)
    simulated = SimulatedMarket(root.chain_pem, market.chain_id, market.registry, market.payments)
    async with world.run() as (parts, address):
        config = parts.doors.config
        offered = capabilities(await world.cluster.features(), config.allowed)
        profile = profile_of(config, offered, simulated=True, addresses=[address])
        row = RegistryRow(
            owner=world.owner,
            daemon=1,
            updated_at=int(world.now),
            trust="sealed",
            region=config.identity.region,
            tee=["sev-snp"],
            chip_digest=bytes(32),
            token=market.token,
            prices=config.prices,
            least=config.least,
            profile_digest=hashlib.sha256(profile).digest(),
            endpoint=address,
        )
        yield SealedMarket(world, parts, address, row, Policy(simulated=simulated), publisher)
