# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Bytes against a plain model: whatever is read, killed, withdrawn and claimed, each is billed once.

The model counts what passed each pod while it had its slot. Lost is only what the documents allow: what a
proxy that was restarted had counted since it was read last.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fakes.crash import Door, Points
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.world import FakeRegistry, World, config_of
from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import KIB
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.core.metering import usage
from trustedpods.provider.core.traffic import Traffic, combine, mark_of
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, ledger, open_store
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

PODS = (0, 1)
BEGIN = 1_000_000
_numbers = count(1)


class Unsure:
    """The store's door; a write that is *cut* is stored, and nobody is told. It knows what was *counted*."""

    def __init__(self, store):
        self.store, self.cut, self.counted = store, False, False

    async def read(self, query, *arguments):
        return await self.store.read(query, *arguments)

    async def write(self, change, *arguments):
        done = await self.store.write(change, *arguments)
        self.counted |= change is ledger.count_traffic
        if self.cut:
            self.cut = False
            raise StoreFailure("the connection ended while it was stored")
        return done


@dataclass
class Bench:
    """Two pods with a slot each, a meter that can be killed, and the model."""

    world: World
    store: Unsure
    now: int = BEGIN
    facade: FakeFacade = field(default_factory=FakeFacade)
    passed: Counter = field(default_factory=Counter)
    unread: Counter = field(default_factory=Counter)
    claimed: Counter = field(default_factory=Counter)
    up_to: dict = field(default_factory=dict)
    ids: dict = field(default_factory=dict)
    slots: dict = field(default_factory=dict)

    async def begin(self):
        for pod in PODS:
            self.ids[pod] = ChannelId(next(_numbers))
            self.up_to[pod] = self.now
        await self.start()

    async def start(self, points=None):
        """A new process of the daemon: it knows what is stored."""
        doors = Doors(
            config=config_of(self.world.tmp_path, self.world.chain, self.world.owner),
            keys=self.world.keys,
            operator_key=self.world.operator_key,
            collector=NoTee(),
            store=Door("store", self.store, points or Points()),
            spool=Spool(self.world.tmp_path / "spool", 64),
            chain=self.world.chain,
            cluster=self.world.cluster,
            registry=FakeRegistry(),
            facade=Door("facade", self.facade, points or Points()),
            clock=lambda: self.now,
        )
        self.meter = Meter(doors, Pods(doors))
        for pod in PODS:
            await self.publish(pod)

    async def publish(self, pod):
        given = await self.facade.publish(f"pod-{pod}.web", [f"pod-{pod}.test"])
        self.slots[pod] = given.slot
        await self.meter.begin_traffic({self.ids[pod]: mark_of(combine({given.slot: given.stats}))})

    async def read(self):
        """As the autoscaler does each second."""
        found = await self.meter.count_traffic(lambda: {self.ids[pod]: {self.slots[pod]} for pod in PODS})
        if found.unwritten is None:
            self.unread.clear()

    # ---- what happens ----

    async def carry(self, pod, size):
        total, bytes_in, bytes_out = self.facade.traffic.get(self.slots[pod], (0, 0, 0))
        self.facade.traffic[self.slots[pod]] = (total + 1, bytes_in, bytes_out + size)
        self.passed[pod] += size
        self.unread[pod] += size

    async def wait(self, pod, size):
        self.now += size % 90

    async def look(self, pod, size):
        await self.read()

    async def look_twice(self, pod, size):
        """A tick and a withdrawal at once, with or without a restart of the proxy between them."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read)
            nursery.start_soon(self.read)

    async def unsure(self, pod, size):
        """The write is stored, the daemon is told that it was not."""
        self.store.cut = True
        await self.read()
        if not self.store.cut:  # it was used up: what was unread is in the books
            self.unread.clear()
        self.store.cut = False

    async def kill(self, pod, size):
        """Anywhere in a reading, before or after what it read is stored; the daemon starts again."""
        points = Points(stop_at=size % 6)
        await self.start(points)
        self.store.counted = False
        await points.run(self.read)
        if self.store.counted:
            self.unread.clear()
        await self.start()

    async def restart(self, pod, size):
        """The proxy forgets what it counted; what nobody read is lost to the provider."""
        self.facade.restart()
        self.passed -= self.unread
        self.unread.clear()

    async def republish(self, pod, size):
        """The pod leaves its slot, others use it, and it comes back."""
        await self.read()
        await self.meter.end_traffic(self.ids[pod])
        await self.facade.withdraw(self.slots[pod])
        for slot in self.slots.values():
            if slot == self.slots[pod]:
                self.facade.traffic[slot] = tuple(size + n for n in self.facade.traffic.get(slot, (0, 0, 0)))
        await self.publish(pod)

    async def command(self, pod, size):
        await self.meter.carried(self.ids[pod], Traffic(bytes_out=size))
        self.passed[pod] += size

    async def claim(self, pod, size):
        """Up to a moment before now, as while something runs."""
        await self._claim(pod, max(self.up_to[pod], self.now - size % 4))

    async def claim_in_a_reading(self, pod, size):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read)
            nursery.start_soon(self._claim, pod, self.now)

    async def _claim(self, pod, up_to):
        channel, from_ = self.ids[pod], self.up_to[pod]
        books = await self.store.write(ledger.close_and_load, {channel: from_}, self.now)
        self.claimed[pod] += usage(books[channel], from_, up_to).egress_kib
        assert self.claimed[pod] * KIB <= self.passed[pod] + self.unread[pod]
        self.up_to[pod] = up_to

    async def end(self):
        """The last claim of each channel holds every byte."""
        await self.read()
        self.now += 1
        for pod in PODS:
            await self._claim(pod, self.now)
            assert self.claimed[pod] == self.passed[pod] // KIB


DEEDS = [
    "carry",
    "carry",
    "carry",
    "wait",
    "look",
    "look_twice",
    "unsure",
    "kill",
    "restart",
    "republish",
    "command",
    "claim",
    "claim_in_a_reading",
]
steps = st.tuples(st.sampled_from(DEEDS), st.sampled_from(PODS), st.integers(0, 5000))


@pytest.mark.timeout(600)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=st.lists(steps, max_size=25))
@example(story=[("carry", 0, 1024), ("unsure", 0, 0), ("restart", 0, 0)])
@example(story=[("carry", 0, 1024), ("kill", 0, 2), ("restart", 0, 0)])
@example(story=[("carry", 0, 1024), ("kill", 0, 3), ("restart", 0, 0)])
def test_each_byte_is_billed_once(tmp_path, story):
    world = World(tmp_path)

    async def tell():
        async with open_store(tmp_path / "books" / "store.db", Vault(b"v" * 32)) as store:
            bench = Bench(world, Unsure(store))
            await bench.begin()
            for deed, pod, size in story:
                await getattr(bench, deed)(pod, size)
            await bench.end()

    trio.run(tell)


async def test_when_the_last_request_began_is_known_once_one_was_counted(tmp_path):
    """Also over a daemon that was killed: the counters tell what came meanwhile, not bytes that go on."""
    async with open_store(tmp_path / "books" / "store.db", Vault(b"v" * 32)) as store:
        bench = Bench(World(tmp_path), Unsure(store))
        await bench.begin()
        first, second = bench.ids[0], bench.ids[1]
        await bench.read()
        assert bench.meter.last_request(first) is None
        await bench.carry(0, 100)
        await bench.wait(0, 7)
        await bench.read()
        assert (bench.meter.last_request(first), bench.meter.last_request(second)) == (BEGIN + 7, None)
        total, bytes_in, bytes_out = bench.facade.traffic[bench.slots[0]]
        bench.facade.traffic[bench.slots[0]] = (total, bytes_in, bytes_out + 5000)
        await bench.wait(0, 11)
        await bench.read()
        assert bench.meter.last_request(first) == BEGIN + 7, "bytes of an old connection are no request"
        await bench.carry(1, 100)
        await bench.start()
        await bench.read()
        assert (bench.meter.last_request(first), bench.meter.last_request(second)) == (None, BEGIN + 18)
        await bench.meter.end_traffic(second)
        assert bench.meter.last_request(second) is None
