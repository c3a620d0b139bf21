# SPDX-License-Identifier: Apache-2.0
"""A publisher gets what the quota says, to the last unit, and nothing beyond it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.quotas.publisher_quota import (
    PublisherQuota,
    PublisherShare,
    check_quota,
    room_of,
    share_of,
)

PODS = st.lists(
    st.builds(share_of, st.integers(1, 4000), st.integers(1, 4096), st.integers(0, 5)), min_size=1, max_size=8
)
QUOTAS = st.builds(
    PublisherQuota,
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 40_000),
    st.none() | st.integers(1, 40_000),
)


def fits(pods, quota):
    sums = [sum(getattr(pod, name) for pod in pods) for name in ("pods", "cpu_milli", "memory_mib")]
    bounds = (quota.pods, quota.cpu_milli, quota.memory_mib)
    return all(most is None or taken <= most for taken, most in zip(sums, bounds, strict=True))


@settings(max_examples=examples(400), deadline=None)
@given(PODS, QUOTAS)
def test_it_is_taken_exactly_where_all_together_fit(pods, quota):
    if fits(pods, quota):
        check_quota(pods[0], pods[1:], quota)
        return
    with pytest.raises(Refused) as caught:
        check_quota(pods[0], pods[1:], quota)
    assert caught.value.rule == "capacity-publisher"


def test_all_replicas_count_and_a_pod_without_any_counts_as_one():
    assert share_of(100, 64, 3) == PublisherShare(1, 300, 192)
    assert share_of(100, 64, 0) == PublisherShare(1, 100, 64)


def test_the_refusal_says_bound_and_numbers():
    with pytest.raises(Refused, match=r"may take 500 m of CPU here: this one asks for 200, .* have 400"):
        check_quota(PublisherShare(1, 200, 1), [PublisherShare(1, 400, 1)], PublisherQuota(cpu_milli=500))


def test_without_a_line_nothing_is_bounded():
    assert not PublisherQuota().bounds
    check_quota(PublisherShare(1, 10**9, 10**9), [PublisherShare()] * 100, PublisherQuota())


def test_what_is_left_is_never_below_nothing_and_what_has_no_bound_has_none():
    there = [PublisherShare(1, 200, 64), PublisherShare(2, 500, 64)]
    quota = PublisherQuota(pods=5, cpu_milli=600)
    assert room_of(there, quota) == PublisherQuota(pods=2, cpu_milli=0)
    assert room_of([], quota) == quota
