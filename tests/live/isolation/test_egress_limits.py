# SPDX-License-Identifier: Apache-2.0
"""A pod that floods is held to the operator's limits; its neighbour, and who calls it, lose nothing.

The daemon of the localnet has no limits: the test notes them itself, as `EgressLimits` does.
"""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.live.clients import probing
from tests.live.clients.probing import Knock
from tests.live.isolation.test_policies import PORT, address, counters, kill_agent
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.network import entered
from trustedpods.provider.cluster.networks.egress_limits import CONNECTIONS_NOTE, MBIT_NOTE
from trustedpods.provider.cluster.objects.names import NETWORKS_NAMESPACE, POD_LABEL

pytestmark = pytest.mark.live

TABLE = "trustedpods-limits"
MBIT, CONNECTIONS = 8, 20
BUCKET = 1_250_000
"""Bytes at 8 Mbit/s: a second's worth that the kernel's bucket holds, and the burst, a quarter of it."""

DATAGRAMS, PAYLOAD, HEADERS = 4000, 1200, 28
AT_ONCE = 100
"""Fewer than `probing.echo` lets wait."""


@pytest.fixture(scope="module")
def places(market: LiveLocalnet) -> Iterator[dict[str, str]]:
    """The addresses of a pod that floods, its neighbour, both the provider's, and a server that is not."""
    room = f"limits-{secrets.token_hex(3)}"
    market.make_namespace(room)
    for name in ("flood", "neighbour", "server"):
        script = ["sleep", "1000"]
        container = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": script}
        labels = {} if name == "server" else {POD_LABEL: f"{name}-{room}"}
        metadata = {"name": name, "namespace": room, "labels": labels}
        spec = {
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        }
        market.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    found = {name: until(f"{name} runs", lambda name=name: address(market, room, name)) for name in
             ("flood", "neighbour", "server")}  # fmt: skip
    yield {"room": room, **found}
    market.kubectl("delete", "namespace", room, "--wait=false")


@pytest.fixture
def limits(market: LiveLocalnet, places: dict[str, str]) -> Iterator[None]:
    market.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NETWORKS_NAMESPACE}})
    note(market, f"{MBIT_NOTE}={MBIT}", f"{CONNECTIONS_NOTE}={CONNECTIONS}")
    try:
        until("the rules are there", lambda: rules(market).count(places["flood"]) > 1)
        yield
    finally:
        note(market, f"{MBIT_NOTE}-", f"{CONNECTIONS_NOTE}-")
    until("the rules are gone", lambda: not rules(market))


def note(market: LiveLocalnet, *words: str) -> None:
    market.kubectl("annotate", "--overwrite", "namespace", NETWORKS_NAMESPACE, *words)


def rules(market: LiveLocalnet) -> str:
    """The table of limits; "" where there is none."""
    if TABLE not in market.on_node("nft", "list", "tables"):
        return ""
    return market.on_node("nft", "list", "table", "ip", TABLE)


def test_a_flood_is_refused_and_harms_nobody_else(
    market: LiveLocalnet, places: dict[str, str], limits: None
) -> None:
    flood, neighbour, server = (places[name] for name in ("flood", "neighbour", "server"))
    inside, calls = probing.of_pod(market, flood), probing.of_pod(market, server)
    with probing.echo(calls, server, PORT), probing.echo(inside, flood, PORT):
        with entered(inside):
            steady = socket.create_connection((server, PORT), timeout=10)
        began = monotonic()
        datagrams(inside, server)
        took = monotonic() - began
        whole = DATAGRAMS * (PAYLOAD + HEADERS)
        counted = counters(market, places["room"])["flood"]
        assert counted.refused_packets > 0
        refused = counted.refused_packets * (PAYLOAD + HEADERS)
        assert counted.egress_bytes + refused == pytest.approx(whole, abs=5000), (
            "refused bytes are in no bill"
        )
        assert counted.egress_bytes < BUCKET + MBIT * 125_000 * (took + 1)
        assert began_at_once(probing.of_pod(market, neighbour), server) >= CONNECTIONS, "a bucket of its own"
        assert counters(market, places["room"])["neighbour"].refused_packets > 0, "of new connections"

        until("the bucket has room", lambda: Knock(inside, server, PORT).reaches())
        assert CONNECTIONS // 2 <= began_at_once(inside, server) <= 3 * CONNECTIONS
        with steady:
            steady.sendall(b"still here")
            assert steady.recv(64) == b"still here"
        # The caller is not the provider's pod, and has no limit: answers are no new connections.
        until("all is answered", lambda: began_at_once(calls, flood) == AT_ONCE)

        before = counters(market, places["room"])["flood"].refused_packets
        kill_agent(market)  # the next one finds the table of the one before
        until("the rules are there", lambda: rules(market).count(flood) > 1)
        assert counters(market, places["room"])["flood"].refused_packets >= before


def datagrams(inside: Path, to: str) -> None:
    with entered(inside):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made:
        for _ in range(DATAGRAMS):
            made.sendto(bytes(PAYLOAD), (to, 9))


def began_at_once(inside: Path, to: str) -> int:
    """How many of `AT_ONCE` connections are there within half a second: what is refused is tried later."""
    with ExitStack() as stack:
        with entered(inside):
            made = [stack.enter_context(socket.socket()) for _ in range(AT_ONCE)]
        for one in made:
            one.setblocking(False)
            one.connect_ex((to, PORT))
        deadline = monotonic() + 0.5
        while (found := sum(map(connected, made))) < AT_ONCE and monotonic() < deadline:
            sleep(0.01)
        return found


def connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True


def test_nft_takes_every_script_of_the_agent(tmp_path: Path) -> None:
    """In a network of its own: over a table of another version too."""
    test = tmp_path / "limits.test"
    environment = {**os.environ, "CGO_ENABLED": "0", "LIMITS_NFT": "1"}
    build = ["go", "test", "-trimpath", "-c", "-o", str(test), "./netpol/limits"]
    subprocess.run(build, cwd=ROOT / "deploy/kube", env=environment, check=True)
    run = ["unshare", "--net", str(test), "-test.v", "-test.run", "Nft"]
    done = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    assert "--- PASS: TestNftTakesTheScripts" in done.stdout
