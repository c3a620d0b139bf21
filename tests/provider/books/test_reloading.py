# SPDX-License-Identifier: Apache-2.0
"""A running replica is told once of files that changed below it, when they are there; failures are told."""

from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from tests.provider.books.test_books import TOKEN, a_node, a_world, bring, objects_of, token_of
from trustedpods.protocol.errors import Refused
from trustedpods.provider.books.reloading import ARRIVES_WITHIN_S, HOOK_WITHIN_S, MAX_PRINTED
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import BOOK_SECRET, RELOAD_DUE_KEY
from trustedpods.provider.core.pod import Phase

PATH = "/keys/token"


@dataclass
class Node:
    """A pod that runs, and what its container's programs do; `late` looks find the file as it was before."""

    world: World
    parts: Any
    caller: Caller
    late: int = 0
    code: int = 0
    printed: bytes = b""

    async def cat(self, command):
        assert command.words == ["cat", PATH]
        self.late -= 1
        if self.late < 0:
            await command.write(token_of(self.parts, self.world, self.caller))
        else:
            await command.write(b"192.0.2.7:30001")
        return 0

    async def hook(self, command):
        if self.printed:
            await command.write(self.printed, "stderr")
        return self.code

    @property
    def ran(self):
        """Hooks that were run, each as the container and its words."""
        return [(one.place[2], one.words) for one in self.world.cluster.ran if one.words[0] != "cat"]

    @property
    def due(self):
        secret = objects_of(self.parts, self.world, self.caller)["Secret", BOOK_SECRET]
        return RELOAD_DUE_KEY in secret["data"]

    async def moved(self, port, generation=2):
        return await bring(self.caller, a_book(entry(published=port), generation=generation))


@pytest.fixture
async def node(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        made = Node(world, parts, Caller(world, address))
        base = manifest_of().spec.containers[0].model_dump(by_alias=True, exclude_none=True)
        secret = {"files": {"token": "token.txt"}, "rendered": ["token"], "onChange": "reload"}
        made.caller.manifest = manifest_of(
            containers=[base | {"volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}],
            network={"nodes": ["b"]},
            volumes=[{"name": "keys", "secret": secret}],
            reload={"signal": "SIGHUP"},
            scale={"min": 1, "max": 1},
        )
        made.caller.token, made.caller.book = TOKEN, a_book()
        world.cluster.programs = {"cat": made.cat, "kill": made.hook}
        await made.caller.provision()
        yield made


async def test_it_is_told_once_when_the_file_is_there(node):
    node.late = 2
    await node.moved(30002)
    assert node.ran == [("web", ["kill", "-HUP", "1"])]
    assert len([one for one in node.world.cluster.ran if one.words[0] == "cat"]) == 3
    assert not node.due
    await node.moved(30002)
    await node.moved(30002, generation=3)
    assert len(node.ran) == 1, "the file is the same"
    await node.moved(30003, generation=4)
    assert len(node.ran) == 2


async def test_a_hook_that_fails_is_told_with_what_it_printed_and_run_again(node):
    node.code, node.printed = 3, b"x" * MAX_PRINTED + b"no such process\x1b[31m\n"
    with pytest.raises(Refused, match=r"ended with code 3 and printed: .*no such process") as caught:
        await node.moved(30002)
    assert caught.value.rule == "reload"
    assert "\x1b" not in caught.value.what
    assert len(caught.value.what) < MAX_PRINTED + 200
    assert node.due, "a daemon that starts anew knows it too"
    assert token_of(node.parts, node.world, node.caller) == b"192.0.2.7:30002"
    node.code = 0
    await node.moved(30002)
    assert (len(node.ran), node.due) == (2, False)


async def test_an_image_that_has_not_what_it_needs_is_named(node):
    del node.world.cluster.programs["kill"]
    with pytest.raises(Refused, match="`kill` does not run in container web"):
        await node.moved(30002)
    del node.world.cluster.programs["cat"]
    with pytest.raises(Refused, match="`cat` does not run in container web"):
        await node.moved(30003, generation=3)


async def test_neither_a_file_nor_a_hook_is_waited_for_for_ever(node, virtual_time):
    node.late = 1 << 30
    with pytest.raises(Refused, match=f"{PATH} was not there within {ARRIVES_WITHIN_S:.0f} s"):
        await node.moved(30002)
    assert node.ran == []

    async def forever(command):
        await command.cut.wait()

    node.late, node.world.cluster.programs["kill"] = 0, forever
    with pytest.raises(Refused, match=f"did not end within {HOOK_WITHIN_S:.0f} s"):
        await node.moved(30002)


class Gated:
    """A hook that ends when it is let."""

    def __init__(self, node):
        self.node, self.gate = node, trio.Event()
        node.world.cluster.programs["kill"] = self.run

    async def run(self, command):
        await self.gate.wait()
        return 0

    @property
    def turn(self):
        return self.node.parts.provisioning_steps.turns.of(self.node.caller.ref.channel)


async def test_nothing_else_that_is_done_to_a_pod_waits_for_its_hook_or_for_others(node):
    hook = Gated(node)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.moved, 30002)
        await until(lambda: node.ran)
        with trio.fail_after(10):
            async with hook.turn:
                assert node.due
        hook.gate.set()
    assert not node.due


async def test_a_newer_book_comes_while_the_hook_of_an_older_one_runs(node):
    hook = Gated(node)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.moved, 30002)
        await until(lambda: node.ran)
        nursery.start_soon(node.moved, 30003, 3)
        await until(lambda: token_of(node.parts, node.world, node.caller) == b"192.0.2.7:30003")
        assert len(node.ran) == 1, "its own hook waits for its turn"
        hook.gate.set()
    assert (len(node.ran), node.due) == (2, False), "what is due is noted as done by the newest alone"


async def test_the_same_book_brought_twice_at_once_runs_the_hook_once(node):
    hook = Gated(node)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(node.moved, 30002)
        await until(lambda: node.ran)
        await trio.testing.wait_all_tasks_blocked(0.1)
        hook.gate.set()
    assert (len(node.ran), node.due) == (1, False)


async def test_a_pod_that_is_stopped_while_its_hook_runs_is_told_so(node):
    hook, told = Gated(node), []

    async def moved():
        with pytest.raises(Refused) as caught:
            await node.moved(30002)
        told.append(caught.value.rule)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(moved)
        await until(lambda: node.ran)
        await node.parts.pods.learn(node.caller.ref.channel, phase=Phase.STARTING)
        hook.gate.set()
    assert (told, node.due) == (["phase"], True)


async def test_another_publishers_node_does_not_wait_for_a_hook(node):
    gate, other = trio.Event(), a_node(node.world, node.caller.address)
    await other.provision()

    async def slow(command):
        await gate.wait()
        return 0

    node.world.cluster.programs["kill"] = slow
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.moved, 30002)
        await until(lambda: node.ran)
        await bring(other, a_book(entry(published=30002), generation=2))
        assert token_of(node.parts, node.world, other) == b"192.0.2.7:30002"
        assert node.due
        gate.set()
    assert not node.due
