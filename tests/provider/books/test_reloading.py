# SPDX-License-Identifier: Apache-2.0
"""A running replica is told once of files that changed below it, when they are there; failures are told."""

from dataclasses import dataclass
from typing import Any

import pytest
import trio

from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from tests.provider.books.test_books import TOKEN, a_node, a_world, bring, objects_of, token_of
from trustedpods.protocol.errors import Refused
from trustedpods.provider.books.reloading import ARRIVES_WITHIN_S, HOOK_WITHIN_S, MAX_PRINTED
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import BOOK_SECRET, RELOAD_DUE_KEY

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
