# SPDX-License-Identifier: Apache-2.0
"""Knocking on doors from inside any network namespace, and waiting behind them."""

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.network import NAMESPACES, entered

Protocol = Literal["tcp", "udp"]
T = TypeVar("T")

KNOCK_LIMIT_S = 1.0
"""Addresses on one machine answer within a millisecond; a dropped packet never does."""

AT_ONCE = 40


@dataclass(frozen=True)
class Knock:
    """Somebody who tries to reach an address from a network namespace."""

    namespace: Path
    address: str
    port: int
    protocol: Protocol = "tcp"
    source: str | None = None

    def reaches(self) -> bool:
        """Whether a connection is accepted, or a datagram answered."""
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        host, _, scope = self.address.partition("%")
        with entered(self.namespace):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            target = (host, self.port, 0, socket.if_nametoindex(scope)) if scope else (host, self.port)
            made = socket.socket(family, kind)
        with made:
            made.settimeout(KNOCK_LIMIT_S)
            try:
                if self.source is not None:
                    made.bind((self.source, 0))
                made.connect(target)
                if self.protocol == "udp":
                    made.send(b"?")
                    made.recv(16)
            except OSError:
                return False
        return True


def all_at_once(asked: list[Callable[[], T]]) -> list[T]:
    """Each in a thread of its own."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda ask: ask(), asked))


@contextlib.contextmanager
def echo(namespace: Path, address: str, port: int, protocol: Protocol = "tcp") -> Iterator[list[str]]:
    """Somebody who accepts every connection, and sends back what comes; yields who came."""
    with entered(namespace):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    came: list[str] = []
    with made:
        if protocol == "tcp":
            made.listen(128)
        serve = _accept if protocol == "tcp" else _answer
        thread = threading.Thread(target=serve, args=(made, came), daemon=True)
        thread.start()
        try:
            yield came
        finally:
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _accept(listening: socket.socket, came: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, (peer, *_) = listening.accept()
            came.append(peer)
            threading.Thread(target=_send_back, args=(connection,), daemon=True).start()


def _send_back(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            connection.sendall(data)


def _answer(made: socket.socket, came: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, peer = made.recvfrom(65536)
            if not data and peer is None:
                return
            came.append(peer[0])
            made.sendto(data, peer)


def node(market: LiveLocalnet) -> Path:
    """The node's network namespace."""
    assert market.cluster().namespace is not None
    return NAMESPACES / str(market.cluster().namespace)


def of_pod(market: LiveLocalnet, address: str, index: int = 1) -> Path:
    """The network namespace of the pod that has the address, in the cluster of that *index*."""
    runs = [node.path("run") for node in market.cluster(index).nodes]
    for path in (path for run in runs for path in run.rglob("netns/cni-*")):
        argv = ["nsenter", f"--net={path}", "ip", "-json", "-4", "address", "show"]
        shown = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
        if shown.returncode != 0:  # a pod that ends meanwhile
            continue
        found = json.loads(shown.stdout)
        addresses = {info.get("local") for link in found for info in link.get("addr_info", [])}
        if address in addresses:
            return path
    raise AssertionError(f"no pod has {address}")


def run(*argv: str | Path) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout
