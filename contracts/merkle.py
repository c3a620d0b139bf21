# SPDX-License-Identifier: Apache-2.0
"""The usage report: one Merkle root a batch on chain, leaves to each publisher with a proof.

The tree is murky-tree's, byte for byte that of @openzeppelin/merkle-tree: pairs are sorted, so
OpenZeppelin's `MerkleProof` verifies the same proofs in Solidity (src/UsageProof.sol). Leaves are
hashed twice, so that no inner node can pass as one.
"""

from collections.abc import Sequence

from murky_tree.core import get_proof, make_merkle_tree, process_proof

from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.ids import Address, address_bytes, keccak256

_HEAD_TAG = keccak256(b"trusted-pods/ledger-head/v1")
HASH_BYTES = 32
MAX_PROOF = 32
"""No batch has 2^32 items; a longer proof is refused before it is hashed."""


def leaf(chain_id: int, payments: Address, owner: Address, item: UsageItem) -> bytes:
    """Leaf of one item: chain, contract, owner, channel, period and quantities; not its release bit."""
    numbers = (item.channel, item.from_, item.up_to, *item.usage.quantities)
    return _hash_twice(
        chain_id.to_bytes(32, "big"),
        _word(payments),
        _word(owner),
        *(number.to_bytes(32, "big") for number in numbers),
    )


def head_leaf(chain_id: int, payments: Address, owner: Address, digest: bytes) -> bytes:
    """Leaf that binds the head of the provider's ledger, so that it cannot rewrite it later."""
    return _hash_twice(_HEAD_TAG, chain_id.to_bytes(32, "big"), _word(payments), _word(owner), digest)


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaves in any order; of a single leaf, that leaf."""
    return bytes(make_merkle_tree(sorted(leaves))[0])


def proofs(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """One proof a leaf, in the order of *leaves*."""
    tree = make_merkle_tree(sorted(leaves))
    places = {node: index for index, node in enumerate(tree) if 2 * index + 1 >= len(tree)}
    return [get_proof(tree, places[one]) for one in leaves]


def verify(root_: bytes, leaf_: bytes, proof: Sequence[bytes]) -> bool:
    """Whether *leaf_* lies under *root_*; bytes of a wrong length are simply not a proof."""
    if len(proof) > MAX_PROOF or any(len(part) != HASH_BYTES for part in (root_, leaf_, *proof)):
        return False
    return bytes(process_proof(leaf_, list(proof))) == root_


def _word(address: Address) -> bytes:
    return address_bytes(address).rjust(32, b"\0")


def _hash_twice(*words: bytes) -> bytes:
    return keccak256(keccak256(b"".join(words)))
