# SPDX-License-Identifier: Apache-2.0
"""One command's way through the leases: what it asks, how often, and how it ends."""

from collections import Counter

import pytest

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Question
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Acquire,
    Attempt,
    Command,
    Milliseconds,
    NotHeld,
    Release,
    Renew,
)
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.networks.documents import NetworkState, answer
from trustedpods.publisher.core.networks.locking import (
    TRIES,
    Asking,
    Ending,
    Locking,
    Phase,
    answered,
    begin,
    finish,
    questions,
    wakes_at,
    write,
)

CLUSTERS = ("k1", "k2", "k3")
TOLD = Command("apply", "laptop", UnixSeconds(0))
FOR_EVER = Milliseconds(10**9)


class Clusters:
    """Daemons that answer at once, by one clock; those in `away` do not answer."""

    def __init__(self) -> None:
        self.states = dict.fromkeys(CLUSTERS, NetworkState())
        self.away: set[str] = set()
        self.now = Milliseconds(0)
        self.asked: Counter[tuple[str, type[Question]]] = Counter()

    def one_round(self, locking: Locking) -> Locking:
        for asking in questions(locking, self.now):
            locking = answered(locking, asking, self.ask(asking, locking.attempt.who), self.now, self.now)
        return locking

    def ask(self, asking: Asking, who: Address):
        self.asked[asking.cluster, type(asking.question)] += 1
        if asking.cluster in self.away:
            return None
        state, told = answer(self.states[asking.cluster], asking.question, who, self.now)
        self.states[asking.cluster] = state
        return told

    def run(self, locking: Locking, until: Phase) -> Locking:
        for _ in range(200):
            if locking.phase is until:
                return locking
            if not questions(locking, self.now):
                wakes = wakes_at(locking)
                assert wakes is not None, f"nothing to ask and nothing to wait for while {locking.phase}"
                self.now = Milliseconds(max(wakes, self.now))
            locking = self.one_round(locking)
        raise AssertionError(f"never {until}: {locking}")


def command(name: str, order: tuple[str, ...] = CLUSTERS, patient: Milliseconds = FOR_EVER) -> Locking:
    return begin(order, Attempt(NO_TICKET, name, Address(name)), TOLD, patient)


@pytest.fixture
def clusters() -> Clusters:
    return Clusters()


def test_lock_write_and_release_are_five_questions_a_cluster(clusters: Clusters) -> None:
    locking = clusters.run(command("a"), Phase.HOLDING)
    locking = clusters.run(write(locking, b"body"), Phase.HOLDING)
    locking = clusters.run(finish(locking), Phase.ENDED)
    assert locking.ending is Ending.FINISHED
    assert Counter(cluster for cluster, _ in clusters.asked.elements()) == dict.fromkeys(CLUSTERS, 5)
    assert {state.copy.current.body for state in clusters.states.values()} == {b"body"}
    assert all(state.lease.grant is None for state in clusters.states.values())


def test_leases_are_renewed_at_half_while_the_command_works(clusters: Clusters) -> None:
    locking = clusters.run(command("a"), Phase.HOLDING)
    assert wakes_at(locking) == LEASE_MS // 2
    clusters.now = Milliseconds(LEASE_MS // 2)
    locking = clusters.one_round(locking)
    assert all(clusters.asked[cluster, Renew] == 1 for cluster in CLUSTERS)
    assert wakes_at(locking) == LEASE_MS


def test_who_has_no_patience_is_told_who_holds_it_and_leaves_no_trace(clusters: Clusters) -> None:
    clusters.run(command("a"), Phase.HOLDING)
    busy = clusters.run(command("b", patient=Milliseconds(0)), Phase.ENDED)
    assert busy.ending is Ending.BUSY
    assert busy.ahead is not None
    assert busy.ahead[1].other.id == "a"
    assert busy.ahead[1].ends_in == LEASE_MS
    assert all(not state.lease.waiters for state in clusters.states.values())


def test_an_unreachable_cluster_ends_it_with_nothing_written_and_nothing_held(clusters: Clusters) -> None:
    clusters.away = {"k2"}
    lost = clusters.run(command("a"), Phase.ENDED)
    assert (lost.ending, lost.culprit) == (Ending.UNREACHABLE, "k2")
    assert clusters.asked["k2", Acquire] == TRIES
    assert all(state.lease.grant is None for state in clusters.states.values())
    assert all(state.copy.pending is None for state in clusters.states.values())


def test_a_younger_one_lets_go_of_all_until_the_older_has_ended(clusters: Clusters) -> None:
    older = clusters.one_round(command("a", ("k1", "k2", "k3")))
    younger = clusters.one_round(command("b", ("k3", "k2", "k1")))
    younger = clusters.run(younger, Phase.GIVING_WAY)
    younger = clusters.run(younger, Phase.ASIDE)
    assert younger.held == {}
    older = clusters.run(older, Phase.HOLDING)
    younger = clusters.one_round(younger)
    assert younger.phase is Phase.ASIDE
    clusters.run(finish(older), Phase.ENDED)
    younger = clusters.run(younger, Phase.HOLDING)
    assert younger.attempt.ticket > older.attempt.ticket - 1


def test_what_another_began_to_write_is_rolled_forward_first(clusters: Clusters) -> None:
    first = write(clusters.run(command("a"), Phase.HOLDING), b"begun")
    clusters.away = {"k3"}
    first = clusters.run(first, Phase.RELEASING)
    assert first.ending is Ending.UNREACHABLE
    assert first.writing is not None, "whether it counts is not known"
    clusters.away = set()
    clusters.now = Milliseconds(clusters.now + LEASE_MS)
    second = clusters.run(command("b"), Phase.HOLDING)
    assert second.rolled_forward
    assert second.base.body == b"begun"
    assert {state.copy.current.body for state in clusters.states.values()} == {b"begun"}


@pytest.mark.parametrize("phase", [Phase.ACQUIRING, Phase.READING, Phase.HOLDING, Phase.PREPARING])
def test_a_command_may_be_given_up_anywhere_and_holds_nothing_then(clusters: Clusters, phase: Phase) -> None:
    locking = clusters.one_round(command("a"))
    if phase is Phase.PREPARING:
        locking = write(clusters.run(locking, Phase.HOLDING), b"body")
    else:
        locking = clusters.run(locking, phase)
    clusters.run(finish(locking), Phase.ENDED)
    assert all(state.lease.grant is None for state in clusters.states.values())


def test_a_lost_lease_ends_it_and_late_answers_change_nothing(clusters: Clusters) -> None:
    locking = write(clusters.run(command("a"), Phase.HOLDING), b"body")
    first, second, _ = questions(locking, clusters.now)
    locking = answered(locking, first, NotHeld(), clusters.now, clusters.now)
    assert (locking.phase, locking.ending, locking.culprit) == (Phase.RELEASING, Ending.LOST, "k1")
    assert (
        answered(locking, second, clusters.ask(second, locking.attempt.who), clusters.now, clusters.now)
        == locking
    )
    assert all(isinstance(each.question, Release) for each in questions(locking, clusters.now))


def test_nothing_is_written_without_the_leases(clusters: Clusters) -> None:
    with pytest.raises(ValueError, match="while acquiring"):
        write(command("a"), b"body")
