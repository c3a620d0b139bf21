# SPDX-License-Identifier: Apache-2.0
"""What the kernel leads beside HAProxy, and what is believed of it while its agent is away."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.facade_ways.ways import (
    LEASE_S,
    KernelWay,
    LedConnection,
    WayLoad,
    WaysTold,
    WaysWanted,
)
from trustedpods.provider.core.traffic import PodAddress, SlotStats
from trustedpods.provider.facade.kernel.choice import KERNEL
from trustedpods.provider.facade.kernel.overlay import ON_THE_WAY_S, KernelWays
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.facade.slots import ServiceSpec

POOLS = Pools(2, 1, 2)
RAW, OTHER = POOLS.slots(SlotProtocol.TCP)
FIRST = 31000
POD, NEXT = PodAddress("a-1", "10.0.1.2", 7000), PodAddress("a-2", "10.0.1.3", 7000)
SERVICE = ServiceSpec("shop.raw", (), (POD,), protocol=SlotProtocol.TCP)
OWNERS = {"shop.raw": RAW, "shop.web": 0}
WAY = KernelWay(FIRST, "shop", "10.0.1.2", 7000, 1024)
STATS = SlotStats("boot", 0, 0, 0, 0)


class Agent:
    """Leads what it was told last until its lease ends; `away` it hears nothing, `mute` it is not heard."""

    def __init__(self) -> None:
        self.away = self.mute = False
        self.told = 0
        self.wanted = WaysWanted()
        self.until = -1.0
        self.loads: tuple[WayLoad, ...] = ()
        self.cuts: list[LedConnection] = []
        self.open: tuple[LedConnection, ...] = ()

    async def tell(
        self, wanted: WaysWanted, cut: Iterable[LedConnection] = (), *, connections: bool = False
    ) -> WaysTold:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise NetworkFailure("away")
        self.told += 1
        self.wanted, self.until = wanted, trio.current_time() + LEASE_S
        self.cuts += cut
        if self.mute:
            raise NetworkFailure("late")
        ports = frozenset(one.port for one in wanted.ways)
        return WaysTold(ports, self.loads, self.open if connections else ())

    @property
    def leads(self) -> set[KernelWay]:
        return set(self.wanted.ways) if trio.current_time() < self.until else set()


def made() -> tuple[Agent, KernelWays]:
    agent = Agent()
    return agent, KernelWays(agent, POOLS, FIRST, 9)


async def test_a_service_of_tcp_is_led_with_its_owner(virtual_time: None) -> None:
    agent, kernel = made()
    await kernel.narrow({RAW: SERVICE}, OWNERS)
    assert agent.leads == set()  # not before HAProxy was told
    await kernel.widen({RAW: SERVICE}, OWNERS)
    assert agent.leads == {WAY}
    assert (agent.wanted.owners, agent.wanted.per_source) == ({FIRST: "shop"}, 9)
    assert kernel.told({RAW: SERVICE, 0: SERVICE}) == {"raw": KERNEL}
    drained = replace(SERVICE, pods=(), draining=(POD,))
    await kernel.narrow({RAW: drained}, OWNERS)
    assert agent.leads == set()
    assert agent.wanted.owners == {FIRST: "shop"}  # what it has may go on
    await kernel.narrow({}, {})
    assert agent.wanted.owners == {}


async def test_a_replica_takes_over_without_leading_to_both(virtual_time: None) -> None:
    agent, kernel = made()
    await kernel.widen({RAW: SERVICE}, OWNERS)
    later = {RAW: replace(SERVICE, pods=(NEXT,), draining=(POD,))}
    await kernel.narrow(later, OWNERS)
    assert agent.leads == set()
    await kernel.widen(later, OWNERS)
    assert agent.leads == {replace(WAY, address="10.0.1.3")}


async def test_an_end_that_nobody_confirmed_is_no_end_before_the_lease_is_over(virtual_time: None) -> None:
    agent, kernel = made()
    await kernel.widen({RAW: SERVICE}, OWNERS)
    agent.away = True
    with pytest.raises(NetworkFailure):
        await kernel.narrow({}, OWNERS)
    assert kernel.may_lead(RAW)
    assert not kernel.may_lead(OTHER)
    assert not kernel.may_lead(0)
    await trio.sleep(LEASE_S + ON_THE_WAY_S)
    assert agent.leads == set()
    await kernel.narrow({}, OWNERS)
    assert not kernel.may_lead(RAW)


async def test_one_service_does_not_wait_for_the_end_of_anothers_lease(virtual_time: None) -> None:
    agent, kernel = made()
    raw, other = SERVICE, replace(SERVICE, label="mail.raw", pods=(NEXT,))
    owners = OWNERS | {"mail.raw": OTHER}
    await kernel.widen({RAW: raw, OTHER: other}, owners)
    agent.away = True
    later = {RAW: replace(raw, pods=(), draining=(POD,)), OTHER: other}
    with pytest.raises(NetworkFailure):
        await kernel.narrow(later, owners, RAW)
    await kernel.narrow(later, owners, OTHER)
    await kernel.narrow(later, owners, 0)
    for _ in range(int(LEASE_S + ON_THE_WAY_S)):  # the other's lease may go on with each question
        assert (await kernel.add({RAW: STATS, OTHER: STATS}, later))[RAW].pods[0].serving
        await trio.sleep(1)
    await kernel.narrow(later, owners, RAW)
    assert not kernel.may_lead(RAW)
    assert kernel.may_lead(OTHER)
    found = await kernel.add({RAW: STATS, OTHER: STATS}, later)
    assert not any(one.serving for one in found[RAW].pods)
    assert found[OTHER].pods[0].serving


async def test_what_an_earlier_daemon_was_given_counts_until_it_is_over(virtual_time: None) -> None:
    agent, kernel = made()
    agent.away = True
    with pytest.raises(NetworkFailure):
        await kernel.narrow({}, OWNERS)
    assert kernel.may_lead(RAW)
    agent.away = False
    await kernel.widen({}, OWNERS)  # told once, though nothing is wanted
    assert agent.told == 1
    await kernel.widen({}, OWNERS)
    assert agent.told == 1
    assert not kernel.may_lead(RAW)


async def test_a_lost_answer_may_have_given_a_lease(virtual_time: None) -> None:
    agent, kernel = made()
    await kernel.widen({}, OWNERS)
    agent.mute = True
    await kernel.widen({RAW: SERVICE}, OWNERS)
    assert agent.leads == {WAY}
    with pytest.raises(NetworkFailure):
        await kernel.narrow({}, OWNERS)


async def test_counters_are_joined_and_leases_go_on(virtual_time: None) -> None:
    agent, kernel = made()
    wants = {RAW: SERVICE}
    assert await kernel.add({RAW: STATS}, wants) == {RAW: STATS}
    assert agent.told == 0
    await kernel.widen(wants, OWNERS)
    agent.loads = (WayLoad(FIRST, "10.0.1.2", 2, 50, 3), WayLoad(FIRST + 1, "10.0.1.9", 7, 7))
    await trio.sleep(LEASE_S - 1)
    found = await kernel.add({RAW: STATS, 0: STATS}, wants)
    assert agent.until == trio.current_time() + LEASE_S
    assert found[0] == STATS
    raw = found[RAW]
    assert (raw.current, raw.total, raw.bytes_in, raw.led, raw.newest_led_s) == (2, 0, 0, 50, 3)
    assert [(one.name, one.current, one.serving) for one in raw.pods] == [("a-1", 2, True)]


async def test_while_the_agent_is_away_something_may_move(virtual_time: None) -> None:
    agent, kernel = made()
    wants = {RAW: SERVICE}
    await kernel.widen(wants, OWNERS)
    agent.away = True
    seen = [(await kernel.add({RAW: STATS}, wants))[RAW] for _ in range(3)]
    assert [one.current for one in seen] == [1, 1, 1]
    assert len({one.led for one in seen}) == 3
    assert await kernel.sessions() == []


async def test_connections_are_told_and_cut_one_by_one(virtual_time: None) -> None:
    agent, kernel = made()
    assert await kernel.sessions() == []
    await kernel.widen({RAW: SERVICE}, OWNERS)
    one = LedConnection("192.0.2.1", 5000, FIRST, "10.0.1.2", 7000, 60)
    agent.open = (one, replace(one, port=22))
    (session,) = await kernel.sessions()
    assert (session.slot, session.source, session.age_s, session.led) == (RAW, "192.0.2.1", 60, one)
    await kernel.cut(one)
    assert agent.cuts == [one]
    assert agent.leads == {WAY}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["there", "away", "mute"]),
        st.sampled_from([(), (POD,), (NEXT,), (POD, NEXT)]),
        st.integers(0, LEASE_S),
        st.booleans(),
    ),
    max_size=12,
)


@given(STEPS)
def test_after_a_narrow_nothing_leads_elsewhere(
    steps: list[tuple[str, tuple[PodAddress, ...], int, bool]],
) -> None:
    async def walk() -> None:
        agent, kernel = made()
        for answers, pods, pause, widens in steps:
            agent.away, agent.mute = answers == "away", answers == "mute"
            await trio.sleep(pause)
            wants: Mapping[int, ServiceSpec] = {RAW: replace(SERVICE, pods=pods)}
            wanted = set(kernel.wanted(wants, OWNERS).ways)
            try:
                await kernel.narrow(wants, OWNERS)
            except NetworkFailure:
                assert kernel.may_lead(RAW)
                continue
            assert agent.leads <= wanted
            if widens:
                await kernel.widen(wants, OWNERS)
            await kernel.add({RAW: STATS}, wants)
            assert agent.leads <= wanted
            assert kernel.may_lead(RAW) or not agent.leads

    trio.run(walk, clock=trio.testing.MockClock(autojump_threshold=0))
