# SPDX-License-Identifier: Apache-2.0
"""Which load balancer gets which address of the pool."""

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.cluster.load_balancers import Balancer, allocations, parse

POOL = IPv4Network("10.7.49.0/30")
ADDRESSES = [str(address) for address in POOL]
PLACES = st.sampled_from([None, *ADDRESSES, "192.0.2.1"])


def test_only_services_of_the_type_that_stay_are_looked_at():
    def service(name, kind, **metadata):
        return {
            "metadata": {"name": name, "namespace": "n", **metadata},
            "spec": {"type": kind, "loadBalancerIP": ADDRESSES[1]},
            "status": {"loadBalancer": {}},
        }

    given = service("given", "LoadBalancer") | {
        "status": {"loadBalancer": {"ingress": [{"ip": ADDRESSES[0]}]}}
    }
    items = [
        service("inside", "ClusterIP"),
        service("new", "LoadBalancer"),
        service("gone", "LoadBalancer", deletionTimestamp="now"),
        given,
    ]
    assert parse(items) == [
        Balancer("/api/v1/namespaces/n/services/new", ADDRESSES[1], None),
        Balancer("/api/v1/namespaces/n/services/given", ADDRESSES[1], ADDRESSES[0]),
    ]


@given(st.lists(st.tuples(PLACES, PLACES), max_size=8))
def test_nobody_gets_what_another_has_and_who_asks_goes_first(asked):
    balancers = [Balancer(f"/{index}", wanted, has) for index, (wanted, has) in enumerate(asked)]
    found = allocations(balancers, POOL)
    before = {one.given for one in balancers} & set(ADDRESSES)
    waiting = [one for one in balancers if one.given is None]
    assert set(found) <= {one.path for one in waiting}
    assert len(set(found.values())) == len(found) == min(len(waiting), len(ADDRESSES) - len(before))
    assert not set(found.values()) & before
    for one in waiting:
        if one.wanted in ADDRESSES and one.wanted not in before:
            assert one.wanted in found.values()
