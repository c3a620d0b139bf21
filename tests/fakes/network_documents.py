# SPDX-License-Identifier: Apache-2.0
"""Whoever writes documents of a network in a test: real bodies, sealed to a team and signed."""

import hashlib
from dataclasses import dataclass, field

from trustedpods.protocol.networks.documents import NOTHING, Document, Generation
from trustedpods.protocol.networks.members import (
    NetworkName,
    Role,
    no_members,
    roster_of,
    sign_card,
    sign_change,
)
from trustedpods.protocol.networks.sealed_documents import parse_body, seal_body
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import address_of

AT = 1_700_000_000


def card_of(key):
    """The card of whoever holds the Ethereum *key*, with a sealing key that is made of it."""
    seed = hashlib.shake_256(key).digest(hpke.PRIVATE_KEY_BYTES)
    return sign_card(key, hpke.PrivateKey.from_bytes(seed).public_bytes)


@dataclass
class Author:
    """The founder of a network, who gives roles and writes."""

    key: bytes
    name: str = "shop"
    changes: list = field(default_factory=list)
    cards: list = field(default_factory=list)

    def __post_init__(self):
        self.network = NetworkName(address_of(self.key), self.name)
        self._change("found", Role.OWNER, self.key)

    def _change(self, action, role, key):
        card = card_of(key)
        roster = roster_of(self.network, self.changes) if self.changes else no_members(self.network)
        subject = hashlib.sha256(card.key).digest()
        change = sign_change(self.key, roster, action, at=AT, role=role, member=card.member, subject=subject)
        self.changes.append(change)
        self.cards.append(card)

    def give(self, key, role):
        """Let the holder of *key* have that role from the next document on."""
        self._change("set", role, key)

    def write(self, text, base=NOTHING, by=None):
        """The document that follows *base*; two of the same text are two documents."""
        generation = Generation(base.generation + 1)
        team = (self.changes, self.cards)
        body = seal_body(by or self.key, self.network, generation, 1, *team, text, epoch=0)
        return Document(generation, body)

    def body(self, text, generation):
        """The body alone."""
        return self.write(text, Document(Generation(generation - 1), b"")).body


def writer_of(document):
    """The address that signed it."""
    return parse_body(document.body).writer
