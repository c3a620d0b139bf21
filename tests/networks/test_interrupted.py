# SPDX-License-Identifier: Apache-2.0
"""A command that is killed, or ended by Ctrl-C, at each of its questions: the next one goes on.

Each question is cut off on its way there and on its way back.
"""

import signal
import threading
from functools import partial
from itertools import product

import pytest
import trio

from tests.networks.daemons import NAMES, Two
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.networks.documents import NOTHING, Commit, Prepare, ReadCopy
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Acquire,
    Attempt,
    AwaitEnd,
    Command,
    Granted,
    Release,
    Renew,
)
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.commands import interrupts

STEPS = (Acquire, Release, AwaitEnd, ReadCopy, Prepare, Commit, Renew)
WAYS = ("on_its_way", "answered")
CASES = [
    (step, way, cluster)
    for step, way, cluster in product(STEPS, WAYS, NAMES)
    if (step, cluster) not in ((AwaitEnd, "k1"), (Release, "k2"))
]
"""A command that gives way lets k1 go, and then asks k2 for the older one's end."""

OLDER = "0" * 32
"""Ids break ties of tickets: this one is the oldest of its ticket."""


def names(case):
    return f"{case[0].__name__}-{case[1]}-{case[2]}"


class Cut:
    """Let *cut* be called at one question of a client, once."""

    def __init__(self, client, case, cut):
        step, way, cluster = case
        self.step, self.cut, self.came = step, cut, False
        setattr(client.doors[cluster], way, self._at)

    def _at(self, question):
        if isinstance(question, self.step) and not self.came:
            self.came = True
            self.cut()


async def older_one(two, case):
    """Somebody older who holds k2 while the command holds k1, where it is to give way; he ends when told."""
    if case[0] not in (AwaitEnd, Release):
        return trio.lowlevel.checkpoint
    bob = address_of(two.bob)
    await two.write(two.client())  # before there is a document there is the founder alone
    door = two.client(who=bob).doors["k2"]
    told = Command("apply", "desk", UnixSeconds(0))
    granted = await door.ask(Acquire(Attempt(NO_TICKET, OLDER, bob), told))
    assert isinstance(granted, Granted)
    return lambda: door.ask(Release(granted.attempt, aside=False))


async def command(two, client, case):
    """One write; a command that lasts longer than half a lease, where its renewal is to be cut off."""
    async with client.locked("apply", 600) as held:
        if case[0] is Renew:
            await trio.sleep(LEASE_MS / 1000)
        await held.write(two.author.write(b"first", held.document).body)


async def next_goes_on(two):
    """What the next command found, whatever was left: it holds within a lease and 5 s, and writes."""
    with trio.fail_after(LEASE_MS / 1000 + 5):
        async with two.client().locked("apply", 600) as held:
            base = held.document
            written = await held.write(two.author.write(b"next", base).body)
    two.check_whole(written)
    return base


@pytest.mark.parametrize("case", CASES, ids=names)
async def test_killed(case, virtual_time):
    """As by SIGKILL: not one question of it arrives from then on."""
    two = Two()
    older_ends = await older_one(two, case)
    client, killed = two.client(), trio.Event()

    def kill():
        for door in client.doors.values():
            door.dead = True
        killed.set()

    cut = Cut(client, case, kill)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(command, two, client, case)
        await killed.wait()
        await older_ends()
        base = await next_goes_on(two)
        nursery.cancel_scope.cancel()
    assert cut.came
    if case[0] is Commit:
        assert base != NOTHING, "what was pending everywhere is rolled forward"


@pytest.mark.parametrize("case", [case for case in CASES if case[0] is not Renew], ids=names)
def test_ctrl_c(case, virtual_time, monkeypatch):
    """As the command line hears it: all is let go at once, and nobody waits for the lease's end."""
    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(
        trio, "run", partial(trio.run, clock=virtual_time)
    )  # one clock for both, as daemons have
    two, ends = Two(), []
    client = two.client()
    cut = Cut(client, case, lambda: signal.raise_signal(signal.SIGINT))

    async def interrupted():
        ends.append(await older_one(two, case))
        await command(two, client, case)

    async def afterwards():
        await ends[0]()
        with trio.fail_after(5):
            await next_goes_on(two)

    with pytest.raises(KeyboardInterrupt):
        interrupts.run(interrupted)
    assert cut.came
    for name, daemon in two.daemons.items():
        grant = daemon.cluster.networks and daemon.kept.lease.grant
        assert not grant or (name, grant.attempt.id) == ("k2", OLDER)
    trio.run(afterwards)
