# SPDX-License-Identifier: Apache-2.0
"""Three signing nodes of two instances: sound as they are, each with a database that knows nobody else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import rendered
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.key_pairs import made_key, public_key
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

SOMEBODY = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
NODES = (1, 2, 3)


def made(folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, str(EXAMPLES / "mpc-3x2" / "mpc.py"), "files", SOMEBODY, str(folder)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.fixture
def network(tmp_path: Path) -> NetworkFile:
    """The network's file, as a command reads it in a person's folder."""
    for image in ("mpc", "postgres"):
        ImageFiles().write_archive(tmp_path / f"{image}.tar")
    (tmp_path / "peers.pem").write_text((EXAMPLES / "mpc-3x2" / "peers.pem").read_text())
    assert made(tmp_path).returncode == 0
    return read_network(tmp_path / "mpc.yaml", tmp_path / "cache", SOMEBODY)


def test_each_node_calls_the_others_and_its_own_database(network: NetworkFile) -> None:
    names = {f"{kind}-{number}" for kind in ("db", "node") for number in NODES}
    assert set(network.pods) == names
    passwords = set()
    for number in NODES:
        node, database = network.pods[f"node-{number}"], network.pods[f"db-{number}"]
        spec = node.manifest.spec
        others = {f"node-{other}" for other in NODES if other != number}
        assert set(spec.network.nodes) - {f"node-{number}"} == others
        assert (spec.workload, spec.replicas) == ("replicated", 2)
        called = pod_name(NetworkName(SOMEBODY, "mpc"), f"db-{number}")
        ((to,),) = [rule.to for rule in spec.network.egress]
        assert to.pod == called, "its own database's pod, as the network calls it"
        told = {one.name: str(one.value) for one in spec.containers[0].env}
        assert told["NODE"] == f"node-{number}"
        assert told["DATABASE"].split()[0] == f"host=sql.{called}.internal"
        password = database.loaded.secrets["keys"]["password"]
        assert node.loaded.secrets["keys"]["password"] == password
        passwords.add(password)
    assert len(passwords) == len(NODES)


def test_a_database_stands_beside_its_node_and_is_exposed_to_nobody(network: NetworkFile) -> None:
    clusters = {one.name: str(one.where) for one in network.nodes}
    assert len(set(clusters.values())) == 2
    for number in NODES:
        spec = network.pods[f"db-{number}"].manifest.spec
        assert [(one.name, one.expose) for one in spec.services] == [("sql", "none")]
        assert (spec.network.nodes, spec.network.egress) == ([], [])
        assert clusters[f"node-{number}"] == clusters[f"db-{number}"]


def test_clients_keep_their_instance_and_nodes_have_keys_of_their_own(network: NetworkFile) -> None:
    for name, pod in network.pods.items():
        if name.startswith("db-"):
            continue
        assert pod.manifest.identity == ("tls", "tls.key")
        assert pod.manifest.identity_key is not None
        assert pod.manifest.identity_key.certificates == {"tls.pem": f"{name}.mpc.internal"}
        assert "tls.key" not in pod.loaded.secrets["tls"]
    sdk, mpc = network.pods["node-1"].manifest.spec.services
    assert sdk.session_affinity is not None
    assert (sdk.name, sdk.expose, sdk.session_affinity.header) == ("sdk", "http", "Session")
    assert (mpc.name, mpc.expose, mpc.session_affinity) == ("mpc", "nodePort", None)


def a_digit(digit: int) -> Callable[[int], bytes]:
    """Random bytes that are all the same."""
    return lambda size: bytes([digit]) * size


def test_a_node_trusts_exactly_those_whom_it_calls(network: NetworkFile) -> None:
    names = ("node-2", "node-3")
    keys = {name: public_key(made_key("p256", a_digit(digit))) for digit, name in enumerate(names, 7)}
    entries = [
        BookEntry(node=name, service="mpc", port=9000, transport="TCP", identity=key)
        for name, key in sorted(keys.items())
    ]
    book = NetworkBook(network="mpc", node="node-1", generation=1, entries=entries)
    text = network.pods["node-1"].loaded.secrets["peers"]["peers.pem"].decode()
    bundle = rendered(text, book)
    for name, key in keys.items():
        assert trust_anchor(key, (f"{name}.mpc.internal",)) in bundle
    assert bundle.count("BEGIN CERTIFICATE") == len(keys)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    assert made(tmp_path).returncode == 0
    before = {file: file.read_text() for file in (tmp_path / "keys").iterdir()}
    assert len(set(before.values())) == len(before) == len(NODES) + 1
    assert all(file.stat().st_mode & 0o77 == 0 for file in before)
    again = made(tmp_path)
    assert again.returncode == 1
    assert again.stderr == f"{tmp_path / 'keys'} is there: nodes keep their passwords\n"
    assert {file: file.read_text() for file in (tmp_path / "keys").iterdir()} == before
