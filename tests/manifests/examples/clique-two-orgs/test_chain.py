# SPDX-License-Identifier: Apache-2.0
"""The halves of the chain of two owners: made once, of one first block, and sound as they are."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import references
from trustedpods.protocol.ids import parse_address
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

ACME = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
BOLT = parse_address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")


def made(*words: str | Path, code: int = 0) -> str:
    """What the script says when it is run with *words*."""
    argv = [sys.executable, EXAMPLES / "clique-two-orgs" / "chain.py", *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture
def halves(tmp_path: Path) -> dict[str, Path]:
    """The folders of both, after Acme's first block came to Bolt."""
    folders = {who: tmp_path / who for who in ("acme", "bolt")}
    for folder in folders.values():
        folder.mkdir()
        ImageFiles().write_archive(folder / "geth.tar")
    made("acme", folders["acme"])
    (folders["bolt"] / "genesis.json").write_bytes((folders["acme"] / "genesis.json").read_bytes())
    made("bolt", ACME, folders["bolt"])
    return folders


def read(folder: Path, who: str) -> NetworkFile:
    return read_network(folder / "ring.yaml", folder / "cache", parse_address(who))


def test_both_have_one_first_block_pinned_and_each_his_own_nodes(halves: dict[str, Path]) -> None:
    acme, bolt = read(halves["acme"], ACME), read(halves["bolt"], BOLT)
    assert acme.hashes == bolt.hashes
    assert acme.hashes["genesis.json"] == hashlib.sha256(acme.shared["genesis.json"]).digest()
    assert ([node.name for node in acme.nodes], [node.name for node in bolt.nodes]) == (
        ["boot", "node"],
        ["node"],
    )
    assert bolt.linked == {"acme-boot": ACME, "acme-node": ACME}
    signers = {(halves["acme"] / "keys" / f"signer-{name}").read_text() for name in ("boot", "node")}
    assert set(json.loads(acme.shared["genesis.json"])["alloc"]) == signers


def test_keys_of_nodes_are_in_no_folder_and_each_calls_whom_it_may(halves: dict[str, Path]) -> None:
    called = {
        "acme": {"boot": {"node"}, "node": {"boot"}},
        "bolt": {"node": {"acme-boot", "acme-node"}},
    }
    for who, folder in halves.items():
        for name, pod in read(folder, ACME if who == "acme" else BOLT).pods.items():
            assert pod.manifest.identity == ("keys", "nodekey")
            peers = list(references(pod.loaded.secrets["keys"]["peers.toml"].decode()))
            assert {one.node for one in peers} == called[who][name] <= set(pod.manifest.spec.network.nodes)
        assert not list(folder.rglob("*nodekey*"))
        assert all(path.stat().st_mode & 0o77 == 0 for path in (folder / "keys").iterdir())


def test_what_is_there_stays_and_what_is_missing_is_said(halves: dict[str, Path], tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "move them away" in made("acme", halves["acme"], code=1)
    assert "move them away" in made("bolt", ACME, halves["bolt"], code=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (empty := tmp_path / "empty").mkdir()
    assert "network join INVITATION --files" in made("bolt", ACME, empty, code=1)
    assert list(empty.iterdir()) == []
