# SPDX-License-Identifier: Apache-2.0
"""The profile of a Clique chain: accounts that fit the first block, each node's peers, the example."""

import json
import tomllib

import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import references, rendered
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.publisher.verbs.drafts.clique import (
    BOOT,
    chain_files,
    genesis,
    network_file,
    signer_account,
)

SIGNERS = ["node-1", "node-2", "node-3"]


def test_the_shipped_example_is_what_init_writes():
    assert (EXAMPLES / "clique-5.yaml").read_text() == network_file("clique-5", 5)


def test_the_first_block_names_the_signers_and_nobody_else():
    files = chain_files(3)
    first = json.loads(files["genesis.json"])
    signers = [files[f"signer-{name}"] for name in SIGNERS]
    for name in (BOOT, *SIGNERS):
        key = Account.decrypt(files[f"account-{name}"], files["password"])
        assert Account.from_key(key).address == files[f"signer-{name}"]
    extra = first["extradata"].removeprefix("0x")
    assert extra[64:-130] == "".join(sorted(one[2:].lower() for one in signers))
    assert files[f"signer-{BOOT}"] not in first["alloc"]
    own = signer_account("locked")
    assert json.loads(genesis([own.signer]))["alloc"].keys() == {own.signer}


def test_nodes_keys_are_made_in_their_machines_and_not_here():
    assert not [name for name in chain_files(1) if "nodekey" in name]
    assert "generate: {nodekey: {type: secp256k1, identity: true}}" in network_file("shop", 1)


def test_each_node_calls_all_others_by_names_that_stay():
    files = chain_files(3)
    for name in (BOOT, *SIGNERS, "web"):
        found = list(references(files[f"peers-{name}.toml"]))
        assert {one.node for one in found} == {BOOT, *SIGNERS} - {name}
        assert {one.field for one in found} == {"enodeId", "name", "port"}, "what changes would be told anew"


def test_each_votes_for_the_others_that_sign_while_they_are_in_its_book():
    files = chain_files(3)
    for name in (BOOT, *SIGNERS):
        others = [one for one in SIGNERS if one != name]
        text = files[f"signers-{name}"]
        assert [one.node for one in references(text)] == others
        assert {one.field for one in references(text)} == {"hex"}
        entries = [entry(others[0], public(1)), *(entry(one, b"") for one in others[1:])]
        book = NetworkBook(network="ring", node=name, generation=1, entries=entries)
        lines = rendered(text, book).splitlines()
        assert lines[1:] == [f"{files[f'signer-{others[0]}']} {public(1).hex()}"]


@pytest.mark.parametrize("known", [0, 1, 3])
def test_geths_configuration_is_whole_however_many_keys_are_known(known):
    others = [BOOT, "node-2", "node-3"]
    entries = [entry(name, public(number) if number < known else b"") for number, name in enumerate(others)]
    book = NetworkBook(network="ring", node="node-1", generation=1, entries=entries)
    peers = tomllib.loads(rendered(chain_files(3)["peers-node-1.toml"], book))["Node"]["P2P"]["StaticNodes"]
    assert peers == [
        f"enode://{public(number).hex()}@{name}.ring.internal:30303"
        for number, name in enumerate(others[:known])
    ]


def entry(node: str, identity: bytes) -> BookEntry:
    """The node's one port in a book; no *identity* is known where it is empty."""
    return BookEntry(node=node, service="p2p", port=30303, transport="TCP", identity=identity)


def public(number: int) -> bytes:
    """A public key of secp256k1, both coordinates."""
    return PrivateKey((number + 1).to_bytes(32, "big")).public_key.to_bytes()
