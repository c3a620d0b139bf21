# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.core.networks.mapping import ReachedChoice, parse_cluster, parse_clusters
from trustedpods.publisher.core.select import Choice

OWNER = "0x" + "11" * 20
PEER = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (OWNER, Choice(OWNER)),
        (f"{OWNER}/3", Choice(OWNER, 3)),
        (
            f"{OWNER}/3@/ip4/192.0.2.1/tcp/4001{PEER}",
            ReachedChoice(OWNER, 3, f"/ip4/192.0.2.1/tcp/4001{PEER}"),
        ),
        (
            f"{OWNER}/3@/dns4/k2.example.org/tcp/4001{PEER}",
            ReachedChoice(OWNER, 3, f"/dns4/k2.example.org/tcp/4001{PEER}"),
        ),
        (f"{OWNER}/3@kube:admin@prod", ReachedChoice(OWNER, 3, "", "admin@prod")),
        (f"{OWNER}/3@kube:arn:aws:eks:x:1:cluster/k@kube:2", None),
        (f"{OWNER}/3@{PEER}@kube:prod", ReachedChoice(OWNER, 3, PEER, "prod")),
    ],
)
def test_a_cluster_its_daemon_and_the_way_to_it(text, choice):
    name, found = parse_cluster(f"k2={text}")
    assert name == "k2"
    assert choice is None or found == choice
    assert str(found) == text, "as it was written, so that it can be kept and read again"
    assert isinstance(found, ReachedChoice) == ("@" in text)


@pytest.mark.parametrize(
    "text",
    [
        "k2",
        f"k2={OWNER}@/ip4/192.0.2.1/tcp/4001{PEER}",
        f"k2={OWNER}@kube:prod",
        f"k2={OWNER}/3@",
        f"k2={OWNER}/3@kube:",
        f"k2={OWNER}/3@kube:{'c' * 257}",
        f"k2={OWNER}/3@prod",
        f"k2={OWNER}/3@{PEER}",
        f"k2={OWNER}/3@/ip4/192.0.2.1/tcp/4001",
        f"k2={OWNER}/3@/ip4/192.0.2.1/udp/4001{PEER}",
        f"k2={OWNER}/3@/ip4/192.0.2.1/tcp/4001{PEER}@kube:prod",
        f"k2={OWNER}/3@@kube:prod",
    ],
)
def test_what_is_none_says_how_it_is_written(text):
    with pytest.raises(BadInput) as caught:
        parse_cluster(text)
    assert "OWNER/N" in caught.value.hint
    assert caught.value.where == "--cluster"


def test_each_name_once():
    with pytest.raises(BadInput, match="named twice"):
        parse_clusters([f"k1={OWNER}/1", f"k1={OWNER}/2"])
