# SPDX-License-Identifier: Apache-2.0
"""What pods used and cost, and where the money is, as text."""

from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.commands.lines.moments import moment
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.money import BalanceResult, ChannelBalance, FundResult
from trustedpods.publisher.results.pods import (
    AuditResult,
    BillResult,
    UsageResult,
)

HOUR_MS = 3_600_000

HOUR_GIB = 3600 * 1024
"""MiB seconds of a GiB hour."""

KIB = 1024


def usage_lines(result: UsageResult) -> list[str]:
    """A line for each day, and what it comes to."""
    token = result.pod.token
    rows = [
        (
            moment(day.begins)[:10],
            f"{day.usage.cpu_core_ms / HOUR_MS:.4g}",
            f"{day.usage.memory_mib_s / HOUR_GIB:.4g}",
            f"{day.usage.storage_mib_s / HOUR_GIB:.4g}",
            f"{day.usage.egress_kib / KIB:.4g}",
            f"{day.usage.ingress_kib / KIB:.4g}",
            token.rough(day.amount),
        )
        for day in result.days
    ]
    header = ("DAY", "CORE-H", "GIB-H", "STORED GIB-H", "OUT MIB", "IN MIB", "AMOUNT")
    month = "" if result.month is None else f"; 30 days at this rate: {token.rough(result.month)}"
    return [
        *table(header, rows),
        f"total {token.rough(result.total)}, open {token.rough(result.open_amount)}{month}",
        *(f"PROBLEM  {problem}" for problem in result.problems),
    ]


def funded_lines(result: FundResult) -> list[str]:
    """What was paid, and what there is now."""
    live = result.channel.live
    holds = "" if live is None else f"; the channel holds {result.token.rough(live.left)} now"
    return [f"paid {result.token.text(result.paid)}{holds}"]


def balance_lines(result: BalanceResult, *, wide: bool = False) -> list[str]:
    """An address and its channels, with *wide* in full."""
    holds = result.token.text if wide else result.token.rough
    lines = [
        result.publisher,
        f"{holds(result.balance)}, {result.gas_wei / 1e18:.4f} for gas",
    ]
    if result.owed:
        lines.append(f"{holds(result.owed)} lie in the payment contract: `trustedpods withdraw` gets them")
    rows = [_channel_row(channel, result.token, wide=wide) for channel in result.channels]
    header = ("POD", "CHANNEL", "STATE", "PAID IN", "LEFT", "REFUND", "UNLOCKS")
    return [*lines, "", *table(header, rows)] if rows else lines


def _channel_row(channel: ChannelBalance, token: Token, *, wide: bool) -> tuple[str, ...]:
    shown, amount = channel_hex(channel.channel), token.number if wide else token.short
    return (
        channel.name or "?",
        shown if wide else shown[:12],
        channel.state,
        amount(channel.paid_in),
        "" if channel.left is None else amount(channel.left),
        "" if channel.refund is None else amount(channel.refund),
        moment(channel.unlock_at),
    )


def bill_lines(result: BillResult, *, wide: bool = False) -> list[str]:
    """A bill, line by line, and what does not agree; *wide*: amounts in full."""
    bill, token = result.bill, result.pod.token
    text, number = (token.text, token.number) if wide else (token.rough, token.short)
    rows = [
        (
            moment(line.from_),
            moment(line.up_to),
            *map(str, line.usage.quantities),
            number(line.amount),
            "not yet" if line.transaction is None else "0x" + line.transaction.hex()[:10],
        )
        for line in bill.lines
    ]
    header = ("FROM", "TO", "CORE-MS", "MIB-S", "STORED", "OUT KIB", "IN KIB", "AMOUNT", "TRANSACTION")
    claimed = "not known" if result.claimed is None else text(result.claimed)
    return [
        *table(header, rows),
        "",
        f"total    {text(bill.total)}",
        f"claimed  {claimed}",
        f"open     {text(bill.open_amount)} since the last period",
        *(f"PROBLEM  {problem}" for problem in result.problems),
    ]


def audit_lines(result: AuditResult) -> list[str]:
    """Each check of an audit, and the verdict."""
    words = {True: "holds", False: "FAILS", None: "unknown"}
    rows = [(finding.check, words[finding.holds], finding.detail) for finding in result.findings]
    verdict = "nothing contradicts the bill" if result.holds else "THE BILL DOES NOT HOLD"
    return [
        *table(("CHECK", "", "WHY"), rows),
        "",
        f"{verdict}: {result.leaves} periods, {result.pod.token.rough(result.total)}",
    ]
