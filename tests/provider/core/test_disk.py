# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.core.disk import DiskSizes, DiskState, may_set_aside, must_spend, state_of

sizes = st.builds(DiskSizes, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
free = st.integers(0, 1 << 42)


@given(free, sizes)
def test_a_reserve_that_was_made_is_not_spent_by_the_next_look(free, sizes):
    if may_set_aside(free, sizes):
        assert not must_spend(free, sizes)
        left = free - sizes.reserve
        assert state_of(left, sizes, reserved=True, failing=False) is DiskState.GOOD


@given(free, sizes, st.booleans())
def test_new_pods_need_what_is_kept_for_those_that_are_here(free, sizes, reserved):
    state = state_of(free, sizes, reserved=reserved, failing=False)
    if state is DiskState.GOOD:
        assert free >= sizes.least
        assert reserved or not sizes.reserve or may_set_aside(free, sizes)


@given(free, sizes, st.booleans())
def test_a_failed_write_is_always_told(free, sizes, reserved):
    assert state_of(free, sizes, reserved=reserved, failing=True) is DiskState.FAILING


def test_without_a_reserve_there_is_a_mark_only():
    kept = DiskSizes(0, 100)
    assert state_of(99, kept, reserved=False, failing=False) is DiskState.LOW
    assert state_of(100, kept, reserved=False, failing=False) is DiskState.GOOD
    assert not must_spend(0, kept)
