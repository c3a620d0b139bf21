# SPDX-License-Identifier: Apache-2.0
"""People with keys that are made once, and the networks that tests let them found."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.networks.documents import NOTHING, Document, Generation
from trustedpods.protocol.networks.members import (
    MemberCard,
    MemberChange,
    NetworkName,
    Role,
    no_members,
    roster_of,
    sign_card,
    sign_change,
)
from trustedpods.protocol.networks.sealed_documents import open_body, parse_body, seal_body
from trustedpods.protocol.sealing import hpke

AT = 1_700_000_000


@dataclass(frozen=True)
class Person:
    """Somebody with an Ethereum key and a key for sealing."""

    secret: bytes
    key: hpke.PrivateKey
    card: MemberCard

    @property
    def address(self) -> Address:
        return address_from_bytes(self.card.member)

    @property
    def key_digest(self) -> bytes:
        return hashlib.sha256(self.card.key).digest()


@cache
def person(number: int) -> Person:
    secret = bytes([number]) * 32
    seed = hashlib.shake_256(secret).digest(hpke.PRIVATE_KEY_BYTES)
    key = hpke.PrivateKey.from_bytes(seed)
    return Person(secret, key, sign_card(secret, key.public_bytes))


ALICE, BOB, CAROL, MALLORY = (person(number) for number in (1, 2, 3, 4))
NETWORK = NetworkName(ALICE.address, "ring")
CARDS = [each.card for each in (ALICE, BOB, CAROL, MALLORY)]


def founded(by: Person = ALICE) -> list[MemberChange]:
    return [
        sign_change(
            by.secret,
            no_members(NETWORK),
            "found",
            at=AT,
            role=Role.OWNER,
            member=by.card.member,
            subject=by.key_digest,
        )
    ]


def with_role(
    changes: Sequence[MemberChange], who: Person, role: Role, by: Person = ALICE
) -> list[MemberChange]:
    roster = roster_of(NETWORK, changes, verify=False)
    change = sign_change(
        by.secret, roster, "set", at=AT, role=role, member=who.card.member, subject=who.key_digest
    )
    return [*changes, change]


def without(changes: Sequence[MemberChange], who: Person, by: Person = ALICE) -> list[MemberChange]:
    roster = roster_of(NETWORK, changes, verify=False)
    return [*changes, sign_change(by.secret, roster, "remove", at=AT, member=who.card.member)]


TEAM = with_role(with_role(founded(), BOB, Role.OPERATOR), CAROL, Role.VIEWER)
"""Alice owns, Bob operates, Carol views."""


def written(
    by: Person,
    content: bytes,
    base: Document = NOTHING,
    changes: Sequence[MemberChange] = tuple(TEAM),
    schema: int = 1,
    cards: Sequence[MemberCard] = tuple(CARDS),
    epoch: int | None = 0,
) -> Document:
    """The document that *by* writes behind *base*."""
    generation = Generation(base.generation + 1)
    body = seal_body(by.secret, NETWORK, generation, schema, changes, cards, content, epoch=epoch)
    return Document(generation, body)


def read(document: Document, who: Person) -> bytes:
    return open_body(parse_body(document.body), who.address, who.key)
