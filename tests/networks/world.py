# SPDX-License-Identifier: Apache-2.0
"""Clients, clusters and a network between them, in simulated time: what may go wrong with leases, does.

One seed is one schedule. Messages are lost, doubled, and late by more than a lease; clients are
stopped past their expiry or killed; daemons restart and lose their clocks and lines; every clock is
off by up to ten minutes. The code under test is the product's: both cores, nothing else.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Answer, Commit, Document, Prepare
from trustedpods.protocol.networks.leases import NO_TICKET, Attempt, Command, Fence, Milliseconds
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.networks import documents, leases
from trustedpods.publisher.core.networks import locking
from trustedpods.publisher.core.networks.locking import Asking, Ending, Locking, Phase

ANSWER_LIMIT_MS = 5_000
FAULTS_END_MS = 40_000
QUIET_END_MS = FAULTS_END_MS + 240_000
"""Without faults, all that is left comes to its end in so long: every lease that somebody left behind
runs out after 20 s, and every attempt that is ahead works for some seconds."""

CLOCK_ERROR_MS = 600_000
PATIENT = Milliseconds(10**12)
COMMANDS = (1, 1, 2)
"""Commands that one client runs, one after another: one of these numbers."""


class Broken(AssertionError):
    """A schedule in which something happened that never may."""


@dataclass
class Cluster:
    """One daemon: what it keeps durably, and its clock, which is another one after each restart."""

    name: str
    clock: int
    state: documents.NetworkState = field(default_factory=documents.NetworkState)
    down_until: int = 0
    highest: Fence = leases.NO_FENCE
    restarts: int = 0


@dataclass
class Client:
    """One person's machine, which runs one command after another."""

    name: str
    order: tuple[str, ...]
    clock: int
    left: int
    locking: Locking
    asked: int = 0
    """Questions of the present round that wait for an answer."""
    stopped_until: int = 0
    dead: bool = False
    writes: int = 0
    awake_at: int = -1
    wakes_at: int = -1
    told: str = ""
    """The last attempt whose end was counted."""
    gave_way: dict[str, int] = field(default_factory=dict)
    began: int = 0


