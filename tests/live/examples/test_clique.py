# SPDX-License-Identifier: Apache-2.0
"""The shipped chain, on real geth: bootnode, five nodes as one stateful pod, and the page that asks them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from eth_account import Account

from tests.live.clients import name_server, probing
from tests.live.clients.probing import Knock
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.examples.chain_node import RPC_PORT, ChainNode, ask_http, have_same
from tests.live.examples.shipped import deploy_all, script, ship
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

NODES = 5
PARTS = ("bootnode", "nodes", "web")
ABOUT_PORT = 9000
FINDS_WITHIN_S = 300.0
"""A bootnode that begins anew knows nobody until nodes ask it again, which each does by chance."""


@dataclass(frozen=True)
class Chain:
    """The three pods, and the keys of the chain."""

    market: LiveLocalnet
    keys: Path
    pods: dict[str, Deployed]

    def address(self, pod: Deployed, service: str) -> str:
        """What a Service of the pod keeps, whichever replicas there are."""
        words = ["-n", pod.namespace, "get", "service", service]
        return self.market.kubectl(*words, "-o", "jsonpath={.spec.clusterIP}")

    def node(self, ordinal: int) -> ChainNode:
        """A replica by the address that stays its own."""
        return self.at(self.pods["nodes"], f"pod-{ordinal}")

    def at(self, pod: Deployed, service: str) -> ChainNode:
        """Whoever answers behind a Service."""
        return ChainNode(probing.node(self.market), self.address(pod, service))

    def replica(self, ordinal: int, pod: str = "nodes") -> Json:
        """What Kubernetes says of a replica, {} while there is none."""
        found = replicas(self.market, self.pods[pod].namespace)
        return next((one for one in found if one["metadata"]["name"] == f"pod-{ordinal}"), {})

    def signer(self) -> str:
        """The private key of a signer's account, which has coins from the first block on."""
        password = (self.keys / "password").read_text()
        return str(Account.decrypt((self.keys / "account-0").read_text(), password).hex())


@pytest.fixture(scope="module")
def chain(market: LiveLocalnet, publisher: Publisher) -> Chain:
    folder = ship(publisher, "clique", ("geth", "height"))
    script(publisher, "keys.py")
    return Chain(market, folder / "keys", deploy_all(publisher, *PARTS))


def test_five_nodes_make_one_chain(chain: Chain) -> None:
    nodes = [chain.node(ordinal) for ordinal in range(NODES)]
    until("all have a head in common", lambda: have_same(nodes, 3))
    before = nodes[0].told_height()
    until("blocks go on, and all have them", lambda: have_same(nodes, before + NODES))
    for ordinal, node in enumerate(nodes):
        until("each found the others", lambda node=node: int(node.ask("net_peerCount"), 16) == NODES - 1)
        told = ask_http(node.namespace, node.address, ABOUT_PORT, "/signer").decode()
        assert told == (chain.keys / f"signer-{ordinal}").read_text(), "the second container reads the volume"

    def all_seal() -> bool:
        made = nodes[0].ask("clique_status")["sealerActivity"]
        return all(made[signer] > 0 for signer in signers(nodes[0]))

    until("all of them seal", all_seal)
    claims = chain.market.kubectl("-n", chain.pods["nodes"].namespace, "get", "pvc", "-o", "name").split()
    assert claims == [f"persistentvolumeclaim/data-pod-{ordinal}" for ordinal in range(NODES)]
    restarts = [
        status["restartCount"]
        for ordinal in range(NODES)
        for status in chain.replica(ordinal)["status"]["containerStatuses"]
    ]
    assert restarts == [0] * (2 * NODES), "the volumes were filled before anything started"


def signers(node: ChainNode) -> list[str]:
    found: list[str] = node.ask("clique_getSigners")
    return found


