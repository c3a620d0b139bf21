# SPDX-License-Identifier: Apache-2.0
"""Several people, and several networks, at the same two daemons at the same time."""

import json
import re
from contextlib import asynccontextmanager

import pytest
import trio

from tests.publisher.conftest import ListShow
from tests.publisher.verbs.networks.test_apply import NODES, begun_name, team
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.protocol.errors import Locked, NoContext, Refused
from trustedpods.publisher.commands.network_lines import kept_lines
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.networks import NetworkId
from trustedpods.publisher.verbs.networks import lock, places, state, status
from trustedpods.publisher.verbs.networks.apply import ApplyOptions, apply, plan
from trustedpods.publisher.verbs.networks.connect import connect
from trustedpods.publisher.verbs.networks.documents.changing import read_view
from trustedpods.publisher.verbs.networks.documents.history import history
from trustedpods.publisher.verbs.networks.files import read_network

__all__ = ["team"]

WITHIN_S = 120
"""Of real time: daemons that are asked again and again by somebody who waits."""


class SlowPods(FakePods):
    """Deploys that take until they are let go."""

    def __init__(self):
        super().__init__()
        self.begun, self.let_go = trio.Event(), trio.Event()

    async def deploy(self, node, cluster, book):
        self.begun.set()
        await self.let_go.wait()
        return await super().deploy(node, cluster, book)


