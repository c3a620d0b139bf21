# SPDX-License-Identifier: Apache-2.0
"""The profile of a CometBFT chain: keys that fit the first block, peers, state that never goes back."""

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.images.oci_images import ImageFiles
from trustedpods.manifests.rendering import rendered
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.provider.core.generated.key_pairs import made_key, public_key
from trustedpods.publisher.backups.sources import sources
from trustedpods.publisher.verbs.drafts.cometbft import chain_files, genesis, peers
from trustedpods.publisher.verbs.drafts.network_file import init_network
from trustedpods.publisher.verbs.networks.files import read_network

SOMEBODY = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def test_the_first_block_names_the_validators_and_nobody_else():
    files = chain_files(4)
    first = json.loads(files["genesis.json"])
    assert [one["name"] for one in first["validators"]] == [f"node-{number}" for number in range(1, 5)]
    for one in first["validators"]:
        seed = bytes.fromhex(files[f"validator-{one['name']}"])
        key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert base64.b64decode(one["pub_key"]["value"]) == key
    assert len({one["pub_key"]["value"] for one in first["validators"]}) == 4


def test_chains_of_other_validators_have_other_names():
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    one, other = (json.loads(genesis({"node-1": key}, at)) for key in ("AA==", "AQ=="))
    assert one["chain_id"] != other["chain_id"]
    assert one["genesis_time"] == "2026-01-02T03:04:05Z"


def test_a_peer_has_a_line_when_its_key_is_known():
    key = public_key(made_key("ed25519", lambda size: b"\x07" * size))
    entries = [
        BookEntry(node=f"node-{number}", service="p2p", port=26656, transport="TCP", identity=identity)
        for number, identity in ((2, key), (3, b""))
    ]
    book = NetworkBook(network="ring", node="node-1", generation=1, entries=entries)
    raw = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32).public_key().public_bytes_raw()
    text = rendered(peers("node-1", ["node-1", "node-2", "node-3"]), book)
    assert text == f"{raw.hex()} node-2.ring.internal:26656\n"


def test_what_was_signed_last_is_in_no_backup_and_nobody_gets_it_by_name(tmp_path):
    ImageFiles().write_archive(tmp_path / "cometbft.tar")
    drafted = init_network("cometbft", 2, tmp_path, "ring")
    assert drafted.images == ("cometbft",)
    for pod in read_network(tmp_path / "ring.yaml", tmp_path / "cache", SOMEBODY).pods.values():
        taken = sources(pod.manifest, (), None)
        assert [one.volume for one in taken.volumes] == ["data"]
        assert taken.left_out == ("signing-state",)
        with pytest.raises(Refused, match="'signing-state' must not go back in time"):
            sources(pod.manifest, ("signing-state",), None)
    assert "priv_validator_state.json" in (tmp_path / "ring.yaml").read_text()
