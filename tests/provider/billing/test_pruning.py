# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Days of a provider's books in minutes: pods come and go, claims are paid, the daemon starts anew, and the
chain is away for a day. What was earned is what the market paid, to the unit; time alone makes no book grow.
"""

import random
from dataclasses import dataclass, field

import pytest
import trio
from sqlalchemy import func, select

from tests.fakes.chain.state import address_of
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import NO_MARKS, FakeRegistry, World, config_of
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.pruning import EVERY_S, FIRST_AFTER_S, keep_pruned, prune_books
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.earnings.sums import DAY_S, GroupedBy, Span, rows_of
from trustedpods.provider.core.metering import Run
from trustedpods.provider.core.pod import ChannelFact, Phase
from trustedpods.provider.core.traffic import Traffic
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, ledger, open_store
from trustedpods.provider.store.operator import earnings
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.store.tables import CEILINGS, COUNTERS, CUTS, EARNED, HOLDINGS, RUNS, TRAFFIC
from trustedpods.provider.tee import NoTee

KEEP_DAYS = 7
DEPOSIT = 10**12
LOOKS = 5
"""Of one day: enough for a claim to become final, and for one that holds a release."""

TRAFFIC_A_DAY = 12
COUNTED = (RUNS, HOLDINGS, CEILINGS, TRAFFIC, COUNTERS)


@pytest.fixture
def no_threads(monkeypatch):
    """Nothing else goes on here: to hand each transaction to a thread is half the work."""

    async def at_once(work, *arguments, **_):
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)


def count(tx, tables):
    return sum(tx.connection.execute(select(func.count()).select_from(table)).scalar() for table in tables)


def used_bytes(tx):
    pages, free, size = (
        tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def use(tx, records, begun):
    """What a day of these pods puts into the ledger."""
    for number, record in enumerate(records):
        run = Run(f"{record.label}-{begun}", begun + 5, begun + 3600 + number % 7, 100, 64, 0)
        ledger.record_run(tx, record.channel, record.namespace, run)
        for part in range(TRAFFIC_A_DAY):
            at = begun + 60 + part * DAY_S // (TRAFFIC_A_DAY + 1)
            ledger.add_traffic(tx, record.channel, Traffic(bytes_in=1025, bytes_out=4097 + number), at, 0)


@dataclass
class Provider:
    """A provider whose pods live for some days each; *seed* decides how many."""

    world: World
    store: object
    a_day: int
    lasting: int
    dice: random.Random = field(default_factory=lambda: random.Random(4711))
    ends: dict = field(default_factory=dict)
    begun: int = 0

    async def start(self):
        """As after a start of the daemon: only what is stored is known."""
        world = self.world
        config = config_of(world.tmp_path, world.chain, world.owner, claim_interval_s=43_200)
        market = config.market.model_copy(update={"finality_blocks": 2})
        books = config.store.model_copy(update={"keep_days": KEEP_DAYS, **NO_MARKS})
        self.doors = Doors(
            config=config.model_copy(update={"market": market, "store": books}),
            keys=world.keys,
            operator_key=world.operator_key,
            collector=NoTee(),
            store=self.store,
            spool=Spool(world.tmp_path / "spool", 64),
            chain=world.chain,
            cluster=world.cluster,
            registry=FakeRegistry(),
            facade=world.facade,
            clock=lambda: world.now,
        )
        self.pods = Pods(self.doors)
        await self.pods.load()
        self.settlement = Settlement(self.doors, self.pods, Meter(self.doors, self.pods))

    async def open(self, day, lives):
        """A pod that is paid for, and lives for so many days."""
        world, number = self.world, self.begun
        self.begun += 1
        key = (1000 + number % 50).to_bytes(32, "big")
        world.chain.give(address_of(key), DEPOSIT)
        ref = PodRef(world.owner, address_of(key), number.to_bytes(32, "big"))
        terms = Terms.for_peak(
            self.doors.config.prices, Usage(10_000, 10_000, 1000), unlock_s=60, claim_interval_s=43_200
        )
        await world.chain.open_with_permit(key, ref, world.keys.meter_address, terms, DEPOSIT)
        record = pod_record(
            ref=ref,
            boot_id=world.keys.boot_id,
            namespace=f"tp-{number}",
            statement=b"signed",
            terms=terms.pack(),
            meter=world.keys.meter_address,
            chain=ChannelFact(DEPOSIT, UnixSeconds(world.chain.now), 0),
            changed_at=world.chain.now,
        )
        await self.pods.put(record)
        await self.store.write(ledger.hold, record.channel, {"image": 7}, world.chain.now)
        self.ends[record.channel] = day + lives

    async def live(self, day):
        """One day, with its claims, and the pods that end in it."""
        world, now = self.world, self.world.chain.now
        for _ in range(self.a_day):
            await self.open(day, self.dice.randint(1, 5))
        await self.store.write(use, self.pods.standing, now)
        world.pass_time(DAY_S)
        leaving = [one for one in self.pods.standing if self.ends[one.channel] <= day]
        for record in leaving:
            await self.pods.learn(record.channel, phase=Phase.REMOVING)
            await self.store.write(ledger.cut_off, record.channel, world.chain.now)
            self.settlement.close(record.channel, billed=True)
        await self.look()
        for record in leaving:
            if world.chain.lives[world.owner, record.channel].closed is not None:
                self.settlement.closed(record.channel)
                await self.pods.learn(record.channel, phase=Phase.GONE, changed_at=world.chain.now)
        await prune_books(self.doors)

    async def look(self):
        for _ in range(LOOKS):
            try:
                await self.settlement.tick()
            except NetworkFailure:
                assert self.world.chain.broken
            self.world.pass_time(3)

    async def earned(self):
        """What the books say, by each way to put it together; all ways say the same."""
        payments = await self.store.read(earnings.payments)
        sums = {sum(row.paid for row in rows_of(payments, [], by, Span())) for by in GroupedBy}
        assert len(sums) == 1
        return sums.pop()

    def paid(self):
        """What the market took of all deposits."""
        lives = self.world.chain.lives.values()
        return sum(DEPOSIT - (one.channel.left if one.closed is None else one.closed.refund) for one in lives)


async def lived(tmp_path, store, days, a_day, lasting, away=()):
    """A provider after so many days; rows of what was counted, and bytes of the books, at each day's end."""
    provider = Provider(World(tmp_path), store, a_day, lasting)
    await provider.start()
    for _ in range(lasting):
        await provider.open(0, days + 1)
    counted, sizes = [], []
    for day in range(1, days + 1):
        provider.world.chain.broken = False
        if day % 10 == 0:
            await provider.start()
        if day in away:
            provider.world.chain.broken = True
            await provider.store.write(use, provider.pods.standing, provider.world.chain.now)
            provider.world.pass_time(DAY_S)
            await provider.look()
        else:
            await provider.live(day)
        counted.append(await store.read(count, COUNTED))
        sizes.append(await store.read(used_bytes))
    assert await provider.earned() == provider.paid() == provider.world.chain.credit[provider.world.owner] > 0
    return provider, counted, sizes


