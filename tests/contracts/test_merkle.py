# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import items
from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import address_of

OWNER, PAYMENTS = address_of(b"\1" * 32), address_of(b"\2" * 32)
hashes = st.binary(min_size=32, max_size=32)


@given(st.lists(hashes, min_size=1, max_size=40, unique=True), st.randoms())
def test_every_leaf_is_proved_whatever_their_order(leaves, shuffler):
    root = merkle.root(leaves)
    shuffled = list(leaves)
    shuffler.shuffle(shuffled)
    assert merkle.root(shuffled) == root
    for leaf, proof in zip(leaves, merkle.proofs(leaves), strict=True):
        assert merkle.verify(root, leaf, proof)


@given(st.lists(hashes, min_size=2, max_size=20, unique=True), hashes)
def test_nothing_else_is_proved(leaves, stranger):
    root, proof = merkle.root(leaves), merkle.proofs(leaves)[0]
    assert merkle.verify(root, stranger, proof) == (stranger == leaves[0])
    assert not merkle.verify(stranger, leaves[0], proof) or stranger == root
    assert not merkle.verify(root, leaves[0], proof[1:])


def test_what_has_the_wrong_size_is_no_proof():
    leaf = b"l" * 32
    assert merkle.verify(leaf, leaf, [])
    assert not merkle.verify(leaf, leaf[:31], [])
    assert not merkle.verify(leaf, leaf, [b"short"])
    assert not merkle.verify(leaf, leaf, [leaf] * 33)


@given(items, items)
def test_leaves_differ_in_everything_but_the_release(one, other):
    leaf = merkle.leaf(1, PAYMENTS, OWNER, one)
    same = (one.channel, one.from_, one.up_to, one.usage) == (
        other.channel,
        other.from_,
        other.up_to,
        other.usage,
    )
    assert (leaf == merkle.leaf(1, PAYMENTS, OWNER, other)) == same
    assert leaf != merkle.leaf(2, PAYMENTS, OWNER, one)
    assert leaf != merkle.leaf(1, OWNER, OWNER, one)
    assert leaf != merkle.leaf(1, PAYMENTS, PAYMENTS, one)
