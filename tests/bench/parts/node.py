# SPDX-License-Identifier: Apache-2.0
"""What benchmarks need of a cluster: its API without kubectl's own 95 ms, and pods dialled on the node."""

import json
import socket
import ssl
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import yaml

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.network import connect

Json = dict[str, Any]
GONE_LIMIT_S = 90


class Api:
    """The cluster's API as administrator, on one connection that is kept."""

    def __init__(self, market: LiveLocalnet) -> None:
        config = yaml.safe_load(market.kubeconfig().read_text())
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        root = b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=root)
        with tempfile.NamedTemporaryFile() as both:
            both.write(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
            both.flush()
            context.load_cert_chain(both.name)
        self.http = httpx.Client(base_url=cluster["server"], verify=context, timeout=60, trust_env=False)

    def get(self, path: str) -> Json:
        """An object."""
        answer = self.http.get(path)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def create(self, path: str, made: Json) -> None:
        """Create an object."""
        self.http.post(path, json=made).raise_for_status()

    def scale(self, namespace: str, name: str, count: int) -> None:
        """Ask for so many replicas."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
        head = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps({"spec": {"replicas": count}})
        self.http.patch(path, content=body, headers=head).raise_for_status()

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """The pods of a namespace."""
        found: list[Json] = self.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
        return found

    def until_gone(self, namespace: str) -> None:
        """Wait until the namespace has no pod."""
        deadline = time.monotonic() + GONE_LIMIT_S
        while self.pods(namespace):
            assert time.monotonic() < deadline, "the pods do not go away"
            time.sleep(0.1)


class Events:
    """When the pods of a namespace were first seen in each state, by a watch in the background."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.ip: str | None = None
        self.changed = threading.Condition()
        self.ready = threading.Event()

    def clear(self) -> None:
        """Before a start; no pod is there."""
        with self.changed:
            self.first, self.ip = {}, None

    def take(self, event: Json) -> None:
        """One change."""
        pod, now = event["object"], time.monotonic()
        if event["type"] == "DELETED" or "deletionTimestamp" in pod["metadata"]:
            return
        with self.changed:
            self.first.setdefault("pod object", now)
            if pod["spec"].get("nodeName"):
                self.first.setdefault("bound", now)
            if address := pod["status"].get("podIP"):
                self.first.setdefault("pod IP", now)
                self.ip = address
            self.changed.notify_all()

    def address(self) -> str:
        """The pod's address, as soon as it has one."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.ip is not None, 60), "no pod got an address"
            assert self.ip is not None
            return self.ip


@contextmanager
def watching(market: LiveLocalnet, namespace: str) -> Iterator[Events]:
    """Watch the pods while the block runs."""
    events, api = Events(), Api(market)
    end = threading.Event()

    def follow() -> None:
        try:
            changes()
        except httpx.TransportError:  # the API server goes down before the next change comes
            if not end.is_set():
                raise

    def changes() -> None:
        version = api.get(f"/api/v1/namespaces/{namespace}/pods")["metadata"]["resourceVersion"]
        path = f"/api/v1/namespaces/{namespace}/pods?watch=1&resourceVersion={version}"
        with api.http.stream("GET", path, timeout=3600) as lines:
            events.ready.set()
            for line in lines.iter_lines():
                if end.is_set():
                    return
                events.take(json.loads(line))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert events.ready.wait(15)
    yield events
    end.set()


def dial(market: LiveLocalnet, ip: str, port: int, limit_s: float = 60) -> None:
    """Connect until it is answered; from the node, as the facade does."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            connect(market.cluster().namespace, ip, port, timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the pod does not answer"
            time.sleep(0.001)
        else:
            return


def ask(market: LiveLocalnet, address: tuple[str, int], host: str, path: str = "/") -> int:
    """One GET from the node on a connection of its own; the status."""
    with connect(market.cluster().namespace, *address, timeout=90) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := sock.recv(65536):
            answer += more
    return int(answer.split(b" ", 2)[1]) if answer else 0
