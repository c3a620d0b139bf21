# SPDX-License-Identifier: Apache-2.0
"""What `inspect` tells of a market, its providers, a channel, an account: plain values.

Amounts are base units of the token, beside them as numbers of whole tokens. Loads the door to a chain.
"""

from dataclasses import dataclass

from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import unlike_source
from trustedpods.contracts.records import Channel, Market, TokenInfo
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.ids import Address, ChannelId, channel_hex
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import TokenUnits, UnixSeconds


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """A market, its token, the node's newest block; `not_this_source` names contracts of other code."""

    market: Market
    token: TokenInfo
    block: int
    block_time: UnixSeconds
    providers: int
    not_this_source: list[str]


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel that lives; `unlock_at` is the end of a notice, None where nobody gave one.

    `meter_tag` is 30 hex digits, `cap_per_day` base units.
    """

    left: TokenUnits
    left_tokens: str
    up_to: UnixSeconds
    unlock_at: UnixSeconds | None
    unlock_s: int
    cap_per_day: TokenUnits
    meter_tag: str
    prices: Prices


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """One of all channels that live of somebody."""

    owner: Address
    id: str
    state: ChannelState


@dataclass(frozen=True, slots=True)
class Closing:
    """How a channel ended, as its event tells."""

    refund: TokenUnits
    closed_by: str


@dataclass(frozen=True, slots=True)
class Opening:
    """How a channel began, as its events tell; `deposited` counts what was added later too."""

    deposited: TokenUnits
    opened_at: UnixSeconds | None


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel: `state` is None unless it lives, the others where no event tells of them."""

    owner: Address
    id: str
    state: ChannelState | None
    closing: Closing | None
    opening: Opening | None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What an address holds, is owed and may be taken from it; `token` is the token's symbol."""

    address: Address
    token: str
    balance: TokenUnits
    balance_tokens: str
    gas_wei: int
    owed: TokenUnits
    owed_tokens: str
    payout: Address
    allowance: TokenUnits


async def market_facts(rpc: str, market: Market) -> MarketFacts:
    """The market's places, its token, the node's newest block, and whether the code is the packaged one."""
    async with Chain(rpc, market) as chain:
        await chain.check_market()
        head, token = await chain.head(), await chain.token_info()
        return MarketFacts(
            market=market,
            token=token,
            block=head.number,
            block_time=head.time,
            providers=len(await chain.providers()),
            not_this_source=await unlike_source(rpc, market),
        )


async def provider_facts(rpc: str, market: Market) -> list[RegistryRow]:
    """Every row of the registry."""
    async with Chain(rpc, market) as chain:
        return list(await chain.providers())


async def channel_facts(rpc: str, market: Market, owner: Address, channel: ChannelId) -> ChannelFacts:
    """One channel by a view; and, as far as events tell, how it began or how it ended."""
    async with Chain(rpc, market) as chain:
        found = await chain.channel(owner, channel)
        token, events = await chain.token_info(), await chain.channel_events(owner, channel)
    closing, opening = None, None
    if events.closed is not None and found is None:
        closing = Closing(events.closed.refund, "0x" + events.closed.tx_hash.hex())
    if events.opened is not None:
        opening = Opening(TokenUnits(events.opened + events.topped_up), events.opened_at)
    state = None if found is None else _state(found, token)
    return ChannelFacts(owner, channel_hex(channel), state, closing, opening)


async def channels_facts(
    rpc: str, market: Market, owner: Address | None, publisher: Address | None
) -> list[LiveChannel]:
    """All channels that live of a provider or a publisher: found by events, read by views."""
    async with Chain(rpc, market) as chain:
        token = await chain.token_info()
        rebuilt = await chain.rebuild(owner=owner, publisher=publisher)
        return [
            LiveChannel(whose, channel_hex(found.id), _state(found, token))
            for (whose, _), found in rebuilt.channels.items()
        ]


async def account_facts(rpc: str, market: Market, who: Address) -> AccountFacts:
    """What an address holds, is owed, and where that is paid."""
    async with Chain(rpc, market) as chain:
        token = await chain.token_info()
        owed, balance = await chain.owed(who), await chain.token_balance(who)
        return AccountFacts(
            address=who,
            token=token.symbol,
            balance=balance,
            balance_tokens=_tokens(balance, token),
            gas_wei=await chain.gas_balance(who),
            owed=owed,
            owed_tokens=_tokens(owed, token),
            payout=await chain.payout(who),
            allowance=await chain.allowance(who),
        )


def _state(found: Channel, token: TokenInfo) -> ChannelState:
    return ChannelState(
        left=found.left,
        left_tokens=_tokens(found.left, token),
        up_to=found.up_to,
        unlock_at=found.unlock_at or None,
        unlock_s=found.terms.unlock_s,
        cap_per_day=found.terms.cap_per_day,
        meter_tag=f"{found.meter_tag:030x}",
        prices=found.terms.prices,
    )


def _tokens(units: int, token: TokenInfo) -> str:
    whole, part = divmod(units, 10**token.decimals)
    digits = f"{part:0{token.decimals}d}".rstrip("0") if token.decimals else ""
    return f"{whole}.{digits}" if digits else str(whole)
