# SPDX-License-Identifier: Apache-2.0
"""What is opened is what was asked for, no closed networks, mail only where that is open: by an oracle."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.egress import Network
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import SMTP_PORTS
from trustedpods.provider.core.egress import (
    NOT_THE_WORLD,
    EgressOpening,
    check_smtp_ports,
    named_hosts,
    named_pods,
    openings,
    outside,
)

CLOSED = [IPv4Network(text) for text in NOT_THE_WORLD]
EDGES = sorted(
    {max(0, int(net[0]) - 1) for net in CLOSED} | {int(net[end]) for net in CLOSED for end in (0, -1)}
)
"""Addresses where something changes."""

addresses = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**32 - 1)).map(IPv4Address)
ports = st.one_of(st.sampled_from([1, 24, 25, 26, 443, 464, 465, 466, 587, 65535]), st.integers(1, 65535))
protocols = st.sampled_from(["TCP", "UDP", "SCTP"])


@st.composite
def blocks(draw):
    """A block that is not closed as a whole, with smaller ones inside it."""
    bits = draw(st.integers(0, 32))
    network = IPv4Network((int(draw(addresses)) >> (32 - bits) << (32 - bits), bits))
    most = 2 if network.num_addresses > 1 else 0
    inside = draw(st.lists(st.integers(0, network.num_addresses - 1), max_size=most))
    return {"ipBlock": {"cidr": str(network), "except": [f"{network[offset]}/32" for offset in inside]}}


@st.composite
def asked_ports(draw):
    first = draw(ports)
    entry = {"protocol": draw(protocols), "port": first, "endPort": draw(st.integers(first, 65535))}
    for field in draw(st.sampled_from([[], ["endPort"], ["port", "endPort"]])):
        del entry[field]
    return entry


networks = st.lists(
    st.fixed_dictionaries(
        {"to": st.lists(blocks(), min_size=1, max_size=2), "ports": st.lists(asked_ports(), max_size=2)}
    ),
    max_size=2,
).map(lambda rules: Network.model_validate({"egress": rules}))


def asks(network: Network, address: IPv4Address, protocol: str, port: int) -> bool:
    """What the manifest's words mean, read one after another."""
    for rule in network.egress:
        on_port = not rule.ports or any(
            entry.protocol == protocol
            and (entry.port is None or entry.port <= port <= (entry.end_port or entry.port))
            for entry in rule.ports
        )
        for peer in rule.to:
            inside = address in peer.block.network
            if on_port and inside and not any(address in IPv4Network(e) for e in peer.block.except_):
                return True
    return False


def opened(found: list[EgressOpening], address: IPv4Address, protocol: str, port: int) -> bool:
    """What the openings let through."""
    return any(
        address in IPv4Network(one.cidr)
        and not any(address in IPv4Network(text) for text in one.excepts)
        and any(name == protocol and first <= port <= last for name, first, last in one.ports)
        for one in found
    )


@given(networks, addresses, protocols, ports, st.booleans())
def test_exactly_what_is_asked_for_is_opened(network, address, protocol, port, smtp):
    try:
        found = openings(network, NOT_THE_WORLD, smtp=smtp)
    except Refused:
        assert _asks_for_a_closed_network(network)
        return
    assert all(opening.ports for opening in found), "in a policy, no ports are all ports"
    mail = protocol == "TCP" and port in (25, 465, 587) and not smtp
    closed = any(address in net for net in CLOSED) or mail
    assert opened(found, address, protocol, port) == (asks(network, address, protocol, port) and not closed)


@given(networks, st.booleans())
def test_who_names_a_port_of_mail_is_refused_unless_mail_is_open(network, smtp):
    named = any(
        entry.protocol == "TCP" and entry.port in (25, 465, 587) and entry.end_port in (None, entry.port)
        for rule in network.egress
        for entry in rule.ports
    )
    try:
        check_smtp_ports(network, smtp=smtp)
    except Refused:
        assert named
        assert not smtp
    else:
        assert smtp or not named


def _asks_for_a_closed_network(network: Network) -> bool:
    return any(
        peer.block.network.subnet_of(net) for rule in network.egress for peer in rule.to for net in CLOSED
    )


