# SPDX-License-Identifier: Apache-2.0
"""Two nodes in two clusters that call each other by an encrypted link; what nobody opened stays closed."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.live.clients.publisher import Json
from tests.live.commands import running
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.calling_nodes import CLUSTERS, OTHER
from tests.live.networks.people import People, name
from tests.live.observers.waiting import until
from trustedpods.provider.core.networks.tunnels import address_of

pytestmark = pytest.mark.live

OPEN, CLOSED = 8080, 8081
LISTEN = 51_820
PAGE = "Hello from a trusted pod."


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


class TunnelledNodes:
    """The nodes `a` and `b`, each of which serves a page, to the other alone."""

    def __init__(self, people: People) -> None:
        self.people, self.person, self.name = people, people.person, name()
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        for node, other in OTHER.items():
            self.person.manifest("hello", f"{self.name}-{node}", self._change(other))
        nodes = [
            {"name": node, "pod": f"{self.name}-{node}.yaml", "cluster": f"k{number}"}
            for node, number in CLUSTERS.items()
        ]
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        self.file = self.person.folder / f"{self.name}.yaml"
        self.file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        self.person.run("network", "connect", self.name, *self.clusters)
        self.apply()

    def apply(self) -> Json:
        return self.person.run("network", "apply", self.file.name, *self.clusters).json

    @staticmethod
    def _change(other: str) -> Callable[[Json], None]:
        def change(spec: Json) -> None:
            key = {"type": "x25519", "identity": True, "encoding": "base64"}
            spec["volumes"] = [{"name": "keys", "secret": {"generate": {"link": key}}}]
            spec["services"] = [
                {"name": "link", "expose": "nodePort", "ports": [{"port": LISTEN, "protocol": "UDP"}]}
            ]
            spec["scale"] = {"min": 1, "max": 1}
            spec["network"] = {"nodes": [other], "tunnel": {"service": "link", "opens": [{"port": OPEN}]}}

        return change

    def status(self, node: str) -> Json:
        found = self.person.run("network", "status", self.name, *self.clusters).json["nodes"]
        return dict(found[node])

    def runs(self, node: str, *words: str) -> tuple[int, bytes]:
        told = running.run(self.person, str(self.status(node)["pod"]), "--", *words)
        return told.code, told.out

    def fetches(self, node: str, port: int = OPEN) -> bool:
        """Whether the node's program gets the other's page by the tunnel."""
        place = f"http://{address_of(self.name, OTHER[node])}:{port}/"
        code, page = self.runs(node, "timeout", "5", "wget", "-qO-", place)
        return code == 0 and PAGE.encode() in page


@contextmanager
def captured(people: People, folder: Path) -> Iterator[Path]:
    """What passes between the clusters meanwhile: the frames of the second's only link."""
    file = folder / "frames"
    namespace = people.pair.cluster(2).namespace
    words = ["nsenter", f"--net=/run/netns/{namespace}", "tcpdump", "-Us0", "-i", "eth0", "-w", str(file)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert b"listening" in process.stderr.readline() + process.stderr.readline()
        yield file
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def test_pages_pass_encrypted_and_by_opened_ports_alone(people: People, tmp_path: Path) -> None:
    nodes = TunnelledNodes(people)
    for node in OTHER:
        until(f"{node} gets the other's page", lambda n=node: nodes.fetches(n))
    with captured(people, tmp_path) as file:
        assert nodes.fetches("a")
    frames = file.read_bytes()
    assert PAGE.encode() not in frames
    assert len(frames) > 24, "the link was seen"
    assert not nodes.fetches("a", CLOSED)
    code, hosts = nodes.runs("a", "cat", "/etc/hosts")
    line = f"{address_of(nodes.name, 'b')}\tb.tunnel.{nodes.name}.internal"
    assert (code, line.encode() in hosts) == (0, True)
    assert nodes.status("a")["live"]["reason"] == ""
    assert nodes.apply()["changes"] == 0
