# SPDX-License-Identifier: Apache-2.0
"""Tables of provider.toml that bound what publishers' pods take and send: `[publishers]` and `[egress]`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trustedpods.provider.core.quotas.publisher_quota import PublisherQuota

MOST_MBIT = 100_000
"""The agent's own bound: what passes at once has to stay below 2^32 bytes (`deploy/kube/netpol/limits`)."""

MOST_NEW_CONNECTIONS = 1_000_000
"""The agent's own bound: more than any node's table of connections takes in a second."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PublishersSection(_Table):
    """The most that one publisher's pods may take together: how many, and their replicas where all run."""

    pods: Annotated[int, Field(ge=1)] | None = None
    cpu_milli: Annotated[int, Field(ge=1)] | None = None
    memory_mib: Annotated[int, Field(ge=1)] | None = None

    @property
    def quota(self) -> PublisherQuota:
        """The same as admission takes it."""
        return PublisherQuota(self.pods, self.cpu_milli, self.memory_mib)


class EgressSection(_Table):
    """What pods may send outside the cluster: with `smtp` the TCP ports of mail too, else they are shut.

    Each replica sends at most `pod_mbit` (10^6 bits a second) past the facade, and begins at most
    `pod_connections` connections a second; absent: any. The network policy agent holds them to it.
    """

    smtp: bool = False
    pod_mbit: Annotated[int, Field(ge=1, le=MOST_MBIT)] | None = None
    pod_connections: Annotated[int, Field(ge=1, le=MOST_NEW_CONNECTIONS)] | None = None

    @property
    def limits(self) -> str:
        """Both in words; "" where there are none."""
        parts = []
        if self.pod_mbit is not None:
            parts.append(f"{self.pod_mbit} Mbit/s")
        if self.pod_connections is not None:
            parts.append(f"{self.pod_connections} new connections a second")
        return " and ".join(parts)

    def check_agent(self, traffic_socket: str | None) -> None:
        """ValueError where limits are set and nobody is there who holds pods to them."""
        if self.limits and traffic_socket is None:
            raise ValueError(
                "egress.pod_mbit and egress.pod_connections need the network policy agent: "
                "set cluster.traffic_socket, or leave them out"
            )
