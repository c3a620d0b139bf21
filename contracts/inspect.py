# SPDX-License-Identifier: Apache-2.0
"""What `inspect` tells of a market, its providers, a channel, an account: plain values.

Amounts are base units of the token, beside them as numbers of whole tokens. Loads web3.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import unlike_source
from trustedpods.contracts.records import Channel, Market, TokenInfo
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.ids import Address, ChannelId, channel_hex

Facts = dict[str, Any]


async def market_facts(rpc: str, market: Market) -> Facts:
    """The market's places, its token, the node's newest block, and whether the code is the packaged one."""
    async with Chain(rpc, market) as chain:
        await chain.check_market()
        head, token = await chain.head(), await chain.token_info()
        return {
            **dataclasses.asdict(market),
            "token_symbol": token.symbol,
            "token_decimals": token.decimals,
            "block": head.number,
            "block_time": head.time,
            "providers": len(await chain.providers()),
            "not_this_source": await unlike_source(rpc, market),
        }


async def provider_facts(rpc: str, market: Market) -> list[Facts]:
    """Every row of the registry."""
    async with Chain(rpc, market) as chain:
        return [_row(row) for row in await chain.providers()]


async def channel_facts(rpc: str, market: Market, owner: Address, channel: ChannelId) -> Facts:
    """One channel by a view; and, as far as events tell, how it began or how it ended."""
    async with Chain(rpc, market) as chain:
        found = await chain.channel(owner, channel)
        token, events = await chain.token_info(), await chain.channel_events(owner, channel)
        facts = {"owner": owner, "id": channel_hex(channel), "open": found is not None}
        if found is not None:
            facts |= _channel(found, token)
        if events.closed is not None and found is None:
            facts["refund"] = events.closed.refund
            facts["closed_by"] = "0x" + events.closed.tx_hash.hex()
        if events.opened is not None:
            facts |= {"deposited": events.opened + events.topped_up, "opened_at": events.opened_at}
        return facts


async def channels_facts(
    rpc: str, market: Market, owner: Address | None, publisher: Address | None
) -> list[Facts]:
    """All channels that live of a provider or a publisher: found by events, read by views."""
    async with Chain(rpc, market) as chain:
        token = await chain.token_info()
        rebuilt = await chain.rebuild(owner=owner, publisher=publisher)
        return [
            {"owner": whose, "id": channel_hex(found.id), **_channel(found, token)}
            for (whose, _), found in rebuilt.channels.items()
        ]


async def account_facts(rpc: str, market: Market, who: Address) -> Facts:
    """What an address holds, is owed, and where that is paid."""
    async with Chain(rpc, market) as chain:
        token = await chain.token_info()
        owed, balance = await chain.owed(who), await chain.token_balance(who)
        return {
            "address": who,
            "token": token.symbol,
            "balance": balance,
            "balance_tokens": _tokens(balance, token),
            "gas_wei": await chain.gas_balance(who),
            "owed": owed,
            "owed_tokens": _tokens(owed, token),
            "payout": await chain.payout(who),
            "allowance": await chain.allowance(who),
        }


def _channel(found: Channel, token: TokenInfo) -> Facts:
    return {
        "left": found.left,
        "left_tokens": _tokens(found.left, token),
        "up_to": found.up_to,
        "unlock_at": found.unlock_at or None,
        "unlock_s": found.terms.unlock_s,
        "cap_per_day": found.terms.cap_per_day,
        "meter_tag": f"{found.meter_tag:030x}",
        "prices": found.terms.prices.model_dump(),
    }


def _row(row: RegistryRow) -> Facts:
    fields: Mapping[str, Any] = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.model_dump() if hasattr(value, "model_dump") else value


def _tokens(units: int, token: TokenInfo) -> str:
    whole, part = divmod(units, 10**token.decimals)
    digits = f"{part:0{token.decimals}d}".rstrip("0") if token.decimals else ""
    return f"{whole}.{digits}" if digits else str(whole)