def test_a_node_that_ends_comes_back_with_its_volume_while_blocks_go_on(chain: Chain) -> None:
    nodes = [chain.node(ordinal) for ordinal in range(NODES)]
    key, uid, before = chain.signer(), chain.replica(3)["metadata"]["uid"], nodes[0].told_height()
    first = nodes[3].block_hash(1)
    chain.market.kubectl("-n", chain.pods["nodes"].namespace, "delete", "pod", "pod-3", "--wait=false")
    sent: list[str] = []

    def returned() -> bool:
        sent.append(pay(nodes[0], key, len(sent)))
        found = chain.replica(3)
        return bool(found) and found["metadata"]["uid"] != uid and nodes[3].height() > before

    until("another pod-3 has newer blocks", returned)
    assert nodes[0].told_height() > before
    assert nodes[3].block_hash(1) == first, "the same chain"
    for node in nodes:
        until("each has all receipts", lambda node=node: receipts(node, sent) == {"0x1"})
    until("all have a head in common again", lambda: have_same(nodes, before))


def pay(node: ChainNode, key: str, nonce: int) -> str:
    """Send a coin to nobody; the transaction's hash."""
    price = {"gas": 21_000, "gasPrice": 10**10, "chainId": 4242}
    signed = Account.sign_transaction({"to": "0x" + "00" * 20, "value": 1, "nonce": nonce, **price}, key)
    return str(node.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))


def receipts(node: ChainNode, sent: list[str]) -> set[str | None]:
    found = [node.ask("eth_getTransactionReceipt", one) for one in sent]
    return {None if one is None else one["status"] for one in found}


