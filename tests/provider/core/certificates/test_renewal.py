# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.provider.core.certificates.authority import DAY, NAMES, WEEK, Year, most_in_a_week
from trustedpods.provider.core.certificates.renewal import (
    CERTIFICATES_A_WEEK,
    FIRST_RETRY_S,
    LONGEST_RETRY_S,
    LONGEST_SUGGESTION_S,
    LONGEST_WAIT_S,
    ORDERS_A_WEEK,
    SHORTEST_SUGGESTION_S,
    at_directory,
    renewal_due,
    step,
)
from trustedpods.provider.core.certificates.types import (
    AccountOpened,
    AskSuggestion,
    CommandFailed,
    FailureKind,
    FinalizeOrder,
    HeldCertificate,
    KeyLost,
    OpenAccount,
    OrderStage,
    PendingOrder,
    Placed,
    PlaceOrder,
    Proven,
    ProveNames,
    RenewalState,
    Stored,
    Suggested,
    WaitUntil,
    Woken,
)

NOW = 1_800_000_000
LIFE = 90 * DAY
DRAWN = (Phase.generate,)
"""A year follows from a seed, and a smaller seed is no simpler year."""

HELD = HeldCertificate(NAMES, NOW - DAY, NOW - DAY + LIFE, None, NOW + DAY)
PROVING = PendingOrder(NAMES, NOW, OrderStage.PROVING, "https://ca/1")


def test_from_nothing_to_a_certificate():
    state, command = step(RenewalState(), Woken(NOW, NAMES), NAMES)
    assert command == OpenAccount()
    assert state.orders == (), "nothing is sent yet"
    state, command = step(state, AccountOpened(NOW + 1), NAMES)
    assert command == PlaceOrder(NAMES)
    assert state.orders == (NOW + 1,)
    state, command = step(state, Placed(NOW + 1, "https://ca/1"), NAMES)
    assert command == ProveNames("https://ca/1")
    state, command = step(state, Proven(NOW + 2), NAMES)
    assert command == FinalizeOrder("https://ca/1")
    state, command = step(state, Stored(NOW + 3, NAMES, NOW, NOW + LIFE), NAMES)
    assert command == AskSuggestion()
    state, command = step(state, Suggested(NOW + 4, None, NOW + 6 * 3600), NAMES)
    assert isinstance(command, WaitUntil)
    assert state.held is not None
    assert renewal_due(state.held) == NOW + 60 * DAY
    assert state.order is None


@pytest.mark.parametrize("ask_at", [NOW, NOW - DAY, NOW + 59])
def test_an_authority_that_wants_to_be_asked_at_once_is_not_asked_without_a_pause(ask_at):
    state, command = step(RenewalState(HELD), Suggested(NOW, None, ask_at), NAMES)
    assert command == WaitUntil(NOW + SHORTEST_SUGGESTION_S)
    assert step(state, Woken(NOW + SHORTEST_SUGGESTION_S, NAMES), NAMES)[1] == AskSuggestion()


def test_it_is_renewed_at_two_thirds_or_when_the_authority_says():
    due = renewal_due(HELD)
    asked = replace(HELD, ask_at=due + DAY)
    assert isinstance(step(RenewalState(asked), Woken(due - 1, NAMES), NAMES)[1], WaitUntil)
    assert step(RenewalState(asked), Woken(due, NAMES), NAMES)[1] == OpenAccount()
    earlier = replace(HELD, suggested=NOW + 5 * DAY, ask_at=NOW + 9 * DAY)
    assert step(RenewalState(earlier), Woken(NOW + 5 * DAY, NAMES), NAMES)[1] == OpenAccount()


@pytest.mark.parametrize(
    "state",
    [
        RenewalState(replace(HELD, suggested=NOW - 1)),
        RenewalState(replace(HELD, not_before=NOW - LIFE, not_after=NOW - 1)),
        RenewalState(replace(HELD, names=("other.example",))),
    ],
    ids=["revoked", "past its end", "other names are wanted"],
)
def test_what_is_of_no_use_is_ordered_anew_at_once(state):
    assert step(state, Woken(NOW, NAMES), NAMES)[1] == OpenAccount()


def test_a_lost_key_is_ordered_anew_at_once():
    assert step(RenewalState(HELD), KeyLost(NOW), NAMES)[1] == OpenAccount()


