# SPDX-License-Identifier: Apache-2.0
"""One publisher only, until two live pods have shown that a cluster keeps tenants apart."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.provider.records import OWNER, PUBLISHER, pod_record
from trustedpods.protocol.errors import NoContext, Refused
from trustedpods.protocol.ids import PodRef, address_from_bytes
from trustedpods.provider.admission import isolation_probe, tenancy
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.isolation_proof.proof import Proof
from trustedpods.provider.cluster.isolation_proof.users import SharedUsers

OTHER = address_from_bytes(b"\x09" * 20)
THEIRS = pod_record(ref=PodRef(OWNER, OTHER, b"\x05" * 32))


class Swept:
    """A cluster in which nothing was left behind."""

    async def sweep_probes(self):
        await trio.lowlevel.checkpoint()


def doors(traffic_socket=None, *, user_namespaces=False):
    """As much of the daemon's doors as is looked at."""
    cluster = SimpleNamespace(traffic_socket=traffic_socket, user_namespaces=user_namespaces)
    return SimpleNamespace(config=SimpleNamespace(cluster=cluster), cluster=Swept())


def test_with_our_own_agent_nothing_has_to_be_shown():
    isolation = tenancy.TenancyGuard()
    isolation.begin(doors("/run/trustedpods/traffic.sock"))
    isolation.check(PUBLISHER, [THEIRS])


def test_elsewhere_a_second_publisher_waits_for_the_proof():
    isolation = tenancy.TenancyGuard()
    isolation.begin(doors())
    isolation.check(PUBLISHER, [])
    isolation.check(PUBLISHER, [pod_record(), pod_record()])
    with pytest.raises(Refused, match="it is being tried") as caught:
        isolation.check(PUBLISHER, [pod_record(), THEIRS])
    assert caught.value.rule == "isolation"


@dataclass
class Tries:
    """Outcomes of one try after another; the last one is repeated."""

    errors: list[NoContext | None]
    count: int = 0

    async def __call__(self, config, cluster):
        self.count += 1
        error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
        if error is not None:
            raise error


async def test_it_is_tried_until_it_is_shown(monkeypatch, autojump_clock):
    tries = Tries([NoContext("the cluster's network ignores NetworkPolicies"), None])
    monkeypatch.setattr(tenancy, "isolation_of", tries)
    isolation = tenancy.TenancyGuard()
    isolation.begin(doors())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(isolation.keep_proving, doors())
        await trio.sleep(1)
        with pytest.raises(Refused, match="ignores NetworkPolicies"):
            isolation.check(PUBLISHER, [THEIRS])
        await trio.sleep(tenancy.AGAIN_AFTER_S)
        isolation.check(PUBLISHER, [THEIRS])
        nursery.cancel_scope.cancel()
    assert tries.count == 2


@pytest.mark.parametrize(
    ("seen", "isolates"),
    [
        ((True, True, True, True), True),
        ((True, False, True, True), False),
        ((True, True, False, True), False),
        ((True, True, True, False), False),
    ],
)
def test_only_an_open_path_that_was_shut_both_ways_proves_anything(seen, isolates):
    assert Proof(*seen).isolates is isolates


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ((False, True, True, True), "does not reach pods' addresses"),
        ((True, False, False, False), "even without policies: nothing is proven"),
        ((True, True, False, False), r"ignores NetworkPolicies \(ingress and egress\)"),
        ((True, True, True, False), r"ignores NetworkPolicies \(egress\)"),
    ],
)
async def test_each_thing_that_does_not_hold_is_said(seen, words):
    class Cluster:
        async def prove(self, _place):
            return Proof(*seen)

    with pytest.raises(NoContext, match=words):
        await isolation_probe.isolation_at(Cluster(), ProbePlace("image", "namespace"))


def rule_of(guard, *, asked):
    """The rule by which a new pod is refused; None: it may come."""
    try:
        guard.check_users(asked=asked)
    except Refused as error:
        return error.rule
    return None


HOLDS, LACKS = SharedUsers(True, None, 1), SharedUsers(False, None, 1, "no such runtime")
SLOW = SharedUsers(None, None, 1, "it waits")
UNTOLD = NoContext("probe pod shared does not start")


@pytest.mark.parametrize(
    ("shown", "plain", "asking"),
    [
        ([HOLDS], None, None),
        ([LACKS], "user-namespaces", "user-namespaces"),
        ([UNTOLD], None, "user-namespaces"),
        ([LACKS, UNTOLD], "user-namespaces", "user-namespaces"),
        ([LACKS, HOLDS], None, None),
        ([UNTOLD, HOLDS], None, None),
        ([HOLDS, LACKS], None, None),
        ([SLOW], None, "user-namespaces"),
        ([LACKS, SLOW], "user-namespaces", "user-namespaces"),
    ],
)
async def test_pods_without_ids_of_their_own_keep_new_ones_out_and_what_was_not_told_keeps_out_who_needs_it(
    monkeypatch, autojump_clock, shown, plain, asking
):
    left = list(shown)

    async def tries(_config, _cluster):
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, NoContext):
            raise found
        return found

    monkeypatch.setattr(tenancy, "own_users_of", tries)
    guard = tenancy.TenancyGuard()
    place = doors("/run/traffic.sock", user_namespaces=True)
    guard.begin(place)
    assert (rule_of(guard, asked=False), rule_of(guard, asked=True)) == (None, "user-namespaces")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guard.keep_proving, place)
        await trio.sleep(1 + tenancy.AGAIN_AFTER_S * (len(shown) - 1))
        assert (rule_of(guard, asked=False), rule_of(guard, asked=True)) == (plain, asking)
        nursery.cancel_scope.cancel()


async def test_where_nobody_chose_it_no_probe_pod_is_started_for_it(monkeypatch, autojump_clock):
    monkeypatch.setattr(tenancy, "own_users_of", None)
    guard = tenancy.TenancyGuard()
    place = doors("/run/traffic.sock")
    guard.begin(place)
    with trio.move_on_after(tenancy.AGAIN_AFTER_S * 2):
        await guard.keep_proving(place)
    assert rule_of(guard, asked=True) is None
