# SPDX-License-Identifier: Apache-2.0
"""Choosing a new localnet's addresses and ports: stable for a name, free on this machine."""

import hashlib
import logging
import socket
from pathlib import Path

from pydantic import BaseModel, ValidationError

from trustedpods.localnet import folders, network
from trustedpods.localnet.settings import TCP_PORTS, ClusterSettings, Knobs, Ports, Settings
from trustedpods.protocol.errors import Refused

_log = logging.getLogger(__name__)

_FIRST_OCTET, _LAST_OCTET = 128, 250
_FIRST_PORT, _LAST_PORT = 18080, 19079

EMBEDDED_PORTS = {"chain": 8545, "registry": 5000, "metrics": 9464, "peer": 4001}
"""In a namespace, or on an address, of our own every port is free."""


def allocate(
    name: str,
    clusters: int,
    kubeconfig: Path | None,
    knobs: Knobs,
    nodes: int = 1,
    guest: Path | None = None,
) -> Settings:
    """Settings of a new localnet. With an embedded cluster the bridge is made, which claims the addresses."""
    taken, embedded = _ports_of_others(), kubeconfig is None and guest is None
    parts = []
    for index in range(1, clusters + 1):
        ports = _ports(f"{name}/k{index}", taken, embedded=embedded)
        parts.append(ClusterSettings(index=index, ports=ports))
    octet = _claim_octet(name) if embedded else 0  # last: a refusal before it leaves nothing
    return Settings(
        name=name,
        state=folders.state_of(name),
        octet=octet,
        clusters=tuple(parts),
        kubeconfig=kubeconfig,
        guest=guest,
        knobs=knobs,
        nodes=nodes,
    )


def _claim_octet(name: str) -> int:
    for link in network.links_of(name):
        if link.removeprefix("tp").isdigit():
            return int(link.removeprefix("tp"))
    count = _LAST_OCTET - _FIRST_OCTET + 1
    start = _hash(name) % count
    for step in range(count):
        octet = _FIRST_OCTET + (start + step) % count
        if network.claim_bridge(name, octet):
            return octet
    raise Refused("no addresses are free for one more localnet", rule="addresses")


def _ports(seed: str, taken: set[int], *, embedded: bool) -> Ports:
    if embedded:
        return Ports(
            http=_free_port(seed, taken),
            https=_free_port(f"{seed}/https", taken),
            tcp=_free_port(f"{seed}/tcp", taken, TCP_PORTS),
            **EMBEDDED_PORTS,
        )
    several = {"tcp": TCP_PORTS}
    return Ports(
        **{field: _free_port(f"{seed}/{field}", taken, several.get(field, 1)) for field in Ports.model_fields}
    )


def _free_port(seed: str, taken: set[int], length: int = 1) -> int:
    """The first of *length* ports of the caller's loopback; they are added to *taken*."""
    count = _LAST_PORT - _FIRST_PORT + 1 - (length - 1)
    start = _hash(seed) % count
    for step in range(count):
        first = _FIRST_PORT + (start + step) % count
        ports = range(first, first + length)
        if taken.isdisjoint(ports) and all(map(_is_free, ports)):
            taken.update(ports)
            return first
    raise Refused("no port is free on the loopback", rule="ports")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class _OtherCluster(BaseModel):
    ports: dict[str, int]


class _OtherLocalnet(BaseModel):
    """Of another localnet's settings the ports alone: the rest may be of another version of this software."""

    clusters: list[_OtherCluster]


def _ports_of_others() -> set[int]:
    """Ports promised to localnets that may be down just now."""
    taken: set[int] = set()
    for file in folders.home().glob("*/localnet.json"):
        try:
            other = _OtherLocalnet.model_validate_json(file.read_bytes())
        except FileNotFoundError:  # taken down just now
            continue
        except ValidationError:
            _log.warning("%s: no settings of a localnet; ports that it may have are not kept free", file)
            continue
        for cluster in other.clusters:
            taken |= set(cluster.ports.values())
            first = cluster.ports.get("tcp", 0)
            taken.update(range(first, first + TCP_PORTS))
    return taken


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
