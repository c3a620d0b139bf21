# SPDX-License-Identifier: Apache-2.0
"""Lines of several logs for one reader: in order, bounded, and none left out in silence."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.core.followed.lines import LinePlace, LogLine
from trustedpods.provider.core.followed.merging import MergedLines, cost_of

STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), max_size=60)


@given(STEPS)
def test_each_log_keeps_its_order_and_its_count_and_little_waits(steps):
    most = 500
    lines, put, got = MergedLines(most), [0] * 4, [[] for _ in range(4)]

    def take():
        for source, line in lines.take(200, 5):
            got[source].append(line)

    for source, size, takes in steps:
        put[source] += 1
        line = LogLine(LinePlace(put[source], 1), b"x" * size)
        lines.put(source, line) if lines.has_room(source) else lines.drop(source, line)
        assert lines.cost < most + 4 * (cost_of(line) + 200)
        if takes:
            take()
    while not lines.empty:
        take()
    assert lines.cost == 0
    for source in range(4):
        assert sum(line.dropped or 1 for line in got[source]) == put[source]
        places = [line.place for line in got[source]]
        assert places == sorted(set(places))


def test_the_oldest_goes_first():
    lines = MergedLines()
    for source, at in (("a", 1), ("a", 5), ("b", 2), ("b", 9), ("c", 4)):
        lines.put(source, LogLine(LinePlace(at, 1), b""))
    assert [source for source, _ in lines.take(10**6, 100)] == ["a", "b", "c", "a", "b"]
