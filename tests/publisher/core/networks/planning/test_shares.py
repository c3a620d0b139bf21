# SPDX-License-Identifier: Apache-2.0
"""One amount split over nodes, to the last unit."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.publisher.core.networks.planning.shares import shares


@given(st.integers(0, 2**128), st.dictionaries(st.text(max_size=2), st.integers(0, 2**64), min_size=1))
def test_nothing_is_lost_and_nobody_gets_a_unit_more_than_his_share(amount, weights):
    parts, whole = shares(amount, weights), sum(weights.values())
    assert sum(parts.values()) == amount
    for name, weight in weights.items():
        exact = amount * weight // whole if whole else amount // len(weights)
        assert exact <= parts[name] <= exact + 1


def test_no_node_gets_nothing():
    assert shares(7, {}) == {}
    assert shares(7, {"a": 0, "b": 0}) == {"a": 4, "b": 3}
