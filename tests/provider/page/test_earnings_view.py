# SPDX-License-Identifier: Apache-2.0
"""Days out of two answers: each counts once, the newer answer holds, and what is no day draws nothing."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.page.operator import NOW, earnings
from trustedpods.protocol.local_page.bars import BAR, WIDTH
from trustedpods.provider.page.earnings_view import DAYS, earnings_view

TODAY = datetime.fromtimestamp(NOW, UTC).date()


def day(back):
    return str(TODAY - timedelta(days=back))


def test_the_newer_answer_holds_and_each_day_counts_once():
    earlier = earnings(days=(day(2), day(1), day(0)), withdrawable="1")
    recent = earnings(days=(day(1), day(0)))
    view = earnings_view(recent, earlier, NOW)
    assert [row.day for row in view.rows] == [day(0), day(1), day(2)]
    assert [row.earned for row in view.rows] == ["2 TPT", "1 TPT", "1 TPT"]
    facts = {fact.name: fact.text for fact in view.facts}
    assert facts[f"Earned in {DAYS} days"] == "4 TPT"
    assert facts["To withdraw"] == "7 TPT"


def test_today_is_at_the_right_and_older_days_than_bars_are_left_out():
    view = earnings_view(earnings(days=(day(DAYS), day(DAYS - 1), day(0), "not a day", day(-1))), None, NOW)
    assert [bar.x for bar in view.charts[0].bars] == [0, WIDTH - BAR]
    assert len(view.rows) == 2


def test_gas_whose_cost_is_not_known_is_said():
    view = earnings_view(earnings(fees_unknown=2), None, NOW)
    assert any("2 claims whose cost is not known" in fact.text for fact in view.facts)


@given(st.lists(st.integers(0, 2**90), max_size=DAYS))
def test_no_unit_is_lost_in_the_sum(paid):
    made = earnings(days=[day(back) for back in range(len(paid))], decimals=0)
    rows = [row.model_copy(update={"paid": str(value)}) for row, value in zip(made.rows, paid, strict=True)]
    view = earnings_view(made.model_copy(update={"rows": rows}), None, NOW)
    assert view.facts[0].text == f"{sum(paid)} TPT"
