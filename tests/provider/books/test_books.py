# SPDX-License-Identifier: Apache-2.0
"""A newer book reaches a node that runs: its files and ways change, and nothing else; who may bring it."""

import base64

import pytest
import trio
import trio.testing

from tests.fakes.provider.caller import Caller, manifest_of, serving, until
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.provider.books.books import Books
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import (
    BOOK_KEY,
    BOOK_SECRET,
    RENDERED_NOTE,
)
from trustedpods.provider.core.pod import Phase

TOKEN = b"${node.b.web.address}:${node.b.web.publishedPort}"


def a_world(tmp_path):
    """One whose daemon has a resolver for pods, at any port: nobody asks it here, and it asks nobody."""
    names = {"listen": "127.0.0.1:0", "address": "127.0.0.1", "upstream": ["127.0.0.1:5353"]}
    return World(tmp_path, names=names)


def a_node(world, address, on_change="restart"):
    caller = Caller(world, address)
    secret = {"files": {"token": "token.txt"}, "rendered": ["token"], "onChange": on_change}
    caller.manifest = manifest_of(network={"nodes": ["b"]}, volumes=[{"name": "keys", "secret": secret}])
    caller.token, caller.book = TOKEN, a_book()
    return caller


def objects_of(parts, world, caller):
    return world.cluster.lives[parts.pods.get(caller.ref.channel).namespace].objects


def token_of(parts, world, caller):
    return base64.b64decode(objects_of(parts, world, caller)["Secret", "keys"]["data"]["token"])


async def bring(caller, book, **how):
    return await caller.ask("book", book, Done, **how)


@pytest.mark.parametrize("on_change", ["restart", "reload"])
async def test_a_newer_book_changes_the_file_and_only_who_restarts_the_template(tmp_path, on_change):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address, on_change)
        await caller.provision()
        before = dict(objects_of(parts, world, caller))
        assert token_of(parts, world, caller) == b"192.0.2.7:30001"
        answer = await bring(caller, a_book(entry(published=30002), generation=2))
        assert answer.text == "book of generation 2"
        assert token_of(parts, world, caller) == b"192.0.2.7:30002"
        after = objects_of(parts, world, caller)
        assert after["Service", "peer-b"] == before["Service", "peer-b"]
        assert after["EndpointSlice", "peer-b-tcp-8080"]["ports"][0]["port"] == 30002
        same = after["Deployment", "pod"] == before["Deployment", "pod"]
        notes = world.cluster.lives[parts.pods.get(caller.ref.channel).namespace].notes
        assert (same, [key for key, _ in notes.values()]) == (
            (False, []) if on_change == "restart" else (True, [RENDERED_NOTE])
        )


