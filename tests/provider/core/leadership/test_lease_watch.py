# SPDX-License-Identifier: Apache-2.0
"""Who takes a lease, and when: by one's own clock alone."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.core.leadership.lease_watch import LeaseView, LeaseWatch, Step, look, must_end

ME, OTHER = "node-2:b", "node-1:a"
DURATION = 30


def looks(*shown):
    """The steps of looks at (time, view), one after another."""
    watch, steps = LeaseWatch(), []
    for at, view in shown:
        watch, step = look(watch, view, at, ME, DURATION)
        steps.append(step)
    return steps


def test_a_lease_that_is_not_there_or_given_back_or_ones_own_is_taken_at_once():
    for view in (None, LeaseView("", "7"), LeaseView(ME, "7")):
        assert looks((1000, view)) == [Step.TAKE]


def test_what_was_there_before_the_first_look_counts_from_that_look():
    old = LeaseView(OTHER, "7")
    assert looks((1000, old), (1029.9, old), (1030, old)) == [Step.WAIT, Step.WAIT, Step.TAKE]


def test_every_renewal_and_every_new_holder_gives_a_whole_duration_anew():
    first, renewed, third = LeaseView(OTHER, "7"), LeaseView(OTHER, "8"), LeaseView("node-3:c", "9")
    steps = looks((0, first), (29, renewed), (58, renewed), (58.5, third), (88, third), (88.5, third))
    assert steps == [Step.WAIT] * 5 + [Step.TAKE]


@given(
    st.lists(st.tuples(st.floats(0.1, 40), st.booleans()), max_size=40),
    st.floats(0, 1e9),
)
def test_nobody_takes_a_lease_that_was_renewed_within_its_duration(pauses, start):
    """Whatever clocks say: between the last new version that was seen and the taking lies a duration."""
    watch, now, version, new_at = LeaseWatch(), start, 0, start
    for pause, renewed in [(0, True), *pauses]:
        now += pause
        if renewed:
            version, new_at = version + 1, now
        watch, step = look(watch, LeaseView(OTHER, str(version)), now, ME, DURATION)
        assert (step is Step.TAKE) == (now - new_at >= DURATION)
        if step is Step.TAKE:
            return


def test_a_holder_ends_before_anybody_who_looks_can_have_taken_over():
    """It renewed at 0: who saw that at once takes over at 30, and not before."""
    assert [must_end(0, at, DURATION) for at in (0, 29.9, 30, 31)] == [False, False, True, True]