def test_a_lost_key_and_an_order_that_may_not_have_arrived_are_both_seen():
    order = PendingOrder(NAMES, NOW, OrderStage.PLACING)
    state, command = step(RenewalState(HELD, order), KeyLost(NOW + 1), NAMES)
    assert command == WaitUntil(NOW + FIRST_RETRY_S)
    assert (state.held, state.order) == (None, None)


def test_an_order_that_may_not_have_arrived_is_placed_again_after_a_pause_and_counted_twice():
    state, _ = step(RenewalState(), Woken(NOW, NAMES), NAMES)
    state, _ = step(state, AccountOpened(NOW), NAMES)
    state, command = step(state, Woken(NOW + 1, NAMES), NAMES)
    later = NOW + FIRST_RETRY_S
    assert command == WaitUntil(later)
    assert state.failures == 1
    assert state.problem
    state, command = step(state, Woken(later, NAMES), NAMES)
    assert command == OpenAccount()
    again, command = step(state, AccountOpened(later), NAMES)
    assert command == PlaceOrder(NAMES)
    assert again.orders == (NOW, later)


@pytest.mark.parametrize("answers", [False, True], ids=["while it opens", "while it places"])
def test_a_daemon_that_crashes_at_every_order_storms_nobody(answers):
    state, now, asked = RenewalState(), NOW, []
    while now < NOW + DAY:
        state, command = step(state, Woken(now, NAMES), NAMES)
        if command == OpenAccount():
            asked.append(now)
            if answers:
                state, command = step(state, AccountOpened(now), NAMES)
                assert command == PlaceOrder(NAMES)
        now += 2
    assert 5 <= len(asked) <= 11
    assert asked[1] - asked[0] >= FIRST_RETRY_S
    assert len(state.orders) == (len(asked) if answers else 0)


def test_an_authority_that_cannot_be_reached_uses_up_no_orders():
    state, command = step(RenewalState(), Woken(NOW, NAMES), NAMES)
    now = NOW
    for _ in range(3 * ORDERS_A_WEEK):
        assert command == OpenAccount()
        state, command = step(state, CommandFailed(now, FailureKind.LATER, "no answer"), NAMES)
        assert isinstance(command, WaitUntil)
        assert state.order is None
        now = state.wait_until
        state, command = step(state, Woken(now, NAMES), NAMES)
    assert state.orders == ()


def test_another_directory_is_begun_anew():
    state = RenewalState(HELD, PROVING, 3, NOW + DAY, (NOW,), (NOW,), "no answer", "https://staging/dir")
    assert at_directory(state, "https://staging/dir") == state
    assert at_directory(state, "https://ca/dir") == RenewalState(directory="https://ca/dir")


def test_a_killed_daemon_goes_on_with_its_order():
    assert step(RenewalState(order=PROVING), Woken(NOW, NAMES), NAMES)[1] == ProveNames("https://ca/1")
    done = replace(PROVING, stage=OrderStage.FINALIZING)
    assert step(RenewalState(order=done), Woken(NOW, NAMES), NAMES)[1] == FinalizeOrder("https://ca/1")


def test_an_order_for_other_names_is_given_up():
    state, command = step(RenewalState(order=PROVING), Woken(NOW, ("new.example",)), ("new.example",))
    assert command == OpenAccount()
    assert state.order is not None
    assert state.order.names == ("new.example",)


@given(st.integers(1, 60))
def test_pauses_grow_and_are_bounded(failures):
    state = RenewalState(order=PROVING, failures=failures - 1)
    failed, command = step(state, CommandFailed(NOW, FailureKind.LATER, "no"), NAMES)
    assert isinstance(command, WaitUntil)
    pause = failed.wait_until - NOW
    assert pause == min(FIRST_RETRY_S * 2 ** (failures - 1), LONGEST_RETRY_S)
    assert failed.order == PROVING
    assert failed.problem == "no"


def test_what_the_authority_says_of_its_rate_is_heard_within_a_bound():
    for said, waited in ((NOW + DAY, DAY), (NOW + 400 * DAY, LONGEST_WAIT_S)):
        failed, _ = step(
            RenewalState(order=PROVING), CommandFailed(NOW, FailureKind.RATE, "slow", said), NAMES
        )
        assert failed.wait_until == NOW + waited
        assert failed.order == PROVING


