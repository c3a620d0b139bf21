# SPDX-License-Identifier: Apache-2.0
"""An apply that is killed at any step, and gone on with, over the daemon's core behind each door."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.network_states import ALICE, BOB, SHOP, state_of
from tests.publisher.conftest import ListShow
from tests.publisher.networks.test_holding import FakeDoor, network
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.content import LostCluster
from trustedpods.protocol.networks.leases import LEASE_MS
from trustedpods.protocol.networks.members import lost_digest, sign_change
from trustedpods.publisher.core.networks.plan import WantedNode, plan_of, pod_name
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.networks.states import read_state
from trustedpods.publisher.verbs.networks.applying import Applying, ConfirmedNode, view_of

ONE = WantedNode("a", "k1", b"1" * 32)
FIRST = (ONE, WantedNode("b", "k2", b"1" * 32))
CHAIN = (ONE, replace(FIRST[1], after=("a",)))
SECOND = (WantedNode("b", "k1", b"1" * 32), WantedNode("a", "k1", b"3" * 32))


class FakePods:
    """One publisher's pods by node: the cluster that each runs in."""

    def __init__(self):
        self.running, self.acts, self.books, self.identities = {}, [], {}, {}
        self.answers = {}
        self.trouble = lambda act: None

    async def deploy(self, node, cluster, book):
        await self._act(("deploy", node, cluster.name), lambda: self.running.update({node: cluster.name}))
        self.books[node] = book
        ends = [Endpoint(service="web", port=80, url=f"https://{node}.{cluster.name}.example")]
        return ConfirmedNode(ends, self.identities.get(node, b""))

    async def tell(self, node, book):
        known = self.books[node]
        if book.age < known.age:
            raise Refused(f"{book.age} is older than {known.age}", rule="stale-book")
        if book.age == known.age and book != known:
            raise Refused(f"another book of {known.age}", rule="other-book")
        await self._act(("tell", node), lambda: self.books.update({node: book}))

    async def remove(self, node, cluster):
        await self._act(("remove", node), lambda: self.running.pop(node, None))

    async def leave(self, node, cluster):
        await self._act(("leave", node, cluster.name), lambda: self.running.pop(node, None))

    async def ask(self, probe):
        await trio.lowlevel.checkpoint()
        return next(self.answers[probe.node])

    async def last_lines(self, node):
        return [f"{node} says why"]

    async def _act(self, act, effect):
        await trio.lowlevel.checkpoint()
        self.trouble(("before", *act))
        effect()
        self.acts.append(act)
        self.trouble(("after", *act))


class Killed(BaseException):
    """The process is gone: nothing of it is done any more, not even its own cleaning up."""


class Machine:
    """Somebody who applies: a world of two clusters and one key's pods, and a kill after so many steps."""

    def __init__(self):
        self.doors = {name: FakeDoor() for name in ("k1", "k2")}
        self.pods, self.steps, self.kill_at, self.dead = FakePods(), 0, None, False
        self.pods.trouble = self.step
        self.show, self.manifests, self.external = ListShow(), {}, {}
        for door in self.doors.values():
            door.trouble = self.step

    def step(self, _):
        """Something is about to happen, or has: here the process may die."""
        if self.dead:
            raise Killed
        self.steps += 1
        if self.steps == self.kill_at:
            self.dead = True
            raise Killed

    def if_alive(self, _):
        """A dead process asks nothing."""
        if self.dead:
            raise Killed

    async def found(self):
        state = state_of().model_copy(update={"components": []})
        async with (
            network(self.doors, ALICE.address).locked("connect") as held,
            recorded(held, ALICE, SHOP, "network connect", []) as change,
        ):
            await change.write(state, result="done")

    async def apply(self, nodes):
        """One run; the number of things that it changed, None where it was killed."""
        try:
            async with (
                network(self.doors, ALICE.address).locked("apply", wait_s=60) as held,
                recorded(held, ALICE, SHOP, "network apply", []) as change,
            ):
                view = view_of(change)
                plan = plan_of(view.content, view.roster, nodes, None, ALICE.address)
                applying = Applying(
                    ALICE.address, change, self.pods, Journal(self.show), self.manifests, self.external
                )
                await applying.nodes(plan.nodes, nodes)
                return plan.changes
        except BaseException as error:
            if not self.dead:
                raise
            leaves = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            assert leaves
            return None

    def revive(self):
        self.dead, self.kill_at = False, None

    def state(self):
        (copy, other) = [door.state.copy for door in self.doors.values()]
        assert copy == other
        assert copy.pending is None
        content = read_state(ALICE, SHOP, copy.current).content
        return {one.name: (one.cluster, one.phase, one.manifest_digest) for one in content.components}, {
            one.component: one.url for one in content.addresses
        }


