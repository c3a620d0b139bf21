# SPDX-License-Identifier: Apache-2.0
"""The fake has the calls of the real one, and does the same with slots."""

import inspect

import pytest

from tests.fakes.facade import FakeFacade
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.facade.slots import FacadeState, ServiceSpec

A = PodAddress("pod-a", "10.0.0.1", 80)


def test_it_has_the_same_calls():
    public = [name for name in vars(Facade) if not name.startswith("_")]
    for name in public:
        real, fake = getattr(Facade, name), getattr(FakeFacade, name)
        if callable(real):
            assert inspect.signature(real) == inspect.signature(fake), name


async def test_it_publishes_drains_and_forgets():
    facade = FakeFacade(Pools(2))
    slot = (await facade.publish("a", ["a.localhost"])).slot
    await facade.set_pods(slot, [A])
    facade.current[slot] = 2
    assert await facade.drain(slot) == 2
    stats = (await facade.stats())[slot]
    assert [pod.serving for pod in stats.pods] == [False]
    assert (facade.slot_of("a"), facade.label_of(slot), facade.free_slots) == (slot, "a", 1)
    await facade.withdraw(slot)
    assert facade.free_slots == 2


async def test_it_restarts_and_fails():
    facade = FakeFacade()
    wanted = FacadeState((ServiceSpec("a", ("a.localhost",), (A,)),))
    assert not (await facade.sync(wanted)).restarted
    facade.restart()
    assert (await facade.stats())[0].boot == "2.1"
    assert (await facade.sync()).restarted
    facade.failure = NetworkFailure("HAProxy cannot be reached")
    with pytest.raises(NetworkFailure):
        await facade.stats()
