# SPDX-License-Identifier: Apache-2.0
"""`down` leaves nothing behind, and `up` goes on, whatever was killed before."""

import os
import signal
from time import monotonic, sleep

import pytest

from tests.live.localnet_fixture import FAST, UP_LIMIT_S, LiveLocalnet, localnet
from tests.localnet import traces
from trustedpods.localnet import folders
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.down import down
from trustedpods.localnet.up import up

pytestmark = pytest.mark.live


def run_pod(running: LiveLocalnet, name: str = "keeper") -> None:
    """A pod with a volume: it has processes, mounts, a namespace and an address."""
    metadata = {"name": name, "namespace": "default"}
    mount = [{"name": "data", "mountPath": "/data"}]
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"], "volumeMounts": mount}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": name}}
    running.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "volumes": [volume]},
        },
    )
    running.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def wait_for(question: object, limit_s: float = 150) -> None:
    deadline = monotonic() + limit_s
    while not question():
        assert monotonic() < deadline
        sleep(0.1)


def down_leaves_nothing(running: LiveLocalnet, machine: set[str]) -> None:
    """Take a localnet down that has pods: nothing of it is left, and the rest of the machine is as before."""
    name, octet = running.settings.name, running.settings.octet
    sockets = traces.shim_sockets(running.state)
    assert sockets
    assert any(trace.startswith("mount") for trace in traces.of(name))
    assert traces.routes(octet)
    assert down(name)
    assert traces.of(name) == set()
    assert traces.of_machine() == machine
    assert traces.routes(octet) == set()
    assert not any(socket.exists() for socket in sockets)
    assert not folders.state_of(name).exists()
    assert not down(name)


def test_down_after_everything_was_killed_leaves_only_another_localnet(market: LiveLocalnet) -> None:
    machine = traces.of_machine()
    with localnet() as running:
        run_pod(running)
        kill(running.supervisor())
        for part in ("k1/containerd", "k1/kubelet", "k1/provider", "chain"):
            kill(running.pid(part))
        down_leaves_nothing(running, machine)
    assert "Ready" in market.kubectl("get", "nodes")


def test_up_after_a_killed_supervisor_takes_the_parts_over() -> None:
    machine = traces.of_machine()
    with localnet() as running:
        run_pod(running)
        before = {name: part["pid"] for name, part in running.parts().items()}
        kill(running.supervisor())
        wait_for(lambda: folders.holder(folders.supervisor_lock(running.state)) is None)
        up(running.settings.name, knobs=FAST, limit_s=UP_LIMIT_S)
        assert {name: part["pid"] for name, part in running.parts().items()} == before
        assert running.supervisor()

        for part in (
            "chain",
            "k1/etcd",
            "k1/apiserver",
            "k1/containerd",
            "k1/haproxy",
            "k1/activator",
            "k1/provider",
        ):
            old, restarts = running.pid(part), running.parts()[part]["restarts"]
            kill(old)
            wait_for(lambda part=part, old=old: running.parts()[part]["pid"] not in (None, old))
            wait_for(lambda part=part: running.parts()[part]["state"] == "ready")
            assert running.parts()[part]["restarts"] > restarts
        wait_for(lambda: "Running" in running.kubectl("get", "pod", "keeper"))
        kill(running.supervisor())
        down_leaves_nothing(running, machine)


def test_up_after_a_kept_down_has_the_same_pods_and_chain() -> None:
    machine = traces.of_machine()
    with localnet() as running:
        run_pod(running)
        market = running.market_file.read_text()
        assert down(running.settings.name, keep=True)
        assert {trace.split()[0] for trace in traces.of(running.settings.name)} <= {"file"}
        up(running.settings.name, knobs=FAST, limit_s=UP_LIMIT_S)
        assert running.market_file.read_text() == market
        running.kubectl("wait", "--for=condition=Ready", "pod/keeper", "--timeout=90s")
        down_leaves_nothing(running, machine)
