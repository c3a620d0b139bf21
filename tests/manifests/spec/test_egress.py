# SPDX-License-Identifier: Apache-2.0
"""A manifest's `network` section: Kubernetes' words, and what is wrong with them."""

import pytest
from pydantic import ValidationError

from trustedpods.manifests.spec.egress import Network

GOOD = {
    "egress": [
        {
            "to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.3/32"]}}],
            "ports": [
                {"port": 443},
                {"protocol": "UDP", "port": 5000, "endPort": 5010},
                {"protocol": "SCTP"},
            ],
        }
    ]
}


def test_kubernetes_words_are_understood() -> None:
    (rule,) = Network.model_validate(GOOD).egress
    assert rule.to[0].block.except_ == ["203.0.113.3/32"]
    assert [(entry.protocol, entry.port, entry.end_port) for entry in rule.ports] == [
        ("TCP", 443, None),
        ("UDP", 5000, 5010),
        ("SCTP", None, None),
    ]
    assert Network().egress == []


@pytest.mark.parametrize(
    ("peer", "port", "smtp"),
    [
        ({"ipBlock": {"cidr": "203.0.113.0/24"}}, {"port": 587}, True),
        ({"host": "mail.example.org"}, {"port": 465, "endPort": 465}, True),
        ({"host": "mail.example.org"}, {"port": 25, "endPort": 26}, False),
        ({"host": "mail.example.org"}, {"protocol": "UDP", "port": 25}, False),
        ({"host": "mail.example.org"}, {"port": 2525}, False),
        ({"pod": "mails"}, {"port": 25}, False),
    ],
)
def test_who_names_a_port_of_mail_asks_to_send_mail(peer, port, smtp) -> None:
    rules = [{"to": [peer]}, {"to": [peer], "ports": [{"port": 443}, port]}]
    assert Network.model_validate({"egress": rules}).smtp is smtp
    assert Network.model_validate({"egress": rules[:1]}).smtp is False


def _block(**words: object) -> dict[str, object]:
    return {"egress": [{"to": [{"ipBlock": words}]}]}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("203.0.113.0/0.0.0.255", "203.0.113.0/24"),
        ("203.0.113.0/024", "203.0.113.0/24"),
    ],
)
def test_a_block_has_one_form_whoever_wrote_it(written: str, canonical: str) -> None:
    block = {"cidr": "203.0.0.0/255.255.0.0", "except": [written]}
    (rule,) = Network.model_validate(_block(**block)).egress
    assert (rule.to[0].block.cidr, rule.to[0].block.except_) == ("203.0.0.0/16", [canonical])
    (rule,) = Network.model_validate(_block(cidr=written)).egress
    assert rule.to[0].block.cidr == canonical


def _port(**words: object) -> dict[str, object]:
    return {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [words]}]}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (_block(cidr="203.0.113.7/24"), "has host bits set"),
        (_block(cidr="example.org"), "is not an IPv4 network"),
        (_block(cidr="2001:db8::/32"), "IPv6: not supported yet"),
        (_block(cidr="203.0.113.0/24", **{"except": ["198.51.100.0/24"]}), "is not inside 203.0.113.0/24"),
        (_block(cidr="203.0.113.0/24", **{"except": ["203.0.113.0/24"]}), "takes away all of"),
        (_block(cidr="203.0.113.0/24", **{"except": ["203.0.113.09"]}), "is not an IPv4 network"),
        (_port(port=443, endPort=80), "endPort needs a port"),
        (_port(endPort=80), "endPort needs a port"),
        (_port(port=0), "greater than or equal to 1"),
        (_port(port="http"), "valid integer"),
        (_port(protocol="ICMP"), "'TCP', 'UDP' or 'SCTP'"),
        ({"egress": [{"ports": [{"port": 80}]}]}, "Field required"),
        ({"egress": [{"to": []}]}, "at least 1 item"),
        ({"egress": [{"to": [{}]}]}, "give an ipBlock"),
        ({"egress": [{"to": [{"podSelector": {}}]}]}, "podSelector in egress: not supported yet"),
        ({"egress": [{"to": [{"namespaceSelector": {}}]}]}, "namespaceSelector in egress: not supported yet"),
        ({"ingress": []}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused(section: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Network.model_validate(section)


def test_a_host_stands_beside_blocks():
    network = Network.model_validate(
        {"egress": [{"to": [{"host": "api.example.org"}], "ports": [{"port": 443}]}]}
    )
    assert network.by_name
    assert network.egress[0].to[0].host == "api.example.org"
    assert not Network.model_validate(GOOD).by_name


@pytest.mark.parametrize("host", ["a" * 63 + ".example", ".".join(["a" * 49] * 5) + ".b"])
def test_a_host_of_any_length_that_dns_takes(host):
    assert Network.model_validate({"egress": [{"to": [{"host": host}]}]}).by_name


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", ".".join(["a" * 62] * 4) + ".bb", "a..b", "Api.example", "a.b."]
)
def test_no_host(host):
    with pytest.raises(ValidationError, match="cannot stand here"):
        Network.model_validate({"egress": [{"to": [{"host": host}]}]})
