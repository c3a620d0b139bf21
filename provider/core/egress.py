# SPDX-License-Identifier: Apache-2.0
"""What of the egress that a manifest asks for a provider opens: never its own networks, never mail."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import Literal

from trustedpods.manifests.spec.egress import EgressPeer, EgressPort, IpBlock, Network
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import MAIL

NOT_THE_WORLD = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
"""Private, shared, local and multicast addresses (RFC 6890): there the operator's own machines are, the
cluster's nodes, pods and services, clouds' metadata services, and nothing that a tenant has a claim to."""

_LAST_PORT = 65_535

PortProtocol = Literal["TCP", "UDP", "SCTP"]

PortRange = tuple[PortProtocol, int, int]
"""Protocol, first and last port."""


@dataclass(frozen=True, slots=True)
class EgressOpening:
    """Addresses and ports that are opened: `excepts` lie inside `cidr`, ports are inclusive ranges."""

    cidr: str
    excepts: tuple[str, ...]
    ports: tuple[PortRange, ...]


def openings(network: Network, refused: Sequence[str]) -> list[EgressOpening]:
    """What is opened for this manifest, with *refused* networks cut out.

    Refused (rule `egress`) where nothing would be left of what is asked for: an address block inside a
    refused network, or the port of mail alone.
    """
    closed = [IPv4Network(text) for text in refused]
    return [
        _opening(peer.ip_block, ports, closed)
        for rule in network.egress
        for ports in [tuple(_ports(rule.ports))]
        for peer in rule.to
        if peer.ip_block is not None
    ]


def named_hosts(network: Network) -> dict[str, tuple[PortRange, ...]]:
    """The hosts that may be called by name, each with the ports of all rules that name it.

    Refused (rule `egress`) where a rule asks for the port of mail alone.
    """
    return _by_name(network, lambda peer: peer.host)


def named_pods(network: Network) -> dict[str, tuple[PortRange, ...]]:
    """The publisher's own pods that may be called, each with the ports of all rules that name it.

    Refused (rule `egress`) where a rule asks for the port of mail alone.
    """
    return _by_name(network, lambda peer: peer.pod)


def _by_name(
    network: Network, name_of: Callable[[EgressPeer], str | None]
) -> dict[str, tuple[PortRange, ...]]:
    found: dict[str, dict[PortRange, None]] = {}
    for rule in network.egress:
        for name in filter(None, map(name_of, rule.to)):
            found.setdefault(name, {}).update(dict.fromkeys(_ports(rule.ports)))
    return {name: tuple(ports) for name, ports in found.items()}


def outside(addresses: Sequence[str], closed: Sequence[str]) -> list[str]:
    """Those of *addresses* that lie in no *closed* network: what a name may open."""
    networks = [IPv4Network(text) for text in closed]
    return [text for text in addresses if not any(IPv4Address(text) in network for network in networks)]


def _opening(block: IpBlock, ports: tuple[PortRange, ...], closed: list[IPv4Network]) -> EgressOpening:
    wanted = block.network
    for network in closed:
        if wanted.subnet_of(network):
            raise Refused(f"egress to {wanted}: this provider keeps {network} closed", rule="egress")
    inside = [network for network in closed if network.subnet_of(wanted)]
    excepts = dict.fromkeys([*block.except_, *map(str, inside)])
    return EgressOpening(str(wanted), tuple(excepts), ports)


def _ports(asked: Sequence[EgressPort]) -> Iterator[PortRange]:
    """The ranges, without the port of mail. None asked for means all."""
    all_ports: list[EgressPort] = [EgressPort(protocol=name) for name in ("TCP", "UDP", "SCTP")]
    for entry in asked or all_ports:
        first = entry.port or 1
        last = entry.end_port or entry.port or _LAST_PORT
        if entry.protocol == "TCP" and first == last == MAIL:
            raise Refused(f"egress to port {MAIL}: no mail is sent from here", rule="egress")
        yield from _around_mail(entry.protocol, first, last)


def _around_mail(protocol: PortProtocol, first: int, last: int) -> Iterator[PortRange]:
    """[first, last] without the port of mail."""
    if protocol != "TCP":
        yield protocol, first, last
        return
    edges = [first - 1, *([MAIL] if first <= MAIL <= last else []), last + 1]
    for before, after in pairwise(edges):
        if before + 1 < after:
            yield protocol, before + 1, after - 1
