# SPDX-License-Identifier: Apache-2.0
"""Publishers whose pods come, are visited, and go, by the daemon's own verbs."""

import math
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.fakes.chain.state import address_of
from tests.fakes.provider.caller import PEAK, Caller, image_of
from tests.fakes.provider.reboots import rotation
from tests.year.outside.world import CLAIM_INTERVAL_S
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.ids import host_label
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody
from trustedpods.provider.core.pod import ENDED, Phase

PEOPLE = 40
DEPOSIT = 10**9
AT_ONCE = 14
"""Their clients look now and then, each at its own moment: not all see a reboot in the same one."""

WITHIN_S = 120.0
"""A deploy or a removal; they take seconds."""


class SimulatedPublisher(Caller):
    """One pod of one of a few people. `ends` is the day on which it is deleted."""

    def __init__(self, world, host, number, ends):
        super().__init__(world, None, (1 + number % PEOPLE).to_bytes(32, "big"))
        self.host, self.ends, self.number = host, ends, number
        self.generation = 0
        self.blobs = image_of(b"layer of %d" % number)

    @asynccontextmanager
    async def _stream(self):
        async with self.host.dialled(f"192.0.2.{self.number % 200}") as stream:
            yield stream

    def signed(self, verb, body, *, generation=None, **how):
        """Numbered by milliseconds, as clients do (docs/protocol.md)."""
        if generation is None:
            self.generation = generation = max(self.generation + 1, int(self.world.now * 1000))
        return super().signed(verb, body, generation=generation, **how)

    async def pay(self, amount=DEPOSIT, peak=PEAK):
        prices = self.world._config().prices
        terms = Terms.for_peak(prices, peak, unlock_s=3600, claim_interval_s=CLAIM_INTERVAL_S)
        meter = self.world.keys.meter_address
        await self.world.chain.open_with_permit(self.key, self.ref, meter, terms, amount)

    @property
    def image_mib(self):
        """Packed and unpacked, in whole MiB (docs/metering.md)."""
        size = sum(map(len, self.blobs)) + sum(layer.unpacked for layer in self.layers())
        return math.ceil(size / MIB)

    @property
    def label(self):
        return host_label(self.ref.channel)


@dataclass
class Publishers:
    """All pods that stand, by channel; `came` counts those that ever did."""

    world: Any
    dice: random.Random = field(default_factory=lambda: random.Random(4711))
    standing: dict = field(default_factory=dict)
    came: int = 0
    went: int = 0
    refunds: int = 0
    deposits: int = 0

    async def come(self, run, ends, *, deposit=DEPOSIT, peak=PEAK, marker=b""):
        """One more pod for each day in *ends*, side by side; those that came."""
        made = []
        for end in ends:
            made.append(SimulatedPublisher(self.world, run.host, self.came, end))
            self.came += 1
            if marker:
                made[-1].blobs = image_of(marker)

        async def deploy(one):
            await one.pay(deposit, peak)
            self.world.observer.begins(one.ref.channel, one.label, one.image_mib)
            await one.provision()

        await self._together(run, [(deploy, one) for one in made], "deploys")
        for one in made:
            record = run.parts.pods.get(one.ref.channel)
            assert record.phase is Phase.SERVING, record.reason
            self.standing[one.ref.channel] = one
            self.deposits += deposit
        return made

    async def again(self, run, pods):
        """Their publishers deploy pods anew that the provider has forgotten."""
        await self._together(run, [(SimulatedPublisher.provision, one) for one in pods], "deploys")

    async def go(self, run, leaving):
        """These are deleted: settled, refunded, and nothing of them is left in cluster and facade."""

        async def delete(one):
            await one.ask("delete", DeleteBody(), Done)

        await self._together(run, [(delete, one) for one in leaving], "removals")
        for one in leaving:
            await self.gone(run, one)

    async def gone(self, run, one):
        """Nothing may be left of it."""
        channel, world = one.ref.channel, self.world
        await world.time.until(
            lambda: run.parts.pods.get(channel) is None or run.parts.pods.get(channel).phase in ENDED,
            WITHIN_S,
            f"the end of {one.label}",
        )
        assert one.label not in {life.label for life in world.cluster.lives.values()}
        life = world.chain.forget(world.owner, channel)
        used = world.observer.closed(channel)
        deposited = life.opened + life.topped_up
        assert life.closed.refund + used.paid == deposited, (one.label, life.closed.refund, used.paid)
        self.refunds += life.closed.refund
        del self.standing[channel]
        self.went += 1

    async def release(self, run, old_meter):
        """After a reboot each publisher signs his pod's move to the new meter, and deploys anew."""
        self.world.old_meter = old_meter

        async def move(one):
            one.host = run.host
            await one.ask("rotate", rotation(self.world, one), Done)
            await one.provision()

        waiting = list(self.standing.values())
        for some in (waiting[at : at + AT_ONCE] for at in range(0, len(waiting), AT_ONCE)):
            await self._together(run, [(move, one) for one in some], "releases")

    def slots(self):
        """Of pods that stand, by channel."""
        facade = self.world.facade
        return {
            channel: slot
            for channel, one in self.standing.items()
            for slot in facade.slots_of(one.label).values()
        }

    async def visit(self, run):
        """One request and its bytes for every pod; then it sleeps again."""
        world, answers = self.world, []

        async def ask(channel, slot):
            answers.append(await run.parts.autoscaler.answer_wake(slot))
            requests, bytes_in, bytes_out = world.facade.traffic.get(slot, (0, 0, 0))
            ingress, egress = self.dice.randint(100, 5000), self.dice.randint(1000, 500_000)
            world.facade.traffic[slot] = (requests + 1, bytes_in + ingress, bytes_out + egress)
            world.observer.passed(channel, ingress, egress)

        slots = self.slots()
        await self._together(run, [(ask, *pair) for pair in slots.items()], "visits")
        await world.time.stride(12, 1)
        return answers

    async def _together(self, run, works, what):
        left = len(works)

        async def counted(work, *arguments):
            nonlocal left
            await work(*arguments)
            left -= 1

        async with trio.open_nursery() as nursery:
            for work, *arguments in works:
                nursery.start_soon(counted, work, *arguments)
            await self.world.time.until(lambda: left == 0, WITHIN_S, what)


def person(number):
    """The address of one of the people."""
    return address_of((1 + number % PEOPLE).to_bytes(32, "big"))