def expected(nodes):
    return (
        {one.name: (one.cluster, "started", one.digest) for one in nodes},
        {one.name: f"https://{one.name}.{one.cluster}.example" for one in nodes},
    )


async def steps_of(nodes, before=None):
    machine = Machine()
    await machine.found()
    if before:
        await machine.apply(before)
    machine.steps = 0
    assert await machine.apply(nodes) > 0
    return machine.steps


async def test_nodes_come_change_move_and_go_and_then_nothing_changes(virtual_time):
    machine = Machine()
    await machine.found()
    for nodes in (FIRST, SECOND, (), FIRST):
        assert await machine.apply(nodes) > 0
        assert machine.state() == expected(nodes)
        assert machine.pods.running == {one.name: one.cluster for one in nodes}
        acts, generation = len(machine.pods.acts), machine.doors["k1"].state.copy.current.generation
        assert await machine.apply(nodes) == 0
        assert len(machine.pods.acts) == acts
        assert machine.doors["k1"].state.copy.current.generation == generation


@pytest.mark.parametrize(("before", "nodes"), [((), (ONE,)), ((), CHAIN), (FIRST, SECOND), (FIRST, ())])
async def test_killed_at_any_step_the_next_one_ends_where_nobody_was_killed(virtual_time, before, nodes):
    total = await steps_of(nodes, before)
    assert total > 10
    for kill_at in range(1, total + 1):
        machine = Machine()
        await machine.found()
        await machine.apply(before)
        machine.steps, machine.kill_at = 0, kill_at
        assert await machine.apply(nodes) is None, kill_at
        machine.revive()
        assert await machine.apply(nodes) is not None
        assert machine.state() == expected(nodes), kill_at
        assert machine.pods.running == {one.name: one.cluster for one in nodes}, kill_at
        assert await machine.apply(nodes) == 0


async def test_killed_and_the_file_changed_back_nothing_is_forgotten(virtual_time):
    """Killed around each act on a pod, where the document says least of what is there."""
    for kill_at in range(1, 7):
        machine = Machine()
        await machine.found()
        await machine.apply(FIRST)
        for door in machine.doors.values():
            door.trouble = machine.if_alive
        machine.steps, machine.kill_at = 0, kill_at
        assert await machine.apply(SECOND) is None, kill_at
        machine.revive()
        await machine.apply(FIRST)
        assert machine.state() == expected(FIRST), kill_at
        assert machine.pods.running == {one.name: one.cluster for one in FIRST}, kill_at


async def test_a_node_of_a_lost_cluster_is_left_there_and_comes_anew_elsewhere(virtual_time):
    machine = Machine()
    await machine.found()
    await machine.apply(FIRST)
    async with (
        network(machine.doors, ALICE.address).locked("lost") as held,
        recorded(held, ALICE, SHOP, "member lost", []) as change,
    ):
        content = view_of(change).content
        lost = LostCluster(at=1, by=bytes(20), reason="a lake")
        clusters = [content.clusters[0].model_copy(update={"lost": lost}), content.clusters[1]]
        word = sign_change(
            ALICE.key,
            view_of(change).roster,
            "lose",
            at=1,
            subject=lost_digest("k1", content.clusters[0].owner, content.clusters[0].daemon, lost.reason),
        )
        await change.write(content.model_copy(update={"clusters": clusters}), changes=[word], result="done")
    with pytest.raises(BadInput, match="no cluster 'k1'; it has: k2"):
        await machine.apply(FIRST)
    moved = (WantedNode("a", "k2", b"1" * 32), FIRST[1])
    assert await machine.apply(moved) == 2
    assert machine.state() == expected(moved)
    assert machine.pods.acts[-2:] == [("leave", "a", "k1"), ("deploy", "a", "k2")]
    assert ("remove", "a") not in machine.pods.acts
    (warning,) = machine.show.warnings
    assert "node a is left in cluster k1, which was declared lost" in warning


