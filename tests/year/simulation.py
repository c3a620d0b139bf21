# SPDX-License-Identifier: Apache-2.0
"""A provider's days: pods come and go, what the plan says happens, and every evening it is measured."""

import gc
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from tests.year.alerts import Window, scraped
from tests.year.events import EVENTS
from tests.year.plan import Plan
from tests.year.publishers import Publishers
from trustedpods.provider.core.earnings.sums import GroupedBy, Span, rows_of
from trustedpods.provider.store.operator import earnings

DAY_S = 86_400
MINUTE_S = 60
STRIDE_S = 3600
START_S = 60
BEHIND_S = DAY_S + 3 * STRIDE_S
"""A day after it ended a pod is in the books alone; a look for such pods is due each hour."""

ANSWERED_S = 900
PAGE = 1024


@dataclass(frozen=True)
class Evening:
    """What was measured at the end of a day: bytes of the books that are in use, of the spool and of the
    resident set, blocks that Python has, pods that had come, that stood, and that went on that day.
    `starts`: how often the daemon had been started.
    """

    day: int
    starts: int
    books: int
    spool: int
    resident: int
    blocks: int
    came: int
    standing: int
    left_today: int


@dataclass
class Simulation:
    """Of a `SimulatedWorld`. `run` has the running daemon's parts and host; None while it is down."""

    plan: Plan
    world: Any
    publishers: Any = None
    run: Any = None
    judged: list = field(default_factory=list)
    fired: set = field(default_factory=set)
    evenings: list = field(default_factory=list)
    sent_to_a_liar: int = 0
    starts: int = 0
    due: list = field(default_factory=list)
    """Events of the plan that are to come."""
    is_over: bool = False
    kept: Counter = field(default_factory=Counter)
    """Our own objects that the daemon has a day behind the last pod and had not before the first, by type."""
    _before: Any = None
    _nursery: Any = None
    _life: Any = None
    _over: Any = None

    def __post_init__(self):
        self.publishers, self.due = Publishers(self.world), sorted(self.plan.events)

    def __getstate__(self):
        assert self.run is None  # what is carried is outside of the daemon
        return {**self.__dict__, "_nursery": None, "_life": None, "_over": None}

    # ---- the daemon ----

    async def start(self):
        """The daemon serves when this returns."""
        self._life, self._over = trio.CancelScope(), trio.Event()
        self.starts += 1
        self._nursery.start_soon(self._serve)
        await self.world.time.until(lambda: self.run is not None, START_S, "the start")
        for one in self.publishers.standing.values():
            one.host = self.run.host

    async def _serve(self):
        try:
            with self._life:
                async with self.world.run() as (parts, _):
                    self.run = SimpleNamespace(parts=parts, host=self.world.host)
                    await trio.sleep_forever()
        finally:
            self.run = None
            self._over.set()

    async def stop(self):
        """As by a kill: what it had in memory goes at once, as with a process."""
        self._life.cancel()
        await self._over.wait()
        gc.collect()

    # ---- what events use ----

    @asynccontextmanager
    async def watched(self, name, fires, *, cleared=True):
        """Prometheus looks once a minute of `watch`."""
        window = Window(f"{name} on day {self.day}", MINUTE_S, fires, self.world.now, cleared)
        yield window
        self.judged.append(window.save(self.world.tmp_path))
        self.fired |= fires

    async def watch(self, window, seconds):
        """So many seconds go by."""
        for _ in range(int(seconds) // window.every_s):
            await self.world.time.stride(window.every_s, window.every_s)
            window.scrape(self.run.parts.doors.metrics if self.run else None)

    def metric(self, name):
        """One of the daemon's, now."""
        found = scraped(self.run.parts.doors.metrics)
        return next(value for series, value in found.items() if series.startswith(name))

    @asynccontextmanager
    async def waking(self, slots):
        """Requests wait for these sleeping pods while the block goes on; behind it all are answered."""
        left = len(slots)

        async def ask(slot):
            nonlocal left
            await self.run.parts.autoscaler.answer_wake(slot)
            left -= 1

        async with trio.open_nursery() as nursery:
            for slot in slots:
                nursery.start_soon(ask, slot)
            yield
            await self.world.time.until(lambda: left == 0, ANSWERED_S, "answers to wakes")

    def some_slots(self, many):
        """Of pods that stand."""
        return list(self.publishers.slots().values())[:many]

    # ---- days ----

    @property
    def day(self):
        return int((self.world.time.now + 1) // DAY_S)

    async def live(self, *, until_restarted=False):
        """All days of the plan that are left, and the end of the last pods; `is_over` then.

        With *until_restarted* no further than to the midnight behind the daemon's next start: what
        comes then is another process's.
        """
        async with trio.open_nursery() as self._nursery:
            await self.start()
            mine = self.starts
            if self._before is None:
                self._before = own_objects()
                await self._settle()
            while self.day < self.plan.days and not (until_restarted and self.starts > mine):
                await self._whole_day()
            if self.day >= self.plan.days and not (until_restarted and self.starts > mine):
                await self._end()
            await self.stop()

    async def _whole_day(self):
        await self._morning(self.day)
        while self.due and self.due[0][0] <= self.day:
            await EVENTS[self.due.pop(0)[1]](self)
        await self._evening()

    async def _end(self):
        await self.publishers.go(self.run, list(self.publishers.standing.values()))
        await self.world.time.stride(BEHIND_S, STRIDE_S)
        assert not self.due
        self.earned = await self._earned()
        self.world.chain.forget_old(0)
        self.kept = own_objects() - self._before
        self.is_over = True

    async def _settle(self):
        """The year begins with as many pods as it will have on any day, of a provider that was started again.

        Else what is there of its first pods, and what two daemons in one process had between them, would be
        taken for what a year adds.
        """
        longest, dice = self.plan.longest_stay, self.publishers.dice
        for age in range(longest):
            stays = [dice.randint(1, longest) for _ in range(self.plan.a_day)]
            await self.publishers.come(self.run, [self.day + stay - age for stay in stays if stay > age])
        await EVENTS["reboot"](self)

    async def _morning(self, today):
        stays = [
            today + self.publishers.dice.randint(1, self.plan.longest_stay) for _ in range(self.plan.a_day)
        ]
        await self.publishers.come(self.run, stays)
        await self.world.time.stride(3 * MINUTE_S, MINUTE_S)  # they sleep by then
        await self.publishers.visit(self.run)

    async def _evening(self):
        """The day goes to its end, and with it those whose time is over."""
        left = DAY_S - self.world.time.now % DAY_S
        await self.world.time.stride(max(left - 1800, 1), STRIDE_S)
        leaving = [
            one for one in self.publishers.standing.values() if one.ends is not None and one.ends <= self.day
        ]
        await self.publishers.go(self.run, leaving)
        self.evenings.append(await self._measured(len(leaving)))
        await self.world.time.stride(DAY_S - self.world.time.now % DAY_S, STRIDE_S)

    async def _measured(self, left_today):
        self.world.chain.forget_old()
        gc.collect()
        doors = self.run.parts.doors
        return Evening(
            day=self.day,
            starts=self.starts,
            books=await doors.store.read(used_bytes),
            spool=sum(path.stat().st_size for path in (self.world.tmp_path / "spool").rglob("*.sealed")),
            resident=resident(),
            blocks=sys.getallocatedblocks(),
            came=self.publishers.came,
            standing=len(self.publishers.standing),
            left_today=left_today,
        )

    async def _earned(self):
        """What the books say, by each way to put it together; all ways say the same."""
        payments = await self.run.parts.doors.store.read(earnings.payments)
        sums = {sum(row.paid for row in rows_of(payments, [], by, Span())) for by in GroupedBy}
        assert len(sums) == 1
        return sums.pop()


def own_objects():
    """How many of each type of this project there are."""
    gc.collect()
    types = Counter(type(one) for one in gc.get_objects())
    return Counter({kind.__qualname__: many for kind, many in types.items() if "'trustedpods." in str(kind)})


def used_bytes(tx):
    pages, free, size = (
        tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * PAGE for line in lines if line.startswith("VmRSS:"))
