# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A kill, a reorganisation, or both, at every point of a settlement round: everything is paid once.

The points are not chosen: a recording run finds every call of a door and every transaction of the
store, and there is one run for each of them (`make check` takes some of them).
"""

from dataclasses import dataclass, field, replace

import pytest
import trio

from tests.examples import some
from tests.fakes.crash import Door, Points
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import FakeRegistry, World, config_of
from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.terms import Terms, due
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import KIB, Usage
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.config import GasSection
from trustedpods.provider.core import metering
from trustedpods.provider.core.metering import Run
from trustedpods.provider.core.pod import ChannelFact, Phase
from trustedpods.provider.core.traffic import Traffic
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, claims, ledger, open_store, pods
from trustedpods.provider.store.claims import ClaimState
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.store.tables import METADATA
from trustedpods.provider.tee import NoTee

pytestmark = pytest.mark.timeout(600)
"""Some 20 s of work for the longest; a machine that is busy with other tests takes its time."""

DEPOSIT = 10**9
FINALITY = 2
ROUNDS = 6
"""Looks that take a claim from nothing to final, with room for one that has to begin again."""


@dataclass
class Case:
    """A provider with three pods that ran for 100 s, of which the last is being removed."""

    world: World
    records: list
    store: object
    gas: GasSection = field(default_factory=GasSection)

    @property
    def chain(self):
        return self.world.chain

    async def daemon(self, points=None, **terms):
        """Settlement with all that it uses, as after a start; only what is stored is known."""
        world, points = self.world, points or Points()
        config = config_of(world.tmp_path, world.chain, world.owner, claim_interval_s=50, **terms)
        market = config.market.model_copy(update={"finality_blocks": FINALITY})
        doors = Doors(
            config=config.model_copy(update={"market": market, "gas": self.gas}),
            keys=world.keys,
            operator_key=world.operator_key,
            collector=NoTee(),
            store=Door("store", self.store, points),
            spool=Spool(world.tmp_path / "spool", 64),
            chain=Door("chain", world.chain, points),
            cluster=Door("cluster", world.cluster, points),
            registry=FakeRegistry(),
            facade=world.facade,
            clock=lambda: world.now,
        )
        found = Pods(doors)
        await found.load()
        return Settlement(doors, found, Meter(doors, found))

    async def settle(self, points=None):
        """A start, and some looks."""
        settlement = await self.daemon(points)
        await (points.run(lambda: self.rounds(settlement)) if points else self.rounds(settlement))

    async def rounds(self, settlement, count=ROUNDS):
        """Look again and again while blocks come; what fails is tried again, as the daemon does."""
        for _ in range(count):
            leaving = self.records[-1]
            if self.chain.lives[self.world.owner, leaving.channel].closed is None:
                settlement.close(leaving.channel, billed=True)  # as the remover does until it is gone
            else:
                settlement.closed(leaving.channel)
            try:
                await settlement.tick()
            except NetworkFailure:
                continue
            finally:
                self.chain.number += 1
            gone = self.chain.lives[self.world.owner, leaving.channel].closed is not None
            if gone and await self.store.read(claims.open_claim) is None:
                return


@pytest.fixture
def no_threads(monkeypatch):
    """Nothing else goes on here: to hand each of ten thousand transactions to a thread is half the work."""

    async def at_once(work, *arguments, **_):
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)


@pytest.fixture
async def store(tmp_path, no_threads):
    """One database for all cases of a test: what was committed survives a kill, the rest never was."""
    async with open_store(tmp_path / "books" / "store.db", Vault(b"v" * 32)) as opened:
        yield opened


def _empty(tx):
    for table in reversed(METADATA.sorted_tables):
        tx.connection.execute(table.delete())


def _fill(tx, records, begun):
    _empty(tx)
    for number, record in enumerate(records):
        pods.save(tx, record)
        run = Run(f"uid-{number}", begun + 5, begun + 60 + number % 3, 100 * (number % 3 + 1), 64, 0)
        ledger.record_run(tx, record.channel, record.namespace, run)
        ledger.hold(tx, record.channel, {"image": 7}, begun)


async def make_case(store, tmp_path, count=3):
    world = World(tmp_path)
    terms = Terms.for_peak(
        config_of(tmp_path, world.chain, world.owner).prices,
        Usage(10_000, 10_000, 1000),
        unlock_s=60,
        claim_interval_s=50,
    )
    begun, meter, records = world.chain.now, world.keys.meter_address, []
    for number in range(count):
        key = (number + 1).to_bytes(32, "big")
        world.chain.give(address_of(key), DEPOSIT)
        ref = PodRef(world.owner, address_of(key), number.to_bytes(32, "big"))
        await world.chain.open_with_permit(key, ref, meter, terms, DEPOSIT)
        record = pod_record(
            ref=ref,
            boot_id=world.keys.boot_id,
            namespace=f"tp-{number}",
            phase=Phase.REMOVING if number == count - 1 else Phase.SERVING,
            statement=b"signed",
            terms=terms.pack(),
            meter=meter,
            chain=ChannelFact(DEPOSIT, begun, 0),
        )
        records.append(record)
    await store.write(_fill, records, begun)
    world.pass_time(100)
    return Case(world, records, store)


async def paid_once(case, channels=3):
    """Every channel paid exactly what its leaves cost, and these tell of all its time without a gap."""
    chain, owner, total = case.chain, case.world.owner, 0
    store = case.store
    for record in case.records[:channels]:
        life = chain.lives[owner, record.channel]
        rest = life.channel.left if life.closed is None else life.closed.refund
        found = await store.read(claims.leaves, record.channel, record.namespace, 0)
        at, cost = life.opened_at, 0
        for leaf in found:
            assert leaf.from_ == at, "a gap, or a period that is told of twice"
            at, usage = leaf.up_to, Usage(*leaf.usage)
            cost += due(usage, life.channel.terms.prices)
            item = UsageItem(record.channel, leaf.from_, leaf.up_to, usage)
            hashed = merkle.leaf(chain.market.chain_id, chain.market.payments, owner, item)
            assert merkle.verify(leaf.root, hashed, leaf.proof)
            assert leaf.transaction in {one.tx_hash for one in chain.roots[owner, leaf.root]}
        assert at == life.channel.up_to
        book = await store.read(ledger.load_ledger, record.channel, life.opened_at)
        whole = metering.usage(book, life.opened_at, at)
        assert Usage.total([Usage(*leaf.usage) for leaf in found]) == whole
        assert DEPOSIT - rest == cost > 0
        assert await store.read(claims.paid_in_life, record.channel, record.namespace) == cost
        total += cost
    assert chain.credit[owner] == total
    assert await store.read(claims.open_claim) is None


async def recorded(store, tmp_path):
    """Names of all crash points of one round, by running it undisturbed; the first where it is final."""
    case = await make_case(store, tmp_path)
    points = Points(note=lambda: case.chain.number)
    await case.settle(points)
    await paid_once(case)
    sent = points.names.index("chain.submit_usage_for left")
    deep = points.notes[sent] + FINALITY
    return points.names, next(n for n, number in enumerate(points.notes) if number >= deep)


async def again_and_later(case):
    """The daemon starts again, settles what is left, and later one more period."""
    await case.settle()
    await paid_once(case)
    case.world.pass_time(100)
    await case.settle()
    await paid_once(case)


async def test_the_points_are_those_of_a_whole_round(store, tmp_path):
    names, _ = await recorded(store, tmp_path)
    for needed in (
        "store.write.save_claim left",
        "chain.submit_usage_for entered",
        "chain.submit_usage_for left",
        "store.write.settle_claim entered",
        "chain.channels left",
        "cluster.pods entered",
    ):
        assert needed in names
    assert len(names) >= 40


async def test_a_kill_at_every_point(store, tmp_path):
    names, _ = await recorded(store, tmp_path)
    for number, name in some(list(enumerate(names))):
        case, points = await make_case(store, tmp_path), Points(stop_at=number)
        await case.settle(points)
        assert points.dead.is_set(), name  # what is carried and what is cut take turns as they come
        await again_and_later(case)


@pytest.mark.parametrize("killed", [False, True], ids=["alone", "with-a-kill"])
async def test_a_reorganisation_at_every_point_before_finality(store, tmp_path, killed):
    _, final = await recorded(store, tmp_path)
    for number in some(range(final)):
        case = await make_case(store, tmp_path)
        blocks = case.chain.snapshot()
        points = Points(
            stop_at=number if killed else None,
            act_at=number,
            act=lambda: case.chain.reorganise(blocks),  # noqa: B023
        )
        await case.settle(points)
        await case.settle()
        await paid_once(case)


async def test_a_reorganisation_behind_finality_is_settled_anew(store, tmp_path):
    case = await make_case(store, tmp_path)
    blocks = case.chain.snapshot()
    await case.settle()
    await paid_once(case)
    case.chain.reorganise(blocks)
    case.world.pass_time(60)
    await case.settle()
    for record in case.records:
        assert len(await store.read(claims.leaves, record.channel, record.namespace, 0)) == 1
    await paid_once(case)


@pytest.mark.parametrize("lagging", [0, 1, 2])
async def test_a_time_out_of_what_is_mined_all_the_same(store, tmp_path, lagging):
    """With a node that shows the old state for *lagging* reads, the bytes go out a second time."""
    case = await make_case(store, tmp_path)
    chain = case.chain
    before = {life.channel.id: life.channel for life in chain.lives.values()}
    submit, read, left = chain.submit_usage_for, chain.channels, {"time-outs": 1, "old": lagging}

    async def submit_slowly(*arguments):
        answer = await submit(*arguments)
        if left["time-outs"]:
            left["time-outs"] -= 1
            raise NetworkFailure("was not mined within 90 s; it still may be")
        return answer

    async def read_late(owner, ids):
        if not left["time-outs"] and left["old"]:
            left["old"] -= 1
            return [before[one] for one in ids]
        return await read(owner, ids)

    chain.submit_usage_for, chain.channels = submit_slowly, read_late
    await case.settle()
    assert len([entry for entry in chain.log if entry[0] == "submit"]) == (2 if lagging else 1)
    await again_and_later(case)


async def test_a_channel_that_moved_to_another_meter_spoils_nobody(store, tmp_path):
    case = await make_case(store, tmp_path)
    chain = case.chain
    moved = chain.lives[case.world.owner, case.records[0].channel]
    settlement = await case.daemon()
    await settlement.claim(prepare=True, withdraw=False)
    moved.channel = replace(moved.channel, meter_tag=1)
    await case.settle()
    assert await store.read(claims.open_claim) is None
    assert await store.read(claims.leaves, moved.channel.id, case.records[0].namespace, 0) == []
    assert ClaimState.LOST not in await store.read(claims.count_by_state)
    assert moved.channel.left == DEPOSIT
    case.records = case.records[1:]
    await paid_once(case, 2)


async def test_gas_is_weighed(store, tmp_path):
    """A dear block is waited out, a cheap one taken; what was used is not lost meanwhile."""
    case = await make_case(store, tmp_path)
    for price, claimed in ((10**12, 0), (1, 1)):
        case.chain.wei_per_gas = price
        settlement = await case.daemon(coin_price=10**9)
        await settlement.tick()
        assert sum((await store.read(claims.count_by_state)).values()) == claimed


class Busy:
    """Books in which each pod has bytes booked right before a claim is read, and before it is stored."""

    def __init__(self, store, case):
        self.store, self.case, self.booked, self.quiet = store, case, 0, False

    async def read(self, query, *arguments):
        return await self.store.read(query, *arguments)

    async def write(self, change, *arguments):
        if change in {ledger.close_and_load, claims.save_claim} and not self.quiet:
            await self.carry(5 * KIB)
        return await self.store.write(change, *arguments)

    async def carry(self, size):
        """Bytes of each pod, into the row that is open."""
        self.booked += size
        for record in self.case.records:
            passed = Traffic(bytes_in=0, bytes_out=size)
            await self.store.write(ledger.add_traffic, record.channel, passed, self.case.world.now, 0)


async def test_bytes_that_pass_while_a_claim_is_made_are_in_one_claim_or_the_next(store, tmp_path):
    """Two periods and a release; each byte is claimed once."""
    case = await make_case(store, tmp_path)
    case.store = busy = Busy(store, case)
    released = case.records[-1]
    await busy.carry(3 * KIB)
    case.world.pass_time(5)
    await again_and_later(case)
    case.world.pass_time(100)
    busy.quiet = True
    await case.settle()
    await paid_once(case)
    assert await store.read(claims.released_in_life, released.channel, released.namespace) is not None
    for record in case.records[:-1]:
        found = await store.read(claims.leaves, record.channel, record.namespace, 0)
        assert len(found) == 3
        claimed = Usage.total([Usage(*leaf.usage) for leaf in found]).egress_kib
        assert claimed == busy.booked // KIB
