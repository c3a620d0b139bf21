# SPDX-License-Identifier: Apache-2.0
"""No unit is lost or made, whatever payments are put together by, and whenever they are kept by day only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.ids import ChannelId, address_from_bytes, host_label
from trustedpods.provider.core.earnings.sums import (
    DAY_S,
    UNKNOWN,
    Earned,
    EarnedRow,
    GroupedBy,
    Span,
    Spent,
    by_day,
    rows_of,
)

BEGIN = 1_795_910_400  # 2026-11-29, midnight UTC
ONE, OTHER = (address_from_bytes(bytes([n]) * 20) for n in (1, 2))
TIMES = st.integers(BEGIN - 90 * DAY_S, BEGIN + 90 * DAY_S)
PAID = st.one_of(st.integers(0, 5), st.integers(0, 2**88 - 1))
PAYMENTS = st.lists(
    st.builds(
        Earned, TIMES, st.integers(1, 4).map(ChannelId), st.sampled_from([None, ONE, OTHER]), PAID, st.just(1)
    ),
    max_size=40,
)
FEES = st.lists(st.builds(Spent, TIMES, st.integers(0, 2**70)), max_size=20)
SPANS = st.builds(Span, st.none() | TIMES, st.none() | TIMES).map(lambda span: span.whole_days)


@given(PAYMENTS, FEES, SPANS, st.sampled_from(GroupedBy))
def test_sums_are_those_of_the_payments_in_time(payments, fees, span, by):
    rows = rows_of(payments, fees, by, span)
    counted = [one for one in payments if span.has(one.at)]
    assert sum(row.paid for row in rows) == sum(one.paid for one in counted)
    assert sum(row.items for row in rows) == len(counted)
    assert len({row.key for row in rows}) == len(rows)
    if by in (GroupedBy.DAY, GroupedBy.MONTH):
        assert sum(row.wei for row in rows) == sum(fee.wei for fee in fees if span.has(fee.at))
        assert [row.key for row in rows] == sorted(row.key for row in rows)
    else:
        assert {row.wei for row in rows} <= {None}
        assert [row.paid for row in rows] == sorted((row.paid for row in rows), reverse=True)


@given(PAYMENTS, FEES, SPANS, st.sampled_from([GroupedBy.DAY, GroupedBy.MONTH, GroupedBy.POD]), st.data())
def test_what_is_kept_by_day_only_tells_the_same(payments, fees, span, by, data):
    cut = data.draw(st.integers(0, len(payments)))
    kept = [*by_day(payments[:cut]), *payments[cut:]]
    assert rows_of(kept, fees, by, span) == rows_of(payments, fees, by, span)
    twice = [*by_day(by_day(payments[:cut])), *payments[cut:]]
    assert twice == kept


def test_days_and_months_are_those_of_utc():
    payments = [
        Earned(BEGIN - 1, ChannelId(7), ONE, 5),
        Earned(BEGIN, ChannelId(7), ONE, 6),
        Earned(BEGIN + 2 * DAY_S, ChannelId(8), None, 70),
    ]
    fees = [Spent(BEGIN + DAY_S, 9)]
    assert rows_of(payments, fees, GroupedBy.DAY, Span()) == (
        EarnedRow("2026-11-28", 5, 1, 0),
        EarnedRow("2026-11-29", 6, 1, 0),
        EarnedRow("2026-11-30", 0, 0, 9),
        EarnedRow("2026-12-01", 70, 1, 0),
    )
    months = rows_of(payments, fees, GroupedBy.MONTH, Span())
    assert [(row.key, row.paid, row.wei) for row in months] == [("2026-11", 11, 9), ("2026-12", 70, 0)]
    assert [row.key for row in rows_of(payments, fees, GroupedBy.POD, Span())] == [
        host_label(8),
        host_label(7),
    ]
    assert [row.key for row in rows_of(payments, fees, GroupedBy.PUBLISHER, Span())] == [UNKNOWN, ONE]


@pytest.mark.parametrize(
    ("span", "days"),
    [
        (Span(BEGIN + 1, BEGIN + DAY_S + 1), Span(BEGIN, BEGIN + 2 * DAY_S)),
        (Span(BEGIN, BEGIN + DAY_S), Span(BEGIN, BEGIN + DAY_S)),
        (Span(), Span()),
    ],
)
def test_a_time_is_told_in_whole_days(span, days):
    assert span.whole_days == days
