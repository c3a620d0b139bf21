# SPDX-License-Identifier: Apache-2.0
"""The parts of a manifest as a conversion puts them together: containers, volumes, services. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.problem import Location
from trustedpods.manifests.words.files import OURS

Way = Literal["http", "tcp", "udp"]

MADE_UP_VOLUME = "1Gi"
"""Of a volume without a size: room for a small database, and cheap while it is empty."""

SCRATCH = "64Mi"
"""Of scratch space without a size."""

_OUTER_HTTP = 80

_STEM = 57
"""Letters of a name that a number is put behind: 63 in all, and a file has under 100,000 values."""


@dataclass(slots=True)
class PodParts:
    """A pod as it grows. Listening ports belong to one container: all share one network."""

    found: Findings
    containers: list[dict[str, object]] = field(default_factory=list)
    first: list[dict[str, object]] = field(default_factory=list)
    volumes: dict[str, dict[str, object]] = field(default_factory=dict)
    services: list[dict[str, object]] = field(default_factory=list)
    aliases: dict[str, list[str]] = field(default_factory=dict)
    scale: dict[str, object] = field(default_factory=dict)
    grace_s: int = 0
    stateful: bool = False
    _listening: dict[tuple[int, str], str] = field(default_factory=dict)
    _sources: dict[tuple[str, str, Hashable], str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    """Where to go on counting, by name: from 2 each time would be quadratic."""

    def listen(self, container: str, port: int, protocol: str, at: Location) -> bool:
        """Note that *container* listens there; refused where another one does, False where it is known."""
        before = self._listening.setdefault((port, protocol), container)
        if before != container:
            self.found.refuse(at, f"port {port} is {before}'s: containers of a pod share one network")
        return before == container

    def volume(self, wanted: str, kind: str, what: dict[str, object], source: Hashable) -> str:
        """The name of the volume of *source*: *wanted*, or like it where another volume has that name.

        Different sources may want one name: it is a label, which tells neither `_` from `-` nor long paths.
        """
        key = (wanted, kind, source)
        if key not in self._sources:
            self._sources[key] = self.new_volume(wanted, kind, what)
        return self._sources[key]

    def new_volume(self, wanted: str, kind: str, what: dict[str, object]) -> str:
        """The name of a volume that nobody else has: *wanted*, or like it."""
        name, number = wanted, self._numbers.get(wanted, 2)
        while name in self.volumes:
            name, number = f"{wanted[:_STEM]}-{number}", number + 1
        self._numbers[wanted] = number
        self.volumes[name] = {"name": name, kind: what}
        return name

    def expose(self, way: Way, port: int, outer: int | None = None, hosts: list[str] | None = None) -> None:
        """A service at *port*, once."""
        target: dict[str, object] = {
            "port": outer or (_OUTER_HTTP if way == "http" else port),
            "targetPort": port,
        }
        if way == "udp":
            target["protocol"] = "UDP"
        name = "web" if way == "http" and not self.services else f"{way}-{port}"
        if any(one["name"] == name for one in self.services):
            return
        service: dict[str, object] = {"name": name, "expose": way, "ports": [target]}
        if hosts:
            service["hosts"] = hosts
        self.services.append(service)

    def tree(self, name: str) -> dict[str, object]:
        """The manifest."""
        spec: dict[str, object] = {}
        ways = {service["expose"] for service in self.services}
        if not ways:
            spec |= {"workload": "replicated", "replicas": self.scale.get("max", 1)}
            self.found.note("no port is published, so nothing wakes the pod: it runs all the time")
        if self.first:
            spec["initContainers"] = self.first
        spec["containers"] = self.containers
        if self.grace_s:
            spec["terminationGracePeriodSeconds"] = self.grace_s
        if self.volumes:
            spec["volumes"] = list(self.volumes.values())
        if self.aliases:
            spec["hostAliases"] = [{"ip": ip, "hostnames": names} for ip, names in self.aliases.items()]
        if self.services:
            spec["services"] = self.services
            spec["scale"] = {"min": 1 if "udp" in ways else 0, "max": 1} | self.scale
        self.found.note("the pod calls nobody outside until `network: {egress: [...]}` names it")
        return {"apiVersion": OURS, "kind": "Pod", "metadata": {"name": name}, "spec": spec}
