# SPDX-License-Identifier: Apache-2.0
"""A pod in a cluster in memory, with a policy that lets it call two hosts by name."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.claims import FakeLife
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.objects import named_egress
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.core.egress import NOT_THE_WORLD
from trustedpods.provider.dns.upstream import HostAddresses
from trustedpods.provider.names.openings import Openings

NAMESPACE, LABEL = "tp-p-1", "p"
API, MOVED, INSIDE = "api.example.org", "moved.example.org", "inside.example.org"
LEAST_S = 30


@dataclass
class World:
    """Upstream, agent, clock and cluster; `down` is an upstream that does not answer."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    says: dict[str, HostAddresses] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    time: int = 1_800_000_000
    applied: int | None = 1 << 60
    running: set[str] = field(default_factory=lambda: {NAMESPACE})

    def allow(self, *hosts):
        life = self.cluster.lives.setdefault(NAMESPACE, FakeLife(NAMESPACE, LABEL, self.time))
        ports = dict.fromkeys(hosts, (("TCP", 443, 443),))
        asks = named_egress.asks_policy(ResolverPlace("10.9.33.11", "10.9.0.11", 5354), ports, {})
        life.objects["NetworkPolicy", named_egress.ASKS] = asks

    def openings(self):
        """As a daemon makes them that has just started."""
        config = SimpleNamespace(cluster=SimpleNamespace(closed_networks=NOT_THE_WORLD))
        doors = SimpleNamespace(config=config, cluster=self.cluster, now=lambda: self.time)
        return Openings(doors, self, LEAST_S, lambda: self.running, self.policies_seen)

    async def addresses(self, host):
        self.asked.append(host)
        if self.down:
            raise NetworkFailure("DNS does not say", where=host)
        return self.says.get(host, HostAddresses((), 0))

    async def policies_seen(self):
        return self.applied

    @property
    def open(self):
        """What the policy in the cluster lets through."""
        policy = self.cluster.lives[NAMESPACE].objects.get(("NetworkPolicy", named_egress.OPENED))
        rules = policy["spec"]["egress"] if policy else []
        return {peer["ipBlock"]["cidr"].removesuffix("/32") for rule in rules for peer in rule["to"]}


@pytest.fixture
def world():
    made = World()
    made.allow(API, MOVED, INSIDE)
    made.says = {
        API: HostAddresses(("203.0.113.7", "10.0.0.1"), 300),
        MOVED: HostAddresses(("203.0.113.8",), 1),
        INSIDE: HostAddresses(("10.0.0.2", "169.254.169.254"), 60),
        "other.example": HostAddresses(("203.0.113.9",), 60),
    }
    return made
