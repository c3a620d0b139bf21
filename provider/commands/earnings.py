# SPDX-License-Identifier: Apache-2.0
"""The verb on what was earned: a table, JSON, or rows for a spreadsheet."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.provider.commands.ask import ask
from trustedpods.provider.commands.options import config_option, explained
from trustedpods.provider.commands.output import print_csv, show, show_rows

if TYPE_CHECKING:
    from trustedpods.provider.admin.reports.views import Earnings

_DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@config_option
@click.option(
    "--by",
    type=click.Choice(["day", "month", "pod", "publisher"]),
    default="day",
    show_default=True,
    help="What one row stands for; days and months are UTC's.",
)
@click.option("--since", metavar="DATE", type=_DATE, help="The first day that counts, as 2026-11-29.")
@click.option("--until", metavar="DATE", type=_DATE, help="The first day that counts no more.")
@click.option("--chain", "chain", is_flag=True, help="Also add up the contract's events, over all daemons.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    help="For people, for programs, or for a spreadsheet; the last two in base units and wei.",
)
@explained
def earnings(
    config_path: Path, by: str, since: datetime | None, until: datetime | None, chain: bool, output: str
) -> None:
    """Show what the chain paid, what gas cost, what is claimed, and what can be withdrawn."""
    from trustedpods.provider.admin.reports.views import Earnings, EarningsRequest
    from trustedpods.provider.core.earnings.sums import GroupedBy

    request = EarningsRequest(by=GroupedBy(by), since=_at(since), until=_at(until), chain=chain)
    found = ask(config_path, request, Earnings)
    if output == "json":
        show(found.plain(), output)
    elif output == "csv":
        print_csv([by, "paid_base_units", "items", "gas_wei"], _plain_rows(found))
    else:
        show_rows(_table(found), output)
        show(_totals(found), output)


def _at(day: datetime | None) -> int | None:
    import datetime as dates

    return None if day is None else int(day.replace(tzinfo=dates.UTC).timestamp())


def _plain_rows(found: "Earnings") -> list[list[object]]:
    return [[row.key, row.paid, row.items, row.gas_wei or ""] for row in found.rows]


def _table(found: "Earnings") -> list[dict[str, object]]:
    return [
        {
            found.by.value: row.key,
            "earned": _tokens(row.paid, found),
            "periods": row.items,
            "gas": _coin(row.gas_wei),
        }
        for row in found.rows
    ]


def _totals(found: "Earnings") -> dict[str, object]:
    facts: dict[str, object] = {
        "earned": _tokens(found.paid, found),
        "gas": _coin(found.gas_wei) + (f", {found.fees_unknown} unknown" if found.fees_unknown else ""),
        "gas today": _gas_today(found),
        "claimed and still out": f"{_tokens(found.out, found)} in {found.claims_out} claims",
        "not claimed yet": _tokens(found.unclaimed, found),
        "to withdraw": _tokens(found.withdrawable, found),
    }
    if found.chain is not None:
        told = "" if found.chain.whole else ", but the node has forgotten some of it"
        facts["by the chain"] = (
            f"{_tokens(found.chain.credited, found)} in {found.chain.claims} claims, "
            f"{_tokens(found.chain.withdrawn, found)} withdrawn{told}"
        )
    if found.trouble:
        facts["the chain"] = found.trouble
    return facts


def _tokens(units: str | None, found: "Earnings") -> str:
    """Exact; in base units where the chain does not say how many decimals they have."""
    from trustedpods.provider.core.earnings.amounts import exact_text

    if units is None:
        return "-"
    if found.decimals is None:
        return f"{units} base units"
    return f"{exact_text(int(units), found.decimals)} {found.token}"


def _gas_today(found: "Earnings") -> str:
    """Of the UTC day, with the operator's bound and what it holds back."""
    today = found.gas_today
    if today is None:
        return "-"
    most = "" if today.cap is None else f" of at most {_coin(today.cap)}"
    waiting = sum(today.waiting.values())
    return f"{_coin(today.spent)}{most}" + (f", {waiting} wait for midnight UTC" if waiting else "")


def _coin(wei: str | None) -> str:
    from trustedpods.provider.core.earnings.amounts import COIN_DECIMALS, exact_text

    return "-" if wei is None else exact_text(int(wei), COIN_DECIMALS)
