# SPDX-License-Identifier: Apache-2.0
"""A node that runs in no cluster, named in a Network's file, becomes a peer of those that do."""

import io
import json
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from coincurve import PrivateKey

from tests.live.clients import outside
from tests.live.examples.chain_node import ChainNode, have_same
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.test_two_orgs import begin
from tests.live.networks.two_orgs import CHAIN_ID, FILE, Organisation
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]
"""Two clusters, of which one is used, two nodes that start twice, and geth on this machine."""

PARTNER, PORT = "partner", 30303


def program(folder: Path) -> Path:
    """Geth, out of the nodes' own image."""
    with tarfile.open(binaries.image("geth")) as image:

        def read(path: str) -> bytes:
            found = image.extractfile(path)
            assert found is not None, path
            return found.read()

        (index,) = json.loads(read("index.json"))["manifests"]
        manifest = json.loads(read(f"blobs/sha256/{index['digest'].removeprefix('sha256:')}"))
        for layer in manifest["layers"]:
            with tarfile.open(
                fileobj=io.BytesIO(read(f"blobs/{layer['digest'].replace(':', '/')}"))
            ) as files:
                if "bin/geth" in files.getnames():
                    files.extract("bin/geth", folder, filter="data")
    return folder / "bin" / "geth"


@contextmanager
def running(place: Path, geth: Path, genesis: Path, key: PrivateKey) -> Iterator[ChainNode]:
    """Somebody's node of the chain, behind no provider, while the block runs; it calls nobody by itself."""
    data, said = geth.parent / "data", geth.parent / "geth.log"
    inside = ["ip", "netns", "exec", place.name, str(geth), "--datadir", str(data)]
    subprocess.run([*inside, "init", str(genesis)], check=True, capture_output=True, timeout=60)
    words = ["--networkid", str(CHAIN_ID), "--nodiscover", "--nodekeyhex", key.to_hex(), "--port", str(PORT)]
    words += ["--syncmode", "full", "--gcmode", "archive", "--authrpc.port", "0", "--http", "--ipcdisable"]
    with said.open("wb") as log, subprocess.Popen([*inside, *words], stdout=log, stderr=log) as process:
        try:
            yield ChainNode(place, "127.0.0.1")
        finally:
            process.terminate()


def name_partner(acme: Organisation, key: PrivateKey) -> None:
    """Acme's file knows it by its key and its place, and Acme's nodes call it."""
    file = acme.folder / FILE
    tree = yaml.safe_load(file.read_text())
    tree["spec"]["externalNodes"] = [
        {
            "name": PARTNER,
            "owner": "0x" + secrets.token_hex(20),
            "identity": key.public_key.format(compressed=False)[1:].hex(),  # as an enode's URL has it
            "endpoints": {"p2p": f"{outside.SERVER}:{PORT}"},
        }
    ]
    tree["spec"]["templates"]["node"]["spec"]["network"]["nodes"].append(PARTNER)
    file.write_text(yaml.safe_dump(tree))
    line = f'  "enode://${{node.{PARTNER}.identity.enodeId}}@${{node.{PARTNER}.p2p.address}}:${{node.{PARTNER}.p2p.port}}",\n]'
    for peers in (acme.folder / "keys").glob("peers-*.toml"):
        peers.write_text(peers.read_text().replace("\n]", f"\n{line}"))


def test_a_node_outside_any_cluster_becomes_a_peer(pair: LiveLocalnet, tmp_path: Path) -> None:
    acme, _ = begin(pair, tmp_path)
    key = PrivateKey()
    name_partner(acme, key)
    genesis = acme.folder / "genesis.json"
    with outside.world(pair) as place, running(place, program(tmp_path), genesis, key) as partner:
        assert partner.told_height() == 0
        assert partner.ask("net_peerCount") == "0x0"
        acme.run("apply", FILE)
        boot = acme.node(acme.namespace("boot"))
        until("both of Acme's nodes called it", lambda: partner.ask("net_peerCount") == "0x2")
        until("it has their chain", lambda: have_same([boot, partner], 3))
    acme.run("delete", "ring", "--purge")
