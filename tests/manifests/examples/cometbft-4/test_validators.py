# SPDX-License-Identifier: Apache-2.0
"""The halves of the chain of four validators: one first block, keys that stay, state that never goes back."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import references
from trustedpods.protocol.ids import parse_address
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

ACME = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
BOLT = parse_address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")


def made(*words: str | Path, code: int = 0) -> str:
    """What the script says when it is run with *words*."""
    argv = [sys.executable, EXAMPLES / "cometbft-4" / "validators.py", *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture
def halves(tmp_path: Path) -> dict[str, Path]:
    """The folders of both, after Bolt's public keys came to Acme, and Acme's first block to Bolt."""
    folders = {who: tmp_path / who for who in ("acme", "bolt")}
    for folder in folders.values():
        folder.mkdir()
        ImageFiles().write_archive(folder / "cometbft.tar")
    made("keys", "bolt", folders["bolt"])
    made("acme", folders["bolt"] / "validators.json", folders["acme"])
    (folders["bolt"] / "genesis.json").write_bytes((folders["acme"] / "genesis.json").read_bytes())
    made("bolt", ACME, folders["bolt"])
    return folders


def read(folder: Path, who: str) -> NetworkFile:
    return read_network(folder / "ring.yaml", folder / "cache", parse_address(who))


def public(private: Path) -> str:
    """The public half of what a node signs with."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private.read_text()))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def test_one_first_block_names_two_validators_of_each_and_not_the_observer(halves: dict[str, Path]) -> None:
    acme, bolt = read(halves["acme"], ACME), read(halves["bolt"], BOLT)
    assert acme.hashes == bolt.hashes
    assert acme.hashes["genesis.json"] == hashlib.sha256(acme.shared["genesis.json"]).digest()
    named = {one["name"]: one for one in json.loads(acme.shared["genesis.json"])["validators"]}
    for who, folder in halves.items():
        for node in ("one", "two"):
            key = public(folder / "keys" / f"validator-{node}")
            assert named[f"{who}-{node}"]["pub_key"]["value"] == key
    assert len(named) == 4
    assert bolt.linked == {"acme-one": ACME, "acme-two": ACME}
    assert set(bolt.pods) == {"one", "two", "observer"}


def test_private_keys_stay_where_they_were_made(halves: dict[str, Path]) -> None:
    private = {
        who: {path.read_text() for path in (folder / "keys").glob("validator-*")}
        for who, folder in halves.items()
    }
    assert [len(private[who]) for who in ("acme", "bolt")] == [2, 3]
    for who, other in (("acme", "bolt"), ("bolt", "acme")):
        for path in halves[other].rglob("*"):
            if path.is_file():
                assert not any(key.encode() in path.read_bytes() for key in private[who])
    assert all(
        path.stat().st_mode & 0o77 == 0 for folder in halves.values() for path in (folder / "keys").iterdir()
    )


def test_each_calls_whom_it_may_by_keys_that_machines_make(halves: dict[str, Path]) -> None:
    bolts = {"acme-one", "acme-two", "one", "two", "observer"}
    called = {"acme": {"one", "two"}, "bolt": bolts}
    for who, folder in halves.items():
        for name, pod in read(folder, ACME if who == "acme" else BOLT).pods.items():
            assert pod.manifest.identity == ("keys", "nodekey")
            peers = {one.node for one in references(pod.loaded.secrets["keys"]["peers"].decode())}
            assert peers == called[who] - {name}
            assert peers <= set(pod.manifest.spec.network.nodes)


def test_what_a_validator_signed_last_is_in_no_backup(halves: dict[str, Path]) -> None:
    for who, folder in halves.items():
        for pod in read(folder, ACME if who == "acme" else BOLT).pods.values():
            kept = {one.name: one.persistent for one in pod.manifest.spec.volumes if one.persistent}
            assert {name: one.never_restore for name, one in kept.items()} == {
                "data": False,
                "signing-state": True,
            }
            (container,) = pod.manifest.spec.containers
            assert {one.name: one.mount_path for one in container.volume_mounts}["signing-state"] == "/signed"


def test_what_is_there_stays_and_what_is_missing_is_said(halves: dict[str, Path], tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "move them away" in made("keys", "bolt", halves["bolt"], code=1)
    assert "move them away" in made("acme", halves["bolt"] / "validators.json", halves["acme"], code=1)
    assert "move them away" in made("bolt", ACME, halves["bolt"], code=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (empty := tmp_path / "empty").mkdir()
    assert "network join INVITATION --files" in made("bolt", ACME, empty, code=1)
    assert list(empty.iterdir()) == []
