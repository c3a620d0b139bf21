# SPDX-License-Identifier: Apache-2.0
"""Class `open`: books of one day are put back three days later. Nothing is billed twice, or lost."""

import pytest
import trio

from tests.year.outside.authority import authority
from tests.year.outside.world import CLAIM_INTERVAL_S, SimulatedWorld
from tests.year.plan import Plan
from tests.year.simulated_time import without_threads
from tests.year.simulation import DAY_S, STRIDE_S, Simulation
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.provider.backups.backup import back_up
from trustedpods.provider.backups.restore import restore
from trustedpods.provider.config import load_config
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.setup.toml.commented import commented

NOTHING = Plan(days=0, a_day=0, longest_stay=1, slots=64, certificate_days=90, events=())


async def three_days(year):
    """Days with visits and claims."""
    for _ in range(3):
        await year.publishers.visit(year.run)
        await year.world.time.stride(DAY_S, STRIDE_S)


def settings_of(world):
    """The file of the daemon's settings, and the key that they name."""
    config, key = world._config(), world.tmp_path / "operator.key"
    key.touch(0o600)
    key.write_text(world.operator_key.hex())
    identity = config.identity.model_copy(update={"operator_key_file": str(key)})
    settings = world.tmp_path / "provider.toml"
    settings.write_text(commented(config.model_copy(update={"identity": identity})))
    return settings


async def set_back(year):
    """Pods of before the backup, some of behind it, and one that went; then the books of the backup."""
    world, folder = year.world, year.world.tmp_path
    old = await year.publishers.come(year.run, [None] * 4)
    await year.publishers.visit(year.run)
    await world.time.stride(DAY_S, STRIDE_S)
    settings = settings_of(world)
    # beside the running daemon
    back_up(load_config(settings), settings, folder / "day.backup", now=int(world.now), version="1")
    new = await year.publishers.come(year.run, [None] * 2)
    await three_days(year)
    await year.publishers.go(year.run, old[:1])
    paid = world.observer.paid
    await year.stop()
    restore(folder / "day.backup", settings, now=int(world.now))
    world.observer.lost_before = int(world.now)
    await year.start()
    return old, new, paid


async def ask(year, one):
    """The pod's phase, as its publisher is told it, or the rule by which he is told nothing."""
    told = []

    async def question():
        try:
            told.append((await one.ask("status", StatusBody(), PodStatus)).phase)
        except Refused as error:
            told.append(error.rule)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(question)
        await year.world.time.until(lambda: told, 60, "an answer")
    return told[0]


async def lived(year):
    async with trio.open_nursery() as year._nursery:
        await year.start()
        old, new, paid = await set_back(year)
        await year.world.time.stride(2 * CLAIM_INTERVAL_S, STRIDE_S)
        gone = year.run.parts.pods.get(old[0].ref.channel)
        assert gone is None or gone.phase in (Phase.GONE, Phase.STOPPED, Phase.REMOVING)
        for one in old[1:]:
            assert await ask(year, one) == "serving"
        for one in new:
            assert await ask(year, one) == "unknown-pod"
        await year.publishers.again(year.run, new)
        await three_days(year)
        await year.publishers.go(year.run, [*old[1:], *new])
        assert year.world.observer.paid > paid
        await year.stop()


@pytest.mark.timeout(300)
def test_what_the_chain_knows_is_neither_lost_nor_billed_again(tmp_path):
    with authority(tmp_path, ("k1.test.localhost",)) as answers:
        served = answers.served
        world = SimulatedWorld(
            tmp_path, directory=served.directory, root=str(served.root), switch=answers.switch
        )
        year = Simulation(NOTHING, world)
        with without_threads():
            trio.run(lived, year, clock=world.time.clock)
    assert world.observer.differences == []
    assert year.publishers.deposits == year.publishers.refunds + world.observer.paid
    assert world.chain.credit[world.owner] == world.observer.paid
