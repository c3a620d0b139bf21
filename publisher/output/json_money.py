# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on money."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_of import Answer, json_of
from trustedpods.publisher.output.json_parts import (
    channel_json,
    hex_of,
    outcome_json,
    transaction_json,
    usage_json,
)
from trustedpods.publisher.output.json_pods import visited_json
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
from trustedpods.publisher.results.pods import AuditResult, BillResult, UsageResult

if TYPE_CHECKING:
    from trustedpods.publisher.core.bill import Bill, Line
    from trustedpods.publisher.output.answers import money


@json_of.register(FundResult)
def funded_json(result: FundResult) -> "money.FundJson":
    """What was paid in."""
    return {
        "pod": result.pod,
        **channel_json(result.channel, result.token),
        "paid": result.token.number(result.paid),
        **transaction_json(result.transaction),
    }


@json_of.register(FundProgress)
def _funding(progress: FundProgress) -> Answer:
    return {} if progress.done is None else funded_json(progress.done)


@json_of.register(WithdrawResult)
def _withdrawn(result: WithdrawResult) -> "money.WithdrawJson":
    return {
        "publisher": result.publisher,
        "token": result.token.symbol,
        "paid": result.token.number(result.paid),
        **transaction_json(result.transaction),
        **_returned(result),
    }


def _returned(result: WithdrawResult) -> "money.ReturnedJson":
    tree: money.ReturnedJson = {}
    if result.returned is not None:
        tree["returned"] = result.token.number(result.returned)
    if result.returned_by is not None:
        tree["returned_tx"] = f"0x{result.returned_by.hash.hex()}"
    return tree


@json_of.register(CloseResult)
def _closed(result: CloseResult) -> "money.CloseJson":
    tree: money.CloseJson = {
        "pod": result.pod,
        "token": result.token.symbol,
        "channels": _channels(result.channels, result.token),
    }
    if result.gone:
        tree["gone"] = True
    return tree


@json_of.register(GoneResult)
def _gone(result: GoneResult) -> "money.GoneJson":
    return {
        "pod": result.name,
        "publisher": result.publisher,
        **channel_json(result.channel, result.token),
        "money": outcome_json(result.money, result.token),
        "gone": True,
    }


@json_of.register(CloseProgress)
def _closing(progress: CloseProgress) -> "money.ClosingJson":
    if progress.token is None:
        return {}
    channels = _channels(progress.channels, progress.token)
    return {"pod": progress.pod, "token": progress.token.symbol, "channels": channels}


def _channels(channels: Iterable[ClosedChannel], token: Token) -> "list[money.ClosedChannelJson]":
    return [
        {
            "provider": one.provider.name,
            "channel": channel_hex(one.channel),
            **outcome_json(one.outcome, token),
        }
        for one in channels
    ]


@json_of.register(BalanceResult)
def _balance(result: BalanceResult) -> "money.BalanceJson":
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


def _channel(channel: ChannelBalance, token: Token) -> "money.ChannelBalanceJson":
    """One channel: open, unlocking, or closed with its refund."""
    tree: money.ChannelBalanceJson = {
        "channel": channel_hex(channel.channel),
        "name": channel.name,
        "owner": channel.owner,
        "deposit": token.number(channel.deposit),
        "paid_in": token.number(channel.paid_in),
        "opened_tx": hex_of(channel.opened_tx),
        "state": channel.state,
    }
    if channel.left is not None:
        tree["left"] = token.number(channel.left)
        tree["unlock_at"] = channel.unlock_at
        return tree
    if channel.refund is not None:
        tree["refund"] = token.number(channel.refund)
        tree["refund_units"] = str(channel.refund)
    if channel.closed_tx is not None:
        tree["tx"] = "0x" + channel.closed_tx.hex()
    return tree


@json_of.register(BillResult)
def _billed(result: BillResult) -> "money.BillJson":
    token = result.pod.token
    return {
        **visited_json(result.pod),
        **_bill(result.bill, token),
        "claimed": None if result.claimed is None else token.number(result.claimed),
        "claimed_units": None if result.claimed is None else str(result.claimed),
        "problems": list(result.problems),
    }


def _bill(bill: "Bill", token: Token) -> "money.BillPart":
    return {
        "lines": [_line(line, token) for line in bill.lines],
        "total": token.number(bill.total),
        "total_units": str(bill.total),
        "open_usage": usage_json(bill.open_usage),
        "open": token.number(bill.open_amount),
        "open_units": str(bill.open_amount),
    }


def _line(line: "Line", token: Token) -> "money.LineJson":
    return {
        "from": line.from_,
        "up_to": line.up_to,
        **usage_json(line.usage),
        "amount": token.number(line.amount),
        "amount_units": str(line.amount),
        "cut": line.cut,
        "root": line.root.hex(),
        "tx": hex_of(line.transaction),
    }


@json_of.register(UsageResult)
def _used(result: UsageResult) -> "money.PodUsageJson":
    number = result.pod.token.number
    return {
        "pod": result.pod.name,
        "days": [
            {"begins": day.begins, "usage": usage_json(day.usage), "amount": number(day.amount)}
            for day in result.days
        ],
        "total": number(result.total),
        "open": number(result.open_amount),
        "month": None if result.month is None else number(result.month),
        "problems": list(result.problems),
    }


@json_of.register(AuditResult)
def _audited(result: AuditResult) -> "money.AuditJson":
    token = result.pod.token
    return {
        **visited_json(result.pod),
        "leaves": result.leaves,
        "total": token.number(result.total),
        "total_units": str(result.total),
        "checks": [{"check": one.check, "holds": one.holds, "detail": one.detail} for one in result.findings],
        "holds": result.holds,
    }
