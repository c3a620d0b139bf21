# SPDX-License-Identifier: Apache-2.0
"""A scripted API server for most tests, a real cluster for those marked live."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from tests.fakes.web_server import Answer, WebServer
from trustedpods.provider.cluster.client import open_cluster

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


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The real cluster's kubeconfig. There is no skipping: live tests without a cluster fail."""
    given = os.environ.get("TRUSTEDPODS_TEST_KUBECONFIG")
    if not given:
        pytest.fail("no cluster to test with: set TRUSTEDPODS_TEST_KUBECONFIG")
    return Path(given)


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator:
    """The real cluster's door."""
    async with open_cluster(kubeconfig) as door:
        yield door


@pytest.fixture(scope="session")
def images_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives of the example images; built once and kept in the user's cache."""
    root = Path(__file__).parents[3]
    build = [root / "deploy/images/build.py", "hello", "busybox", "web"]
    subprocess.run(["python3", *build], check=True, timeout=300)
    cache = os.environ.get("TRUSTEDPODS_CACHE")
    return Path(cache) / "images" if cache else Path.home() / ".cache/trustedpods/images"


@pytest.fixture(scope="session")
def image(images_folder: Path) -> Callable[[str], str]:
    """Pull reference of an example image, pushed into the registry on the node's loopback.

    TRUSTEDPODS_TEST_NETNS names the node's network namespace where tests run outside of it.
    """
    registry = os.environ.get("TRUSTEDPODS_TEST_REGISTRY", "127.0.0.1:5000")
    netns = os.environ.get("TRUSTEDPODS_TEST_NETNS")
    enter = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
    pushed: dict[str, str] = {}

    def reference(name: str) -> str:
        if name not in pushed:
            source, target = f"oci-archive:{images_folder}/{name}.tar", f"docker://{registry}/tests/{name}"
            digest_file = images_folder / f"{name}.pushed"
            copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", "--digestfile", digest_file]
            subprocess.run([*enter, *copy, source, target], check=True, timeout=60)
            pushed[name] = f"{registry}/tests/{name}@{digest_file.read_text().strip()}"
            digest_file.unlink()
        return pushed[name]

    return reference
