# SPDX-License-Identifier: Apache-2.0
"""The shipped nodes of three owners that sign together: who loses an instance loses its sessions alone."""

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.live.clients.publisher import Json
from tests.live.examples.signing_clients import Client, Said
from tests.live.faults.providers import without_node
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.three_signers import LinkedOwner, at_once, link
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]
"""Six pods with nine replicas over two clusters, and processes of MPyC on parts of a core."""

PLACES = {"acme": 1, "bolt": 2, "cato": 2}
"""Clusters: the kernel has inotify instances for two beside what else runs. So two owners share one."""

OPENED_S = 300.0
"""A node gives up a session after a minute, and several tries may be needed while all start."""

SESSIONS, MOST_SESSIONS = 4, 12
"""Each of two instances takes up to eight."""

STARTS = 20
"""Each begins all six instances anew, in another order."""

STRANGER_S = 240.0
"""A node calls itself a stranger after two minutes of refusals; its probe takes some seconds more."""

KEY = "wallet"
MESSAGE = b"pay nobody"


class MpcOwner(LinkedOwner):
    """One of the three, with a node of two instances and their database."""

    network, node = "mpc", "node"
    example, images, script = "mpc-3x2", ("mpc", "postgres"), "mpc.py"

    def client_key(self) -> str:
        """What its clients say."""
        return (self.folder / "keys" / "api-key").read_text()


@dataclass(frozen=True)
class SigningNodes:
    """All three owners, linked, and where clients find their nodes."""

    owners: list[MpcOwner]
    sdk: tuple[tuple[str, str], ...]

    def opened(self) -> Client:
        """A session at all three nodes; each try is a session of its own, as clients make them."""

        def tried() -> Client | None:
            client = Client(self.sdk)
            return client if client.ask("open").well else None

        found = until("a session begins at all three nodes", tried, OPENED_S)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def nodes(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningNodes]:
    """Begun alone, linked by what each signed of its node; removed at the end, by each owner alone."""
    folder = tmp_path_factory.mktemp("owners")
    owners = [MpcOwner(pair, folder / who, who, index) for who, index in PLACES.items()]
    at_once(owners, lambda one: one.begin(one.person.address))
    link(owners)
    yield SigningNodes(owners, tuple((one.endpoint("sdk"), one.client_key()) for one in owners))
    at_once(owners, lambda one: one.run("delete", one.network, "--purge"))
    for owner in owners:
        assert owner.run("list")["clusters"]["k1"]["networks"] == []


@pytest.fixture(scope="module")
def public(nodes: SigningNodes) -> str:
    """The public half of a key that the three nodes made together."""
    client = nodes.opened()
    said = client.ask("key", key=KEY)
    assert said.well, said
    assert client.ask("close").well
    return said.same("public")


def sign(client: Client, message: bytes = MESSAGE) -> Said:
    return client.ask("sign", key=KEY, message=message.hex())


def verify(said: Said, public: str) -> None:
    """All three made the same signature, and it holds for anybody."""
    assert said.well, said
    signature = bytes.fromhex(said.same("signature"))
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, MESSAGE)


def test_three_owners_nodes_sign_with_a_key_that_none_of_them_has(nodes: SigningNodes, public: str) -> None:
    client = nodes.opened()
    verify(sign(client), public)
    assert client.ask("key", key=KEY).statuses == (409, 409, 409), "a key stays"
    different = client.ask_each("sign", [{"key": KEY, "message": one.encode().hex()} for one in "xyz"])
    assert different.statuses == (409, 409, 409), "one nonce for several messages gives a key away"
    verify(sign(client), public)
    assert client.ask("close").well
    stranger = Client(tuple((url, "another key") for url, _ in nodes.sdk))
    assert stranger.ask("open").statuses == (401, 401, 401)
    for owner in nodes.owners:
        assert owner.run("apply", owner.file)["changes"] == 0


