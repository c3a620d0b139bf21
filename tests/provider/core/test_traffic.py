# SPDX-License-Identifier: Apache-2.0
"""Traffic is counted once, whatever the proxy's counters do."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.core.traffic import SlotStats, Traffic, mark_of, traffic_since


def stats(boot: str, total: int) -> SlotStats:
    return SlotStats(boot, 0, total, total * 10, total * 100)


def test_what_an_earlier_tenant_of_the_slot_passed_does_not_count():
    mark = mark_of(stats("1", 50))
    assert traffic_since(mark, stats("1", 50)) == (Traffic(), mark)
    assert traffic_since(mark, stats("1", 53))[0] == Traffic(3, 30, 300)


def test_a_new_process_counts_from_zero():
    passed, mark = traffic_since(mark_of(stats("1", 50)), stats("2", 4))
    assert passed == Traffic(4, 40, 400)
    assert traffic_since(mark, stats("2", 5))[0] == Traffic(1, 10, 100)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000), st.integers(1, 3))))
def test_the_sum_is_what_passed(turns: list[tuple[bool, int, int]]) -> None:
    """Readings may be repeated, and the proxy restarted before any of them."""
    boot, counted, passed = 0, 0, Traffic()
    mark = mark_of(stats("0", 0))
    expected = 0
    for restarts, more, readings in turns:
        if restarts:
            boot, counted = boot + 1, 0
        counted += more
        expected += more
        for _ in range(readings):
            delta, mark = traffic_since(mark, stats(str(boot), counted))
            passed += delta
    assert passed == Traffic(expected, expected * 10, expected * 100)


def test_a_counter_that_goes_backwards_counts_nothing_twice():
    mark = mark_of(stats("1", 50))
    passed, mark = traffic_since(mark, stats("1", 40))
    assert passed == Traffic()
    assert traffic_since(mark, stats("1", 51))[0] == Traffic(1, 10, 100)
