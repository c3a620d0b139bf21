# SPDX-License-Identifier: Apache-2.0
"""States as members read and write them: verified, opened, stamped with who changed them when."""

import hashlib

import pytest

from tests.fakes.network_states import ALICE, AT, BOB, CAROL, SHOP, state_of
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import LostCluster
from trustedpods.protocol.networks.documents import Document, Generation
from trustedpods.protocol.networks.members import (
    NetworkName,
    Role,
    lost_digest,
    sign_change,
)
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.protocol.networks.sealed_documents import seal_body
from trustedpods.publisher.networks.states import (
    first_again,
    first_content,
    founded_body,
    next_body,
    own_card,
    read_state,
)

ONE = Document(Generation(1), founded_body(ALICE, SHOP, state_of()))


def given_a_role(who, role):
    state, card = read_state(ALICE, SHOP, ONE), own_card(who)
    subject = hashlib.sha256(card.key).digest()
    change = sign_change(
        ALICE.key, state.roster, "set", at=AT, role=role, member=card.member, subject=subject
    )
    body = next_body(ALICE, state, state.read.writable(), [change], [card])
    return Document(Generation(2), body)


def test_the_founder_founds_and_reads() -> None:
    state = read_state(ALICE, SHOP, ONE)
    found = state.read.writable()
    assert found == state_of().model_copy(update={"metadata": found.metadata})
    body = founded_body(ALICE, SHOP, first_content(ALICE, SHOP, found.clusters))
    first = read_state(ALICE, SHOP, Document(Generation(1), body))
    assert (first.content.clusters, first.content.components) == (found.clusters, [])
    assert {who: member.role for who, member in state.roster.members.items()} == {ALICE.address: Role.OWNER}
    assert state.body.schema_version == SCHEMA


def test_a_member_who_was_let_in_reads_and_writes_and_is_named() -> None:
    two = given_a_role(BOB, Role.OPERATOR)
    state = read_state(BOB, SHOP, two)
    assert state.content.metadata.updated_by == address_bytes(ALICE.address)
    three = Document(Generation(3), next_body(BOB, state, state.read.writable()))
    metadata = read_state(ALICE, SHOP, three).content.metadata
    assert metadata.updated_by == address_bytes(BOB.address)
    assert metadata.updated_at > AT
    with pytest.raises(Refused) as caught:
        read_state(CAROL, SHOP, three)
    assert caught.value.rule == "role"


def test_another_network_or_generation_is_not_believed() -> None:
    with pytest.raises(RemoteProtocolError):
        read_state(ALICE, NetworkName(ALICE.address, "other"), ONE)
    with pytest.raises(RemoteProtocolError):
        read_state(ALICE, SHOP, Document(Generation(2), ONE.body))


def test_a_state_that_does_not_hold_together_is_not_written() -> None:
    state = read_state(ALICE, SHOP, ONE)
    with pytest.raises(BadInput, match="does not have"):
        next_body(ALICE, state, state.content.model_copy(update={"clusters": state.content.clusters[1:]}))


def test_a_cluster_is_lost_by_an_owners_word_alone() -> None:
    two = given_a_role(BOB, Role.OPERATOR)
    state = read_state(BOB, SHOP, two)
    lost = LostCluster(at=AT, by=address_bytes(BOB.address), reason="I say so")
    clusters = [one.model_copy(update={"lost": lost}) for one in state.content.clusters[:1]]
    content = state.content.model_copy(update={"clusters": [*clusters, *state.content.clusters[1:]]})
    sealed = (state.body.changes, state.body.cards, encode(content))
    forged = Document(Generation(3), seal_body(BOB.key, SHOP, 3, SCHEMA, *sealed, epoch=7))
    for work in (lambda: read_state(ALICE, SHOP, forged), lambda: next_body(BOB, state, content)):
        with pytest.raises(Refused, match="cluster k1 stands as lost") as caught:
            work()
        assert caught.value.rule == "members"
    own = state.content.clusters[0]
    subject = lost_digest("k1", own.owner, own.daemon, lost.reason)
    word = sign_change(ALICE.key, state.roster, "lose", at=AT, subject=subject)
    said = Document(Generation(3), next_body(ALICE, read_state(ALICE, SHOP, two), content, [word]))
    assert read_state(BOB, SHOP, said).content.clusters[0].lost == lost
    other = lost_digest("k1", own.owner, own.daemon + 1, lost.reason)
    word = sign_change(ALICE.key, state.roster, "lose", at=AT, subject=other)
    with pytest.raises(Refused, match="cluster k1 stands as lost"):
        next_body(ALICE, read_state(ALICE, SHOP, two), content, [word])


def test_clusters_that_keep_nothing_begin_again_with_the_same_team() -> None:
    state = read_state(ALICE, SHOP, given_a_role(BOB, Role.OPERATOR))
    again = Document(Generation(1), first_again(ALICE, state, state.content))
    assert read_state(BOB, SHOP, again).roster.members == state.roster.members