async def test_a_node_of_somebody_who_left_the_team_is_dropped_and_its_pod_let_be(virtual_time):
    machine = Machine()
    await machine.found()
    await machine.apply(FIRST)
    async with (
        network(machine.doors, ALICE.address).locked("before") as held,
        recorded(held, ALICE, SHOP, "network apply", []) as change,
    ):
        content = view_of(change).content
        his = [
            one.model_copy(update={"publisher": bytes.fromhex(BOB.address[2:])}) for one in content.components
        ]
        await change.write(content.model_copy(update={"components": his}), result="done")
    acts = len(machine.pods.acts)
    assert await machine.apply((WantedNode("a", "k1", b"3" * 32),)) == 3
    assert machine.pods.acts[acts:] == [("deploy", "a", "k1")]
    assert machine.state() == expected((WantedNode("a", "k1", b"3" * 32),))
    assert [
        f"pod {pod_name(SHOP, one)} is {BOB.address}'s" in told
        for one, told in zip("ab", sorted(machine.show.warnings), strict=True)
    ] == [True, True]


async def test_a_deploy_that_fails_names_its_node_and_the_next_apply_goes_on(virtual_time):
    machine = Machine()
    await machine.found()

    def refuse(act):
        if act[:3] == ("before", "deploy", "b"):
            raise NetworkFailure("no answer", where="provider")

    machine.pods.trouble = refuse
    with pytest.raises(NetworkFailure) as caught:
        await machine.apply(FIRST)
    assert caught.value.where == "node b: provider"
    assert machine.show.lines[-1] == "node b wrote: b says why"
    phases = {name: phase for name, (_, phase, _) in machine.state()[0].items()}
    assert phases == {"a": "started", "b": "requested"}
    machine.pods.trouble = lambda _: None
    assert await machine.apply(FIRST) == 1
    assert machine.state() == expected(FIRST)
    history = read_state(ALICE, SHOP, machine.doors["k1"].state.copy.current).content.history
    assert [record.result for chunk in history for record in chunk] == ["done", "NetworkFailure", "done"]


async def test_a_removal_that_is_refused_before_its_pod_is_touched_leaves_the_state_as_it_was(virtual_time):
    machine = Machine()
    await machine.found()
    await machine.apply(FIRST)

    def refuse(act):
        if act[:2] == ("before", "remove"):
            raise Refused("it has volumes", rule="not-agreed")

    machine.pods.trouble = refuse
    with pytest.raises(Refused) as caught:
        await machine.apply(SECOND)
    assert caught.value.where == "node b"
    assert machine.state() == expected(FIRST)
    machine.pods.trouble = lambda _: None
    assert await machine.apply(FIRST) == 0


async def test_a_lease_that_is_lost_while_a_node_is_deployed_stops_the_apply(virtual_time):
    machine = Machine()
    await machine.found()

    class Slow(FakePods):
        async def deploy(self, node, cluster, book):
            for door in machine.doors.values():
                door.trouble = silent
            await trio.sleep(3 * LEASE_MS / 1000)
            return await super().deploy(node, cluster, book)

    def silent(_):
        raise NetworkFailure("silent")

    machine.pods = Slow()
    with pytest.raises(NetworkFailure):
        await machine.apply(CHAIN)
    assert [act[1] for act in machine.pods.acts] == ["a"], "node b is not begun without a lease"
