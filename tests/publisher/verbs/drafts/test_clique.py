# SPDX-License-Identifier: Apache-2.0
"""The profile of a Clique chain: keys that fit the first block, each node's peers, the example."""

import json
import tomllib

from eth_account import Account

from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import references
from trustedpods.publisher.verbs.drafts.clique import BOOT, chain_files, genesis, network_file, node_keys

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
    assert len({files[f"nodekey-{name}"] for name in (BOOT, *SIGNERS)}) == 4


def test_each_node_calls_all_others_by_names_that_stay():
    files = chain_files(3)
    for name in (BOOT, *SIGNERS, "web"):
        text = files[f"peers-{name}.toml"]
        found = list(references(text))
        assert {one.node for one in found} == {BOOT, *SIGNERS} - {name}
        assert {one.field for one in found} == {"name", "port"}, "what changes would restart the node"
        peers = tomllib.loads(text)["Node"]["P2P"]["StaticNodes"]
        assert all(peer.startswith("enode://") and len(peer.split("@")[0]) == 8 + 128 for peer in peers)


def test_a_node_is_known_by_its_public_key():
    own = node_keys("locked")
    assert own.public in chain_peers(own)
    assert json.loads(genesis([own.signer]))["alloc"].keys() == {own.signer}


def chain_peers(own):
    from trustedpods.publisher.verbs.drafts.clique import peers

    return peers({"b": own})
