# SPDX-License-Identifier: Apache-2.0
"""Connections of a tcp service that the kernel carries past HAProxy: who sees whom, pays, may, and sleeps.

The client is a stretch of the internet behind the node, which counts what passes it by itself.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients import outside, protocols
from tests.live.clients.outside import SERVER
from tests.live.clients.probing import run
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.isolation.test_policies import counters, kill_agent
from tests.live.localnet_fixture import FAST, LiveLocalnet, localnet
from tests.live.observers.cluster import replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.network import entered

pytestmark = [pytest.mark.live, pytest.mark.soak]

IDLE_S = 6
MOST = 5
"""Connections at once that the service asks for."""

TABLE = "trustedpods-facade"

OBSERVER = """table ip observer {
 counter sent { }
 counter received { }
 chain out { type filter hook output priority 300; tcp dport PORT counter name sent; }
 chain in { type filter hook input priority -300; tcp sport PORT counter name received; }
}
"""


@pytest.fixture(scope="module")
def market() -> Iterator[LiveLocalnet]:
    """One whose nodes' kernels carry tcp."""
    with localnet(knobs=FAST.model_copy(update={"kernel_tcp": True})) as running:
        yield running


@pytest.fixture(scope="module")
def world(market: LiveLocalnet) -> Iterator[Path]:
    with outside.world(market) as made:
        yield made


@dataclass(frozen=True)
class Service:
    """The pod's service of tcp as the world reaches it."""

    market: LiveLocalnet
    world: Path
    deployed: Deployed
    port: int

    def connect(self) -> socket.socket:
        with entered(self.world):
            return socket.create_connection((self.market.cluster().node_ip, self.port), timeout=60)

    @property
    def leads(self) -> str:
        """Where the kernel leads its port now; "" where nothing leads."""
        table = json.loads(self.market.on_node("nft", "-j", "list", "table", "ip", TABLE))["nftables"]
        maps = {one["map"]["name"]: one["map"].get("elem", []) for one in table if "map" in one}
        return next((f"{to['concat'][0]}" for port, to in maps["targets"] if port == self.port), "")

    def awake(self) -> None:
        """Wake it, by the activator, until the kernel leads there. Earlier connections have ended before."""
        until("earlier ones are over", lambda: ended(self))
        with self.connect() as sock:
            assert protocols.echoed(sock, b"wake") == b"wake"
        until("the kernel leads to the replica", lambda: self.leads)


@pytest.fixture(scope="module")
def service(market: LiveLocalnet, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("publisher")
    person = Publisher(market, Bank(market).new_account(folder), folder)

    def change(spec: Json) -> None:
        spec["scale"] = {"min": 0, "max": 1, "idleAfter": f"{IDLE_S}s"}
        spec["services"] = [one for one in spec["services"] if one["name"] == "raw"]
        spec["services"][0]["limits"] = {"connections": MOST}

    deployed = person.deploy(person.manifest("echo", unique("kernel"), change))
    port = int(deployed.result["endpoints"][0]["url"].rpartition(":")[2])
    yield Service(market, world, deployed, port)
    person.close()


@contextmanager
def observed(service: Service) -> Iterator[dict[str, int]]:
    """What the world counts of the service's bytes while the block runs, as IP packets; read when it ends."""
    found: dict[str, int] = {}
    inside = ["ip", "netns", "exec", service.world.name, "nft"]
    rules = OBSERVER.replace("PORT", str(service.port))
    subprocess.run([*inside, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield found
        listing = subprocess.check_output([*inside, "-j", "list", "counters"])
        objects = [one["counter"] for one in json.loads(listing)["nftables"] if "counter" in one]
        found |= {one["name"]: one["bytes"] for one in objects}
    finally:
        run(*inside, "delete", "table", "ip", "observer")


def counted(service: Service) -> tuple[int, int]:
    """Bytes that the agent counted of the pod's replicas, in and out."""
    found = counters(service.market, service.deployed.namespace).values()
    return sum(one.ingress_bytes for one in found), sum(one.egress_bytes for one in found)


def ended(service: Service) -> bool:
    """Whether all connections to the port are over: what its limits do not count any more."""
    listing = service.market.on_node("conntrack", "-L", "-p", "tcp", "--orig-port-dst", str(service.port))
    states = {line.split()[3] for line in listing.splitlines() if line.startswith("tcp")}
    return states <= {"TIME_WAIT", "CLOSE"}


def test_what_passes_the_kernel_is_billed_to_the_byte(service: Service) -> None:
    service.awake()
    before = counted(service)
    with observed(service) as seen:
        with service.connect() as sock:
            for size in (1, 1000, 30_000):
                assert protocols.echoed(sock, b"x" * size) == b"x" * size
        until("both sides have ended", lambda: ended(service))
    after = counted(service)
    assert seen["sent"] > 31_001 < seen["received"]
    assert (after[0] - before[0], after[1] - before[1]) == (seen["sent"], seen["received"])


def test_the_pod_is_called_by_the_client_itself_and_by_nobody_else(service: Service) -> None:
    service.awake()
    with service.connect() as sock:
        assert protocols.echoed(sock, b"who") == b"who"
        port = str(sock.getsockname()[1])
        words = ("conntrack", "-L", "-p", "tcp", "--orig-port-src", port, "--reply-src", service.leads)
        assert f"src={SERVER}" in service.market.on_node(*words)
        address = service.leads
    with entered(service.world), pytest.raises(OSError):  # past the facade's port nothing is open
        socket.create_connection((address, 7000), timeout=2)


def test_no_more_connections_than_the_service_lets_through(service: Service) -> None:
    service.awake()
    until("what woke it is over", lambda: ended(service))
    held = [service.connect() for _ in range(MOST)]
    try:
        with pytest.raises(ConnectionRefusedError):
            service.connect()
        held.pop().close()
        until("one has ended", lambda: _connects(service))
    finally:
        for sock in held:
            sock.close()


def _connects(service: Service) -> bool:
    try:
        service.connect().close()
    except ConnectionRefusedError:
        return False
    return True


def test_who_talks_keeps_the_pod_and_it_sleeps_after(service: Service) -> None:
    service.awake()
    (replica,) = replicas(service.market, service.deployed.namespace)
    with service.connect() as sock:
        end = time.monotonic() + 2 * IDLE_S
        while time.monotonic() < end:
            assert protocols.echoed(sock, b"there") == b"there"
            time.sleep(1.0)
        kill_agent(service.market)  # what it led goes on
        assert protocols.echoed(sock, b"still") == b"still"
        assert [one["metadata"]["name"] for one in replicas(service.market, service.deployed.namespace)] == [
            replica["metadata"]["name"]
        ]
    until_zero(service.market, service.deployed.namespace)
    assert service.leads == ""
    service.awake()  # and again
