# SPDX-License-Identifier: Apache-2.0
"""The shipped chain of two owners: each with a key, an empty home, a folder, one cluster and its half."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from eth_account import Account

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.examples.chain_node import ChainNode
from tests.live.examples.shipped import BUILD_LIMIT_S
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.paths import EXAMPLES, IMAGES
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market import accounts
from trustedpods.localnet.network import NAMESPACES

NETWORK = "ring"
FILE = f"{NETWORK}.yaml"
IMAGE = "geth"
CHAIN_ID = 4242
NOBODY = "0x" + "00" * 20


def build_image(name: str = IMAGE) -> Path:
    """The nodes' image, made from these sources."""
    out = binaries.cache() / "images"
    words = [sys.executable, str(IMAGES / "build.py"), name, "--out", str(out)]
    subprocess.run(words, check=True, capture_output=True, timeout=BUILD_LIMIT_S)
    return binaries.image(name)


class Organisation:
    """One of the two: it commands nodes in the cluster *index* and nowhere else."""

    example, script, image = "clique-two-orgs", "chain.py", IMAGE

    def __init__(self, pair: LiveLocalnet, folder: Path, index: int) -> None:
        folder.mkdir()
        self.pair, self.folder, self.index = pair, folder, index
        self.person = Publisher(pair, Bank(pair).new_account(folder), folder)
        provider = accounts.address(accounts.owner_key(pair.cluster(index)))
        self.cluster = f"--cluster=k{index}={provider}/1"
        shutil.copy(binaries.image(self.image), folder)

    def make_files(self, *words: str) -> None:
        """This owner's half, by the example's own script; the folder comes last."""
        script = EXAMPLES / self.example / self.script
        argv = [sys.executable, str(script), *words, str(self.folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr

    def run(self, verb: str, *words: str, code: int = 0) -> Json:
        """`trustedpods network` with this owner's cluster."""
        return self.person.run("network", verb, *words, self.cluster, code=code).json

    def text(self, verb: str, *words: str) -> str:
        """What the command prints for the other owner: a line that is sent to him."""
        return finish(self.person.start("network", verb, *words, self.cluster), 0).out

    def receive(self, name: str, text: str) -> str:
        """Keep what the other owner sent, in a file."""
        (self.folder / name).write_text(text)
        return name

    def link(self, alias: str) -> str:
        """How far the link to the other owner is, as `network status` says it."""
        return str(self.run("status", NETWORK)["links"][alias]["state"])

    def namespace(self, node: str) -> str:
        """Where the node's pod is."""
        return str(self.run("status", NETWORK)["nodes"][node]["live"]["namespace"])

    def replica(self, namespace: str) -> Json:
        """What Kubernetes says of a node's one replica; {} while there is none."""
        words = ("-n", namespace, "get", "pods", "-o", "json")
        found = json.loads(self.pair.kubectl(*words, index=self.index))["items"]
        return dict(found[0]) if found else {}

    def node(self, namespace: str) -> ChainNode:
        """The node at its replica's address of now, as who stands at its cluster's node asks it."""
        place = NAMESPACES / str(self.pair.cluster(self.index).namespace)
        return ChainNode(place, str(self.replica(namespace)["status"]["podIP"]))

    def runs(self, namespace: str) -> tuple[str, str, list[tuple[int, str]]]:
        """What changes when a node is restarted in any way: its uid, its start, and its containers'."""
        found = self.replica(namespace)
        containers = [
            (one["restartCount"], one["state"]["running"]["startedAt"])
            for one in found["status"]["containerStatuses"]
        ]
        return found["metadata"]["uid"], found["status"]["startTime"], containers

    def signer(self) -> str:
        """The private key of the account of `boot`, which has coins from the first block on."""
        keys = self.folder / "keys"
        return str(
            Account.decrypt((keys / "account-boot").read_text(), (keys / "password").read_text()).hex()
        )


def pay(node: ChainNode, key: str, nonce: int) -> str:
    """Send a coin to nobody by way of *node*; the transaction's hash."""
    price = {"gas": 21_000, "gasPrice": 10**10, "chainId": CHAIN_ID}
    signed = Account.sign_transaction({"to": NOBODY, "value": 1, "nonce": nonce, **price}, key)
    return str(node.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))


def is_paid(node: ChainNode, sent: str) -> bool:
    """Whether *node* has the transaction in a block."""
    receipt = node.ask("eth_getTransactionReceipt", sent)
    return receipt is not None and receipt["status"] == "0x1"