class Hand:
    """One person with one network's file."""

    def __init__(self, team, who, name, pods, nodes=NODES):
        self.team, self.who, self.name, self.pods = team, who, name, pods
        self.show = ListShow()
        founder = team.alice.publisher.address
        path = team.bench.folder / f"{name}-{who.publisher.address}.yaml"
        head = (
            f'apiVersion: trustedpods/v1\nkind: Network\nmetadata: {{name: {name}, founder: "{founder}"}}\n'
        )
        path.write_text(f"{head}spec:\n{nodes}")
        self.file = read_network(path, team.bench.folder / "cache", who.publisher.address)
        self.place = places.parse_place(f"{founder}/{name}", team.named)

    async def connect(self):
        await connect(self.who, self.place, 0.0, Journal(self.show))

    async def apply(self, wait_s=0.0):
        options = ApplyOptions(self.team.known, wait_s=wait_s, pods=lambda *_: self.pods)
        return await apply(self.who, self.file, options, Journal(self.show))

    @asynccontextmanager
    async def applying(self):
        """An apply that holds all leases while the block runs, and comes to its end after it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.apply)
            await self.pods.begun.wait()
            yield
            self.pods.let_go.set()


async def test_two_networks_are_applied_at_the_same_time_in_the_same_clusters(team):
    """Each holds its own leases while the other does: nobody waits, nobody is refused."""
    first, second = (Hand(team, team.alice, name, SlowPods()) for name in ("shop", "bank"))
    for one in (first, second):
        await one.connect()
    with trio.fail_after(WITHIN_S):
        async with first.applying(), second.applying():
            for one in (first, second):
                held = await lock.status(team.alice, one.place, team.journal)
                told = {lease.command.what for lease in held.clusters.values()}
                assert told == {f"network apply {one.name}"}
    for one in (first, second):
        assert one.pods.running == {"a": "k1", "b": "k2"}
        assert not [line for line in one.show.lines if "lease" in line]


async def test_who_comes_second_is_told_who_until_when_and_how_long_and_may_wait(team):
    first = Hand(team, team.alice, "shop", SlowPods())
    more = NODES + "    - {name: c, pod: pod.yaml, cluster: k1}\n"
    second = Hand(team, team.alice, "shop", first.pods, more)
    await first.connect()
    with trio.fail_after(WITHIN_S):
        async with trio.open_nursery() as nursery, first.applying():
            with pytest.raises(Locked) as caught:
                await second.apply()
            nursery.start_soon(second.apply, 600.0)
            while not second.show.lines:
                await trio.sleep(0.01)
            assert "c" not in first.pods.running
    who, moment = team.alice.publisher.address, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    assert re.match(
        rf"{who} at \S+ has the lease of network shop until {moment}, retry after 1 min; "
        rf"they run `network apply shop` since {moment}",
        caught.value.what,
    )
    assert caught.value.exit_code == 5
    assert "waiting for the lease of network shop on k" in second.show.lines[0]
    assert first.pods.running == {"a": "k1", "b": "k2", "c": "k1"}


async def test_two_people_on_one_account_of_one_machine_are_two(team):
    """Who did what is said by the key that signed: the machine and its user are the same here."""
    bob, pods = team.somebody(), FakePods()
    text = team.members((bob, "operator")) + NODES
    alice = Hand(team, team.alice, "shop", pods, text)
    await alice.connect()
    await alice.apply()
    more = text + "    - {name: c, pod: pod.yaml, cluster: k1}\n"
    await Hand(team, bob, "shop", pods, more).apply()
    _, view = await read_view(bob, alice.place, team.journal)
    one, other = team.alice.publisher.address, bob.publisher.address
    metadata = view.content.metadata
    assert (metadata.name, f"0x{metadata.updated_by.hex()}") == ("shop", other.lower())
    told = await history(team.alice, alice.place, team.journal)
    assert [(record.verb, f"0x{record.by.hex()}") for record in told.records] == [
        ("network connect", one.lower()),
        ("network apply", one.lower()),
        ("network apply", other.lower()),
    ]
    assert metadata.updated_at == told.records[-1].ended > 0
    commands = [line for line in told.script if line.startswith("trustedpods")]
    assert len(commands) == 3
    for name, choice in alice.place.clusters.items():
        assert all(f"--cluster {name}={choice}" in line for line in commands), "whose context has none"


async def test_a_stranger_learns_that_a_network_is_there_and_nothing_of_it(team):
    carol, alice = team.somebody(), Hand(team, team.alice, "shop", FakePods())
    await alice.connect()
    await alice.apply()
    before = [dict(world.cluster.networks) for world in team.worlds]
    for asks in (
        lambda: plan(carol, alice.file, team.known, team.journal),
        lambda: Hand(team, carol, "shop", FakePods()).apply(),
        lambda: state.show(carol, alice.place, team.journal),
        lambda: lock.status(carol, alice.place, team.journal),
        lambda: lock.break_lease(carol, alice.place, "mine", team.journal),
    ):
        with pytest.raises(Refused) as caught:
            await asks()
        assert (caught.value.rule, caught.value.exit_code) == ("member", 6)
    other = places.parse_place(f"{begun_name(team).founder}/bank", team.named)
    assert set((await state.show(carol, other, team.journal)).clusters) == {"k1", "k2"}, "no such network"
    assert before == [dict(world.cluster.networks) for world in team.worlds]
    kept = b"".join(document.data for one in before for _, document in one.values())
    assert b"pod.yaml" not in kept
    assert b"example" not in kept, "no address of a node in clear"


async def test_a_stranger_sees_which_networks_there_are_by_founder_and_name(team):
    bob, carol = team.somebody(), team.somebody()
    assert kept_lines(await status.kept(carol, team.known)) == ["no networks"]
    for who, name in ((team.alice, "shop"), (team.alice, "bank"), (bob, "shop")):
        place = places.parse_place(name, team.named)
        await connect(who, place, 0.0, Journal(ListShow()))
    founders = sorted((team.alice.publisher.address, bob.publisher.address), key=str.lower)
    told = await status.kept(carol, team.known)
    expected = [NetworkId(who, name) for who in founders for name in ("bank", "shop")]
    expected.remove(NetworkId(bob.publisher.address, "bank"))
    assert dict(told.clusters) == {"k1": tuple(expected), "k2": tuple(expected)}
    team.worlds[1].cluster.unreachable = True
    half = await status.kept(carol, team.known)
    assert [line.partition(" ")[2] for line in kept_lines(half)[:3]] == ["on k1"] * 3
    assert kept_lines(half)[3].startswith("k2: not known: ")
    assert json.loads(json.dumps(json_of(half)))["clusters"]["k1"]["networks"][0] == {
        "network": expected[0].name,
        "founder": expected[0].founder,
    }
    with pytest.raises(NoContext):
        await status.kept(carol, {})
