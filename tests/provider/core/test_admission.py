# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.fakes.provider.records import METER, OWNER
from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import InsufficientFunds, Refused
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.provider import Capacity, LeastTerms, Prices
from trustedpods.protocol.units import Resources
from trustedpods.provider.core.admission import (
    LOST_AFTER_S,
    LOST_LOOKS,
    PIDS_PER_POD,
    SLOWEST_UPLOAD,
    UPLOAD_PAUSE_S,
    HostProof,
    Offer,
    blobs_late,
    check_channel,
    check_class,
    check_hosts,
    check_nodes,
    check_seeds,
    check_size,
    check_slots,
    check_users,
    hosts_to_prove,
    sellable,
    slots_wanted,
)
from trustedpods.provider.core.funds import peak_per_second
from trustedpods.provider.core.pod import PodSize, Scaling

PRICES = Prices(cpu_core_ms=1000, memory_mib_s=100, storage_mib_s=10, egress_kib=5, ingress_kib=5, scale=70)
OFFER = Offer("sealed", PRICES, LeastTerms(deposit=50, unlock_s=120, idle_mib=16), "k1.example.org", 3600)
FREE = Capacity(cpu_milli=1000, memory_mib=1024, storage_mib=500, services={"http": 2})
SIZE, SCALING = PodSize(100, 64, 10, 5, 0), Scaling(0, 2, 5, 50)


def ask(**changes):
    fields = {
        "cpu_milli": 100,
        "memory_mib": 64,
        "storage_mib": 10,
        "image_mib": 5,
        "scratch_mib": 20,
        "max_replicas": 2,
        "services": {"web": "http"},
        "hosts": [],
        "volumes": [],
        "names": False,
    }
    return AdmitBody(**(fields | changes))


def channel(**changes):
    peak = peak_per_second(SIZE, SCALING.max_replicas, 16)
    terms = Terms.for_peak(PRICES, peak, unlock_s=120, claim_interval_s=3600)
    good = Channel(id=1, meter_tag=meter_tag(METER), up_to=90, left=1000, terms=terms)
    return replace(good, **changes)


def refusal(call, *args):
    with pytest.raises((Refused, InsufficientFunds)) as caught:
        call(*args)
    return caught.value.rule


def test_what_is_left_when_the_pod_came():
    left = check_size(ask(), FREE)
    assert (left.cpu_milli, left.memory_mib, left.storage_mib) == (900, 960, 465)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"cpu_milli": 1001}, "capacity-cpu"),
        ({"memory_mib": 1025}, "capacity-memory"),
        ({"storage_mib": 476}, "capacity-storage"),
        ({"scratch_mib": 486}, "capacity-storage"),
        ({"max_replicas": 0}, "replicas"),
    ],
)
def test_a_refusal_names_its_rule(changes, rule):
    assert refusal(check_size, ask(**changes), FREE) == rule


def test_a_refusal_names_its_number():
    with pytest.raises(Refused, match="1001m wanted, 1000m free"):
        check_size(ask(cpu_milli=1001), FREE)


SMALL, LARGE = Resources(800, 900, 450), Resources(500, 1000, 450)


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"cpu_milli": 801}, "capacity-cpu", "801m wanted by one replica, 800m .* has most, 1000m on all 2"),
        ({"memory_mib": 1001}, "capacity-memory", "1001 MiB wanted .* 1000 MiB .* 1024 MiB on all 2"),
        ({"scratch_mib": 451}, "capacity-storage", "451 MiB wanted .* 450 MiB .* 500 MiB on all 2"),
        ({"cpu_milli": 600, "memory_mib": 950}, "capacity-node", "none of 2 nodes has all three free"),
    ],
)
def test_a_replica_must_fit_on_one_node(changes, rule, words):
    with pytest.raises(Refused, match=words) as caught:
        check_nodes(ask(**changes), [SMALL, LARGE], FREE)
    assert caught.value.rule == rule


def test_any_node_will_do_and_volumes_are_not_a_replica_s():
    check_nodes(ask(cpu_milli=800, memory_mib=900, scratch_mib=450), [LARGE, SMALL], FREE)
    check_nodes(ask(cpu_milli=500, memory_mib=1000, storage_mib=475), [SMALL, LARGE], FREE)
    with pytest.raises(Refused, match="0m free on the node that has most"):
        check_nodes(ask(), [], FREE)


def test_each_service_needs_a_slot_of_its_kind_unless_it_has_one():
    services = {"web": "http", "rpc": "h2", "raw": "tcp", "more": "tcp"}
    assert slots_wanted(services, {}) == {"http": 1, "h2": 1, "tcp": 2}
    assert slots_wanted(services, {"web": "http", "raw": "tcp", "old": "h2"}) == {"h2": 1, "tcp": 1}
    assert slots_wanted(services, {"more": "http"})["tcp"] == 2  # its slot carries something else


@pytest.mark.parametrize("pool", ["http", "h2", "tcp"])
def test_no_slot_no_pod(pool):
    free = {"http": 2, "h2": 2, "tcp": 2}
    check_slots({pool: 2}, free)
    with pytest.raises(Refused, match=f"services: 2 of {pool} wanted, 1 free") as caught:
        check_slots({pool: 2}, free | {pool: 1})
    assert caught.value.rule == "capacity-services"


