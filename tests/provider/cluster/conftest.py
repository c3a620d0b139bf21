# SPDX-License-Identifier: Apache-2.0
"""A scripted API server for most tests, a real cluster for those marked live."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import trio

from tests.fakes.images.example_images import build, oci
from tests.fakes.web_server import Answer, WebServer
from trustedpods.localnet.network import enter
from trustedpods.provider.cluster.client import Cluster, open_cluster

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{token: a-token}}}}]
"""


@pytest.fixture
def api_server(nursery: trio.Nursery) -> Callable:
    """`await api_server(answer, ...)` starts a server that gives these answers."""

    async def start(*answers: Answer) -> WebServer:
        server = WebServer(list(answers))
        await nursery.start(server.serve)
        return server

    return start


@pytest.fixture
def kubeconfig_for(tmp_path: Path) -> Callable[[str], Path]:
    """A kubeconfig for a server's address."""

    def write(server: str) -> Path:
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(server=server))
        return path

    return write


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Node:
    """A real cluster: its kubeconfig, its registry, and a way to run commands on its node."""

    kubeconfig: Path
    registry: str
    enter: tuple[str, ...] = ()

    def push(self, archive: Path, name: str, scratch: Path) -> str:
        """Pull reference of an OCI archive's image, now in the registry on the node's loopback."""
        digest_file = scratch / f"{name}.digest"
        copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"--digestfile={digest_file}"]
        target = f"docker://{self.registry}/tests/{name}"
        subprocess.run([*self.enter, *copy, f"oci-archive:{archive}", target], check=True, timeout=60)
        return f"{self.registry}/tests/{name}@{digest_file.read_text().strip()}"


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    """The cluster of TRUSTEDPODS_TEST_KUBECONFIG, else that of the session's own localnet.

    With the variable, TRUSTEDPODS_TEST_NETNS names the node's network namespace where tests do
    not run in it. Nothing is skipped: without a cluster live tests fail.
    """
    given = os.environ.get("TRUSTEDPODS_TEST_KUBECONFIG")
    if given is None:
        market = request.getfixturevalue("market")
        return Node(market.kubeconfig(), market.cluster().registry, tuple(enter(market.cluster().namespace)))
    netns = os.environ.get("TRUSTEDPODS_TEST_NETNS")
    return Node(Path(given), "127.0.0.1:5000", ("nsenter", f"--net=/run/netns/{netns}") if netns else ())


@pytest.fixture(scope="session")
def kubeconfig(node: Node) -> Path:
    """The real cluster's kubeconfig."""
    return node.kubeconfig


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """The real cluster's door."""
    async with open_cluster(kubeconfig) as door:
        yield door


@pytest.fixture(scope="session")
def image(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Pull reference of an example image, or of `rooted`: one that names no user, and so runs as root.

    (Not busybox: a kubelet takes the node's own image for a tenant's once a tenant pulled the same.)
    """
    scratch, kept = tmp_path_factory.mktemp("images"), build.default_out()

    def archive(name: str) -> Path:
        if name != "rooted":
            kept.mkdir(parents=True, exist_ok=True)
            return build.build(name, kept)
        rooted = oci.Image("rooted:1", [{"pause": oci.Entry(b"no program")}], entrypoint=["/pause"])
        path = scratch / "rooted.tar"
        path.write_bytes(oci.archive(rooted))
        return path

    return cache(lambda name: node.push(archive(name), name, scratch))