def test_nothing_asked_for_is_nothing_opened() -> None:
    assert openings(Network(), NOT_THE_WORLD, smtp=True) == []


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("10.1.2.0/24", "this provider keeps 10.0.0.0/8 closed"),
        ("169.254.169.254/32", "169.254.0.0/16"),
    ],
)
def test_a_closed_network_is_refused_by_name(cidr: str, words: str) -> None:
    rule = {"to": [{"ipBlock": {"cidr": cidr}}]}
    with pytest.raises(Refused, match=words) as caught:
        openings(Network.model_validate({"egress": [rule]}), NOT_THE_WORLD, smtp=False)
    assert caught.value.rule == "egress"


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([{"port": 25}], "no mail"),
        ([{"port": 443}, {"port": 465, "endPort": 465}], "port 465"),
        ([{"port": 587}], "25, 465, 587 are closed"),
    ],
)
def test_a_port_of_mail_is_refused_by_name(ports: list[dict[str, int]], words: str) -> None:
    rule = {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": ports}
    with pytest.raises(Refused, match=words) as caught:
        check_smtp_ports(Network.model_validate({"egress": [rule]}), smtp=False)
    assert caught.value.rule == "egress"


def test_the_whole_world_has_holes_where_private_networks_are() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 20, "endPort": 30}]}
    closed = (*NOT_THE_WORLD, "203.0.113.9/32")
    (one,) = openings(Network.model_validate({"egress": [rule]}), closed, smtp=False)
    assert one.excepts == (*NOT_THE_WORLD, "203.0.113.9/32")
    assert one.ports == (("TCP", 20, 24), ("TCP", 26, 30))


def test_a_host_has_the_ports_of_every_rule_that_names_it_and_never_mails():
    web = {"to": [{"host": "a.example"}, {"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443}]}
    network = Network.model_validate(
        {"egress": [web, {"to": [{"host": "a.example"}, {"host": "b.example"}]}]}
    )
    found = named_hosts(network, smtp=False)
    assert set(found) == {"a.example", "b.example"}
    assert found["a.example"][0] == ("TCP", 443, 443)
    for ranges in found.values():
        assert not any(
            name == "TCP" and first <= port <= last for name, first, last in ranges for port in SMTP_PORTS
        )
    assert [opening.cidr for opening in openings(network, [], smtp=False)] == ["203.0.113.0/24"]


@pytest.mark.parametrize("port", [25, 465, 587])
def test_a_host_for_mail_alone_is_refused_where_mail_is_closed(port):
    rule = {"to": [{"host": "mail.example"}], "ports": [{"port": port}]}
    network = Network.model_validate({"egress": [rule]})
    with pytest.raises(Refused, match="no mail"):
        check_smtp_ports(network, smtp=False)
    check_smtp_ports(network, smtp=True)
    assert named_hosts(network, smtp=False) == {}
    assert named_hosts(network, smtp=True) == {"mail.example": (("TCP", port, port),)}


def test_one_s_own_pods_are_called_at_ports_of_mail_too():
    rule = {"to": [{"pod": "mails"}], "ports": [{"port": 25}, {"port": 400, "endPort": 600}]}
    network = Network.model_validate({"egress": [rule]})
    assert named_pods(network) == {"mails": (("TCP", 25, 25), ("TCP", 400, 600))}
    check_smtp_ports(network, smtp=False)
    assert openings(network, NOT_THE_WORLD, smtp=False) == []
    assert named_hosts(network, smtp=False) == {}


def test_a_rule_for_own_pods_and_others_asks_to_send_mail():
    rule = {"to": [{"pod": "mails"}, {"host": "mail.example"}], "ports": [{"port": 25}, {"port": 26}]}
    network = Network.model_validate({"egress": [rule]})
    with pytest.raises(Refused, match="port 25: no mail"):
        check_smtp_ports(network, smtp=False)
    assert named_hosts(network, smtp=False) == {"mail.example": (("TCP", 26, 26),)}
    assert named_pods(network) == {"mails": (("TCP", 25, 25), ("TCP", 26, 26))}


def test_every_port_of_a_named_pod_is_every_port():
    network = Network.model_validate({"egress": [{"to": [{"pod": "mails"}]}]})
    assert named_pods(network)["mails"] == tuple((name, 1, 65535) for name in ("TCP", "UDP", "SCTP"))


def test_answers_in_closed_networks_open_nothing():
    inside = ["10.1.2.3", "127.0.0.1", "169.254.169.254", "192.168.0.1", "198.51.100.7"]
    assert outside([*inside, "203.0.113.7"], [*NOT_THE_WORLD, "198.51.100.0/24"]) == ["203.0.113.7"]
