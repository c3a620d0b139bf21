# SPDX-License-Identifier: Apache-2.0
"""`port-forward`: where connections are taken, and what they reach."""

from dataclasses import dataclass

from trustedpods.publisher.results.pods import VisitedPod


@dataclass(frozen=True, slots=True)
class ForwardedPort:
    """A port of this machine, and which one it stands for: `port` is the container's, or a service's."""

    host: str
    local: int
    port: int
    container_port: int

    @property
    def address(self) -> str:
        """As it is connected to."""
        return f"{self.host}:{self.local}"


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """The ports in the order in which they were asked for; `service` where they are a service's."""

    pod: VisitedPod
    ports: tuple[ForwardedPort, ...]
    service: str | None = None
