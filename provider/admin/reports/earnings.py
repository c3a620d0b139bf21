# SPDX-License-Identifier: Apache-2.0
"""What was earned: by the books, and beside them by the contract. Without a chain only the books are told."""

from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.contracts.records import OwnerTotals, TokenInfo
from trustedpods.contracts.terms import Terms, due
from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.reports.views import (
    EarnedView,
    Earnings,
    EarningsRequest,
    OwnerTotalsView,
)
from trustedpods.provider.admin.views import GasTodayView
from trustedpods.provider.billing.gas import gas_today
from trustedpods.provider.core import metering
from trustedpods.provider.core.earnings.gas import GasToday
from trustedpods.provider.core.earnings.sums import EarnedRow, GroupedBy, Span, rows_of
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.store import ledger
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.operator import earnings
from trustedpods.provider.store.operator.earnings import EarningsBooks, OutItem

Rows = tuple[EarnedRow, ...]

MAX_ROWS = 20_000
"""Rows of an answer: some 3 MB on the socket, and more than any page shows."""


@dataclass(frozen=True, slots=True)
class _OnChain:
    """What the chain said of the owner; `trouble` where it did not."""

    token: TokenInfo | None = None
    owed: int | None = None
    totals: OwnerTotals | None = None
    trouble: str | None = None


async def read_earnings(
    doors: Doors,
    records: Sequence[PodRecord],
    asked: EarningsRequest,
    most_rows: int = MAX_ROWS,
    *,
    accrued: int | None = None,
) -> Earnings:
    """The answer; *records* are the pods that stand. BadInput when it would have more than *most_rows*.

    Whole days are told where the time begins or ends within one: claims of long ago are kept by day only.
    What is not claimed yet is *accrued*, what pods used since the chain last paid for them, less what is out;
    without it each pod's ledger is read.
    """
    span = Span(*(None if at is None else UnixSeconds(at) for at in (asked.since, asked.until))).whole_days
    books, rows, in_time = await doors.store.read(_summed, asked.by, span)
    if len(rows) > most_rows:
        raise BadInput(
            f"these are {len(rows)} rows", hint=f"{most_rows} are told at once: ask by day or month"
        )
    found = await _on_chain(doors, totals=asked.chain)
    unclaimed = await _unclaimed(doors, records, books.out) if accrued is None else _less(accrued, books.out)
    return Earnings(
        token=found.token.symbol if found.token else None,
        decimals=found.token.decimals if found.token else None,
        by=asked.by,
        rows=[_view(row) for row in rows],
        paid=str(sum(row.paid for row in in_time)),
        items=sum(row.items for row in in_time),
        gas_wei=str(sum(row.wei or 0 for row in in_time)),
        fees_unknown=books.fees_unknown,
        out=str(sum(item.due for item in books.out)),
        claims_out=len({item.root for item in books.out}),
        unclaimed=str(unclaimed),
        withdrawable=None if found.owed is None else str(found.owed),
        chain=_totals(found),
        trouble=found.trouble,
        gas_today=_gas_view(doors, await gas_today(doors)),
    )


def _summed(tx: Tx, by: GroupedBy, span: Span) -> tuple[EarningsBooks, Rows, Rows]:
    """The books, their rows, and their months, of which sums are made: too slow for the loop after years."""
    by_pod = by in (GroupedBy.POD, GroupedBy.PUBLISHER)
    books = earnings.whole(tx, span.since or earnings.BEGINNING, by_pod=by_pod)
    rows, months = (rows_of(books.payments, books.fees, each, span) for each in (by, GroupedBy.MONTH))
    return books, rows, months


def _gas_view(doors: Doors, today: GasToday) -> GasTodayView:
    cap = None if today.cap is None else str(today.cap)
    return GasTodayView(spent=str(today.spent), cap=cap, waiting=dict(doors.gas.waiting))


def _view(row: EarnedRow) -> EarnedView:
    wei = None if row.wei is None else str(row.wei)
    return EarnedView(key=row.key, paid=str(row.paid), items=row.items, gas_wei=wei)


def _totals(found: _OnChain) -> OwnerTotalsView | None:
    if found.totals is None or found.owed is None:
        return None
    credited, withdrawn = found.totals.credited, found.totals.withdrawn
    return OwnerTotalsView(
        credited=str(credited),
        withdrawn=str(withdrawn),
        claims=found.totals.claims,
        whole=credited - withdrawn == found.owed,
    )


async def _on_chain(doors: Doors, *, totals: bool) -> _OnChain:
    try:
        token = await doors.chain.token_info()
        owed = await doors.chain.owed(doors.owner)
        told = await doors.chain.owner_totals(doors.owner) if totals else None
    except TrustedPodsError as error:
        return _OnChain(trouble=error.what)
    return _OnChain(token, owed, told)


def _less(accrued: int, out: Sequence[OutItem]) -> int:
    return max(0, accrued - sum(item.due for item in out))


async def _unclaimed(doors: Doors, records: Sequence[PodRecord], out: Sequence[OutItem]) -> int:
    """What was used since the last claim of each pod, whether that is final or under way."""
    claimed: dict[int, int] = {}
    for item in out:
        claimed[item.channel] = max(item.up_to, claimed.get(item.channel, 0))
    billed = {one.channel: one for one in records if one.chain is not None and one.served}
    starts = {
        channel: UnixSeconds(max(one.chain.up_to, claimed.get(channel, 0)))
        for channel, one in billed.items()
        if one.chain is not None
    }
    now = doors.now()
    books = await doors.store.read(ledger.load_ledgers, starts)
    return sum(
        due(
            metering.usage(books[channel], start, max(now, start)),
            Terms.unpack(billed[channel].terms or 0).prices,
        )
        for channel, start in starts.items()
    )