async def test_nodes_of_linked_owners_come_and_go_and_nothing_restarts(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(network={"linkedNodes": 1})
        caller.book = NetworkBook(network="shop", node="a", generation=1, entries=[])
        await caller.provision()
        before = dict(objects_of(parts, world, caller))
        guest = entry("guest-one")
        with pytest.raises(BadInput, match="not of the nodes"):
            await bring(caller, a_book(guest, entry("guest-two"), generation=2))
        await bring(caller, a_book(guest, generation=2))
        during = dict(objects_of(parts, world, caller))
        assert ("Service", "peer-guest-one") in during
        assert "192.0.2.7/32" in str(during["NetworkPolicy", "nodes-called"])
        await bring(caller, NetworkBook(network="shop", node="a", generation=3, entries=[]))
        after = objects_of(parts, world, caller)
        assert ("Service", "peer-guest-one") not in after
        assert "192.0.2.7/32" not in str(after["NetworkPolicy", "nodes-called"])
        assert before["Deployment", "pod"] == during["Deployment", "pod"] == after["Deployment", "pod"]


async def test_the_same_book_again_writes_nothing(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (_, address):
        caller = a_node(world, address)
        await caller.provision()
        calls = len([one for one in world.cluster.calls if one == "apply"])
        assert (await bring(caller, a_book())).text.endswith("as before")
        assert len([one for one in world.cluster.calls if one == "apply"]) == calls


async def test_a_daemon_that_starts_anew_goes_on_with_the_newest_book(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (_, address):
        caller = a_node(world, address)
        await caller.provision()
        await bring(caller, a_book(entry(published=30002), generation=2))
    async with world.run() as (parts, caller.address):
        with pytest.raises(Refused, match="generation 2") as caught:
            await bring(caller, a_book(entry(published=30003), generation=1))
        assert caught.value.rule == "stale-book"
        caller.manifest = caller.manifest.model_copy(deep=True)
        await caller.provision()  # with the book of its first bundle
        assert token_of(parts, world, caller) == b"192.0.2.7:30002"


async def test_another_book_of_the_same_generation_is_refused(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        await bring(caller, a_book(entry(published=30002), generation=2))
        with pytest.raises(Refused, match="another book of generation 2") as caught:
            await bring(caller, a_book(entry(published=30003), generation=2))
        assert caught.value.rule == "other-book"
        assert token_of(parts, world, caller) == b"192.0.2.7:30002"


async def test_addresses_that_were_closed_come_with_a_book_of_the_same_generation(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        part = a_book(entry(address=""), generation=2)
        whole = a_book(entry(published=30002), generation=2)
        await bring(caller, part)
        await bring(caller, whole)
        assert token_of(parts, world, caller) == b"192.0.2.7:30002"
        with pytest.raises(Refused, match="another book of generation 2"):
            await bring(caller, part)


async def test_a_book_of_an_absurd_epoch_is_refused_and_one_that_is_kept_already_gives_way(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        with pytest.raises(Refused, match="ahead of the clock") as caught:
            await bring(caller, a_book(entry(published=30002), generation=2, epoch=1 << 63))
        assert caught.value.rule == "epoch"
        kept = encode(a_book(entry(published=30003), generation=1 << 63, epoch=1 << 63))
        secret = objects_of(parts, world, caller)["Secret", BOOK_SECRET]
        secret["data"][BOOK_KEY] = base64.b64encode(kept).decode()
        await bring(caller, a_book(entry(published=30004), generation=1, epoch=int(world.now)))
        assert token_of(parts, world, caller) == b"192.0.2.7:30004"


async def test_a_book_of_a_later_epoch_is_taken_and_none_of_an_earlier_one_after_it(tmp_path):
    """After a restore generations begin at 1 again; what was lost with the clusters is not brought back."""
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        await bring(caller, a_book(entry(published=30002), generation=50))
        await bring(caller, a_book(entry(published=30003), generation=1, epoch=7))
        assert token_of(parts, world, caller) == b"192.0.2.7:30003"
        for older in ({"generation": 51}, {"generation": 99, "epoch": 6}):
            with pytest.raises(Refused, match="earlier epoch") as caught:
                await bring(caller, a_book(entry(published=30004), **older))
            assert caught.value.rule == "stale-book"
        await bring(caller, a_book(entry(published=30005), generation=2, epoch=7))
        assert token_of(parts, world, caller) == b"192.0.2.7:30005"


@pytest.mark.parametrize(
    ("book", "kind", "why"),
    [
        (a_book(entry("c"), generation=2), BadInput, "not of the nodes"),
        (a_book(node="x", generation=2), Refused, "is node a of shop"),
        (a_book(entry(address="10.0.0.1"), generation=2), Refused, "closed"),
        (a_book(entry(service="api"), generation=2), BadInput, "no exposed service"),
    ],
)
async def test_a_book_that_is_not_the_nodes_changes_nothing(tmp_path, book, kind, why):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        before = dict(objects_of(parts, world, caller))
        with pytest.raises(kind, match=why):
            await bring(caller, book)
        assert objects_of(parts, world, caller) == before


async def test_a_stranger_brings_no_book(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        with pytest.raises(Refused) as caught:
            await bring(Caller(world, address), a_book(entry(published=30002), generation=2))
        assert caught.value.rule == "unknown-pod"
        assert token_of(parts, world, caller) == b"192.0.2.7:30001"


async def test_a_pod_that_calls_nobody_takes_no_book(tmp_path):
    world = World(tmp_path)
    async with serving(world) as (_, caller):
        with pytest.raises(BadInput, match="not of the nodes"):
            await bring(caller, a_book())
        with pytest.raises(Refused, match="calls no other nodes"):
            await bring(caller, NetworkBook(network="shop", node="a", generation=1, entries=[]))


async def test_a_node_without_a_book_and_one_that_may_not_be_opened_are_not_let_in(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (_, address):
        caller = a_node(world, address)
        caller.book = None
        with pytest.raises(BadInput, match="not of the nodes"):
            await caller.provision()
        caller.book = a_book(entry(address="10.0.0.1"))
        with pytest.raises(Refused, match="closed"):
            await caller.provision()


async def test_a_version_that_starts_meanwhile_is_not_overwritten(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        channel = caller.ref.channel
        written = dict(objects_of(parts, world, caller))
        refusals = []

        async def refused():
            with pytest.raises(Refused) as caught:
                await bring(caller, a_book(entry(published=30002), generation=2))
            refusals.append(caught.value.rule)

        turn = parts.provisioning_steps.turns.of(channel)
        async with trio.open_nursery() as nursery, turn:
            nursery.start_soon(refused)
            await until(lambda: turn.statistics().tasks_waiting)
            await parts.pods.learn(channel, phase=Phase.STARTING)
        assert refusals == ["phase"]
        assert objects_of(parts, world, caller) == written


async def test_a_book_is_kept_once_all_is_made_of_it(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        assert list(objects_of(parts, world, caller))[-1] == ("Secret", BOOK_SECRET)


async def test_books_of_other_publishers_do_not_wait_for_a_pod_that_is_changed(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        callers = [a_node(world, address) for _ in range(2)]
        for caller in callers:
            await caller.provision()
        held, other = callers
        newer = a_book(entry(published=30002), generation=2)
        turn = parts.provisioning_steps.turns.of(held.ref.channel)
        async with trio.open_nursery() as nursery, turn:
            nursery.start_soon(bring, held, newer)
            await until(lambda: turn.statistics().tasks_waiting)
            with trio.fail_after(10):
                await bring(other, newer)
            assert token_of(parts, world, other) == b"192.0.2.7:30002"
            assert token_of(parts, world, held) == b"192.0.2.7:30001"
        assert token_of(parts, world, held) == b"192.0.2.7:30002"


async def test_no_more_books_of_one_publisher_wait_than_are_bounded(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        caller = a_node(world, address)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        taken = Books(parts.doors, parts.pods, parts.bundles, parts.provisioning_steps, most_waiting=2)
        async with parts.provisioning_steps.turns.of(caller.ref.channel), trio.open_nursery() as nursery:
            for generation in (2, 3):
                nursery.start_soon(taken.take, record, a_book(entry(published=30002), generation=generation))
            await trio.testing.wait_all_tasks_blocked(0.1)
            with pytest.raises(Refused, match="2 books of this publisher are on their way already") as caught:
                await taken.take(record, a_book(entry(published=30002), generation=4))
            assert caught.value.rule == "rate"
            nursery.cancel_scope.cancel()