@pytest.fixture
async def store(tmp_path, no_threads):
    async with open_store(tmp_path / "books" / "store.db", Vault(b"v" * 32)) as opened:
        yield opened


async def test_three_weeks_are_paid_to_the_unit_and_grow_by_no_day(tmp_path, store):
    days = 21
    provider, counted, _ = await lived(tmp_path, store, days, a_day=1, lasting=2, away=(9,))
    early, late = max(counted[10:15]), max(counted[16:])
    assert late <= early + 2 * (provider.begun + TRAFFIC_A_DAY), (early, late)
    assert await store.read(count, [EARNED]) > 0
    standing = days * provider.lasting
    kept = 5 * (KEEP_DAYS + 1) * provider.a_day
    assert await store.read(count, [CUTS]) <= standing + kept + 2 * provider.begun


async def test_by_a_clock_that_was_set_wrong_nothing_goes(tmp_path, store):
    provider, _, _ = await lived(tmp_path, store, days=4, a_day=1, lasting=1)
    whole = await store.read(count, [*COUNTED, CUTS])
    provider.world.now += 3650 * DAY_S
    assert await prune_books(provider.doors) == (0, 0)
    assert await store.read(count, [*COUNTED, CUTS]) == whole


async def test_it_is_done_once_a_day_and_not_at_the_start(tmp_path, store, autojump_clock, nursery):
    provider = Provider(World(tmp_path), store, 1, 0)
    await provider.start()
    await provider.open(0, 9)
    now = provider.world.chain.now
    await store.write(use, provider.pods.standing, now - 30 * DAY_S)
    await provider.pods.learn(provider.pods.standing[0].channel, chain=ChannelFact(DEPOSIT, now, 0))
    looks, head = [], provider.world.chain.head

    async def counted_head():
        looks.append(trio.current_time())
        return await head()

    provider.world.chain.head = counted_head
    whole, begun = await store.read(count, COUNTED), trio.current_time()
    nursery.start_soon(keep_pruned, provider.doors)
    await trio.sleep(FIRST_AFTER_S - 1)
    assert (await store.read(count, COUNTED), looks) == (whole, [])
    await trio.sleep(3 * EVERY_S + 60)
    assert [round(at - begun) for at in looks] == [FIRST_AFTER_S + day * DAY_S for day in range(4)]
    assert await store.read(count, COUNTED) < whole


@pytest.mark.soak
@pytest.mark.timeout(5400)
async def test_a_year_of_five_thousand_pods(tmp_path, store, capsys):
    """Figures are printed: they are what docs/benchmarks.md says of the books' growth."""
    provider, counted, sizes = await lived(
        tmp_path, store, days=365, a_day=14, lasting=5, away=(50, 150, 250)
    )
    assert provider.begun > 5000
    quarter, last = max(counted[60:90]), max(counted[-30:])
    a_pod = (sizes[-1] - sizes[90]) / (provider.begun * 275 / 365)
    told = f"counted rows {quarter} -> {last}; books {sizes[90]} -> {sizes[-1]} bytes, {a_pod:.0f} a pod"
    with capsys.disabled():
        print(told)  # noqa: T201 - the figures of the acceptance
    assert last <= quarter * 1.05 + 2 * provider.begun
    assert a_pod < 8192
