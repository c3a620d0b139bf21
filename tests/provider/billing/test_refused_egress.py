# SPDX-License-Identifier: Apache-2.0
"""Which pods are limited, and since when; and that the nodes' agents are told the limits."""

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.refused_egress import QUIET_S, EgressRefusals, RefusedEgress
from trustedpods.provider.cluster.pod_counters import PodCounters

T0 = UnixSeconds(1_800_000_000)


def told(**packets: int) -> list[PodCounters]:
    """Of replicas `a1` and `a2` of pod a, `b1` of pod b."""
    return [PodCounters(uid, f"tp-{uid[0]}", "main", 0, 0, count) for uid, count in packets.items()]


def take(refused: RefusedEgress, after: int, **packets: int) -> list[str]:
    return refused.take(told(**packets), set(packets), UnixSeconds(T0 + after))


def test_what_was_refused_before_the_first_look_is_not_new() -> None:
    refused = RefusedEgress()
    assert take(refused, 0, a1=7) == []
    assert refused.of("tp-a", T0) is None
    assert take(refused, 15, a1=7) == []
    assert refused.total == 0


def test_a_pod_is_told_once_and_again_after_it_was_quiet() -> None:
    refused = RefusedEgress()
    take(refused, 0, a1=0, a2=0, b1=0)
    assert take(refused, 15, a1=3, a2=4, b1=0) == ["tp-a"]
    assert take(refused, 30, a1=5, a2=4, b1=0) == []
    assert refused.of("tp-a", UnixSeconds(T0 + 30)) == EgressRefusals(
        9, UnixSeconds(T0 + 15), UnixSeconds(T0 + 30)
    )
    assert refused.of("tp-b", UnixSeconds(T0 + 30)) is None
    assert refused.of("tp-a", UnixSeconds(T0 + 31 + QUIET_S)) is None
    assert take(refused, 31 + QUIET_S, a1=6, a2=4, b1=0) == ["tp-a"]
    assert refused.of("tp-a", UnixSeconds(T0 + 31 + QUIET_S)) == EgressRefusals(
        1, UnixSeconds(T0 + 31 + QUIET_S), UnixSeconds(T0 + 31 + QUIET_S)
    )
    assert refused.total == 10


def test_a_replica_s_first_count_is_new_and_a_node_that_began_anew_counts_from_nothing() -> None:
    refused = RefusedEgress()
    take(refused, 0, a1=100)
    assert take(refused, 15, a1=100, b1=2) == ["tp-b"]
    assert take(refused, 30, a1=1, b1=2) == ["tp-a"]
    assert refused.total == 3


def test_a_node_that_is_away_for_a_while_makes_nothing_new() -> None:
    refused = RefusedEgress()
    take(refused, 0, a1=100, b1=0)
    assert refused.take(told(b1=0), {"a1", "b1"}, UnixSeconds(T0 + 15)) == []
    assert take(refused, 30, a1=100, b1=0) == []


def test_an_ended_replica_that_agents_tell_of_for_days_is_nobody_s() -> None:
    refused = RefusedEgress()
    take(refused, 0, a1=0)
    assert refused.take(told(a1=9), set(), UnixSeconds(T0 + 15)) == []
    assert refused.take(told(a1=9), set(), UnixSeconds(T0 + 30)) == []
