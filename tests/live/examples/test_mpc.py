# SPDX-License-Identifier: Apache-2.0
"""The shipped nodes that sign together over two clusters: who loses an instance loses its sessions alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.live.clients.publisher import Json, Publisher
from tests.live.examples.shipped import script, ship
from tests.live.examples.signing_clients import Client, Said
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]
"""Six pods with nine replicas over two clusters, and processes of MPyC on parts of a core."""

NETWORK = "mpc"
FILE = f"{NETWORK}.yaml"
NODES = ("node-1", "node-2", "node-3")
SESSIONS = 6
KEY = "wallet"
MESSAGE = b"pay nobody"


@dataclass(frozen=True)
class SigningNodes:
    """The example in a person's folder, applied."""

    pair: LiveLocalnet
    person: Publisher
    clusters: list[str]

    def run(self, verb: str, *words: str) -> Json:
        return self.person.run("network", verb, *words, *self.clusters).json

    def client(self) -> Client:
        """Somebody new, who knows the network's key."""
        ends = self.run("endpoints", NETWORK)["endpoints"]
        urls = {one["node"]: one["url"] for one in ends if one["service"] == "sdk"}
        key = (self.person.folder / "keys" / "api-key").read_text()
        return Client(tuple(str(urls[node]) for node in NODES), key)

    def place(self, node: str) -> tuple[int, str]:
        """The cluster and the namespace of a node's pod."""
        found = self.run("status", NETWORK)["nodes"][node]
        return int(found["cluster"].removeprefix("k")), str(found["live"]["namespace"])

    def replicas(self, node: str) -> list[Json]:
        index, namespace = self.place(node)
        return list(
            json.loads(self.pair.kubectl("-n", namespace, "get", "pods", "-o", "json", index=index))["items"]
        )


@pytest.fixture(scope="module")
def nodes(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningNodes]:
    folder = tmp_path_factory.mktemp("person")
    person = Publisher(pair, Bank(pair).new_account(folder), folder)
    ship(person, "mpc-3x2", ("mpc", "postgres"))
    script(person, "mpc.py", "files", person.address)
    owners = [accounts.address(accounts.owner_key(one)) for one in pair.settings.all_clusters()]
    made = SigningNodes(pair, person, [f"--cluster=k{n}={who}/1" for n, who in enumerate(owners, 1)])
    made.run("connect", NETWORK)
    made.run("apply", FILE)
    yield made
    made.run("delete", NETWORK, "--purge")


def opened(nodes: SigningNodes) -> Client:
    """A session at all three nodes; each try is a session of its own, as clients make them."""

    def tried() -> Client | None:
        client = nodes.client()
        return client if client.ask("open").well else None

    found = until("a session begins at all three nodes", tried)
    assert found is not None
    return found


def sign(client: Client) -> Said:
    return client.ask("sign", key=KEY, message=MESSAGE.hex())


def verify(said: Said, public: str) -> None:
    """All three made the same signature, and it holds for anybody."""
    assert said.well, said
    signature = bytes.fromhex(said.same("signature"))
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, MESSAGE)


@pytest.fixture(scope="module")
def public(nodes: SigningNodes) -> str:
    """The public half of a key that the three nodes made together."""
    client = opened(nodes)
    said = client.ask("key", key=KEY)
    assert said.well, said
    assert client.ask("close").well
    return said.same("public")


def test_three_nodes_sign_with_a_key_that_none_of_them_has(nodes: SigningNodes, public: str) -> None:
    clusters = {nodes.place(node)[0] for node in NODES}
    assert clusters == {1, 2}, "shares lie at two providers"
    client = opened(nodes)
    verify(sign(client), public)
    assert client.ask("key", key=KEY).statuses == (409,) * len(NODES), "a key stays"
    assert client.ask("close").well
    stranger = Client(client.urls, "another key")
    assert stranger.ask("open").statuses == (401,) * len(NODES)
    assert nodes.run("apply", FILE)["changes"] == 0


def test_who_loses_an_instance_loses_its_sessions_and_no_others(nodes: SigningNodes, public: str) -> None:
    clients = [opened(nodes) for _ in range(SESSIONS)]
    held = {client: str(sign(client).answers[0]["instance"]) for client in clients}
    for _ in range(4 * SESSIONS):
        if len(set(held.values())) == 2:
            break
        clients.append(opened(nodes))
        held[clients[-1]] = str(sign(clients[-1]).answers[0]["instance"])
    assert len(set(held.values())) == 2, "both instances of a node have sessions"
    gone = held[clients[0]]
    index, namespace = nodes.place("node-1")
    (replica,) = [
        one["metadata"]["name"]
        for one in nodes.replicas("node-1")
        if gone.startswith(one["metadata"]["name"])
    ]
    nodes.pair.kubectl("-n", namespace, "delete", "pod", replica, "--wait=false", index=index)
    ended: set[Client] = set()

    def all_ended() -> bool:
        """Another round of requests in all sessions: those of the instance end, no other fails once."""
        for client in clients:
            said = sign(client)
            if held[client] == gone and not said.well:
                ended.add(client)
            elif client not in ended:
                verify(said, public)
            else:
                raise AssertionError(f"a session that ended answers again: {said}")
        return ended == {client for client in clients if held[client] == gone}

    until("the instance's sessions have ended", all_ended)
    for client in clients:
        if client in ended:
            assert 410 in sign(client).statuses, "it is said that the session is gone"
        else:
            verify(sign(client), public)
    until("another instance serves", lambda: len(ready(nodes.replicas("node-1"))) == 2)
    verify(sign(opened(nodes)), public)


def ready(replicas: list[Json]) -> list[str]:
    return [
        one["metadata"]["name"]
        for one in replicas
        if "deletionTimestamp" not in one["metadata"]
        and all(status["ready"] for status in one["status"].get("containerStatuses", [{"ready": False}]))
    ]
