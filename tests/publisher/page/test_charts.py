# SPDX-License-Identifier: Apache-2.0
"""Bars of a pod's life: every period counts once, in few bars, inside the chart."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.page.reader import BEGAN, TOKEN, lines
from trustedpods.protocol.local_page.bars import HEIGHT, MAX_BARS, WIDTH
from trustedpods.protocol.units import Usage
from trustedpods.publisher.core.bill import Line
from trustedpods.publisher.page.charts import charts_of, spans_of


def test_replicas_are_the_cpu_time_over_what_one_holds():
    spans = spans_of(lines(3, period_s=600))
    assert [span.replicas(500) for span in spans] == [0.0, 1.0, 2.0]
    assert [span.replicas(0) for span in spans] == [None, None, None]


def test_a_pod_without_periods_has_no_charts():
    assert charts_of((), 500, TOKEN) is None


def test_the_numbers_are_there_as_texts_too():
    charts = charts_of(lines(3, period_s=600), 500, TOKEN)
    assert charts.step == "10 minutes"
    assert [chart.most for chart in charts.charts] == ["3 MiB", "2", "0.002 TPT"]
    assert [row.cost for row in charts.rows] == ["0 TPT", "0.001 TPT", "0.002 TPT"]


def test_zero_is_no_bar():
    charts = charts_of(lines(1, period_s=600), 500, TOKEN)
    assert [chart.bars for chart in charts.charts] == [(), (), ()]


periods = st.tuples(st.integers(1, 10**7), st.integers(0, 2**48 - 1), st.integers(0, 2**88))


@given(st.lists(periods, min_size=1, max_size=200), st.integers(0, 10**6))
def test_each_period_counts_once_and_no_bar_leaves_its_chart(made, cpu_milli):
    bill, at = [], BEGAN
    for seconds, used, units in made:
        bill.append(Line(at, at + seconds, Usage(used, used, used, used, used), units, False, b"", None))
        at += seconds
    spans = spans_of(bill)
    assert 1 <= len(spans) <= MAX_BARS
    assert sum(span.units for span in spans) == sum(line.amount for line in bill)
    assert sum(span.usage.egress_kib for span in spans) == sum(line.usage.egress_kib for line in bill)
    charts = charts_of(bill, cpu_milli, TOKEN)
    for chart in charts.charts:
        assert all(0 <= bar.x < WIDTH and 0 <= bar.y < HEIGHT for bar in chart.bars)
        assert all(bar.y + bar.height == HEIGHT for bar in chart.bars)


def test_periods_that_a_provider_made_up_draw_nothing_wrong():
    wild = [
        Line(5, 2, Usage(), 1, False, b"", None),
        Line(2**40, 2**40 + 1, Usage(1, 1, 1, 1, 1), 1, False, b"", None),
        Line(7, 7, Usage(), 0, False, b"", None),
    ]
    charts = charts_of(wild, 1, TOKEN)
    assert len(charts.rows) <= MAX_BARS
