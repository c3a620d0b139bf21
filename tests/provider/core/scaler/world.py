# SPDX-License-Identifier: Apache-2.0
"""A small world around a scaler: a cluster with its controller, a proxy, clients, a node's agent."""

from dataclasses import dataclass, field

from trustedpods.provider.core.scaler.scaler import Serve, SetReplicas
from trustedpods.provider.core.traffic import PodAddress, PodTraffic, SlotStats

LONGEST_PAUSE = 5.0
WAKE_LIMIT = 30.0
SILENCE = 20.0


@dataclass
class Replica:
    name: str
    began: int
    ready: bool = False

    @property
    def address(self) -> PodAddress:
        return PodAddress(self.name, "10.0.0.1", 8080)


@dataclass(eq=False)
class Request:
    """In flight at `pod`, directly or through the activator; waiting if it has none."""

    asked: float
    pod: str | None
    held: bool
    moved: float
    lost: bool = False
    """Its pod was told to end at once, so it may be cut."""


@dataclass
class World:
    """What is outside of the scaler, as simple as can be."""

    spec: int = 0
    seen: list[int] = field(default_factory=lambda: [0])  # numbers that the controller may still come to see
    victims: set[str] = field(default_factory=set)
    replicas: dict[str, Replica] = field(default_factory=dict)
    servers: dict[str, bool] = field(default_factory=dict)  # name -> takes new requests
    requests: list[Request] = field(default_factory=list)
    total: int = 0
    made: int = 0
    stopped: bool = False
    may_cut: bool = False
    ends_late: list[int] = field(default_factory=lambda: [0])
    """Seconds that replicas take to end, in turn."""

    frozen: set[str] = field(default_factory=set)
    """Replicas that neither answer nor end."""

    agent_away: bool = False
    """Nobody freezes or thaws on the node; whoever is back thaws all."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    """From when to when those ran that have ended, or are ending."""

    def scale(self, command: SetReplicas) -> None:
        """The API server has the number; the controller comes to see it when it does."""
        if command.count < self.spec:
            assert not self.frozen or self.agent_away, "a frozen replica does not end"
        self.spec = command.count
        self.seen.append(command.count)
        for request in self.requests if self.may_cut else ():
            request.lost = True
        self.victims.update(command.victims)

    def control(self, now: float, skip: int) -> None:
        """The controller acts on a number that is newer than its last, not always on the newest."""
        self.seen = self.seen[min(skip, len(self.seen) - 1) :]
        self.act(self.seen[0], now)

    def catch_up(self, now: float) -> None:
        """It acts on the newest."""
        self.seen = [self.spec]
        self.act(self.spec, now)

    @property
    def settled(self) -> bool:
        return len(self.seen) == 1 and len(self.replicas) == self.spec

    def act(self, count: int, now: float) -> None:
        while len(self.replicas) < count:
            self.made += 1
            self.replicas[f"pod-{self.made}"] = Replica(f"pod-{self.made}", int(now))
        order = sorted(self.replicas, key=lambda name: (name not in self.victims, self.replicas[name].ready))
        for name in order[: len(self.replicas) - count]:
            self.end(name, now)
            cut = [r for r in self.requests if r.pod == name]
            loud = [r for r in cut if now - r.moved < SILENCE and not r.lost]
            assert not loud or self.may_cut, f"{name} was scaled away with requests in flight"
            self.requests = [r for r in self.requests if r not in cut]

    def end(self, name: str, now: float) -> None:
        """It counts until its last container has ended, which may be long after it was asked to."""
        self.frozen.discard(name)  # the node lets what is to end run
        late = self.ends_late[len(self.runs) % len(self.ends_late)]
        self.runs.append((self.replicas.pop(name).began, int(now) + late))

    def serve(self, command: Serve, now: float) -> None:
        kept = {pod.name for pod in command.draining if pod.name in self.servers}
        wanted = {pod.name: True for pod in command.pods} | dict.fromkeys(kept, False)
        for name in self.servers.keys() - wanted.keys():
            cut = [r for r in self.requests if r.pod == name and not r.held]
            loud = [r for r in cut if now - r.moved < SILENCE and name in self.replicas]
            assert not loud or self.may_cut, f"{name} was cut off with requests in flight"
            self.requests = [r for r in self.requests if r not in cut]
        self.servers = wanted

    def stats(self) -> SlotStats:
        pods = tuple(
            PodTraffic(name, sum(r.pod == name and not r.held for r in self.requests), serving)
            for name, serving in self.servers.items()
        )
        held = sum(request.held for request in self.requests)
        moved = int(sum(request.moved for request in self.requests) * 1000)
        return SlotStats("1.1", len(self.requests), self.total, 0, moved + self.total, held, pods)
