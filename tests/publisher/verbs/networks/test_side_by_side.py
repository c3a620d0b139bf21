# SPDX-License-Identifier: Apache-2.0
"""Nodes side by side, over the daemon's core behind each door and a virtual clock: how long, how much."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.network_states import ALICE, SHOP, state_of
from tests.publisher.conftest import ListShow
from tests.publisher.networks.test_holding import FakeDoor, network
from tests.publisher.verbs.networks.test_applying import FakePods, Machine, expected
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import Commit, Prepare
from trustedpods.publisher.core.networks.plan import WantedNode, plan_of
from trustedpods.publisher.core.networks.planning.ordering import MOST_AT_ONCE
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.verbs.networks.applying import Applying, view_of

START_S = 60.0
FIVE = [f"node-{number}" for number in range(1, 6)]
SEVEN = (
    WantedNode("web", "k2", b"1" * 32, tuple(FIVE)),
    *(WantedNode(name, f"k{1 + number % 2}", b"1" * 32, ("boot",)) for number, name in enumerate(FIVE)),
    WantedNode("boot", "k1", b"1" * 32),
)


class SlowPods(FakePods):
    """Each takes a minute to serve; `failing` never does."""

    def __init__(self, failing=()):
        super().__init__()
        self.failing, self.most, self.now = failing, 0, 0

    async def deploy(self, node, cluster, book):
        self.now += 1
        self.most = max(self.most, self.now)
        await trio.sleep(START_S)
        self.now -= 1
        if node in self.failing:
            raise Refused("its program ends", rule="start")
        return await super().deploy(node, cluster, book)


async def timed(nodes, pods, before=()):
    machine = Machine()
    await machine.found()
    if before:
        await machine.apply(before)
    machine.pods, began = pods, trio.current_time()
    await machine.apply(nodes)
    return machine, trio.current_time() - began


async def test_seven_nodes_take_less_than_three_fifths_of_their_sum_in_their_order(virtual_time):
    machine, took = await timed(SEVEN, SlowPods())
    assert machine.state() == expected(SEVEN)
    begun = [act[1] for act in machine.pods.acts]
    assert begun[0] == "boot"
    assert sorted(begun[1:6]) == FIVE
    assert begun[6] == "web"
    assert 3 * START_S <= took <= 0.6 * 7 * START_S


async def test_nodes_that_change_do_so_one_at_a_time(virtual_time):
    newer = tuple(replace(one, digest=b"2" * 32) for one in SEVEN)
    machine, _ = await timed(newer, SlowPods(), before=SEVEN)
    assert machine.state() == expected(newer)
    assert machine.pods.most == 1


async def test_one_that_fails_is_named_the_others_come_to_their_end_and_none_is_begun_after_it(virtual_time):
    machine = Machine()
    await machine.found()
    machine.pods = SlowPods(failing=("node-2",))
    with pytest.raises(Refused) as caught:
        await machine.apply(SEVEN)
    assert caught.value.where == "node node-2"
    phases = {name: phase for name, (_, phase, _) in machine.state()[0].items()}
    serve = dict.fromkeys(["boot", "node-1", "node-3", "node-4", "node-5"], "started")
    assert phases == serve | {"node-2": "requested"}
    assert machine.show.lines[-1:] == ["node node-2 wrote: node-2 says why"]
    machine.pods.failing = ()
    assert await machine.apply(SEVEN) == 2
    assert machine.state() == expected(SEVEN)


async def writes(count):
    """Documents written, and seconds, for so many nodes in ten clusters."""
    names = [f"k{number}" for number in range(10)]
    doors = {name: FakeDoor() for name in names}
    nodes = [WantedNode(f"n{number}", names[number % 10], b"1" * 32) for number in range(count)]
    pods = SlowPods()
    async with (
        network(doors, ALICE.address, names).locked("apply") as held,
        recorded(held, ALICE, SHOP, "network apply", []) as change,
    ):
        await change.write(state_of(clusters=tuple(names)).model_copy(update={"components": []}))
        began, asked = trio.current_time(), sum(len(door.asked) for door in doors.values())
        view = view_of(change)
        plan = plan_of(view.content, view.roster, nodes, None, ALICE.address)
        await Applying(ALICE.address, change, pods, Journal(ListShow())).nodes(plan.nodes, nodes)
        took = trio.current_time() - began
    kinds = (Prepare, Commit)
    written = sum(isinstance(one, kinds) for door in doors.values() for one in door.asked[asked // 10 :])
    assert pods.most == min(MOST_AT_ONCE, count)
    return written, took


async def test_fifty_nodes_on_ten_providers_cost_five_times_what_ten_do(virtual_time):
    (ten, ten_s), (fifty, fifty_s) = await writes(10), await writes(50)
    assert fifty <= 5 * ten
    assert fifty_s <= 5 * ten_s
