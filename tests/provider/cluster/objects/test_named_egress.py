# SPDX-License-Identifier: Apache-2.0
"""The policies of pods that call by name: what they open, and that they are read as they were written."""

from dataclasses import replace

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind
from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.provider.cluster.objects import named_egress
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.core.names.opened import MAX_OPENED

PLACE = ResolverPlace("10.9.33.11", "10.9.0.11", 5354)
HOSTS = {"api.example.org": (("TCP", 443, 443),), "db.example.org": (("TCP", 1, 24), ("UDP", 9, 9))}
MAX_ANNOTATIONS = 256 * 1024
"""Of one object, in the API server (apimachinery, TotalAnnotationSizeLimitB)."""


def by_name(host="api.example.org"):
    rule = {"to": [{"host": host}], "ports": [{"port": 443}]}
    return a_life(a_manifest(network={"egress": [rule]}))


def test_only_who_calls_by_name_reaches_the_resolver():
    _, _, asks = by_kind(replace(by_name(), resolver=PLACE), "NetworkPolicy")
    assert asks["metadata"]["name"] == named_egress.ASKS
    ends = {
        (rule["to"][0]["ipBlock"]["cidr"], port["protocol"], port["port"], port["endPort"])
        for rule in asks["spec"]["egress"]
        for port in rule["ports"]
    }
    both = ("UDP", "TCP")
    assert ends == {("10.9.33.11/32", name, 53, 53) for name in both} | {
        ("10.9.0.11/32", name, 5354, 5354) for name in both
    }
    assert named_egress.hosts_of(asks) == {"api.example.org": (("TCP", 443, 443),)}
    (workload,) = by_kind(replace(by_name(), resolver=PLACE), "Deployment")
    assert workload["spec"]["template"]["spec"]["dnsConfig"]["nameservers"] == ["10.9.33.11"]


def test_nobody_else_does_and_starts_as_before():
    life = replace(a_life(), resolver=PLACE)
    assert objects(life) == objects(a_life())
    (workload,) = by_kind(life, "Deployment")
    assert workload["spec"]["template"]["spec"]["dnsConfig"]["nameservers"] == ["127.0.0.1"]


def test_a_life_without_the_resolver_that_it_needs_is_incomplete():
    with pytest.raises(LocalProtocolError, match="no resolver"):
        objects(by_name())


def test_what_is_open_is_written_and_read_again():
    opened = {
        ("api.example.org", "203.0.113.7"): 100,
        ("api.example.org", "203.0.113.8"): 90,
        ("db.example.org", "203.0.113.7"): 80,
    }
    made = named_egress.opened_policy("tp-p-1", "p", HOSTS, opened)
    assert named_egress.opened_of(made) == opened
    rules = {
        tuple(peer["ipBlock"]["cidr"] for peer in rule["to"]): [port["port"] for port in rule["ports"]]
        for rule in made["spec"]["egress"]
    }
    assert rules == {("203.0.113.7/32", "203.0.113.8/32"): [443], ("203.0.113.7/32",): [1, 9]}
    assert made["metadata"]["labels"] == {"trustedpods.dev/pod": "p"}


def test_what_is_no_longer_allowed_is_not_written():
    made = named_egress.opened_policy("tp-p-1", "p", HOSTS, {("gone.example", "203.0.113.7"): 100})
    assert made["spec"]["egress"] == []
    assert named_egress.opened_of(made) == {}
    assert named_egress.opened_of(None) == {}


def test_the_longest_names_fit_into_an_annotation():
    host = ".".join(["a" * 62] * 4)
    hosts = {f"{number:03}{host[3:]}": (("TCP", 1, 65535),) for number in range(MAX_OPENED)}
    opened = {(name, "203.113.113.113"): 1_800_000_000 for name in hosts}
    for made in (
        named_egress.opened_policy("n", "l", hosts, opened),
        named_egress.asks_policy(PLACE, hosts, {}),
    ):
        assert sum(map(len, made["metadata"]["annotations"].values())) < MAX_ANNOTATIONS


@pytest.mark.parametrize(
    "note", [None, "", "[]", '{"a": [["TCP", "1", 2]]}', '{"a": [["ICMP", 1, 2]]}', '{"a": 1}']
)
def test_hosts_that_make_no_sense_are_an_error(note):
    found = {"metadata": {"annotations": {} if note is None else {named_egress.HOSTS_NOTE: note}}}
    with pytest.raises(RemoteProtocolError):
        named_egress.hosts_of(found)
    with pytest.raises(RemoteProtocolError):
        named_egress.opened_of(
            {"metadata": {"annotations": {named_egress.OPENED_NOTE: note or "{"}}}
            if note != "[]"
            else {"metadata": {}}
        )
