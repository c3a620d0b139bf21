# SPDX-License-Identifier: Apache-2.0
"""Exports and invitations that tests let people sign."""

import hashlib

from tests.protocol.networks.team import ALICE, AT, BOB, Person
from trustedpods.protocol.networks.owners.exports import (
    CarriedFile,
    ExportedNode,
    ExportedPort,
    NetworkExport,
    SharedHash,
    signed_export,
)
from trustedpods.protocol.networks.owners.invitations import Invitation, signed_invitation

IDENTITY = bytes.fromhex("302a300506032b6570032100") + bytes(range(32))
"""An Ed25519 key, as a provider writes it."""

GENESIS = b'{"chainId": 7}'


def port(number: int = 30303, published: int = 31000) -> ExportedPort:
    return ExportedPort(
        service="p2p",
        port=number,
        transport="TCP",
        address="203.0.113.7",
        published=published,
        url=f"tcp://203.0.113.7:{published}",
    )


def node(name: str = "one", *, published: int = 31000) -> ExportedNode:
    return ExportedNode(name=name, identity=IDENTITY, ports=[port(published=published)])


def export(by: Person = ALICE, **fields: object) -> NetworkExport:
    usual = {
        "founder": by.card.member,
        "name": "ring",
        "owner": by.card.member,
        "epoch": 7,
        "generation": 3,
        "nodes": [node()],
        "shared": [SharedHash(name="genesis.json", sha256=hashlib.sha256(GENESIS).digest())],
    }
    return signed_export(by.secret, NetworkExport.model_validate(usual | fields))


CARRIED = [CarriedFile(name="genesis.json", data=GENESIS)]


def invitation(
    by: Person = ALICE, guest: Person = BOB, expires: int = AT + 100, **fields: object
) -> Invitation:
    return signed_invitation(by.secret, export(by, to=guest.card.member, **fields), guest.address, expires)