def visit(url: str, times: int) -> list[tuple[int, str]]:
    """Height and replica, as one browser sees them that keeps its cookies."""
    parts = urlsplit(url)
    target, seen = f"http://127.0.0.1:{parts.port}/height", []
    cookies: dict[str, str] = {}
    for _ in range(times):
        given = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = {"Host": parts.netloc} | ({"Cookie": given} if given else {})
        answer = httpx.get(target, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        cookies |= dict(answer.cookies)
        seen.append((answer.json()["height"], answer.json()["host"]))
    return seen


def test_the_page_shows_the_height_and_keeps_its_visitors(chain: Chain) -> None:
    url, node = chain.pods["web"].url, chain.node(0)
    before = node.told_height()
    until("the page has the height", lambda: visit(url, 1)[0][0] >= before)
    for _ in range(3):
        assert len({host for _, host in visit(url, 8)}) == 1, "one visitor, one replica"
    until("both replicas have visitors", lambda: len({visit(url, 1)[0][1] for _ in range(6)}) == 2)


@contextmanager
def two_away(chain: Chain) -> Iterator[None]:
    """Of five nodes two find no place while the block runs."""
    chain.market.kubectl("cordon", chain.market.cluster().name)
    try:
        chain.market.kubectl("-n", chain.pods["nodes"].namespace, "delete", "pod", "pod-3", "pod-4")
        yield
    finally:
        chain.market.kubectl("uncordon", chain.market.cluster().name)


@pytest.mark.soak
def test_a_transaction_through_the_service_is_on_every_node_and_two_may_be_away(chain: Chain) -> None:
    nodes, service = [chain.node(ordinal) for ordinal in range(NODES)], chain.at(chain.pods["nodes"], "rpc")
    key = chain.signer()
    number = int(service.ask("eth_getTransactionCount", Account.from_key(key).address, "pending"), 16)
    sent = [pay(service, key, number)]
    for node in nodes:
        until("each has the receipt", lambda node=node: receipts(node, sent) == {"0x1"})
    with two_away(chain):
        assert [node.height() < 0 for node in nodes] == [False, False, False, True, True]
        before = nodes[0].told_height()
        until("three go on", lambda: nodes[0].height() > before + 3)
        for _ in range(10):
            [(height, _host)] = visit(chain.pods["web"].url, 1)
            assert height > before, "the page reads on"
    until("all have a head in common again", lambda: have_same(nodes, before))


def later(chain: Chain, publisher: Publisher) -> Deployed:
    """A sixth node, a pod of its own: it knows the first block and the bootnode, and signs nothing."""
    tree = yaml.safe_load(chain.pods["nodes"].file.read_text())
    tree["metadata"]["name"] = "sixth"
    spec = tree["spec"]
    spec["replicas"] = 1
    spec["containers"] = [one for one in spec["containers"] if one["name"] == "geth"]
    spec["services"] = [one for one in spec["services"] if one["name"] != "about"]
    files = {"genesis.json": "keys/genesis.json", "bootnodes": "keys/bootnodes"}
    next(one for one in spec["volumes"] if one["name"] == "keys")["secret"]["files"] = files
    file = publisher.folder / "sixth.yaml"
    file.write_text(yaml.safe_dump(tree))
    return publisher.deploy(file)


@pytest.mark.soak
def test_a_sixth_node_finds_the_others_by_a_bootnode_that_was_made_anew(
    chain: Chain, publisher: Publisher
) -> None:
    """In the market's own time it takes minutes: nodes look at whom they know every ten seconds.

    The sixth goes again: nodes that begin anew would take the old chain from it.
    """
    boot = chain.pods["bootnode"]
    had, uid = chain.address(boot, "boot"), chain.replica(0, "bootnode")["metadata"]["uid"]
    chain.market.kubectl("-n", boot.namespace, "delete", "pod", "pod-0", "--wait=false")

    def anew() -> bool:
        found = chain.replica(0, "bootnode")
        return bool(found) and found["metadata"]["uid"] != uid and found["status"].get("phase") == "Running"

    until("another bootnode runs", anew)
    assert chain.address(boot, "boot") == had
    pod = later(chain, publisher)
    try:
        sixth = chain.at(pod, "pod-0")
        until("it finds others", lambda: int(sixth.ask("net_peerCount"), 16) > 0, FINDS_WITHIN_S)
        first = chain.node(0)
        height = first.told_height()
        until("it has their chain", lambda: sixth.height() >= height)
        assert sixth.block_hash(height) == first.block_hash(height)
    finally:
        publisher.run("delete", pod.name, "--purge", "--yes")
        publisher.gone(pod.name)


@pytest.fixture(scope="module")
def stranger(market: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A pod of somebody else's that says of itself what `web` says."""

    def change(spec: Json) -> None:
        spec["scale"] = {"min": 1, "max": 1}
        spec["network"] = {"egress": [{"to": [{"pod": "nodes"}]}]}

    folder = tmp_path_factory.mktemp("stranger")
    person = Publisher(market, Bank(market).new_account(folder), folder)
    yield person.deploy(person.manifest("hello", unique("web"), change))
    person.close()


def test_only_the_publishers_own_pods_get_in(chain: Chain, stranger: Deployed) -> None:
    target = str(chain.replica(0)["status"]["podIP"])
    places = {}
    for name, pod in (("web", chain.pods["web"]), ("stranger", stranger)):
        found = until("a replica", lambda pod=pod: replicas(chain.market, pod.namespace))[0]
        (resolver,) = found["spec"]["dnsConfig"]["nameservers"]
        places[name] = probing.of_pod(chain.market, str(found["status"]["podIP"])), resolver
    asked = {name: name_server.ask(*place, "rpc.nodes.internal") for name, place in places.items()}
    code, (address,) = asked["web"]
    assert code == "NOERROR"
    assert asked["stranger"] == ("NXDOMAIN", [])
    for place in (target, address):
        until("web gets in", Knock(places["web"][0], place, RPC_PORT).reaches)
        assert not Knock(places["stranger"][0], place, RPC_PORT).reaches()
    assert not Knock(places["web"][0], target, ABOUT_PORT).reaches(), "web asked for one port"


@pytest.mark.soak
def test_the_chain_goes_on_over_a_delete_and_begins_anew_after_a_purge(
    chain: Chain, publisher: Publisher
) -> None:
    """Last in its file: the nodes are other lives of their pod afterwards."""
    file = chain.pods["nodes"].file
    node = chain.node(0)
    until("there is a chain", lambda: node.height() > 3)
    before, first = node.told_height(), node.block_hash(1)
    assert publisher.run("delete", "nodes", "--yes").json["retained"]["claims"]
    node = replace(chain, pods={"nodes": publisher.deploy(file)}).node(0)
    until("blocks go on", lambda: node.height() > before)
    assert node.block_hash(1) == first, "the same chain"
    publisher.run("delete", "nodes", "--purge", "--yes")
    node = replace(chain, pods={"nodes": publisher.deploy(file)}).node(0)
    until("there is a first block", lambda: node.height() > 0)
    assert node.block_hash(1) != first, "another chain from the same genesis"
