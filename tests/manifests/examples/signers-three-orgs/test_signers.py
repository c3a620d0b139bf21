# SPDX-License-Identifier: Apache-2.0
"""The parts of three owners: sound, with a password each, and bundles of exactly those who are linked."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import rendered
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.key_pairs import made_key, public_key
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

OWNERS = ("acme", "bolt", "cato")
SOMEBODY = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def made(who: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, str(EXAMPLES / "signers-three-orgs" / "signers.py"), "files", who, str(folder)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.fixture
def read(tmp_path: Path) -> dict[str, NetworkFile]:
    """The network's file of each owner, as a command reads it."""
    found = {}
    for who in OWNERS:
        (folder := tmp_path / who).mkdir()
        for image in ("drand-tls", "postgres"):
            ImageFiles().write_archive(folder / f"{image}.tar")
        assert made(who, folder).returncode == 0
        found[who] = read_network(folder / "signers.yaml", folder / "cache", SOMEBODY)
    return found


def test_each_has_a_key_of_its_own_for_the_name_by_which_others_call_it(read: dict[str, NetworkFile]) -> None:
    passwords = set()
    for who, file in read.items():
        pod = file.pods["signer"]
        assert pod.manifest.identity == ("tls", "tls.key")
        name = f"{who}-signer.signers.internal"
        assert pod.manifest.identity_key is not None
        assert pod.manifest.identity_key.certificates == {"tls.pem": name}
        drand = pod.manifest.spec.containers[0]
        told = {one.name: one.value for one in drand.env}
        assert told["SIGNER_ADDRESS"] == f"{name}:8443"
        secrets = pod.loaded.secrets
        password = secrets["password"]["password"].decode()
        assert f"postgres://postgres:{password}@127.0.0.1:5432/" in secrets["config"]["config.toml"].decode()
        assert "tls.key" not in secrets["tls"]
        passwords.add(password)
    assert len(passwords) == len(OWNERS)


def book(**identities: bytes) -> NetworkBook:
    """Of nodes that are known by these."""
    entries = [
        BookEntry(node=f"{who}-signer", service="mpc", port=8443, transport="TCP", identity=identity)
        for who, identity in identities.items()
    ]
    return NetworkBook(network="signers", node="signer", generation=1, entries=entries)


def test_a_bundle_has_those_who_are_linked_and_nobody_before(read: dict[str, NetworkFile]) -> None:
    text = read["acme"].pods["signer"].loaded.secrets["peers"]["peers.pem"].decode()
    assert rendered(text, book(bolt=b"")) == ""
    key = public_key(made_key("p256", lambda size: b"\x07" * size))
    bundle = rendered(text, book(bolt=key, cato=b""))
    assert bundle == trust_anchor(key, ("bolt-signer.signers.internal",)) + "\n"


def test_a_password_is_made_once(tmp_path: Path) -> None:
    made("acme", tmp_path)
    before = {file: file.read_text() for file in (tmp_path / "keys").iterdir()}
    again = made("acme", tmp_path)
    assert again.returncode == 1
    assert "keeps its password" in again.stderr
    assert {file: file.read_text() for file in (tmp_path / "keys").iterdir()} == before