def test_sleeping_pods_keep_their_room_divided_by_the_overcommit():
    asleep = [Resources(400, 512)] * 2
    assert sellable(FREE, asleep, 1.0).cpu_milli == 200
    assert sellable(FREE, asleep, 4.0).cpu_milli == 800
    assert sellable(FREE, asleep * 9, 1.0).cpu_milli == 0
    assert sellable(FREE, [Resources(0, 0, 200)], 1.0).storage_mib == 300


def test_a_sealed_pod_never_runs_open():
    open_offer = replace(OFFER, trust="open")
    assert refusal(check_class, "sealed", open_offer) == "trust"
    check_class("open", OFFER)


def test_own_hosts_only_where_nobody_owns_them():
    check_hosts(["web.localhost", "label.k1.example.org"], "label", "k1.example.org")
    assert hosts_to_prove(["example.com", "a.localhost", "label.k1.x"], "label", "k1.x") == ["example.com"]
    assert refusal(check_hosts, ["other.k.localhost"], "label", "k.localhost") == "hosts"


def test_a_good_channel_passes():
    check_channel(channel(), OFFER, METER, SIZE, SCALING, 100)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"meter_tag": meter_tag(OWNER)}, "meter"),
        ({"unlock_at": 500}, "unlock-announced"),
        ({"up_to": 10_000}, "up-to"),
        ({"left": 49}, "deposit"),
        ({"terms": replace(channel().terms, unlock_minutes=1)}, "unlock-period"),
        ({"terms": replace(channel().terms, cap_mantissa=1, cap_exponent=0)}, "cap"),
        ({"terms": replace(channel().terms, prices=PRICES.model_copy(update={"egress_kib": 4}))}, "price"),
    ],
)
def test_a_channel_that_pays_less_is_refused(changes, rule):
    assert refusal(check_channel, channel(**changes), OFFER, METER, SIZE, SCALING, 100) == rule


def test_prices_compare_at_any_scale():
    names = ("cpu_core_ms", "memory_mib_s", "storage_mib_s", "egress_kib", "ingress_kib")
    finer = Prices(scale=71, **{name: 2 * getattr(PRICES, name) for name in names})
    peak = peak_per_second(SIZE, SCALING.max_replicas, 16)
    terms = Terms.for_peak(finer, peak, unlock_s=120, claim_interval_s=3600)
    check_channel(channel(terms=terms), OFFER, METER, SIZE, SCALING, 100)


def test_the_cap_must_pay_for_the_replicas_that_always_run():
    one = Terms.for_peak(PRICES, peak_per_second(SIZE, 1, 16), unlock_s=120, claim_interval_s=3600)
    check_channel(channel(terms=one), OFFER, METER, SIZE, Scaling(0, 20, 5, 50), 100)
    check_channel(channel(terms=one), OFFER, METER, SIZE, Scaling(1, 20, 5, 50), 100)
    with pytest.raises(Refused, match="with 2 running") as caught:
        check_channel(channel(terms=one), OFFER, METER, SIZE, Scaling(2, 20, 5, 50), 100)
    assert caught.value.rule == "cap"


def test_an_upload_may_pause_and_be_slow_but_not_both_for_ever():
    """A byte a second behind the pace is late; what came before counts, whenever it came."""
    assert not blobs_late(0, UPLOAD_PAUSE_S)
    assert blobs_late(0, UPLOAD_PAUSE_S + 1)
    hour = 3600 * SLOWEST_UPLOAD
    assert not blobs_late(hour, UPLOAD_PAUSE_S + 3600)
    assert blobs_late(hour - 1, UPLOAD_PAUSE_S + 3600)


NOW = 1_800_000_000


def test_a_host_is_lost_only_when_its_proof_was_seen_absent_often_and_long():
    proof, step = HostProof(), LOST_AFTER_S // (LOST_LOOKS - 1)
    for look in range(LOST_LOOKS):
        assert not proof.lost(NOW + look * step)
        proof = proof.after(False, NOW + look * step)
    assert proof.lost(NOW + LOST_AFTER_S)
    assert not replace(proof, looks=LOST_LOOKS - 1).lost(NOW + LOST_AFTER_S)
    assert proof.after(None, NOW + LOST_AFTER_S) == proof
    assert proof.after(True, NOW + LOST_AFTER_S) == HostProof()


def test_a_dns_that_never_says_loses_no_host():
    proof = HostProof()
    for day in range(100):
        proof = proof.after(None, NOW + day * LOST_AFTER_S)
        assert not proof.lost(NOW + day * LOST_AFTER_S)


def test_of_one_user_id_no_more_replicas_than_its_processes_are_enough_for():
    limit = 5 * PIDS_PER_POD
    check_users([1000], 2, {1000: 3}, limit)
    check_users([1000, 1001], 5, {7: 100}, limit)
    with pytest.raises(Refused, match="user 1001: 3 replicas wanted, room for 2 is left") as caught:
        check_users([1000, 1001], 3, {1001: 3}, limit + PIDS_PER_POD - 1)
    assert caught.value.rule == "capacity-users"
    with pytest.raises(Refused, match="room for 0 is left"):
        check_users([1000], 1, {1000: 9}, limit)


def test_seeds_need_a_provider_that_can_copy():
    check_seeds(False, OFFER)
    check_seeds(True, replace(OFFER, seeds=True))
    with pytest.raises(Refused, match="cannot seed volumes") as caught:
        check_seeds(True, OFFER)
    assert caught.value.rule == "seed"
