# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import ChannelFact
from trustedpods.provider.core.settlement import (
    MAX_BATCH,
    ClaimCandidate,
    Cut,
    Fate,
    Timing,
    again,
    judge,
    plan,
    plan_all,
    verdict,
)

TIMING = Timing(interval_s=100, min_claim=10)


def candidate(channel=1, **changes):
    fields = {"from_": 100, "up_to": 200, "usage": Usage(1), "due": 50, "left": 1000}
    return ClaimCandidate(channel, **(fields | changes))


def test_it_waits_for_the_interval():
    assert plan([candidate()], TIMING, now=199, last_claim=100) == []
    assert len(plan([candidate()], TIMING, now=200, last_claim=100)) == 1


def test_the_first_pod_after_a_silence_is_not_claimed_at_once():
    assert plan([candidate()], TIMING, now=199, last_claim=0) == []
    assert len(plan([candidate(1), candidate(2, from_=150)], TIMING, now=200, last_claim=0)) == 2


def test_a_dry_channel_s_long_period_hurries_nobody():
    assert plan([candidate(1, from_=1, left=0), candidate(2)], TIMING, now=199, last_claim=0) == []


def test_more_than_a_batch_holds_goes_out_at_once_batch_by_batch():
    waiting = {number: candidate(number) for number in range(2 * MAX_BATCH + 7)}
    last, sizes = 100, []
    while cuts := plan(waiting.values(), TIMING, now=200, last_claim=last):
        sizes.append(len(cuts))
        for cut in cuts:
            del waiting[cut.channel]
        last = 200
    assert sizes == [MAX_BATCH, MAX_BATCH, 7]
    assert plan([candidate(from_=200, up_to=299)], TIMING, now=299, last_claim=last) == []


def test_all_batches_are_cut_together_and_share_no_channel():
    waiting = [candidate(number) for number in range(2 * MAX_BATCH + 7)]
    batches = plan_all(waiting, TIMING, now=200, last_claim=100)
    assert [len(cuts) for cuts in batches] == [MAX_BATCH, MAX_BATCH, 7]
    assert len({cut.channel for cuts in batches for cut in cuts}) == len(waiting)
    assert len(plan_all(waiting, TIMING, now=200, last_claim=100, most=2)) == 2
    assert plan_all(waiting, TIMING, now=199, last_claim=100) == []


def test_a_batch_behind_the_first_has_to_be_worth_its_gas_too():
    waiting = [candidate(number) for number in range(MAX_BATCH)] + [candidate(MAX_BATCH, due=9)]
    assert [len(cuts) for cuts in plan_all(waiting, TIMING, now=200, last_claim=100)] == [MAX_BATCH]


@given(
    st.lists(
        st.builds(
            candidate,
            st.integers(1, 10**6),
            due=st.integers(0, 100),
            release=st.booleans(),
            urgent=st.booleans(),
            from_=st.integers(50, 199),
        ),
        unique_by=lambda one: one.channel,
        max_size=40,
    ),
    st.integers(150, 400),
    st.integers(50, 150),
    st.booleans(),
)
def test_all_at_once_are_those_of_one_after_another(candidates, now, last, forced):
    """The first batch is the same; what follows are whole periods of others."""
    batches = plan_all(candidates, TIMING, now, last, forced=forced)
    assert plan(candidates, TIMING, now, last, forced=forced) == (batches[0] if batches else [])
    cut = [cut for cuts in batches for cut in cuts]
    assert len({one.channel for one in cut}) == len(cut)
    by_channel = {one.channel: one for one in candidates}
    for one in cut:
        assert (one.from_, one.up_to) == (by_channel[one.channel].from_, by_channel[one.channel].up_to)
    if batches:
        assert {one.channel for one in candidates if one.release} <= {one.channel for one in cut}


