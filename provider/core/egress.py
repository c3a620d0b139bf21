# SPDX-License-Identifier: Apache-2.0
"""What of the egress that a manifest asks for a provider opens: not its own networks, mail if it says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import Literal

from trustedpods.manifests.spec.egress import EgressPort, EgressRule, IpBlock, Network
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import SMTP_PORTS

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


def openings(network: Network, refused: Sequence[str], *, smtp: bool) -> list[EgressOpening]:
    """What is opened for this manifest, with *refused* networks cut out, and ports of mail without *smtp*.

    A rule of which no port is left opens nothing: whether it may be asked for is `check_smtp_ports`'s to say.
    Refused (rule `egress`) where an address block lies inside a refused network.
    """
    closed = [IPv4Network(text) for text in refused]
    return [
        _opening(peer.ip_block, ports, closed)
        for rule in network.egress
        for ports in [_outside_ports(rule, smtp=smtp)]
        if ports  # in a policy, no ports are all ports
        for peer in rule.to
        if peer.ip_block is not None
    ]


def named_hosts(network: Network, *, smtp: bool) -> dict[str, tuple[PortRange, ...]]:
    """The hosts that may be called by name, each with the ports of all rules that name it.

    Without *smtp* those of mail are left out, and hosts of which no port is left.
    """
    found: dict[str, dict[PortRange, None]] = {}
    for rule in network.egress:
        for host in filter(None, (peer.host for peer in rule.to)):
            found.setdefault(host, {}).update(dict.fromkeys(_outside_ports(rule, smtp=smtp)))
    return {name: tuple(ports) for name, ports in found.items() if ports}


def named_pods(network: Network) -> dict[str, tuple[PortRange, ...]]:
    """The publisher's own pods that may be called, each with the ports of all rules that name it.

    Those of mail too: what goes from pod to pod does not leave the cluster.
    """
    found: dict[str, dict[PortRange, None]] = {}
    for rule in network.egress:
        for pod in filter(None, (peer.pod for peer in rule.to)):
            found.setdefault(pod, {}).update(dict.fromkeys(_asked(rule)))
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


def _asked(rule: EgressRule) -> list[PortRange]:
    """The ranges of ports that a rule asks for. None asked for means all."""
    all_ports: list[EgressPort] = [EgressPort(protocol=name) for name in ("TCP", "UDP", "SCTP")]
    return [
        (entry.protocol, entry.port or 1, entry.end_port or entry.port or _LAST_PORT)
        for entry in rule.ports or all_ports
    ]


def _outside_ports(rule: EgressRule, *, smtp: bool) -> tuple[PortRange, ...]:
    """The ranges that are opened towards the outside of the cluster."""
    if smtp:
        return tuple(_asked(rule))
    return tuple(left for asked in _asked(rule) for left in _around_mail(*asked))


def check_smtp_ports(network: Network, *, smtp: bool) -> None:
    """Refused (rule `egress`) where a port of mail is named and there is no *smtp*.

    Asked before a manifest is taken, and not when its objects are made: the operator may have closed mail
    since, and a pod that cannot be made would get no certificate, no address book and no way back any more.
    """
    if smtp:
        return
    for port in network.smtp_ports:
        raise smtp_closed(f"egress to port {port}")


def smtp_closed(what: str) -> Refused:
    """The refusal (rule `egress`) of *what* a manifest asks for, where no mail may be sent."""
    ports = ", ".join(map(str, SMTP_PORTS))
    return Refused(
        f"{what}: no mail is sent from here, TCP ports {ports} are closed to all pods",
        rule="egress",
        hint="use a service that takes mail at another port (2525) or over HTTPS, or choose another provider",
    )


def _around_mail(protocol: PortProtocol, first: int, last: int) -> Iterator[PortRange]:
    """[first, last] without the ports of mail.

    A policy has no "not": this way every network that knows ranges of ports (`endPort`) keeps them closed.
    """
    if protocol != "TCP":
        yield protocol, first, last
        return
    edges = [first - 1, *(port for port in SMTP_PORTS if first <= port <= last), last + 1]
    for before, after in pairwise(edges):
        if before + 1 < after:
            yield protocol, before + 1, after - 1