class World:
    """One schedule, by its *seed*; `run` ends or raises `Broken`."""

    def __init__(self, seed: int, *, clients: int = 3, clusters: int = 3) -> None:
        self.dice = random.Random(seed)
        self.now = 0
        self.agenda: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.acknowledged: list[bytes] = []
        self.outcomes: list[Ending] = []
        self.calm = self.dice.random() < 0.2
        names = [f"k{i}" for i in range(clusters)]
        self.clusters = {name: Cluster(name, self._clock_error()) for name in names}
        self.clients = [self._client(i, names) for i in range(clients)]

    def run(self) -> None:
        """Until everybody has ended; then one more command, after which all copies are equal."""
        for client in self.clients:
            self._at(self.dice.randrange(3_000), lambda client=client: self._pump(client))
        if not self.calm:
            self._plan_faults()
        self._until_all_ended()
        last = self._client(len(self.clients), list(self.clusters), (1,))
        self.clients.append(last)
        self._at(max(0, FAULTS_END_MS - self.now), lambda: self._pump(last))
        self._until_all_ended()
        self._check_the_end()

    # ------------------------------------------------------------ time

    def _at(self, delay: int, act: Callable[[], None]) -> None:
        self.count += 1
        heappush(self.agenda, (self.now + delay, self.count, act))

    def _until_all_ended(self) -> None:
        limit = max(QUIET_END_MS, self.now + QUIET_END_MS)
        while self.agenda and not all(_has_ended(client) for client in self.clients):
            self.now, _, act = heappop(self.agenda)
            if self.now > limit:
                left = [(c.name, c.locking.phase.value) for c in self.clients if not _has_ended(c)]
                raise Broken(f"deadlock or starvation: {left} at {self.now} ms")
            act()

    def _clock_error(self) -> int:
        return CLOCK_ERROR_MS + self.dice.randrange(-CLOCK_ERROR_MS, CLOCK_ERROR_MS)

    def _faulty(self) -> bool:
        return not self.calm and self.now < FAULTS_END_MS

    def _plan_faults(self) -> None:
        for client in self.clients:
            if self.dice.random() < 0.5:
                self._at(self.dice.randrange(FAULTS_END_MS), lambda client=client: self._stop(client))
            if self.dice.random() < 0.15:
                self._at(self.dice.randrange(FAULTS_END_MS), lambda client=client: self._kill(client))
        for cluster in self.clusters.values():
            if self.dice.random() < 0.3:
                self._at(self.dice.randrange(FAULTS_END_MS), lambda cluster=cluster: self._restart(cluster))

    def _stop(self, client: Client) -> None:
        client.stopped_until = self.now + self.dice.choice((3_000, 15_000, 25_000, 40_000))

    def _kill(self, client: Client) -> None:
        client.dead = True

    def _restart(self, cluster: Cluster) -> None:
        cluster.down_until = self.now + self.dice.randrange(8_000)
        cluster.clock = self._clock_error()
        cluster.restarts += 1
        back = Milliseconds(cluster.down_until + cluster.clock)
        cluster.state = documents.NetworkState(
            leases.restarted(cluster.state.lease, back), cluster.state.copy
        )

    # ------------------------------------------------------------ clients

    def _client(self, number: int, names: list[str], commands: tuple[int, ...] = COMMANDS) -> Client:
        order = list(names)
        self.dice.shuffle(order)
        left = self.dice.choice(commands)
        client = Client(f"c{number}", tuple(order), self._clock_error(), left, None)
        self._begin(client)
        return client

    def _begin(self, client: Client) -> None:
        client.left -= 1
        client.began = self.now
        client.gave_way = {}
        attempt = Attempt(NO_TICKET, f"{client.name}-{client.left}", Address(client.name))
        told = Command("apply", client.name, UnixSeconds(0))
        client.locking = locking.begin(client.order, attempt, told, PATIENT)
        client.writes = self.dice.choice((1, 1, 2))

    def _pump(self, client: Client) -> None:
        """Let *client* do what is due: ask its questions, or its command's next step."""
        if client.dead or client.asked:
            return
        if self.now < client.stopped_until:
            self._at(client.stopped_until - self.now, lambda: self._pump(client))
            return
        if client.locking.phase is Phase.ENDED:
            self._ended(client)
            return
        questions = locking.questions(client.locking, Milliseconds(self.now + client.clock))
        for asking in questions:
            client.asked += 1
            self._send(client, asking)
        if not questions:
            self._rest(client)

    def _rest(self, client: Client) -> None:
        wakes = locking.wakes_at(client.locking)
        if wakes is not None:
            client.wakes_at = self.now + max(1, wakes - client.clock - self.now)
            self._at(client.wakes_at - self.now, lambda: self._woken(client))
        if client.locking.phase is Phase.HOLDING and client.awake_at < self.now:
            work = self.dice.choice((50, 50, 200, 200, 1_000, 1_000, 3_000, 14_000))
            client.awake_at = self.now + work
            held = client.locking
            self._at(work, lambda: self._command_goes_on(client, held.attempt))

    def _woken(self, client: Client) -> None:
        if self.now == client.wakes_at:
            self._pump(client)

    def _command_goes_on(self, client: Client, attempt: Attempt) -> None:
        """The command's own next step: one more document, or its end."""
        stopped = client.stopped_until - self.now
        if client.dead or client.locking.attempt != attempt:
            return
        if client.asked or stopped > 0:
            self._at(max(stopped, 20), lambda: self._command_goes_on(client, attempt))
            return
        if client.locking.phase is not Phase.HOLDING:
            return
        if client.writes:
            client.writes -= 1
            change = f"|{attempt.id}.{client.writes}".encode()
            client.locking = locking.write(client.locking, client.locking.base.body + change)
        else:
            client.locking = locking.finish(client.locking)
        self._pump(client)

    def _ended(self, client: Client) -> None:
        ending = client.locking.ending
        assert ending is not None
        if client.told == client.locking.attempt.id:
            return
        client.told = client.locking.attempt.id
        self.outcomes.append(ending)
        if ending is Ending.UNEQUAL:
            raise Broken(f"{client.name} found copies that differ: {client.locking.copies}")
        if client.left:
            self._begin(client)
            self._at(self.dice.randrange(2_000), lambda: self._pump(client))

    # ------------------------------------------------------------ messages

    def _send(self, client: Client, asking: Asking) -> None:
        sent = self.now
        waiting = [True]

        def back(answer: Answer | None) -> None:
            if not waiting[0] or client.dead:
                return
            if self.now < client.stopped_until:
                self._at(client.stopped_until - self.now, lambda: back(answer))
                return
            waiting[0] = False
            self._answered(client, asking, answer, sent)

        for _ in range(2 if self._faulty() and self.dice.random() < 0.03 else 1):
            delay = self._delay()
            if delay is not None:
                self._at(delay, lambda: self._deliver(client, asking, back))
        self._at(ANSWER_LIMIT_MS, lambda: back(None))

    def _delay(self) -> int | None:
        """How long a message is on its way; None for one that is lost."""
        if self._faulty():
            fate = self.dice.random()
            if fate < 0.03:
                return None
            if fate < 0.06:
                return self.dice.randrange(45_000)
        return self.dice.randrange(1, 40)

    def _deliver(self, client: Client, asking: Asking, back: Callable[[Answer | None], None]) -> None:
        cluster = self.clusters[asking.cluster]
        if self.now < cluster.down_until:
            return
        before = cluster.state
        clock = Milliseconds(self.now + cluster.clock)
        cluster.state, answer = documents.answer(before, asking.question, Address(client.name), clock)
        self._check_write(cluster, before, asking)
        delay = self._delay()
        if delay is not None:
            self._at(delay, lambda: back(answer))

    def _answered(self, client: Client, asking: Asking, answer: Answer | None, sent: int) -> None:
        client.asked -= 1
        was = client.locking
        client.locking = locking.answered(
            was, asking, answer, Milliseconds(sent + client.clock), Milliseconds(self.now + client.clock)
        )
        if was.writing and client.locking.writing is None and client.locking.phase is Phase.HOLDING:
            self.acknowledged.append(was.writing.body)
        if was.phase is not Phase.GIVING_WAY and client.locking.phase is Phase.GIVING_WAY:
            self._check_giving_way(client)
        if not client.asked:
            self._pump(client)

    # ------------------------------------------------------------ what never may happen

    def _check_write(self, cluster: Cluster, before: documents.NetworkState, asking: Asking) -> None:
        after = cluster.state
        if after.lease.grant is not None:
            granted = after.lease.grant.fence
            if after.lease.grant != before.lease.grant and granted < cluster.highest:
                raise Broken(f"{cluster.name} granted fence {granted} after {cluster.highest}")
            cluster.highest = max(cluster.highest, granted)
        if after.copy == before.copy:
            return
        writer, holder = asking.question, after.lease.grant
        assert isinstance(writer, Prepare | Commit)
        if writer.fence != cluster.highest or holder is None or holder.attempt != writer.attempt:
            raise Broken(f"two writers: {cluster.name} took a write of {writer.attempt} under {holder}")
        currents = sorted((each.state.copy.current for each in self.clusters.values()), key=_generation)
        for older, newer in itertools.pairwise(currents):
            if not _follows(newer, older):
                raise Broken(f"fork: {newer} does not follow {older}")

    def _check_giving_way(self, client: Client) -> None:
        """Each older attempt makes a younger one let go once; again only where a place was forgotten,
        which may be at once, as the older one may have been silent for long."""
        ahead = client.locking.ahead
        assert ahead is not None
        other = ahead[1].other.id
        client.gave_way[other] = client.gave_way.get(other, 0) + 1
        forgotten = sum(cluster.restarts for cluster in self.clusters.values())
        forgotten += (self.now - client.began) // leases.WAITER_MS
        if client.gave_way[other] > 2 + forgotten:
            raise Broken(f"{client.name} gave way to {other} {client.gave_way[other]} times")

    def _check_the_end(self) -> None:
        if self.outcomes[-1] is not Ending.FINISHED:
            raise Broken(f"the last command, alone, ended with {self.outcomes[-1]}")
        copies = {cluster.state.copy for cluster in self.clusters.values()}
        if len(copies) != 1:
            raise Broken(f"copies differ for ever: {copies}")
        end = copies.pop().current.body
        for body in self.acknowledged:
            if not end.startswith(body):
                raise Broken(f"lost: {body!r} was acknowledged, {end!r} is left")
        changes = end.split(b"|")
        if len(changes) != len(set(changes)):
            raise Broken(f"a change counts twice: {end!r}")


def _has_ended(client: Client) -> bool:
    return client.dead or (client.left == 0 and client.locking.phase is Phase.ENDED and not client.asked)


def _generation(document: Document) -> int:
    return document.generation


def _follows(newer: Document, older: Document) -> bool:
    same = newer.generation == older.generation
    return newer == older if same else newer.body.startswith(older.body)
