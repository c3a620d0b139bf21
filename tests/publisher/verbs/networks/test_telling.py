# SPDX-License-Identifier: Apache-2.0
"""Nodes that call each other are told where the others are, whatever came between."""

from dataclasses import replace

import pytest

from tests.fakes.network_states import state_of
from tests.fakes.provider.pods import a_manifest
from tests.publisher.verbs.networks.test_applying import CHAIN, FIRST, ONE, Machine, expected
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.publisher.core.networks.book import external_entries
from trustedpods.publisher.core.networks.plan import WantedNode


def calling():
    """Manifests of `a` and `b`, which call each other's one service."""
    web = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
    return {
        node: a_manifest(services=[web], network={"nodes": [other]})
        for node, other in (("a", "b"), ("b", "a"))
    }


def told(machine, node):
    (entry,) = machine.pods.books[node].entries
    return entry.url


async def test_nodes_that_call_each_other_get_each_others_addresses(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    await machine.apply(FIRST)
    acts = [act[0] for act in machine.pods.acts]
    assert acts == ["deploy", "deploy", "tell", "tell"], "side by side neither knew the other yet"
    assert (told(machine, "a"), told(machine, "b")) == ("https://b.k2.example", "https://a.k1.example")
    before = machine.pods.books["a"].generation
    await machine.apply((ONE, WantedNode("b", "k1", b"1" * 32)))
    assert (told(machine, "a"), told(machine, "b")) == ("https://b.k1.example", "https://a.k1.example")
    assert machine.pods.books["a"].generation > before


async def test_books_are_of_the_states_epoch(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    await machine.apply(FIRST)
    assert [book.epoch for book in machine.pods.books.values()] == [state_of().metadata.epoch] * 2 == [7, 7]


async def test_whoever_goes_on_after_a_kill_tells_what_was_not_told(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    machine.steps = 0
    await machine.apply(FIRST)
    for kill_at in range(1, machine.steps + 1):
        machine = Machine()
        machine.manifests = calling()
        await machine.found()
        machine.steps, machine.kill_at = 0, kill_at
        await machine.apply(FIRST)
        machine.revive()
        await machine.apply(FIRST)
        urls = (told(machine, "a"), told(machine, "b"))
        assert urls == ("https://b.k2.example", "https://a.k1.example"), kill_at


async def test_a_node_that_still_has_its_old_version_is_told_with_its_own_deploy(virtual_time):
    """A renamed service and a new neighbour: the old version's provider would refuse either."""
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    await machine.apply(FIRST)
    old = dict(machine.pods.books)

    def refuse(act):
        if act[:2] == ("before", "tell") and machine.pods.books[act[2]] is old[act[2]]:
            raise BadInput("not of the nodes that the pod calls")

    machine.pods.trouble = refuse
    later = tuple(replace(one, digest=b"2" * 32) for one in CHAIN)
    assert await machine.apply(later) == 2
    assert machine.state() == expected(later)
    assert machine.show.warnings == []


async def test_a_node_that_cannot_be_told_stops_nobody_and_is_told_by_the_next_apply(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    await machine.apply(FIRST)

    def refuse(act):
        if act == ("before", "tell", "a"):
            raise Refused("the pod is stopped, and takes no book now", rule="phase")

    machine.pods.trouble = refuse
    moved = (ONE, WantedNode("b", "k1", b"1" * 32))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await machine.apply(moved)
        assert (caught.value.where, caught.value.rule) == ("node a", "phase")
        assert machine.state() == expected(moved), "the node that moved serves"
    assert told(machine, "a") == "https://b.k2.example"
    machine.pods.trouble = lambda _: None
    assert await machine.apply(moved) == 0
    assert told(machine, "a") == "https://b.k1.example"


async def test_a_node_that_was_not_told_is_told_by_an_apply_that_changes_another(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    await machine.apply(FIRST)

    def refuse(act):
        if act == ("before", "tell", "a"):
            raise NetworkFailure("no answer")

    machine.pods.trouble = refuse
    moved = (ONE, WantedNode("b", "k1", b"1" * 32))
    with pytest.raises(NetworkFailure):
        await machine.apply(moved)
    machine.pods.trouble = lambda _: None
    machine.manifests["c"] = a_manifest()
    more = (*moved, WantedNode("c", "k1", b"1" * 32))
    assert await machine.apply(more) == 1
    assert told(machine, "a") == "https://b.k1.example"
    machine.pods.books["a"] = machine.pods.books["b"]
    assert await machine.apply(moved) == 1, "c goes"
    assert told(machine, "a") == "https://b.k1.example"


async def test_a_node_outside_is_told_of_and_told_anew_when_its_file_says_otherwise(virtual_time):
    machine = Machine()
    web = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
    machine.manifests = {
        node: a_manifest(services=[web], network={"nodes": ["partner"]}) for node in ("a", "b")
    }
    machine.external = {"partner": external_entries("partner", {"p2p": "203.0.113.7:30303"}, None)}
    await machine.found()
    await machine.apply(FIRST)
    assert told(machine, "a") == told(machine, "b") == "tcp://203.0.113.7:30303"
    machine.external = {"partner": external_entries("partner", {"p2p": "203.0.113.8:30303"}, None)}
    assert await machine.apply(FIRST) == 0
    assert told(machine, "a") == told(machine, "b") == "tcp://203.0.113.8:30303"


async def test_what_a_node_is_known_by_is_in_the_others_books_and_stays_over_an_update(virtual_time):
    machine = Machine()
    machine.manifests = calling()
    await machine.found()
    machine.pods.identities = {"a": b"first"}

    def known():
        return {node: book.entries[0].identity for node, book in machine.pods.books.items()}

    await machine.apply(FIRST)
    assert known() == {"a": b"", "b": b"first"}
    await machine.apply((replace(ONE, digest=b"2" * 32), FIRST[1]))
    assert known() == {"a": b"", "b": b"first"}
    machine.pods.identities = {"a": b"second"}
    await machine.apply((replace(ONE, digest=b"3" * 32), FIRST[1]))
    assert known() == {"a": b"", "b": b"second"}
