# SPDX-License-Identifier: Apache-2.0
"""The node's policy agent at its edges: first packets, changes, its own absence, and what it counts."""

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

import pytest
import trio

from tests.live.clients import probing, web
from tests.live.clients.probing import Knock
from tests.live.clients.publisher import Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.cluster.files import traffic_socket
from trustedpods.localnet.network import entered
from trustedpods.provider.cluster.pod_counters import PodCounters, TrafficDoor

pytestmark = pytest.mark.live

PORT = 8080
AGENT = "k1/netpol"


@pytest.fixture(scope="module")
def room(market: LiveLocalnet) -> Iterator[str]:
    """A namespace for pods; without policies until a test makes some."""
    name = f"policies-{secrets.token_hex(3)}"
    market.make_namespace(name)
    yield name
    market.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def server(market: LiveLocalnet, room: str) -> str:
    """Address of a pod that sends back what it gets; policies know it as `role: server`."""
    return start(market, room, "server", f"exec nc -ll -p {PORT} -e cat")


def start(market: LiveLocalnet, room: str, name: str, script: str = "exec sleep 1000") -> str:
    """A pod that runs a script; its address once it runs."""
    make(market, room, name, script)
    return until(f"{name} runs", lambda: address(market, room, name))


def make(market: LiveLocalnet, room: str, name: str, script: str) -> None:
    container = {
        "name": "c",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }
    metadata = {"name": name, "namespace": room, "labels": {"role": name.partition("-")[0]}}
    market.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def address(market: LiveLocalnet, room: str, name: str) -> str:
    """The pod's address, or nothing before its container runs."""
    words = ["-n", room, "get", "pod", name, "-o", "jsonpath={.status.phase} {.status.podIP}"]
    phase, _, found = market.kubectl(*words).partition(" ")
    return found if phase == "Running" else ""


@contextmanager
def policy(market: LiveLocalnet, room: str, role: str, direction: str) -> Iterator[None]:
    """Nothing passes in one direction of the pods of a role while the block runs."""
    name = unique("closed")
    market.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": room},
            "spec": {"podSelector": {"matchLabels": {"role": role}}, "policyTypes": [direction]},
        }
    )
    try:
        yield
    finally:
        market.kubectl("-n", room, "delete", "networkpolicy", name)


def counters(market: LiveLocalnet, room: str) -> dict[str, PodCounters]:
    """What the agent counted, by pod."""
    found = trio.run(TrafficDoor(traffic_socket(market.cluster())).counters)
    return {entry.pod: entry for entry in found if entry.namespace == room}


def kill_agent(market: LiveLocalnet) -> None:
    """`kill -9`, and wait for the next one."""
    before = market.pid(AGENT)
    os.kill(before, signal.SIGKILL)

    def another() -> bool:
        part = market.parts()[AGENT]
        return part["state"] == "ready" and part["pid"] != before

    until("the supervisor started another agent", another)


def test_a_connection_ends_when_the_policy_that_allowed_it_does(
    market: LiveLocalnet, room: str, server: str
) -> None:
    caller = probing.of_pod(market, start(market, room, "caller"))
    with entered(caller):
        line = socket.create_connection((server, PORT), timeout=30)
    with line:
        line.sendall(b"1")
        assert line.recv(1) == b"1"
        with policy(market, room, "server", "Ingress"):
            until("new connections are refused", lambda: not Knock(caller, server, PORT).reaches())
            line.settimeout(2)
            line.sendall(b"2")
            with pytest.raises(TimeoutError):
                line.recv(1)
        line.settimeout(30)  # TCP's pauses between repetitions have grown meanwhile
        assert line.recv(1) == b"2", "what was held back comes when it is allowed again"


def test_the_first_packet_of_a_new_pod_meets_its_policies(
    market: LiveLocalnet, room: str, server: str
) -> None:
    """A pod that calls in its first millisecond; the same pod without a policy gets through each time."""

    def calls(patience_s: int) -> str:
        once = f"nc -w {patience_s} {server} {PORT} < /dev/null && echo through"
        return f"for i in 1 2 3; do {once}; done; echo over; exec sleep 1000"

    def said(name: str) -> str:
        words = until(f"{name} has called", partial(said_all, name))
        assert words is not None
        return words

    def said_all(name: str) -> str | None:
        words = market.kubectl("-n", room, "logs", name)
        return words if "over" in words else None

    with policy(market, room, "hasty", "Egress"):
        for name in ("hasty-0", "hasty-1"):
            make(market, room, name, calls(patience_s=1))
        make(market, room, "free", calls(patience_s=20))
        for name in ("hasty-0", "hasty-1", "free"):
            until(f"{name} runs", partial(address, market, room, name))
        assert [said(name).count("through") for name in ("hasty-0", "hasty-1", "free")] == [0, 0, 3]


def test_an_agent_that_is_away_keeps_what_is_and_lets_nothing_new_in(
    market: LiveLocalnet, room: str, server: str
) -> None:
    caller = probing.of_pod(market, start(market, room, "guest"))
    agent = market.pid(AGENT)
    with policy(market, room, "server", "Ingress"):
        until("closed", lambda: not Knock(caller, server, PORT).reaches())
        os.kill(agent, signal.SIGSTOP)
        try:
            make(market, room, "late", "exec sleep 1000")
            began = monotonic()
            while monotonic() - began < 3:  # nothing may happen in that time: there is no event to wait for
                assert address(market, room, "late") == ""
                assert not Knock(caller, server, PORT).reaches()
        finally:
            os.kill(agent, signal.SIGCONT)
        until("the new pod starts", lambda: address(market, room, "late"))
        kill_agent(market)
        assert not Knock(caller, server, PORT).reaches()
    until("open again", lambda: Knock(caller, server, PORT).reaches())


def test_bytes_are_counted_once_and_survive_the_agent(
    market: LiveLocalnet, room: str, server: str, publisher: Publisher
) -> None:
    sent = 3_000_000
    start(
        market,
        room,
        "sender",
        f"head -c {sent} /dev/zero | nc {server} {PORT} > /dev/null & exec sleep 1000",
    )
    until("all is echoed", lambda: counters(market, room)["sender"].ingress_bytes >= sent)
    seen = counters(market, room)
    sender = seen["sender"]
    for count in (sender.ingress_bytes, sender.egress_bytes):
        assert sent <= count < 1.1 * sent, "the payload, and headers of IP and TCP"
    kill_agent(market)
    again = counters(market, room)
    assert again["sender"].egress_bytes >= sender.egress_bytes
    assert again["sender"].uid == sender.uid
    market.kubectl("-n", room, "delete", "pod", "sender")
    until("it is gone", lambda: "sender" not in market.kubectl("-n", room, "get", "pods"))
    assert counters(market, room)["sender"].egress_bytes >= sender.egress_bytes

    deployed = publisher.deploy(publisher.manifest("hello", unique("counted")))
    assert web.get(deployed.url).status == 200
    replicas = counters(market, deployed.namespace).values()
    assert [(entry.ingress_bytes, entry.egress_bytes) for entry in replicas] == [(0, 0)] * len(replicas)
    assert replicas, "the facade's traffic is the facade's to count: here it is none"