def test_who_loses_an_instance_loses_its_sessions_and_no_others(nodes: SigningNodes, public: str) -> None:
    held: dict[Client, str] = {}
    while len(held) < SESSIONS or len(set(held.values())) < 2:
        assert len(held) < MOST_SESSIONS, "both instances of a node have sessions"
        client = nodes.opened()
        held[client] = str(sign(client).answers[0]["instance"])
    acme, gone = nodes.owners[0], next(iter(held.values()))
    space = acme.namespace
    (replica,) = [name for name in ready(acme.replicas(space)) if gone.startswith(f"{name}-")]
    acme.pair.kubectl("-n", space, "delete", "pod", replica, "--wait=false", index=acme.index)
    lost = {client for client, instance in held.items() if instance == gone}
    ended: set[Client] = set()

    def all_ended() -> bool:
        """Another round of requests in all sessions: those of the instance end, no other fails once."""
        for client, instance in held.items():
            said = sign(client)
            if client in lost and not said.well:
                ended.add(client)
            else:
                assert client not in ended, f"a session that ended answers again: {said}"
                verify(said, public)
                assert said.answers[0]["instance"] == instance
        return ended == lost

    until("the instance's sessions have ended", all_ended)
    for client in held:
        if client in lost:
            assert 410 in sign(client).statuses, "it is said that the session is gone"
        else:
            verify(sign(client), public)
    until("another instance serves", lambda: len(ready(acme.replicas(space))) == 2)
    verify(sign(nodes.opened()), public)


@pytest.mark.timeout(2400)
def test_nodes_that_start_in_any_order_sign_each_time(nodes: SigningNodes, public: str) -> None:
    order = random.Random(int(time.time()))
    sys.stderr.write(f"the order's state: {order.getstate()[1][:2]}\n")
    for _ in range(STARTS):
        every = [(one, name) for one in nodes.owners for name in ready(one.replicas(one.namespace))]
        before = uids(nodes)
        order.shuffle(every)
        for owner, name in every:
            words = ("-n", owner.namespace, "delete", "pod", name, "--wait=false")
            owner.pair.kubectl(*words, index=owner.index)
        until("none of them is left", lambda before=before: not before & uids(nodes))
        client = nodes.opened()
        verify(sign(client), public)
        assert client.ask("close").well


def test_a_node_with_a_key_that_nobody_knows_signs_nothing_and_is_not_ready(
    nodes: SigningNodes, public: str
) -> None:
    """Last in its file: Cato's node is another one afterwards."""
    cato, others = nodes.owners[2], nodes.owners[:2]
    cato.run("apply", without_node(cato.folder / cato.file, "node"), "--purge")
    cato.apply()
    client = Client((*nodes.sdk[:2], (cato.endpoint("sdk"), cato.client_key())))
    assert not client.ask("open").well
    space = cato.namespace
    until("none of its instances is ready", lambda: not ready(cato.replicas(space)), STRANGER_S)
    assert all(len(ready(one.replicas(one.namespace))) == 2 for one in others), "theirs stay"
    told = cato.text("export", cato.file)
    for other in others:
        other.link({cato.who: told})
    moved = SigningNodes(nodes.owners, tuple((one.endpoint("sdk"), one.client_key()) for one in nodes.owners))
    verify(sign(moved.opened()), public)
    until("its instances are ready again", lambda: len(ready(cato.replicas(space))) == 2, STRANGER_S)


def uids(nodes: SigningNodes) -> set[str]:
    """Of all replicas that Kubernetes has of the nodes; those that are ending too."""
    return {one["metadata"]["uid"] for owner in nodes.owners for one in owner.replicas(owner.namespace)}


def ready(replicas: list[Json]) -> list[str]:
    return [
        one["metadata"]["name"]
        for one in replicas
        if "deletionTimestamp" not in one["metadata"]
        and all(status["ready"] for status in one["status"].get("containerStatuses", [{"ready": False}]))
    ]
