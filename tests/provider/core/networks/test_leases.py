# SPDX-License-Identifier: Apache-2.0
"""Who gets a network's lease in one cluster, and who waits."""

from dataclasses import replace

import pytest

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Attempt,
    Behind,
    Command,
    Ended,
    Fence,
    Granted,
    Milliseconds,
    NotHeld,
)
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.networks.leases import (
    MAX_WAITERS,
    WAITER_MS,
    Lease,
    acquire,
    await_end,
    release,
    renew,
    restarted,
)

APPLY = Command("apply", "laptop", UnixSeconds(1_700_000_000))


def attempt(name: str, ticket: int = NO_TICKET) -> Attempt:
    return Attempt(ticket, name, Address(name))


def ms(time: int) -> Milliseconds:
    return Milliseconds(time)


def held(lease: Lease) -> str | None:
    return lease.grant.attempt.id if lease.grant else None


def asked(lease: Lease, *names: str, now: int = 0) -> Lease:
    for name in names:
        lease, _ = acquire(lease, attempt(name), APPLY, ms(now))
    return lease


def test_the_first_gets_it_and_the_next_is_told_who_holds_it_what_runs_and_how_long() -> None:
    lease = asked(Lease(), "a")
    lease, told = acquire(lease, attempt("b"), APPLY, ms(5_000))
    assert told == Behind(attempt("b", 2), attempt("a", 1), APPLY, ms(LEASE_MS - 5_000))


def test_asking_again_is_answered_the_same_and_never_prolongs() -> None:
    lease = asked(Lease(), "a")
    again, told = acquire(lease, attempt("a", 1), APPLY, ms(6_000))
    assert told == Granted(attempt("a", 1), Fence(1), ms(LEASE_MS - 6_000))
    assert again.grant == lease.grant
    unheard, _ = acquire(lease, attempt("a"), APPLY, ms(6_000))
    assert unheard.grant == lease.grant, "an answer that was lost brought no ticket"


def test_one_that_ended_before_it_heard_of_its_ticket_is_let_go_and_nobody_else() -> None:
    lease = asked(Lease(), "a", "b")
    assert held(release(lease, attempt("b"), ms(1), aside=False)) == "a"
    assert held(release(lease, replace(attempt("a"), who=Address("b")), ms(1), aside=False)) == "a"
    assert held(release(lease, attempt("a"), ms(1), aside=False)) is None
    assert len(release(lease, attempt("b"), ms(1), aside=False).waiters) == 0


def test_each_grant_raises_the_fence_also_to_the_same_attempt() -> None:
    lease = asked(Lease(), "a")
    lease, told = acquire(lease, attempt("a", 1), APPLY, LEASE_MS)
    assert told == Granted(attempt("a", 1), Fence(2), LEASE_MS)


def test_a_free_lease_goes_to_the_oldest_that_waits_not_to_who_asks_first() -> None:
    lease = release(asked(Lease(), "a", "b", "c"), attempt("a", 1), ms(1), aside=False)
    lease, told = acquire(lease, attempt("c", 3), APPLY, ms(2))
    assert isinstance(told, Behind)
    assert told.other == attempt("b", 2)
    assert told.ends_in is None
    lease, told = acquire(lease, attempt("b", 2), APPLY, ms(3))
    assert isinstance(told, Granted)


def test_an_older_one_from_another_cluster_goes_before_those_who_wait() -> None:
    lease = asked(Lease(ticket=7), "a", "b")
    lease, _ = acquire(lease, attempt("old", 3), APPLY, ms(0))
    lease = release(lease, attempt("a", 8), ms(1), aside=False)
    lease, told = acquire(lease, attempt("b", 9), APPLY, ms(2))
    assert isinstance(told, Behind)
    assert told.other.id == "old"


def test_tickets_go_on_from_the_highest_that_was_seen() -> None:
    lease, _ = acquire(Lease(), attempt("from another cluster", 40), APPLY, ms(0))
    _, told = acquire(lease, attempt("a"), APPLY, ms(0))
    assert told.attempt.ticket == 41


def test_a_waiter_that_asks_no_more_keeps_nobody_waiting() -> None:
    lease = release(asked(Lease(), "a", "gone", "c"), attempt("a", 1), ms(1), aside=False)
    _, told = acquire(lease, attempt("c", 3), APPLY, WAITER_MS)
    assert isinstance(told, Granted)


@pytest.mark.parametrize(("at", "kept"), [(LEASE_MS - 1, True), (LEASE_MS, False)])
def test_a_grant_ends_at_its_time_and_is_never_given_back(at: int, kept: bool) -> None:
    lease = asked(Lease(), "a")
    after, told = renew(lease, attempt("a", 1), Fence(1), ms(at))
    assert told == (Granted(attempt("a", 1), Fence(1), LEASE_MS) if kept else NotHeld())
    assert held(after) == ("a" if kept else None)


@pytest.mark.parametrize("stranger", [attempt("b", 1), attempt("a", 2), Attempt(1, "a", Address("b"))])
def test_nobody_lets_go_of_or_renews_what_another_holds(stranger: Attempt) -> None:
    lease = asked(Lease(), "a")
    assert held(release(lease, stranger, ms(1), aside=False)) == "a"
    assert renew(lease, stranger, Fence(1), ms(1))[1] == NotHeld()
    assert renew(lease, attempt("a", 1), Fence(0), ms(1))[1] == NotHeld()


def test_who_gave_way_keeps_its_ticket_and_learns_when_the_other_has_ended() -> None:
    lease = asked(Lease(), "a", "b")
    lease, told = await_end(lease, attempt("b", 2), attempt("a", 1), ms(500))
    assert isinstance(told, Behind)
    lease = release(lease, attempt("a", 1), ms(600), aside=True)
    lease, told = await_end(lease, attempt("b", 2), attempt("a", 1), ms(700))
    assert isinstance(told, Behind), "it has given way itself and will come back"
    assert told.ends_in is None
    lease, told = acquire(lease, attempt("c"), APPLY, ms(800))
    assert isinstance(told, Granted), "whoever stands aside keeps nobody from a free lease"
    lease = release(lease, attempt("a", 1), ms(900), aside=False)
    assert await_end(lease, attempt("b", 2), attempt("a", 1), ms(1_000))[1] == Ended()


def test_a_restart_gives_the_holder_a_full_duration_on_the_new_clock() -> None:
    lease = restarted(asked(Lease(), "a", "b", now=900_000), ms(10))
    assert lease.waiters == ()
    assert renew(lease, attempt("a", 1), Fence(1), ms(10 + LEASE_MS - 1))[1] != NotHeld()
    assert renew(lease, attempt("a", 1), Fence(1), ms(10 + LEASE_MS))[1] == NotHeld()
    later, _ = acquire(lease, attempt("c"), APPLY, ms(10 + LEASE_MS))
    assert later.fence == 2, "the fence is kept"


def test_the_line_is_bounded_and_the_youngest_is_left_out() -> None:
    lease = asked(Lease(), "holder", *(f"w{i}" for i in range(MAX_WAITERS + 5)))
    assert len(lease.waiters) == MAX_WAITERS
    assert lease.waiters[0].attempt.id == "w0"
    assert lease.waiters[-1].attempt.id == f"w{MAX_WAITERS - 1}"
