# SPDX-License-Identifier: Apache-2.0
"""The shipped signing nodes on real drand and PostgreSQL: three nodes of two instances, one key."""

import http.client
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest

from tests.live.clients import probing
from tests.live.clients.probing import Knock
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.examples.chain_node import ask_http
from tests.live.examples.shipped import deploy_all, script, ship
from tests.live.examples.signed_rounds import LATEST, Round, Signatures, latest_round
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""Six pods with nine replicas take over 90 s to come up on two cores."""

NODES = (1, 2, 3)
INSTANCES = 2
SDK, MPC, SQL = 8080, 8000, 5432


@dataclass(frozen=True)
class Signers:
    """The six pods; each node's instances are replicas."""

    market: LiveLocalnet
    pods: dict[str, Deployed]

    def replica(self, pod: str, ordinal: int) -> Json:
        found = replicas(self.market, self.pods[pod].namespace)
        return next((one for one in found if one["metadata"]["name"] == f"pod-{ordinal}"), {})

    def address(self, pod: str, service: str) -> str:
        """A service's own address in the cluster."""
        words = ["-n", self.pods[pod].namespace, "get", "service", service]
        return self.market.kubectl(*words, "-o", "jsonpath={.spec.clusterIP}")

    def latest(self, node: int, ordinal: int) -> Round | None:
        """One instance's latest round; None while it has none."""
        address = self.replica(f"signer-{node}", ordinal).get("status", {}).get("podIP")
        return None if address is None else latest_round(probing.node(self.market), address, SDK)

    def signatures(self, *instances: tuple[int, int]) -> Signatures:
        """What *instances* (node, ordinal) sign from now on."""
        return Signatures({f"{node}/{one}": partial(self.latest, node, one) for node, one in instances})


@pytest.fixture(scope="module")
def signers(market: LiveLocalnet, publisher: Publisher) -> Signers:
    ship(publisher, "signers", ("drand", "postgres"))
    script(publisher, "signers.py", "files")
    pods = deploy_all(publisher, *(f"db-{node}" for node in NODES))
    pods |= deploy_all(publisher, *(f"signer-{node}" for node in NODES))
    script(publisher, "signers.py", "key")
    return Signers(market, pods)


def test_all_instances_sign_the_same_with_a_key_that_nobody_has(signers: Signers) -> None:
    every = [(node, ordinal) for node in NODES for ordinal in range(INSTANCES)]
    found = until("all have a round", signers.signatures(*every).common)
    assert len(bytes.fromhex(found.signature)) == 48, "a point of G1, compressed"


def through_facade(pod: Deployed, session: str) -> int:
    parts = urlsplit(pod.url)
    target = f"http://127.0.0.1:{parts.port}{LATEST}"
    headers = {"Host": parts.netloc, "Session": session}
    return httpx.get(target, headers=headers, timeout=30, trust_env=False).status_code


def test_an_instance_that_ends_leaves_its_rounds_to_the_other(signers: Signers) -> None:
    pod, uid = signers.pods["signer-1"], signers.replica("signer-1", 0)["metadata"]["uid"]
    signers.market.kubectl("-n", pod.namespace, "delete", "pod", "pod-0", "--wait=false")
    left = signers.signatures((1, 1), (2, 0))
    until("the other signs on", left.common)
    until("clients are served", lambda: through_facade(pod, "a-client") == 200)
    until(
        "it comes back with its share",
        lambda: (
            (found := signers.replica("signer-1", 0))
            and found["metadata"]["uid"] != uid
            and signers.latest(1, 0)
        ),
    )
    until("it signs what the others sign", signers.signatures((1, 0), (1, 1), (2, 0)).common)
    rounds = "SELECT max(round) FROM beacon_details"
    words = ["-n", signers.pods["db-1"].namespace, "exec", "pod-0", "--", "psql", "-Atc", rounds]
    assert int(signers.market.kubectl(*words)) >= 1, "they share the node's database"


def test_each_service_has_an_address_and_who_may_call_it(signers: Signers) -> None:
    addresses = {signers.address("signer-1", service) for service in ("sdk", "mpc")}
    assert len(addresses) == 2
    node, mpc = probing.node(signers.market), signers.address("signer-1", "mpc")
    assert b"signature" in ask_http(node, signers.address("signer-1", "sdk"), 80, LATEST)
    assert Knock(node, mpc, MPC).reaches()
    assert not any(Knock(node, mpc, port).reaches() for port in (80, SDK)), "no SDK at mpc's address"
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):
        ask_http(node, mpc, MPC, LATEST)
    other = probing.of_pod(signers.market, str(signers.replica("signer-2", 0)["status"]["podIP"]))
    assert Knock(other, signers.address("signer-1", "mpc"), MPC).reaches()
    assert not Knock(other, signers.address("signer-1", "sdk"), 80).reaches(), "nodes meet at mpc alone"
    assert not Knock(other, signers.address("db-1", "sql"), SQL).reaches(), "a database is its node's alone"
    own = probing.of_pod(signers.market, str(signers.replica("signer-1", 1)["status"]["podIP"]))
    assert Knock(own, signers.address("db-1", "sql"), SQL).reaches()
