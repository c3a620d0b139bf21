# SPDX-License-Identifier: Apache-2.0
"""Multiaddrs as far as this door uses them: TCP over an IP address or a DNS name, and a peer id."""

import ipaddress
from dataclasses import dataclass

from libp2p.peer.id import ID

_HOSTS = {"ip4": 4, "ip6": 6, "dns": 0, "dns4": 0, "dns6": 0}
_MULTIHASHES = {0x00: 36, 0x12: 32}
"""Digest lengths of peer ids: an Ed25519 key as it is, or the SHA-256 of a larger key."""
_MAX_TEXT = 512


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """`/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...`; the peer id is None where none is given."""

    protocol: str
    host: str
    port: int
    peer_id: bytes | None

    @classmethod
    def parse(cls, text: str) -> "PeerAddress":
        """Raises `ValueError`, with a text for people, for what is no such address."""
        parts = text.split("/")
        if len(text) > _MAX_TEXT or len(parts) not in {5, 7} or parts[0] or parts[3] != "tcp":
            raise ValueError(f"not an address like /ip4/192.0.2.1/tcp/4001/p2p/ID: {text[:_MAX_TEXT]!r}")
        protocol, host, port = parts[1], parts[2], parts[4]
        if protocol not in _HOSTS or not host:
            raise ValueError(f"only {', '.join(_HOSTS)} can be reached, not {protocol!r}")
        if _HOSTS[protocol] and ipaddress.ip_address(host).version != _HOSTS[protocol]:
            raise ValueError(f"{host} is no {protocol} address")
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError(f"{port!r} is no port")
        return cls(protocol, host, int(port), _peer_id(parts[5:]))

    def __str__(self) -> str:
        """The multiaddr."""
        text = f"/{self.protocol}/{self.host}/tcp/{self.port}"
        return text if self.peer_id is None else f"{text}/p2p/{peer_name(self.peer_id)}"


def peer_name(peer_id: bytes) -> str:
    """A peer id as people see it: base58."""
    return ID(peer_id).to_base58()


def _peer_id(parts: list[str]) -> bytes | None:
    if not parts:
        return None
    if parts[0] != "p2p":
        raise ValueError(f"/{parts[0]} where /p2p belongs")
    try:
        peer_id = ID.from_string(parts[1]).to_bytes()
    except Exception as error:
        raise ValueError(f"{parts[1]!r} is no peer id") from error
    if len(peer_id) < 2 or len(peer_id) - 2 != _MULTIHASHES.get(peer_id[0]) or len(peer_id) - 2 != peer_id[1]:
        raise ValueError(f"{parts[1]!r} is no peer id")
    return peer_id
