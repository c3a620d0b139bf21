# SPDX-License-Identifier: Apache-2.0
"""A network of two nodes, each of which calls the other by its file and by its name."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import yaml

from tests.live.clients.publisher import Json, Publisher
from tests.live.commands import running
from tests.live.localnet_fixture import LiveLocalnet

CLUSTERS = {"a": 1, "b": 2}
OTHER = {"a": "b", "b": "a"}
PORT = 8080
TAKEN = "/tmp/taken"
"""Where a node's hook writes each address that it took, a line for each time."""


class CallingNodes:
    """The nodes `a` and `b` of one person's network, whose clusters are *named*; `placed` has each one's."""

    def __init__(
        self,
        pair: LiveLocalnet,
        person: Publisher,
        named: list[str],
        name: str,
        placed: Mapping[str, int] = CLUSTERS,
    ) -> None:
        self.pair, self.person, self.name = pair, person, name
        self.placed = dict(placed)
        self._pods: dict[str, str] = {}
        self.clusters = [part for one in named for part in ("--cluster", one)]
        for node, other in OTHER.items():
            field = f"${{node.{other}.p2p.address}}:${{node.{other}.p2p.publishedPort}}"
            (person.folder / f"{name}-{node}.peers").write_text(field)
        self.person.run("network", "connect", name, *self.clusters)

    def apply(self, **greetings: str) -> Json:
        """Apply the network; the greeting of a node is what changes it."""
        for node, other in OTHER.items():
            self.person.manifest("hello", f"{self.name}-{node}", self._change(node, other, greetings))
        nodes = [
            {"name": node, "pod": f"{self.name}-{node}.yaml", "cluster": f"k{number}"}
            for node, number in self.placed.items()
        ]
        file = self.person.folder / f"{self.name}.yaml"
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        return self.person.run("network", "apply", file.name, *self.clusters).json

    def _change(self, node: str, other: str, greetings: dict[str, str]) -> Callable[[Json], None]:
        def change(spec: Json) -> None:
            (container,) = spec["containers"]
            container["env"] = [{"name": "GREETING", "value": greetings.get(node, "hello")}]
            container["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]
            files = {"peers": f"{self.name}-{node}.peers"}
            secret = {"files": files, "rendered": ["peers"], "onChange": "reload"}
            spec["volumes"] = [{"name": "config", "secret": secret}]
            spec["services"] = [{"name": "p2p", "expose": "nodePort", "ports": [{"port": PORT}]}]
            spec["scale"] = {"min": 1, "max": 1}
            spec["network"] = {"nodes": [other]}
            spec["reload"] = {
                "exec": {"command": ["sh", "-c", f"cat /config/peers >> {TAKEN}; echo >> {TAKEN}"]}
            }

        return change

    def status(self) -> Json:
        """Each node, as `network status` says."""
        return dict(self.person.run("network", "status", self.name, *self.clusters).json["nodes"])

    def published(self, node: str) -> str:
        """ADDRESS:PORT at which the node is reached now."""
        return urlsplit(self.status()[node]["url"]).netloc

    def file_of(self, node: str) -> str:
        """What the node's program reads of the other's address."""
        return running.check(self.person, self._pod(node), "--", "cat", "/config/peers").decode()

    def taken(self, node: str) -> list[str]:
        """What the node's hook found in the file, each time that it was run in this replica."""
        told = running.run(self.person, self._pod(node), "--", "cat", TAKEN)
        return told.out.decode().split() if told.code == 0 else []

    def calls(self, node: str) -> bool:
        """Whether the node's program gets the other's page, at what its name means there.

        The name is asked for on its own: a busybox that is linked statically to glibc looks up none itself,
        and Debian's has no time limit for its wget.
        """
        pod, address = self._pod(node), self.address_of_name(node)
        host = f"{OTHER[node]}.{self.name}.internal"
        told = running.run(self.person, pod, "--", "nslookup", "-type=a", host)
        return address.encode() in told.out and self.fetches(node, f"{address}:{PORT}")

    def fetches(self, node: str, place: str) -> bool:
        """Whether the node's program gets a page at ADDRESS:PORT."""
        fetch = ("timeout", "5", "wget", "-qO-", f"http://{place}/")
        ran = running.run(self.person, self._pod(node), "--", *fetch)
        return ran.code == 0 and b"<" in ran.out

    def address_of_name(self, node: str) -> str:
        """What the other's name means where the node runs."""
        found = self._in_cluster(node, "service", f"peer-{OTHER[node]}")
        return str(found["spec"]["clusterIP"])

    def uid(self, node: str) -> str:
        """The node's one replica."""
        (found,) = self._in_cluster(node, "pods")["items"]
        return str(found["metadata"]["uid"])

    def replica(self, node: str) -> str:
        """The address of the node's one replica."""
        (found,) = self._in_cluster(node, "pods")["items"]
        return str(found["status"]["podIP"])

    def move(self, node: str) -> str:
        """Delete the node's pod, and let somebody else have its port; where it was reached."""
        before = self.published(node)
        self.person.run("delete", self._pod(node))
        ports = [{"port": 1, "nodePort": int(before.rpartition(":")[2])}]
        taken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name}}
        self.pair.apply({**taken, "spec": {"type": "NodePort", "ports": ports}}, index=self.placed[node])
        return before

    def _pod(self, node: str) -> str:
        """The name of a node's pod, which is its own for good."""
        if not self._pods:
            self._pods = {name: str(found["pod"]) for name, found in self.status().items()}
        return self._pods[node]

    def _in_cluster(self, node: str, *what: str) -> Json:
        space = self.status()[node]["live"]["namespace"]
        got = self.pair.kubectl("-n", space, "get", *what, "-o", "json", index=self.placed[node])
        return dict(json.loads(got))
