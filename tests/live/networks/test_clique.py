# SPDX-License-Identifier: Apache-2.0
"""The shipped chain over two clusters, on real geth: seven pods of one file, applied, seen, gone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients.publisher import Json, Publisher
from tests.live.clients.web import get
from tests.live.examples.chain_node import ChainNode
from tests.live.examples.shipped import BUILD_LIMIT_S
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import EXAMPLES, IMAGES
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market import accounts
from trustedpods.localnet.network import NAMESPACES

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""Seven pods over two clusters take minutes on two cores."""

NETWORK = "clique-5"
SIGNERS = [f"node-{number}" for number in range(1, 6)]
CHAIN = ["boot", *SIGNERS]


@dataclass(frozen=True)
class Shipped:
    """The example in a person's folder, with its images and keys, and the clusters that it goes to."""

    pair: LiveLocalnet
    person: Publisher
    clusters: list[str]

    def run(self, verb: str, *words: str, code: int = 0) -> Json:
        return self.person.run("network", verb, *words, *self.clusters, code=code).json

    def status(self) -> Json:
        return dict(self.run("status", NETWORK)["nodes"])

    def node(self, status: Json) -> ChainNode:
        """A node of the chain at its replica's address, as who stands at its cluster's node asks it."""
        index = int(status["cluster"].removeprefix("k"))
        words = ["-n", status["live"]["namespace"], "get", "pod", "pod-0", "-o", "jsonpath={.status.podIP}"]
        return ChainNode(
            NAMESPACES / str(self.pair.cluster(index).namespace), self.pair.kubectl(*words, index=index)
        )


@pytest.fixture(scope="module")
def shipped(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    folder = tmp_path_factory.mktemp("person")
    images = ("geth", "height")
    build = [sys.executable, str(IMAGES / "build.py"), *images, "--out", str(binaries.cache() / "images")]
    subprocess.run(build, check=True, capture_output=True, timeout=BUILD_LIMIT_S)
    for file in (EXAMPLES / f"{NETWORK}.yaml", *map(binaries.image, images)):
        shutil.copy(file, folder)
    person = Publisher(pair, Bank(pair).new_account(folder), folder)
    owners = [accounts.address(accounts.owner_key(one)) for one in pair.settings.all_clusters()]
    named = [f"--cluster=k{number}={owner}/1" for number, owner in enumerate(owners, 1)]
    made = Shipped(pair, person, named)
    person.run("network", "init", NETWORK, "--kind", "clique", "--nodes", "5", "--keep")
    made.run("connect", NETWORK)
    yield made
    made.run("delete", NETWORK, "--purge")


def test_blocks_grow_over_two_clusters_and_heights_meet(shipped: Shipped) -> None:
    file = f"{NETWORK}.yaml"
    planned = shipped.run("plan", file, code=10)
    assert [one["effect"] for one in planned["outlook"]] == ["create"] * (len(CHAIN) + 1)
    applied = shipped.run("apply", file)
    assert [one["node"] for one in applied["nodes"]] == [*CHAIN, "web"]
    status = shipped.status()
    assert {one["cluster"] for one in status.values()} == {"k1", "k2"}
    nodes = [shipped.node(status[name]) for name in CHAIN]
    until("blocks grow", lambda: min(node.height() for node in nodes) > 3)
    before = max(node.height() for node in nodes)

    def meet() -> bool:
        """Whether all have the same block, which is newer than what was there."""
        lowest = min(node.height() for node in nodes)
        return lowest > before + len(SIGNERS) and len({node.block_hash(lowest) for node in nodes}) == 1

    until("all go on together", meet)
    where = {name: status[name]["cluster"] for name in CHAIN}
    peers = {name: int(node.ask("net_peerCount"), 16) for name, node in zip(CHAIN, nodes, strict=True)}
    for name, found in peers.items():
        far = sum(cluster != where[name] for cluster in where.values())
        web = status["web"]["cluster"] != where[name]
        assert found == far + web, f"nodes of one cluster do not call each other yet: {where} {peers}"
    sealed = nodes[0].ask("clique_status")["sealerActivity"]
    signers = {(shipped.person.folder / NETWORK / f"signer-{name}").read_text().lower() for name in SIGNERS}
    assert {who for who, blocks in sealed.items() if blocks} == signers, "signers of both clusters seal"
    url = applied["urls"]["web"]
    until("the page knows it", lambda: json.loads(get(url, "/height").text)["height"] > before)
    assert shipped.run("apply", file)["changes"] == 0


def test_a_second_file_is_not_written_over_the_first(shipped: Shipped) -> None:
    said = shipped.person.run("network", "init", NETWORK, "--kind", "clique", "--nodes", "5", code=2).json
    assert "--keep" in said["error"]["hint"]
    assert Path(shipped.person.folder / NETWORK / "genesis.json").is_file()
