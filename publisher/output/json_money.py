# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on money."""

from collections.abc import Iterable

from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_error import known
from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.output.json_parts import (
    channel_json,
    hex_of,
    outcome_json,
    transaction_json,
)
from trustedpods.publisher.results.money import (
    BalanceResult,
    ChannelBalance,
    ClosedChannel,
    CloseProgress,
    CloseResult,
    FundProgress,
    FundResult,
    GoneResult,
    WithdrawResult,
)


@json_of.register(FundResult)
def _funded(result: FundResult) -> JsonObject:
    return {
        "pod": result.pod,
        **channel_json(result.channel, result.token),
        "paid": result.token.number(result.paid),
        **transaction_json(result.transaction),
    }


@json_of.register(FundProgress)
def _funding(progress: FundProgress) -> JsonObject:
    return {} if progress.done is None else json_of(progress.done)


@json_of.register(WithdrawResult)
def _withdrawn(result: WithdrawResult) -> JsonObject:
    mined = {} if result.transaction is None else transaction_json(result.transaction)
    amount = {"token": result.token.symbol, "paid": result.token.number(result.paid)}
    return {"publisher": result.publisher, **amount, **mined}


@json_of.register(CloseResult)
def _closed(result: CloseResult) -> JsonObject:
    return {
        "pod": result.pod,
        "token": result.token.symbol,
        "channels": _channels(result.channels, result.token),
        **known(gone=result.gone or None),
    }


@json_of.register(GoneResult)
def _gone(result: GoneResult) -> JsonObject:
    return {
        "pod": result.name,
        "publisher": result.publisher,
        **channel_json(result.channel, result.token),
        "money": outcome_json(result.money, result.token),
        "gone": True,
    }


@json_of.register(CloseProgress)
def _closing(progress: CloseProgress) -> JsonObject:
    if progress.token is None:
        return {}
    channels = _channels(progress.channels, progress.token)
    return {"pod": progress.pod, "token": progress.token.symbol, "channels": channels}


def _channels(channels: Iterable[ClosedChannel], token: Token) -> list[JsonObject]:
    return [
        {
            "provider": one.provider.name,
            "channel": channel_hex(one.channel),
            **outcome_json(one.outcome, token),
        }
        for one in channels
    ]


@json_of.register(BalanceResult)
def _balance(result: BalanceResult) -> JsonObject:
    token = result.token
    return {
        "publisher": result.publisher,
        "token": token.symbol,
        "balance": token.number(result.balance),
        "balance_units": str(result.balance),
        "gas_wei": str(result.gas_wei),
        "owed": token.number(result.owed),
        "channels": [_channel(channel, token) for channel in result.channels],
    }


def _channel(channel: ChannelBalance, token: Token) -> JsonObject:
    """One channel: open, unlocking, or closed with its refund."""
    tree: JsonObject = {
        "channel": channel_hex(channel.channel),
        "name": channel.name,
        "owner": channel.owner,
        "deposit": token.number(channel.deposit),
        "opened_tx": hex_of(channel.opened_tx),
        "state": channel.state,
    }
    if channel.left is not None:
        return tree | {"left": token.number(channel.left), "unlock_at": channel.unlock_at}
    return tree | known(
        refund=None if channel.refund is None else token.number(channel.refund),
        refund_units=None if channel.refund is None else str(channel.refund),
        tx=hex_of(channel.closed_tx),
    )