def test_batches_are_made_anew_of_what_was_chosen_and_of_nothing_else():
    """The oldest period, for which it was time, is gone; those that it took along still go."""
    found = [
        candidate(1, from_=100),
        candidate(2, from_=190),
        candidate(3, from_=190),
        candidate(4, from_=190),
    ]
    batches = plan_all(found, TIMING, now=200, last_claim=100)
    assert [cut.channel for cuts in batches for cut in cuts] == [1, 2, 3, 4]
    known = [
        candidate(1, up_to=100),  # nothing of it is known any more
        candidate(2, from_=190, usage=Usage(2), due=60),
        candidate(3, from_=190, due=2000),  # more than is left
        candidate(4, from_=190, due=0, release=True),
        candidate(5, from_=190),
    ]
    (cuts,) = again(batches, known)
    assert [(cut.channel, cut.usage, cut.release) for cut in cuts] == [
        (2, Usage(2), False),
        (4, Usage(1), True),
    ]
    assert again(batches, []) == []


def test_what_is_urgent_does_not_wait_and_takes_nobody_along():
    cuts = plan([candidate(1), candidate(2, urgent=True)], TIMING, now=101, last_claim=100)
    assert [cut.channel for cut in cuts] == [2]


def test_an_order_of_the_operator_does_not_wait():
    assert len(plan([candidate()], TIMING, now=101, last_claim=100, forced=True)) == 1


def test_no_claim_earns_less_than_it_must():
    assert plan([candidate(due=9)], TIMING, now=500, last_claim=0) == []
    assert plan([candidate(due=50, left=9)], TIMING, now=500, last_claim=0) == []


def test_a_dry_channel_waits_for_a_top_up():
    assert plan([candidate(left=0)], TIMING, now=500, last_claim=0, forced=True) == []


def test_a_period_that_the_deposit_would_cut_stays_claimable():
    short = candidate(due=50, left=49)
    assert plan([short], TIMING, now=500, last_claim=0, forced=True) == []
    (cut,) = plan([candidate(due=50, left=50)], TIMING, now=500, last_claim=0)
    assert cut.whole


def test_unless_the_channel_is_about_to_end():
    for ending in ({"leaving": True}, {"release": True}):
        (cut,) = plan([candidate(due=50, left=49, **ending)], TIMING, now=500, last_claim=0)
        assert not cut.whole


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_only_what_the_cap_cuts_is_ever_lost(due, left, allowed):
    one = candidate(due=due, left=left, allowed=allowed)
    assert one.worth in (0, min(due, allowed))
    assert one.whole == (due <= allowed)
    if min(due, allowed) <= left:
        assert one.worth == min(due, allowed)


def test_a_release_goes_out_even_for_nothing():
    cuts = plan([candidate(due=0, left=0, release=True)], TIMING, now=101, last_claim=100)
    assert [cut.release for cut in cuts] == [True]


def test_an_empty_period_is_never_cut():
    same = candidate(up_to=100, release=True)
    assert plan([same], TIMING, now=500, last_claim=0, forced=True) == []


@given(st.lists(st.builds(candidate, st.integers(1, 10**6), due=st.integers(0, 100), release=st.booleans())))
def test_batches_are_bounded_and_chain_exactly(candidates):
    cuts = plan(candidates, TIMING, now=500, last_claim=0)
    assert len(cuts) <= MAX_BATCH
    for cut in cuts:
        assert (cut.from_, cut.up_to) == (100, 200)


def fact(up_to):
    return ChannelFact(left=5, up_to=up_to, unlock_at=0)


def test_fates_of_an_item():
    item = Cut(1, 100, 200, Usage(), release=False)
    assert judge(item, fact(100)) is Fate.PENDING
    assert judge(item, fact(200)) is Fate.LANDED
    assert judge(item, fact(150)) is Fate.LOST
    assert judge(item, None) is Fate.LOST
    assert judge(item, fact(100), payable=False) is Fate.LOST  # held back: cut anew when there is enough


def test_fates_of_a_release():
    item = Cut(1, 100, 200, Usage(), release=True)
    assert judge(item, None) is Fate.LANDED
    assert judge(item, fact(100)) is Fate.PENDING
    assert judge(item, fact(200)) is Fate.LOST  # claimed, and not released: cut the release anew


def test_a_claim_is_sent_while_anything_of_it_can_land():
    assert verdict([Fate.LANDED, Fate.PENDING, Fate.LOST]) is Fate.PENDING
    assert verdict([Fate.LANDED, Fate.LOST]) is Fate.LANDED
    assert verdict([Fate.LOST]) is Fate.LOST
