# SPDX-License-Identifier: Apache-2.0
"""What was earned by day, in bars and in a table; what is claimed, and what is not. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from trustedpods.protocol.local_page.bars import MAX_BARS, Chart, bars_of
from trustedpods.protocol.local_page.texts import clean
from trustedpods.provider.admin.reports.views import EarnedView, Earnings
from trustedpods.provider.page.texts import ShownFact, coin, tokens

DAYS = MAX_BARS
"""Of the charts and the table: a bar each."""

RECENT_DAYS = 3
"""Days of which payments still come in: a claim is final within hours, and signed within a day and a half."""


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day as a row of the table."""

    day: str
    earned: str
    periods: str
    gas: str


@dataclass(frozen=True, slots=True)
class EarningsView:
    """Sums, charts and rows; `trouble`: the chain did not say; `short`: earlier days are missing."""

    trouble: str
    short: bool
    facts: tuple[ShownFact, ...]
    charts: tuple[Chart, ...]
    rows: tuple[DayRow, ...]


def earnings_view(recent: Earnings, earlier: Earnings | None, now: float) -> EarningsView:
    """Texts of *recent*, with the days before it out of *earlier*, which is read seldom."""
    days = _merged(recent, earlier)
    today = datetime.fromtimestamp(now, UTC).date()
    shown = [(back, day, row) for day, row in days.items() if 0 <= (back := _back(today, day)) < DAYS]

    def money(units: int) -> str:
        return tokens(str(units), recent.decimals, recent.token)

    paid = [(back, int(row.paid)) for back, _, row in shown]
    gas = [(back, int(row.gas_wei or 0)) for back, _, row in shown]
    charts = (
        Chart("Earned a day", money(_most(paid)), bars_of(paid)),
        Chart("Gas a day, in coin", coin(_most(gas)), bars_of(gas)),
    )
    return EarningsView(
        trouble="" if recent.trouble is None else clean(recent.trouble),
        short=earlier is None,
        facts=_facts(recent, sum(value for _, value in paid), sum(value for _, value in gas)),
        charts=charts if shown else (),
        rows=tuple(
            DayRow(day, money(int(row.paid)), str(row.items), coin(int(row.gas_wei or 0)))
            for _, day, row in sorted(shown, key=lambda one: one[0])
        ),
    )


def _merged(recent: Earnings, earlier: Earnings | None) -> dict[str, EarnedView]:
    days = {} if earlier is None else {clean(row.key): row for row in earlier.rows}
    return {**days, **{clean(row.key): row for row in recent.rows}}


def _facts(recent: Earnings, paid: int, gas: int) -> tuple[ShownFact, ...]:
    def money(units: str | None) -> str:
        return tokens(units, recent.decimals, recent.token)

    unknown = f", and {recent.fees_unknown} claims whose cost is not known" if recent.fees_unknown else ""
    return (
        ShownFact(f"Earned in {DAYS} days", money(str(paid))),
        ShownFact(f"Gas in {DAYS} days, in coin", coin(gas) + unknown),
        ShownFact("Claimed, not final yet", f"{money(recent.out)} in {recent.claims_out} claims"),
        ShownFact("Not claimed yet", money(recent.unclaimed)),
        ShownFact("To withdraw", money(recent.withdrawable)),
    )


def _most(values: Iterable[tuple[int, int]]) -> int:
    return max((value for _, value in values), default=0)


def _back(today: date, day: str) -> int:
    """How many days *day* lies before today; none of this time for what is no day."""
    try:
        return (today - date.fromisoformat(day)) // timedelta(days=1)
    except ValueError:
        return -1
