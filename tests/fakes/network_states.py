# SPDX-License-Identifier: Apache-2.0
"""Publishers with keys of their own, and a state that they write, without any chain."""

from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.networks.content import (
    Component,
    NetworkCluster,
    NetworkContent,
    StateMetadata,
)
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.protocol.sealing.signatures import address_of
from trustedpods.publisher.market.session import Publisher

AT = 1_700_000_000


def publisher(number: int) -> Publisher:
    """The holder of a key that is made of *number*."""
    key = bytes([number]) * 32
    return Publisher(address_of(key), key, publisher_secret(key), ChainContext(1, Address("0x" + "11" * 20)))


ALICE, BOB, CAROL = (publisher(number) for number in (1, 2, 3))
SHOP = NetworkName(ALICE.address, "shop")


def state_of(name: str = "shop", clusters: tuple[str, ...] = ("k1", "k2")) -> NetworkContent:
    """A network of one pod in its first cluster."""
    owner = address_bytes(ALICE.address)
    return NetworkContent(
        metadata=StateMetadata(name=name, updated_at=AT, updated_by=owner),
        clusters=[
            NetworkCluster(name=one, owner=owner, daemon=number) for number, one in enumerate(clusters)
        ],
        components=[Component(name="node0", cluster=clusters[0], phase="started", publisher=owner)],
    )
