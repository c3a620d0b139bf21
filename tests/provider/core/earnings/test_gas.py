# SPDX-License-Identifier: Apache-2.0
"""What goes out within a day's gas and what waits: nothing that would be lost."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.client import payments
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.earnings.gas import (
    CLAIM_GAS,
    ITEM_GAS,
    MINED_WITHIN_S,
    MOST_UNCLAIMED_S,
    OVER,
    RELEASE_GAS,
    GasToday,
    Urgency,
    claim_wei,
    decide,
    next_day,
    row_urgency,
    urgency_of,
    within,
)
from trustedpods.provider.core.settlement import ClaimCandidate, Cut

DAY_S = 86_400
NOON = UnixSeconds(20_000 * DAY_S + DAY_S // 2)
MIDNIGHT = NOON + DAY_S // 2

wei = st.integers(0, 10**24)
days = st.builds(GasToday, st.one_of(st.none(), wei), wei, wei)
urgencies = st.sampled_from(Urgency)


def candidate(**changes):
    values = {
        "channel": ChannelId(1),
        "from_": NOON - 3600,
        "up_to": NOON,
        "usage": Usage(),
        "due": 1,
        "left": 9,
    }
    return ClaimCandidate(**values | changes)


def cut(channel, *, release=False):
    return Cut(ChannelId(channel), NOON - 9, NOON, Usage(), release)


@given(days, wei, urgencies)
def test_it_is_sent_within_the_cap_and_over_it_only_for_a_reason(today, worst, urgency):
    decision = decide(today, worst, urgency)
    fits = today.cap is None or today.spent + today.out + worst <= today.cap
    assert decision.send == (fits or urgency is not Urgency.CAN_WAIT)
    assert decision.reason
    assert decision.reason.startswith(OVER) == (decision.send and not fits)


@given(days, wei, st.integers(0, 10**24))
def test_more_spent_never_lets_more_out(today, worst, more):
    later = GasToday(today.cap, today.spent + more, today.out)
    if decide(later, worst, Urgency.CAN_WAIT).send:
        assert decide(today, worst, Urgency.CAN_WAIT).send


def test_what_waits_says_how_much_is_spent_and_until_when():
    reason = decide(GasToday(10, 8, 1), 2, Urgency.CAN_WAIT).reason
    for told in ("8 wei", "1 more", "cost 2", "gas.most_wei_per_day is 10", "midnight UTC"):
        assert told in reason


@given(st.integers(0, 2**40))
def test_the_next_day_begins_at_midnight(now):
    at = next_day(UnixSeconds(now))
    assert at % DAY_S == 0
    assert 0 < at - now <= DAY_S


@given(st.integers(0, 3 * DAY_S), st.integers(-DAY_S, 3 * DAY_S), st.integers(0, 4 * DAY_S))
def test_a_claim_that_waits_is_mined_before_its_notice_ends_and_before_publishers_are_alarmed(
    age, notice, later
):
    now = UnixSeconds(NOON + later)
    one = candidate(from_=now - age, up_to=now, leaving=True, ends_at=now + notice)
    waits = urgency_of(one, now) is Urgency.CAN_WAIT
    sent = next_day(now)
    in_time = sent + MINED_WITHIN_S < now + notice and sent < now - age + MOST_UNCLAIMED_S
    assert waits == in_time


def test_why_a_claim_does_not_wait():
    assert urgency_of(candidate(), NOON) is Urgency.CAN_WAIT
    assert urgency_of(candidate(), NOON, asked=True) is Urgency.ASKED
    assert urgency_of(candidate(release=True), NOON) is Urgency.RELEASE
    assert urgency_of(candidate(leaving=True), NOON) is Urgency.NOTICE
    assert urgency_of(candidate(leaving=True, ends_at=MIDNIGHT + MINED_WITHIN_S), NOON) is Urgency.NOTICE
    assert (
        urgency_of(candidate(leaving=True, ends_at=MIDNIGHT + MINED_WITHIN_S + 1), NOON) is Urgency.CAN_WAIT
    )
    assert urgency_of(candidate(from_=MIDNIGHT - MOST_UNCLAIMED_S), NOON) is Urgency.OLD
    assert urgency_of(candidate(from_=MIDNIGHT - MOST_UNCLAIMED_S + 1), NOON) is Urgency.CAN_WAIT


def test_a_claim_of_each_day_waits_for_midnight_but_in_the_days_first_hour():
    """By default a claim is due after a day: were it always late then, the cap would hold back nothing."""
    for hour in range(24):
        now = UnixSeconds(MIDNIGHT + hour * 3600)
        late = urgency_of(candidate(from_=now - DAY_S), now) is Urgency.OLD
        assert late == (hour <= 1), hour


def test_a_row_waits_while_it_is_listed():
    assert row_urgency(NOON - DAY_S, 3 * DAY_S, NOON) is Urgency.CAN_WAIT
    assert row_urgency(MIDNIGHT + MINED_WITHIN_S - 3 * DAY_S, 3 * DAY_S, NOON) is Urgency.ROW


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 10**6), urgencies), min_size=1, max_size=6), max_size=6),
    st.integers(0, 10**9),
    st.integers(1, 1000),
)
def test_all_that_is_urgent_goes_and_the_rest_only_within_the_cap(drawn, cap, price):
    seen, batches, urgent = set(), [], {}
    for batch in drawn:
        cuts = [(c, u) for c, u in dict(batch).items() if c not in seen]
        seen |= {c for c, _ in cuts}
        urgent |= {ChannelId(c): u for c, u in cuts}
        if cuts:
            batches.append([cut(c, release=u is Urgency.RELEASE) for c, u in cuts])
    plan = within(batches, urgent, GasToday(cap, 0), price)
    gone = {one.channel for batch in plan.batches for one in batch.cuts}
    assert gone | plan.waiting == set(urgent)
    assert not gone & plan.waiting
    assert {one for one in urgent if urgent[one] is not Urgency.CAN_WAIT} <= gone
    assert bool(plan.reason) == bool(plan.waiting)
    spent = 0
    for batch in plan.batches:
        assert batch.worst == claim_wei(batch.cuts, price)
        if any(urgent[one.channel] is Urgency.CAN_WAIT for one in batch.cuts):
            assert spent + batch.worst <= cap
        spent += batch.worst


def test_without_a_cap_all_go():
    batches = [[cut(1), cut(2)], [cut(3)]]
    calm = dict.fromkeys((ChannelId(1), ChannelId(2), ChannelId(3)), Urgency.CAN_WAIT)
    plan = within(batches, calm, GasToday(None, 10**30), 10**12)
    assert [batch.cuts for batch in plan.batches] == batches
    assert not plan.waiting


def test_the_limits_are_those_of_the_chains_client():
    told = (payments.BATCH_GAS, payments.ITEM_GAS, payments.RELEASE_GAS)
    assert told == (CLAIM_GAS, ITEM_GAS, RELEASE_GAS)