def test_a_question_that_fails_is_asked_again_later_and_troubles_nobody():
    state = RenewalState(replace(HELD, suggested=NOW + 9 * DAY, ask_at=NOW))
    asked, command = step(state, Woken(NOW, NAMES), NAMES)
    assert command == AskSuggestion()
    failed, command = step(asked, CommandFailed(NOW, FailureKind.LATER, "no answer"), NAMES)
    assert isinstance(command, WaitUntil)
    assert failed.failures == 0
    assert failed.held is not None
    assert failed.held.suggested == NOW + 9 * DAY


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_what_a_wrong_clock_wrote_down_is_no_wait_for_ever(wrong, right):
    later = wrong + 400 * DAY
    state = RenewalState(
        replace(HELD, ask_at=later), None, 3, later, tuple([later] * ORDERS_A_WEEK), (later,)
    )
    settled, _ = step(state, Woken(right, NAMES), NAMES)
    assert settled.wait_until <= right + LONGEST_WAIT_S
    assert all(at <= right for at in (*settled.orders, *settled.issued))
    assert settled.held is not None
    assert settled.held.ask_at <= right + LONGEST_SUGGESTION_S


def test_a_clock_that_jumps_while_an_order_is_under_way_harms_nothing():
    far = NOW + 30 * DAY
    for event in (Placed(far, "https://ca/2"), Proven(far), CommandFailed(far, FailureKind.LOST, "gone")):
        step(RenewalState(order=PROVING), event, NAMES)
    state, _ = step(RenewalState(order=PROVING), Stored(far, NAMES, far, far + LIFE), NAMES)
    assert state.held is not None
    assert state.held.names == NAMES


@settings(max_examples=examples(8), deadline=None, phases=DRAWN)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from([6 * DAY, 45 * DAY, 90 * DAY, 398 * DAY]),
    st.integers(0, 8),
    st.sampled_from([0.0, 0.02]),
)
def test_a_year_with_failures_and_kills_never_ends_without_a_certificate(seed, life, failures, kills):
    """The authority gives each certificate after at most eight failures, whatever these were."""
    year = Year(Random(seed), life, failures, kills)
    year.run(365 * DAY)
    assert year.bare == []
    assert year.issued
    assert most_in_a_week(year.placed) <= ORDERS_A_WEEK
    assert most_in_a_week(year.issued) <= CERTIFICATES_A_WEEK
    assert year.steps < 40_000


@settings(max_examples=examples(8), deadline=None, phases=DRAWN)
@given(st.integers(0, 1 << 32))
def test_revocations_and_lost_keys_are_answered_within_a_day_and_the_limits(seed):
    random = Random(seed)
    start = 1_700_000_000
    times = sorted(start + random.randrange(365) * DAY for _ in range(24))
    year = Year(random, 90 * DAY, 2, 0.0, revocations=times[::2], losses=times[1::2])
    year.run(366 * DAY)
    assert most_in_a_week(year.placed) <= ORDERS_A_WEEK
    assert most_in_a_week(year.issued) <= CERTIFICATES_A_WEEK
    for revoked, renewed in year.revoked_at:
        busy = most_in_a_week([at for at in year.issued if at <= renewed]) >= CERTIFICATES_A_WEEK
        assert renewed - revoked <= 2 * DAY or (busy and renewed - revoked <= WEEK + DAY)


@settings(max_examples=examples(8), deadline=None, phases=DRAWN)
@given(st.integers(0, 1 << 32), st.sampled_from(list(FailureKind)))
def test_an_authority_that_never_gives_one_is_asked_within_bounds(seed, kind):
    state, command = step(RenewalState(), Woken(NOW, NAMES), NAMES)
    random, now, placed = Random(seed), NOW, []
    for _ in range(800):
        if isinstance(command, WaitUntil):
            now = command.at
            state, command = step(state, Woken(now, NAMES), NAMES)
            continue
        if isinstance(command, OpenAccount):
            state, command = step(state, AccountOpened(now), NAMES)
            continue
        if isinstance(command, PlaceOrder):
            placed.append(now)
            if random.random() < 0.5:
                state, command = step(state, Placed(now, "https://ca/1"), NAMES)
                continue
        now += 1
        state, command = step(state, CommandFailed(now, kind, "no"), NAMES)
    assert 1 <= most_in_a_week(placed) <= ORDERS_A_WEEK
