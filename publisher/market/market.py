# SPDX-License-Identifier: Apache-2.0
"""The market, opened: its chain, its token, and who asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.client import Chain, FolderJournal
from trustedpods.contracts.records import Market
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.publisher.context import MarketFile, state_dir
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.keyfile import Key
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.market.timing import Timing
from trustedpods.publisher.payers.payer import Payer

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """A market seen from outside: what needs no key."""

    file: MarketFile
    chain: Chain
    token: Token

    async def rows(self) -> list[RegistryRow]:
        """All rows of the registry."""
        return list(await self.chain.providers())

    def policy(self, trust: TrustClass) -> "Policy":
        """What evidence is accepted here for a pod of this class.

        Raises `Refused` where no machine at all could be accepted.
        """
        from trustedpods.protocol.attestation.policy.policy import Policy  # noqa: PLC0415 - certificates of both vendors
        from trustedpods.protocol.attestation.simulated import SimulatedMarket, listed  # noqa: PLC0415 - as above

        simulated = None
        if self.file.simulated_root is not None:
            simulated = SimulatedMarket(
                self.file.simulated_root, self.file.chain_id, self.file.registry, self.file.payments,
                listed(self.file.simulated_measurements),
            )  # fmt: skip
        if simulated is None and trust == "sealed":
            raise Refused(
                "no measured machine image is published for this market yet",
                rule="policy",
                hint="a provider of class open can be used with --trust open; its operator can read the pod",
            )
        return Policy(simulated=simulated, allow_open=trust == "open")


@dataclass(frozen=True, slots=True)
class MarketAccount:
    """A market seen by somebody with a key."""

    market: OpenMarket
    publisher: Publisher
    payer: Payer | None = None
    """Who brings what the publisher's address lacks for a deposit; None: nobody."""

    @property
    def chain(self) -> Chain:
        """The chain."""
        return self.market.chain

    @property
    def token(self) -> Token:
        """The market's money."""
        return self.market.token

    @property
    def timing(self) -> Timing:
        """How long others are waited for."""
        return self.publisher.timing


@asynccontextmanager
async def open_market(file: MarketFile) -> AsyncIterator[OpenMarket]:
    """Reach the chain of *file* and see that it is the one that is meant.

    Raises `NetworkFailure`, or `NoContext` when chain or contracts are others.
    """
    market = Market(
        chain_id=file.chain_id,
        payments=file.payments,
        registry=file.registry,
        token=file.token,
        finality_blocks=file.finality_blocks,
    )
    async with Chain(file.rpc, market, journal=FolderJournal(state_dir() / "transactions")) as chain:
        await chain.check_market()
        info = await chain.token_info()
        yield OpenMarket(file, chain, Token(info.symbol, info.decimals))


@asynccontextmanager
async def open_account(
    file: MarketFile, key: Key, timing: Timing | None = None, payer: Payer | None = None
) -> AsyncIterator[MarketAccount]:
    """The same with a key: who asks, how long he waits, and who pays; `BadInput` where he is both."""
    if payer is not None and payer.address == key.address:
        raise BadInput(
            f"the payer is the key's own address, {key.address}",
            hint="name another account, or no payer: the key's address pays what it has by itself",
        )
    async with open_market(file) as market:
        secret = await trio.to_thread.run_sync(publisher_secret, key.secret)
        context = ChainContext(chain_id=file.chain_id, payments=file.payments)
        publisher = Publisher(key.address, key.secret, secret, context, timing or Timing())
        yield MarketAccount(market, publisher, payer)
