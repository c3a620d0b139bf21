# SPDX-License-Identifier: Apache-2.0
"""The provider's row in the registry: written by the owner's key, read from the running daemon."""

import hashlib
from pathlib import Path

import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import TEE_KINDS, RegistryRow
from trustedpods.protocol.attestation.chip import NO_CHIP
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import (
    DaemonIdentity,
    IdentityRequest,
    PriceList,
    Registered,
    Unregistered,
)
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.keys.file import read_key

NOT_YET = DaemonIdentity(profile=b"", endpoint="", meter="", tee="", chip=NO_CHIP)
"""What is known of a daemon before its first boot: nothing that publishers could dial or check."""


async def register(config: ProviderConfig, wait_s: int) -> Registered:
    """Write the running daemon's row, and let the operator's key keep it."""
    return await _write_row(config, await _identity(config, wait_s))


async def register_ahead(config: ProviderConfig) -> Registered:
    """Write the row of a daemon that nobody asks anything: of a sealed machine, before it boots.

    The daemon adds its endpoint and its profile's digest itself at each start, by the operator's key. The row
    names no TEE and no chip, so it is one that publishers take on any machine which their policy trusts.
    Refused (rule `registered`) where the row is there already: it would lead nowhere until the next boot.
    """
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        row = await chain.provider(Address(config.identity.owner), config.identity.daemon)
    if row is not None and row.endpoint:
        raise Refused(
            f"the row of daemon {config.identity.daemon} is there and leads to {row.endpoint}",
            rule="registered",
            hint="prices: `trustedpods-provider prices --publish`; for another row unregister it first",
        )
    return await _write_row(config, NOT_YET)


async def _write_row(config: ProviderConfig, identity: DaemonIdentity) -> Registered:
    key = owner_key(config)
    row = row_of(config, identity)
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        receipt = await chain.register(key, row)
        operator = address_of(read_key(Path(config.identity.operator_key_file)))
        await chain.set_operator(key, operator)
    return Registered(
        owner=row.owner,
        daemon=row.daemon,
        endpoint=row.endpoint,
        transaction="0x" + receipt.tx_hash.hex(),
        gas=receipt.gas_used,
    )


async def unregister(config: ProviderConfig) -> Unregistered:
    """Remove the row."""
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        receipt = await chain.remove(owner_key(config), config.identity.daemon)
    return Unregistered(transaction="0x" + receipt.tx_hash.hex(), gas=receipt.gas_used)


async def prices(config: ProviderConfig, publish: bool) -> PriceList:
    """The configured prices beside those of the row."""
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        transaction = None
        if publish:
            receipt = await chain.set_prices(
                owner_key(config), config.identity.daemon, config.prices, config.least
            )
            transaction = "0x" + receipt.tx_hash.hex()
        row = await chain.provider(Address(config.identity.owner), config.identity.daemon)
        info = await chain.token_info()
    listed = PriceList(
        token=info.symbol,
        configured=_words(config.prices),
        registered=None if row is None else _words(row.prices),
    )
    return listed.model_copy(update={"transaction": transaction}) if transaction else listed


def _words(listed: Prices) -> str:
    """Mantissas and scale, as they are on chain."""
    numbers = listed.model_dump()
    return ", ".join(f"{name}={number}" for name, number in numbers.items())


def owner_key(config: ProviderConfig) -> bytes:
    """The owner's key; NoContext where it is not here, as it should be, and BadInput for another's."""
    if config.identity.owner_key_file is None:
        raise NoContext(
            "the owner's key is needed, and identity.owner_key_file is not set",
            hint="run this verb where the owner's key is, never on the provider's machine",
        )
    key = read_key(Path(config.identity.owner_key_file))
    if address_of(key) != config.identity.owner:
        raise BadInput("this key is not the owner's", where=config.identity.owner_key_file)
    return key


async def _identity(config: ProviderConfig, wait_s: int) -> DaemonIdentity:
    """The daemon's profile and endpoint; waits until it runs."""
    deadline = trio.current_time() + wait_s
    while True:
        try:
            return await ask_daemon(config.admin_socket, IdentityRequest(), DaemonIdentity)
        except NoContext:
            if trio.current_time() >= deadline:
                raise
            await trio.sleep(0.3)


def row_of(config: ProviderConfig, identity: DaemonIdentity) -> RegistryRow:
    """The row of a daemon that says this of itself; Refused (rule `identity`) if its chip is none.

    The chip's digest is of the daemon's own evidence: publishers refuse the same keys on another
    machine. It is zero where no TEE names the machine.
    """
    if len(identity.chip) != len(NO_CHIP):
        raise Refused(f"the digest of the daemon's chip has {len(identity.chip)} bytes", rule="identity")
    return RegistryRow(
        owner=Address(config.identity.owner),
        daemon=config.identity.daemon,
        updated_at=UnixSeconds(0),
        trust=config.identity.trust,
        region=config.identity.region,
        tee=[identity.tee] if identity.tee in TEE_KINDS else [],
        chip_digest=identity.chip,
        token=Address(config.market.token),
        prices=config.prices,
        least=config.least,
        profile_digest=hashlib.sha256(identity.profile).digest(),
        endpoint=identity.endpoint,
    )
